import unittest

from node import Node
from detect_cycle import detect_cycle


class DetectCycleTest(unittest.TestCase):
    def test1(self):
        # Case 1: 5-node list input with no cycle
        node1 = Node(1)
        node2 = Node(2, node1)
        node3 = Node(3, node2)
        node4 = Node(4, node3)
        node5 = Node(5, node4)
        detected = detect_cycle(node5)

        self.assertFalse(detected)

    def test2(self):
        # Case 2: 5-node list input with cycle
        node1 = Node(1)
        node2 = Node(2, node1)
        node3 = Node(3, node2)
        node4 = Node(4, node3)
        node5 = Node(5, node4)
        node1.successor = node5

        detected = detect_cycle(node5)

        self.assertTrue(detected)

    def test3(self):
        # Case 3: 2-node list with cycle
        node1 = Node(1)
        node2 = Node(2, node1)
        node3 = Node(3, node2)
        node4 = Node(4, node3)
        node5 = Node(5, node4)
        node1.successor = node2

        detected = detect_cycle(node2)

        self.assertTrue(detected)

    def test4(self):
        # Case 4: 2-node list with no cycle
        node1 = Node(1)
        node2 = Node(2, node1)
        node3 = Node(3, node2)
        node4 = Node(4, node3)
        node5 = Node(5, node4)
        node6 = Node(6)
        node7 = Node(7, node6)

        detected = detect_cycle(node7)

        self.assertFalse(detected)

    def test5(self):
        # Case 5: 1-node list
        node1 = Node(1)
        node2 = Node(2, node1)
        node3 = Node(3, node2)
        node4 = Node(4, node3)
        node5 = Node(5, node4)
        node = Node(0)
        detected = detect_cycle(node)

        self.assertFalse(detected)

    def test6(self):
        # Case 6: 5 nodes in total. the last 2 nodes form a cycle. input the first node
        node1 = Node(1)
        node2 = Node(2, node1)
        node3 = Node(3, node2)
        node4 = Node(4, node3)
        node5 = Node(5, node4)
        node1.successor = node2

        detected = detect_cycle(node5)

        self.assertTrue(detected)
