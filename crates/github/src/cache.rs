//! Answers that GitHub may confirm with 304 instead of sending them again; a 304 costs no request
//! of the limit.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use http::HeaderMap;

/// An answer that larger ones would only push others out.
const LARGEST_KEPT_BYTES: usize = 256 * 1024;

/// A kept answer.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) etag: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The least recently used answer goes first.
pub(crate) struct Cache {
    capacity: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    uses: u64,
    entries: HashMap<String, (u64, Kept)>,
}

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, inner: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Kept> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let now = inner.uses;
        let (used, kept) = inner.entries.get_mut(key)?;
        *used = now;
        Some(kept.clone())
    }

    pub(crate) fn put(&self, key: String, kept: Kept) {
        if self.capacity == 0 || kept.body.len() > LARGEST_KEPT_BYTES {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let now = inner.uses;
        inner.entries.insert(key, (now, kept));
        if inner.entries.len() > self.capacity {
            let oldest = inner.entries.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                inner.entries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(etag: &str, size: usize) -> Kept {
        Kept {
            etag: etag.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::from(vec![b'x'; size]),
        }
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = Cache::new(2);
        cache.put("a".to_owned(), kept("1", 1));
        cache.put("b".to_owned(), kept("2", 1));
        assert!(cache.get("a").is_some());
        cache.put("c".to_owned(), kept("3", 1));
        assert!(cache.get("b").is_none());
        assert_eq!(cache.get("a").unwrap().etag, "1");
        cache.put("d".to_owned(), kept("4", LARGEST_KEPT_BYTES + 1));
        assert!(cache.get("d").is_none());
    }
}
