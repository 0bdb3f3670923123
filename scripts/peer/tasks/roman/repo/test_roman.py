import unittest

from roman import to_number, to_numeral


class RomanTest(unittest.TestCase):
    def test_additions(self):
        self.assertEqual(to_number("XVII"), 17)

    def test_subtractions(self):
        self.assertEqual(to_number("IV"), 4)
        self.assertEqual(to_number("MCMXCIV"), 1994)

    def test_there_and_back(self):
        for number in range(1, 4000):
            self.assertEqual(to_number(to_numeral(number)), number)

    def test_out_of_range(self):
        with self.assertRaises(ValueError):
            to_numeral(0)
