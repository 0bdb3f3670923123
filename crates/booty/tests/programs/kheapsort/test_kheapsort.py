import unittest

from kheapsort import kheapsort


class KheapsortTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(list(kheapsort([1, 2, 3, 4, 5], 0)), [1, 2, 3, 4, 5])

    def test_02(self):
        self.assertEqual(list(kheapsort([3, 2, 1, 5, 4], 2)), [1, 2, 3, 4, 5])

    def test_03(self):
        self.assertEqual(list(kheapsort([5, 4, 3, 2, 1], 4)), [1, 2, 3, 4, 5])

    def test_04(self):
        self.assertEqual(list(kheapsort([3, 12, 5, 1, 6], 3)), [1, 3, 5, 6, 12])
