import unittest

from kth import kth


class KthTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(kth([1, 2, 3, 4, 5, 6, 7], 4), 5)

    def test_02(self):
        self.assertEqual(kth([3, 6, 7, 1, 6, 3, 8, 9], 5), 7)

    def test_03(self):
        self.assertEqual(kth([3, 6, 7, 1, 6, 3, 8, 9], 2), 3)

    def test_04(self):
        self.assertEqual(kth([2, 6, 8, 3, 5, 7], 0), 2)

    def test_05(self):
        self.assertEqual(kth([34, 25, 7, 1, 9], 4), 34)

    def test_06(self):
        self.assertEqual(kth([45, 2, 6, 8, 42, 90, 322], 1), 6)

    def test_07(self):
        self.assertEqual(kth([45, 2, 6, 8, 42, 90, 322], 6), 322)
