import unittest

from csvline import join, split


class SplitTest(unittest.TestCase):
    def test_plain(self):
        self.assertEqual(split("a,b,,c"), ["a", "b", "", "c"])

    def test_commas_in_quotes(self):
        self.assertEqual(split('"a,b",c'), ["a,b", "c"])

    def test_doubled_quotes(self):
        self.assertEqual(split('"say ""hi""",2'), ['say "hi"', "2"])

    def test_there_and_back(self):
        fields = ["", "a", 'b"', '"', "c,d", ""]
        self.assertEqual(split(join(fields)), fields)

    def test_an_open_quote(self):
        with self.assertRaises(ValueError):
            split('"a')
