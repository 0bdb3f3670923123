import unittest

from node import Node
from reverse_linked_list import reverse_linked_list


class ReverseLinkedListTest(unittest.TestCase):
    def test1(self):
        # Case 1: 5-node list input
        node1 = Node(1)
        node2 = Node(2, node1)
        node3 = Node(3, node2)
        node4 = Node(4, node3)
        node5 = Node(5, node4)

        result = reverse_linked_list(node5)
        self.assertEqual(result, node1)

        output = []
        while result:
            output.append(result.value)
            result = result.successor
        self.assertEqual(output, [1, 2, 3, 4, 5])

    def test2(self):
        # Case 2: 1-node list input
        node = Node(0)

        result = reverse_linked_list(node)
        self.assertEqual(result, node)

        output = []
        while result:
            output.append(result.value)
            result = result.successor
        self.assertEqual(output, [0])

    def test3(self):
        # Case 3: None input
        result = reverse_linked_list(None)
        self.assertFalse(result)

        output = []
        while result:
            output.append(result.value)
            result = result.successor
        self.assertFalse(output)
