import unittest

from lis import lis


class LisTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(lis([]), 0)

    def test_02(self):
        self.assertEqual(lis([3]), 1)

    def test_03(self):
        self.assertEqual(lis([10, 20, 11, 32, 22, 48, 43]), 4)

    def test_04(self):
        self.assertEqual(lis([4, 2, 1]), 1)

    def test_05(self):
        self.assertEqual(lis([5, 1, 3, 4, 7]), 4)

    def test_06(self):
        self.assertEqual(lis([4, 1]), 1)

    def test_07(self):
        self.assertEqual(lis([-1, 0, 2]), 3)

    def test_08(self):
        self.assertEqual(lis([0, 2]), 2)

    def test_09(self):
        self.assertEqual(lis([4, 1, 5, 3, 7, 6, 2]), 3)

    def test_10(self):
        self.assertEqual(lis([10, 22, 9, 33, 21, 50, 41, 60, 80]), 6)

    def test_11(self):
        self.assertEqual(lis([7, 10, 9, 2, 3, 8, 1]), 3)

    def test_12(self):
        self.assertEqual(lis([9, 11, 2, 13, 7, 15]), 4)
