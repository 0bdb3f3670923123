import unittest

from intervals import merge, total


class MergeTest(unittest.TestCase):
    def test_nothing(self):
        self.assertEqual(merge([]), [])

    def test_disjoint_intervals_stay(self):
        self.assertEqual(merge([(5, 6), (1, 2)]), [(1, 2), (5, 6)])

    def test_overlapping_and_touching_intervals_join(self):
        self.assertEqual(merge([(1, 3), (2, 5), (5, 7)]), [(1, 7)])


class TotalTest(unittest.TestCase):
    def test_overlap_counts_once(self):
        self.assertEqual(total([(0, 4), (2, 6)]), 6)


if __name__ == "__main__":
    unittest.main()
