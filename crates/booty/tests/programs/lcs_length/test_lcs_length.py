import unittest

from lcs_length import lcs_length


class LcsLengthTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(lcs_length('witch', 'sandwich'), 2)

    def test_02(self):
        self.assertEqual(lcs_length('meow', 'homeowner'), 4)

    def test_03(self):
        self.assertEqual(lcs_length('fun', ''), 0)

    def test_04(self):
        self.assertEqual(lcs_length('fun', 'function'), 3)

    def test_05(self):
        self.assertEqual(lcs_length('cyborg', 'cyber'), 3)

    def test_06(self):
        self.assertEqual(lcs_length('physics', 'physics'), 7)

    def test_07(self):
        self.assertEqual(lcs_length('space age', 'pace a'), 6)

    def test_08(self):
        self.assertEqual(lcs_length('flippy', 'floppy'), 3)

    def test_09(self):
        self.assertEqual(lcs_length('acbdegcedbg', 'begcfeubk'), 3)
