import unittest

from node import Node
from depth_first_search import depth_first_search


class DepthFirstSearchTest(unittest.TestCase):
    def test1(self):
        # Case 1: Strongly connected graph
        station1 = Node("Westminster")
        station2 = Node("Waterloo", None, [station1])
        station3 = Node("Trafalgar Square", None, [station1, station2])
        station4 = Node("Canary Wharf", None, [station2, station3])
        station5 = Node("London Bridge", None, [station4, station3])
        station6 = Node("Tottenham Court Road", None, [station5, station4])

        path_found = depth_first_search(station6, station1)

        self.assertTrue(path_found)

    def test2(self):
        # Case 2: Branching graph
        nodef = Node("F")
        nodee = Node("E")
        noded = Node("D")
        nodec = Node("C", None, [nodef])
        nodeb = Node("B", None, [nodee])
        nodea = Node("A", None, [nodeb, nodec, noded])

        path_found = depth_first_search(nodea, nodee)

        self.assertTrue(path_found)

    def test3(self):
        # Case 3: Two unconnected nodes in graph
        nodef = Node("F")
        nodee = Node("E")

        path_found = depth_first_search(nodef, nodee)

        self.assertFalse(path_found)

    def test4(self):
        # Case 4: One node graph
        nodef = Node("F")

        path_found = depth_first_search(nodef, nodef)

        self.assertTrue(path_found)

    def test5(self):
        # Case 5: Graph with cycles
        nodef = Node("F")
        nodee = Node("E")
        noded = Node("D")
        nodec = Node("C", None, [nodef])
        nodeb = Node("B", None, [nodee])
        nodea = Node("A", None, [nodeb, nodec, noded])

        nodee.successors = [nodea]

        path_found = depth_first_search(nodea, nodef)

        self.assertTrue(path_found)
