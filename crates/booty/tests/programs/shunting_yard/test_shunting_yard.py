import unittest

from shunting_yard import shunting_yard


class ShuntingYardTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(shunting_yard([]), [])

    def test_02(self):
        self.assertEqual(shunting_yard([30]), [30])

    def test_03(self):
        self.assertEqual(shunting_yard([10, '-', 5, '-', 2]), [10, 5, '-', 2, '-'])

    def test_04(self):
        self.assertEqual(shunting_yard([34, '-', 12, '/', 5]), [34, 12, 5, '/', '-'])

    def test_05(self):
        self.assertEqual(shunting_yard([4, '+', 9, '*', 9, '-', 10, '+', 13]), [4, 9, 9, '*', '+', 10, '-', 13, '+'])

    def test_06(self):
        self.assertEqual(shunting_yard([7, '*', 43, '-', 7, '+', 13, '/', 7]), [7, 43, '*', 7, '-', 13, 7, '/', '+'])
