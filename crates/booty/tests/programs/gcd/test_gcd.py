import unittest

from gcd import gcd


class GcdTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(gcd(17, 0), 17)

    def test_02(self):
        self.assertEqual(gcd(13, 13), 13)

    def test_03(self):
        self.assertEqual(gcd(37, 600), 1)

    def test_04(self):
        self.assertEqual(gcd(20, 100), 20)

    def test_05(self):
        self.assertEqual(gcd(624129, 2061517), 18913)

    def test_06(self):
        self.assertEqual(gcd(3, 12), 3)
