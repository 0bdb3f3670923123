"""A cache that throws out what was not used for the longest time."""


class Cache:
    def __init__(self, size):
        if size < 1:
            raise ValueError("a cache holds one entry at least")
        self.size = size
        self._entries = {}

    def __len__(self):
        return len(self._entries)

    def get(self, key, default=None):
        """The value of a key; that is a use of it."""
        if key not in self._entries:
            return default
        return self._entries[key]

    def put(self, key, value):
        """Keeps a value, and throws out the oldest one when there are too many."""
        self._entries.pop(key, None)
        self._entries[key] = value
        if len(self._entries) > self.size:
            oldest = next(iter(self._entries))
            del self._entries[oldest]
