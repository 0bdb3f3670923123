import unittest

from possible_change import possible_change


class PossibleChangeTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(possible_change([1, 4, 2], -7), 0)

    def test_02(self):
        self.assertEqual(possible_change([1, 5, 10, 25], 11), 4)

    def test_03(self):
        self.assertEqual(possible_change([1, 5, 10, 25], 75), 121)

    def test_04(self):
        self.assertEqual(possible_change([1, 5, 10, 25], 34), 18)

    def test_05(self):
        self.assertEqual(possible_change([1, 5, 10], 34), 16)

    def test_06(self):
        self.assertEqual(possible_change([1, 5, 10, 25], 140), 568)

    def test_07(self):
        self.assertEqual(possible_change([1, 5, 10, 25, 50], 140), 786)

    def test_08(self):
        self.assertEqual(possible_change([1, 5, 10, 25, 50, 100], 140), 817)

    def test_09(self):
        self.assertEqual(possible_change([1, 3, 7, 42, 78], 140), 981)

    def test_10(self):
        self.assertEqual(possible_change([3, 7, 42, 78], 140), 20)
