"""Intervals as (start, end) pairs, start <= end."""


def merge(intervals):
    """Join intervals that overlap or touch; the result is sorted and disjoint."""
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def total(intervals):
    """How much is covered, each point once."""
    covered = sum(end - start for start, end in merge(intervals))
    if any(end - start > covered for start, end in intervals):
        raise ArithmeticError(f"{covered} is less than one of them alone")
    return covered
