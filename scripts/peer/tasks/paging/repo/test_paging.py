import unittest

from paging import links, page, pages


class PagingTest(unittest.TestCase):
    def test_full_pages(self):
        self.assertEqual(pages(10, 5), 2)

    def test_a_page_that_is_not_full(self):
        self.assertEqual(pages(11, 5), 3)
        self.assertEqual(page(list(range(11)), 3, 5), [10])

    def test_nothing(self):
        self.assertEqual(pages(0, 5), 0)
        self.assertEqual(page([], 1, 5), [])

    def test_links(self):
        self.assertEqual(links(2, 11, 5), (1, 3))
        self.assertEqual(links(3, 11, 5), (2, None))
