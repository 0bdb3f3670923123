import unittest

from flatten import flatten


class FlattenTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(list(flatten([[1, [], [2, 3]], [[4]], 5])), [1, 2, 3, 4, 5])

    def test_02(self):
        self.assertEqual(list(flatten([[], [], [], [], []])), [])

    def test_03(self):
        self.assertEqual(list(flatten([[], [], 1, [], 1, [], []])), [1, 1])

    def test_04(self):
        self.assertEqual(list(flatten([1, 2, 3, [[4]]])), [1, 2, 3, 4])

    def test_05(self):
        self.assertEqual(list(flatten([1, 4, 6])), [1, 4, 6])

    def test_06(self):
        self.assertEqual(list(flatten(['moe', 'curly', 'larry'])), ['moe', 'curly', 'larry'])

    def test_07(self):
        self.assertEqual(list(flatten(['a', 'b', ['c'], ['d'], [['e']]])), ['a', 'b', 'c', 'd', 'e'])
