import unittest

from intervals import merge, total


class MergeTest(unittest.TestCase):
    def test_overlapping(self):
        self.assertEqual(merge([(1, 3), (2, 5)]), [(1, 5)])

    def test_touching(self):
        self.assertEqual(merge([(1, 3), (3, 4)]), [(1, 4)])

    def test_apart(self):
        self.assertEqual(merge([(5, 6), (1, 2)]), [(1, 2), (5, 6)])

    def test_one_inside_another(self):
        self.assertEqual(merge([(0, 10), (2, 3)]), [(0, 10)])

    def test_total(self):
        self.assertEqual(total([(0, 10), (2, 3), (20, 21)]), 11)


if __name__ == "__main__":
    unittest.main()
