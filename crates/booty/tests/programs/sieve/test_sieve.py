import unittest

from sieve import sieve


class SieveTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(sieve(1), [])

    def test_02(self):
        self.assertEqual(sieve(2), [2])

    def test_03(self):
        self.assertEqual(sieve(4), [2, 3])

    def test_04(self):
        self.assertEqual(sieve(7), [2, 3, 5, 7])

    def test_05(self):
        self.assertEqual(sieve(20), [2, 3, 5, 7, 11, 13, 17, 19])

    def test_06(self):
        self.assertEqual(sieve(50), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47])
