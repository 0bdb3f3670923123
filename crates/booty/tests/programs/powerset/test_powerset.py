import unittest

from powerset import powerset


class PowersetTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(powerset(['a', 'b', 'c']), [[], ['c'], ['b'], ['b', 'c'], ['a'], ['a', 'c'], ['a', 'b'], ['a', 'b', 'c']])

    def test_02(self):
        self.assertEqual(powerset(['a', 'b']), [[], ['b'], ['a'], ['a', 'b']])

    def test_03(self):
        self.assertEqual(powerset(['a']), [[], ['a']])

    def test_04(self):
        self.assertEqual(powerset([]), [[]])

    def test_05(self):
        self.assertEqual(powerset(['x', 'df', 'z', 'm']), [[], ['m'], ['z'], ['z', 'm'], ['df'], ['df', 'm'], ['df', 'z'], ['df', 'z', 'm'], ['x'], ['x', 'm'], ['x', 'z'], ['x', 'z', 'm'], ['x', 'df'], ['x', 'df', 'm'], ['x', 'df', 'z'], ['x', 'df', 'z', 'm']])
