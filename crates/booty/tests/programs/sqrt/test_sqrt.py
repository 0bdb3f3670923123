import unittest

from sqrt import sqrt


class SqrtTest(unittest.TestCase):
    def test_01(self):
        self.assertAlmostEqual(sqrt(2, 0.01), 1.4166666666666665, delta=0.01)

    def test_02(self):
        self.assertAlmostEqual(sqrt(2, 0.5), 1.5, delta=0.5)

    def test_03(self):
        self.assertAlmostEqual(sqrt(2, 0.3), 1.5, delta=0.3)

    def test_04(self):
        self.assertAlmostEqual(sqrt(4, 0.2), 2, delta=0.2)

    def test_05(self):
        self.assertAlmostEqual(sqrt(27, 0.01), 5.196164639727311, delta=0.01)

    def test_06(self):
        self.assertAlmostEqual(sqrt(33, 0.05), 5.744627526262464, delta=0.05)

    def test_07(self):
        self.assertAlmostEqual(sqrt(170, 0.03), 13.038404876679632, delta=0.03)
