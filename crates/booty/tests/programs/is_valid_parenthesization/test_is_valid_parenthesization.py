import unittest

from is_valid_parenthesization import is_valid_parenthesization


class IsValidParenthesizationTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(is_valid_parenthesization('((()()))()'), True)

    def test_02(self):
        self.assertEqual(is_valid_parenthesization(')()('), False)

    def test_03(self):
        self.assertEqual(is_valid_parenthesization('(('), False)
