import unittest

from pascal import pascal


class PascalTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(pascal(1), [[1]])

    def test_02(self):
        self.assertEqual(pascal(2), [[1], [1, 1]])

    def test_03(self):
        self.assertEqual(pascal(3), [[1], [1, 1], [1, 2, 1]])

    def test_04(self):
        self.assertEqual(pascal(4), [[1], [1, 1], [1, 2, 1], [1, 3, 3, 1]])

    def test_05(self):
        self.assertEqual(pascal(5), [[1], [1, 1], [1, 2, 1], [1, 3, 3, 1], [1, 4, 6, 4, 1]])
