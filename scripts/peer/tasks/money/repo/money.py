"""Amounts in whole cents."""


def parse(text):
    """Cents of "12.34"; at most two digits after the point."""
    sign = -1 if text.startswith("-") else 1
    whole, _, part = text.lstrip("-").partition(".")
    if not whole.isdigit() or len(part) > 2 or (part and not part.isdigit()):
        raise ValueError(f"{text!r} is no amount")
    return sign * (int(whole) * 100 + int(part.ljust(2, "0")))


def show(cents):
    """The amount for people."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02}"


def share(cents, parts):
    """Splits an amount into parts that differ by a cent at most, larger ones first."""
    if parts < 1:
        raise ValueError("there has to be somebody to share with")
    each, rest = divmod(cents, parts)
    return [each] * parts
