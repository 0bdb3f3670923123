//! Objects that are given out only as long as somebody waits for what becomes of them.

use std::{
    io::Read,
    time::{Duration, Instant},
};

use gix::{
    ObjectId,
    objs::{Data, Find, FindHeader, Header, Kind, Write},
};
use tokio_util::sync::CancellationToken;

use crate::{Error, base::Refusal, mirror::chain};

/// A repository's objects for work that does not stop when it is told to: it can't go on without them.
pub(crate) struct Watched<'a> {
    repo: &'a gix::Repository,
    cancel: &'a CancellationToken,
    limit: Duration,
    deadline: Instant,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(
        repo: &'a gix::Repository,
        cancel: &'a CancellationToken,
        limit: Duration,
    ) -> Self {
        Self { repo, cancel, limit, deadline: Instant::now() + limit }
    }

    /// Why the work failed: because it was stopped, if it was.
    pub(crate) fn explain(&self, error: &gix::Error) -> Refusal {
        self.stopped().map_or_else(|| Refusal::Damaged(chain(error)), Refusal::Error)
    }

    fn stopped(&self) -> Option<Error> {
        if self.cancel.is_cancelled() {
            Some(Error::Cancelled)
        } else if Instant::now() >= self.deadline {
            Some(Error::TimedOut { limit: self.limit })
        } else {
            None
        }
    }

    fn go_on(&self) -> gix::Result<()> {
        self.stopped().map_or(Ok(()), |error| Err(gix::Error::from_error(error)))
    }
}

impl Find for Watched<'_> {
    fn try_find<'a>(
        &self,
        id: &gix::oid,
        buffer: &'a mut Vec<u8>,
    ) -> gix::Result<Option<Data<'a>>> {
        self.go_on()?;
        self.repo.objects.try_find(id, buffer)
    }
}

impl FindHeader for Watched<'_> {
    fn try_header(&self, id: &gix::oid) -> gix::Result<Option<Header>> {
        self.go_on()?;
        FindHeader::try_header(&self.repo.objects, id)
    }
}

impl Write for Watched<'_> {
    fn write_buf_with_known_id(
        &self,
        kind: Kind,
        from: &[u8],
        id: ObjectId,
    ) -> gix::Result<ObjectId> {
        self.go_on()?;
        self.repo.objects.write_buf_with_known_id(kind, from, id)
    }

    fn write_stream(&self, kind: Kind, size: u64, from: &mut dyn Read) -> gix::Result<ObjectId> {
        self.go_on()?;
        self.repo.objects.write_stream(kind, size, from)
    }

    fn write_stream_with_known_id(
        &self,
        kind: Kind,
        size: u64,
        from: &mut dyn Read,
        id: ObjectId,
    ) -> gix::Result<ObjectId> {
        self.go_on()?;
        self.repo.objects.write_stream_with_known_id(kind, size, from, id)
    }
}
