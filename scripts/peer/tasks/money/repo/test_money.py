import unittest

from money import parse, share, show


class MoneyTest(unittest.TestCase):
    def test_parse(self):
        self.assertEqual(parse("12.3"), 1230)
        self.assertEqual(parse("-0.05"), -5)

    def test_show(self):
        self.assertEqual(show(-5), "-0.05")

    def test_shares(self):
        self.assertEqual(share(100, 3), [34, 33, 33])
        self.assertEqual(share(101, 3), [34, 34, 33])

    def test_nothing_is_lost(self):
        for cents in range(200):
            for parts in range(1, 9):
                shares = share(cents, parts)
                self.assertEqual(sum(shares), cents)
                self.assertLessEqual(max(shares) - min(shares), 1)
