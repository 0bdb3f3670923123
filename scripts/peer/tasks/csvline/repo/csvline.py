"""One line of comma-separated values."""

QUOTE = '"'


def split(line):
    """The fields of a line; quoted fields may hold commas and doubled quotes."""
    fields, field, quoted = [], "", False
    position = 0
    while position < len(line):
        letter = line[position]
        following = line[position + 1 : position + 2]
        position += 1
        if letter == QUOTE and quoted and following == QUOTE:
            field, position = field, position + 1
        elif letter == QUOTE:
            quoted = not quoted
        elif letter == "," and not quoted:
            fields.append(field)
            field = ""
        else:
            field += letter
    if quoted:
        raise ValueError("a quote is not closed")
    return fields + [field]


def join(fields):
    """A line of fields that split() takes apart again."""
    parts = []
    for field in fields:
        if "," in field or QUOTE in field:
            field = QUOTE + field.replace(QUOTE, QUOTE + QUOTE) + QUOTE
        parts.append(field)
    return ",".join(parts)
