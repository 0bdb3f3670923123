import unittest

from bitcount import bitcount


class BitcountTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(bitcount(127), 7)

    def test_02(self):
        self.assertEqual(bitcount(128), 1)

    def test_03(self):
        self.assertEqual(bitcount(3005), 9)

    def test_04(self):
        self.assertEqual(bitcount(13), 3)

    def test_05(self):
        self.assertEqual(bitcount(14), 3)

    def test_06(self):
        self.assertEqual(bitcount(27), 4)

    def test_07(self):
        self.assertEqual(bitcount(834), 4)

    def test_08(self):
        self.assertEqual(bitcount(254), 7)

    def test_09(self):
        self.assertEqual(bitcount(256), 1)
