import unittest

from rpn_eval import rpn_eval


class RpnEvalTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(rpn_eval([3.0, 5.0, '+', 2.0, '/']), 4.0)

    def test_02(self):
        self.assertEqual(rpn_eval([2.0, 2.0, '+']), 4.0)

    def test_03(self):
        self.assertEqual(rpn_eval([7.0, 4.0, '+', 3.0, '-']), 8.0)

    def test_04(self):
        self.assertEqual(rpn_eval([1.0, 2.0, '*', 3.0, 4.0, '*', '+']), 14.0)

    def test_05(self):
        self.assertEqual(rpn_eval([5.0, 9.0, 2.0, '*', '+']), 23.0)

    def test_06(self):
        self.assertEqual(rpn_eval([5.0, 1.0, 2.0, '+', 4.0, '*', '+', 3.0, '-']), 14.0)
