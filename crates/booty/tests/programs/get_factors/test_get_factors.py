import unittest

from get_factors import get_factors


class GetFactorsTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(get_factors(1), [])

    def test_02(self):
        self.assertEqual(get_factors(100), [2, 2, 5, 5])

    def test_03(self):
        self.assertEqual(get_factors(101), [101])

    def test_04(self):
        self.assertEqual(get_factors(104), [2, 2, 2, 13])

    def test_05(self):
        self.assertEqual(get_factors(2), [2])

    def test_06(self):
        self.assertEqual(get_factors(3), [3])

    def test_07(self):
        self.assertEqual(get_factors(17), [17])

    def test_08(self):
        self.assertEqual(get_factors(63), [3, 3, 7])

    def test_09(self):
        self.assertEqual(get_factors(74), [2, 37])

    def test_10(self):
        self.assertEqual(get_factors(73), [73])

    def test_11(self):
        self.assertEqual(get_factors(9837), [3, 3, 1093])
