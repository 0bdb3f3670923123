import unittest

from minimum_spanning_tree import minimum_spanning_tree


class MinimumSpanningTreeTest(unittest.TestCase):
    def test1(self):
        # Case 1: Simple tree input.
        result = minimum_spanning_tree(
            {
                (1, 2): 10,
                (2, 3): 15,
                (3, 4): 10,
                (1, 4): 10,
            }
        )

        self.assertEqual(result, {(1, 2), (3, 4), (1, 4)})

    def test2(self):
        # Case 2: Strongly connected tree input.
        result = minimum_spanning_tree(
            {
                (1, 2): 6,
                (1, 3): 1,
                (1, 4): 5,
                (2, 3): 5,
                (2, 5): 3,
                (3, 4): 5,
                (3, 5): 6,
                (3, 6): 4,
                (4, 6): 2,
                (5, 6): 6,
            }
        )

        self.assertEqual(result, {(2, 5), (1, 3), (2, 3), (4, 6), (3, 6)})

    def test3(self):
        # Case 3: Minimum spanning tree input.
        result = minimum_spanning_tree(
            {
                (1, 2): 6,
                (1, 3): 1,
                (2, 4): 2,
            }
        )

        self.assertEqual(result, {(1, 2), (1, 3), (2, 4)})
