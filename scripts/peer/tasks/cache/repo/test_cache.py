import unittest

from cache import Cache


class CacheTest(unittest.TestCase):
    def test_the_oldest_goes(self):
        cache = Cache(2)
        for key in "abc":
            cache.put(key, key.upper())
        self.assertIsNone(cache.get("a"))
        self.assertEqual(cache.get("c"), "C")

    def test_what_was_read_stays(self):
        cache = Cache(2)
        cache.put("a", 1)
        cache.put("b", 2)
        self.assertEqual(cache.get("a"), 1)
        cache.put("c", 3)
        self.assertEqual(cache.get("a"), 1)
        self.assertIsNone(cache.get("b"))

    def test_nothing_is_made_up(self):
        cache = Cache(1)
        self.assertEqual(cache.get("a", 7), 7)
        self.assertEqual(len(cache), 0)
