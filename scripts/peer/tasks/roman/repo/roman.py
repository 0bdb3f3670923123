"""Roman numerals from 1 to 3999."""

VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def to_number(numeral):
    """The number that a numeral stands for."""
    letters = [VALUES[letter] for letter in numeral.upper()]
    total = 0
    for value, following in zip(letters, [0] + letters):
        if value < following:
            total -= value
        else:
            total += value
    return total


def to_numeral(number):
    """The numeral of a number."""
    if not 1 <= number <= 3999:
        raise ValueError(f"there is no numeral for {number}")
    pairs = [
        (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"),
        (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
    ]
    numeral = ""
    for value, letters in pairs:
        while number >= value:
            numeral += letters
            number -= value
    return numeral
