import unittest

from levenshtein import levenshtein


class LevenshteinTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(levenshtein('electron', 'neutron'), 3)

    def test_02(self):
        self.assertEqual(levenshtein('kitten', 'sitting'), 3)

    def test_03(self):
        self.assertEqual(levenshtein('rosettacode', 'raisethysword'), 8)

    def test_04(self):
        self.assertEqual(levenshtein('abcdefg', 'gabcdef'), 2)

    def test_05(self):
        self.assertEqual(levenshtein('', ''), 0)

    def test_06(self):
        self.assertEqual(levenshtein('hello', 'olleh'), 4)
