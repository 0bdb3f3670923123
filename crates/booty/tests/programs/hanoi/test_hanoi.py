import unittest

from hanoi import hanoi


class HanoiTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(hanoi(0, 1, 3), [])

    def test_02(self):
        self.assertEqual(hanoi(1, 1, 3), [(1, 3)])

    def test_03(self):
        self.assertEqual(hanoi(2, 1, 3), [(1, 2), (1, 3), (2, 3)])

    def test_04(self):
        self.assertEqual(hanoi(3, 1, 3), [(1, 3), (1, 2), (3, 2), (1, 3), (2, 1), (2, 3), (1, 3)])

    def test_05(self):
        self.assertEqual(hanoi(4, 1, 3), [(1, 2), (1, 3), (2, 3), (1, 2), (3, 1), (3, 2), (1, 2), (1, 3), (2, 3), (2, 1), (3, 1), (2, 3), (1, 2), (1, 3), (2, 3)])

    def test_06(self):
        self.assertEqual(hanoi(2, 1, 2), [(1, 3), (1, 2), (3, 2)])

    def test_07(self):
        self.assertEqual(hanoi(2, 1, 1), [(1, 2), (1, 1), (2, 1)])

    def test_08(self):
        self.assertEqual(hanoi(2, 3, 1), [(3, 2), (3, 1), (2, 1)])
