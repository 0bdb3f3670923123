import unittest

from longest_common_subsequence import longest_common_subsequence


class LongestCommonSubsequenceTest(unittest.TestCase):
    def test_01(self):
        self.assertEqual(longest_common_subsequence('headache', 'pentadactyl'), 'eadac')

    def test_02(self):
        self.assertEqual(longest_common_subsequence('daenarys', 'targaryen'), 'aary')

    def test_03(self):
        self.assertEqual(longest_common_subsequence('XMJYAUZ', 'MZJAWXU'), 'MJAU')

    def test_04(self):
        self.assertEqual(longest_common_subsequence('thisisatest', 'testing123testing'), 'tsitest')

    def test_05(self):
        self.assertEqual(longest_common_subsequence('1234', '1224533324'), '1234')

    def test_06(self):
        self.assertEqual(longest_common_subsequence('abcbdab', 'bdcaba'), 'bcba')

    def test_07(self):
        self.assertEqual(longest_common_subsequence('TATAGC', 'TAGCAG'), 'TAAG')

    def test_08(self):
        self.assertEqual(longest_common_subsequence('ABCBDAB', 'BDCABA'), 'BCBA')

    def test_09(self):
        self.assertEqual(longest_common_subsequence('ABCD', 'XBCYDQ'), 'BCD')

    def test_10(self):
        self.assertEqual(longest_common_subsequence('acbdegcedbg', 'begcfeubk'), 'begceb')
