import unittest

from find_first_in_sorted import find_first_in_sorted


class FindFirstInSortedTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(find_first_in_sorted([3, 4, 5, 5, 5, 5, 6], 5), 2)

    def test_02(self):
        self.assertEqual(find_first_in_sorted([3, 4, 5, 5, 5, 5, 6], 7), -1)

    def test_03(self):
        self.assertEqual(find_first_in_sorted([3, 4, 5, 5, 5, 5, 6], 2), -1)

    def test_04(self):
        self.assertEqual(find_first_in_sorted([3, 6, 7, 9, 9, 10, 14, 27], 14), 6)

    def test_05(self):
        self.assertEqual(find_first_in_sorted([0, 1, 6, 8, 13, 14, 67, 128], 80), -1)

    def test_06(self):
        self.assertEqual(find_first_in_sorted([0, 1, 6, 8, 13, 14, 67, 128], 67), 6)

    def test_07(self):
        self.assertEqual(find_first_in_sorted([0, 1, 6, 8, 13, 14, 67, 128], 128), 7)
