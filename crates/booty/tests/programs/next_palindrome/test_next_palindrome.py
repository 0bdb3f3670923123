import unittest

from next_palindrome import next_palindrome


class NextPalindromeTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(next_palindrome([1, 4, 9, 4, 1]), [1, 5, 0, 5, 1])

    def test_02(self):
        self.assertEqual(next_palindrome([1, 3, 1]), [1, 4, 1])

    def test_03(self):
        self.assertEqual(next_palindrome([4, 7, 2, 5, 5, 2, 7, 4]), [4, 7, 2, 6, 6, 2, 7, 4])

    def test_04(self):
        self.assertEqual(next_palindrome([4, 7, 2, 5, 2, 7, 4]), [4, 7, 2, 6, 2, 7, 4])

    def test_05(self):
        self.assertEqual(next_palindrome([9, 9, 9]), [1, 0, 0, 1])
