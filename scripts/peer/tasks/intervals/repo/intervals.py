"""Closed intervals of whole numbers."""


def merge(intervals):
    """Joins intervals that touch or overlap, in the order of their starts."""
    merged = []
    for start, end in sorted(intervals):
        if start > end:
            raise ValueError(f"{start} comes after {end}")
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def total(intervals):
    """How much of the line the intervals cover."""
    return sum(end - start for start, end in merge(intervals))
