"""Lists in pages that are counted from 1."""


def pages(total, size):
    """How many pages hold so many entries."""
    if size < 1:
        raise ValueError("a page holds one entry at least")
    return total // size


def page(entries, number, size):
    """The entries of one page."""
    if not 1 <= number <= max(1, pages(len(entries), size)):
        raise IndexError(f"there is no page {number}")
    start = (number - 1) * size
    return entries[start : start + size]


def links(number, total, size):
    """The numbers of the pages before and after one; None where there is none."""
    last = pages(total, size)
    before = number - 1 if number > 1 else None
    after = number + 1 if number < last else None
    return before, after
