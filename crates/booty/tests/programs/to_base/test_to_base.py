import unittest

from to_base import to_base


class ToBaseTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(to_base(8227, 18), '1771')

    def test_02(self):
        self.assertEqual(to_base(73, 8), '111')

    def test_03(self):
        self.assertEqual(to_base(16, 19), 'G')

    def test_04(self):
        self.assertEqual(to_base(31, 16), '1F')

    def test_05(self):
        self.assertEqual(to_base(41, 2), '101001')

    def test_06(self):
        self.assertEqual(to_base(44, 5), '134')

    def test_07(self):
        self.assertEqual(to_base(27, 23), '14')

    def test_08(self):
        self.assertEqual(to_base(56, 23), '2A')

    def test_09(self):
        self.assertEqual(to_base(8237, 24), 'E75')

    def test_10(self):
        self.assertEqual(to_base(8237, 34), '749')
