//! The spool as a file of lines, and back; and what others kept on disk onto the bus.

use std::io::{BufRead, Write};

use booty_bus::{Headers, Outgoing, Published, Spooled};
use booty_events::{header, subject::SpoolPlace};
use booty_spool::Line;
use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    filter::Filter,
    spool::{Handled, Spool, chain},
};

/// What may be published from a file. Anything else on the broker is not the business of a spool.
const TAKEN: [&str; 4] = ["booty.inbox.", "booty.event.", "booty.effect.", "booty.spool."];

impl Spool {
    /// Writes the entries that fit, one line each, whole: also what `show` hides.
    ///
    /// # Errors
    /// The broker, a filter that can fit nothing, or the writer.
    pub async fn export(
        &self,
        filter: &Filter,
        to: &mut (impl Write + Send),
    ) -> Result<usize, Error> {
        filter.check()?;
        let io = |source| Error::Io { doing: "write the export".to_owned(), source };
        let mut written = 0;
        for entry in self.find(filter).await? {
            let Some(stored) = self.stored(entry.sequence).await? else { continue };
            let error = stored.headers.get(header::SPOOL_ERROR).unwrap_or_default().to_owned();
            let message = Outgoing {
                subject: stored.subject,
                headers: stored.headers.without_broker_headers(),
                payload: stored.payload,
            };
            Line::new(entry.time, message, error).write(&mut *to).map_err(io)?;
            written += 1;
        }
        to.flush().map_err(io)?;
        Ok(written)
    }

    /// Takes lines in: an entry of the spool goes back into the spool, and what ingress or
    /// observability kept on disk goes to its own subject. Twice is once. In the answer, `sequence` is
    /// the line's number; a last line that was never written to its end is `torn`.
    ///
    /// # Errors
    /// The reader. A line that can't be read or that the broker does not take is `failed` in the
    /// answer, and the others go on.
    pub async fn import(&self, from: &mut (impl BufRead + Send)) -> Result<Handled, Error> {
        let io = |source| Error::Io { doing: "read the lines".to_owned(), source };
        let mut handled = Handled::default();
        let mut number = 0;
        let mut line = Vec::new();
        loop {
            line.clear();
            if from.read_until(b'\n', &mut line).map_err(io)? == 0 {
                return Ok(handled);
            }
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let is_whole = line.ends_with(b"\n");
            let taken = match Line::read(&line) {
                Ok(line) => self.take(line).await,
                // It was being written when a process died, and nobody was told that it is kept.
                Err(_) if !is_whole => Ok("torn"),
                Err(why) => Err(why.to_string()),
            };
            match taken {
                Ok(result) => handled.add(number, result, None),
                Err(why) => handled.add(number, "failed", Some(why)),
            }
        }
    }

    async fn take(&self, line: Line) -> Result<&'static str, String> {
        let mut message = line.into_message();
        message.headers = message.headers.without_broker_headers();
        if !TAKEN.iter().any(|prefix| message.subject.starts_with(prefix)) {
            return Err(format!("{:?} is no subject that a spool holds", message.subject));
        }
        if let Some(place) = SpoolPlace::parse(&message.subject) {
            return self.put_back(place, &message).await.map_err(|error| chain(&error));
        }
        match self.bus.publish(message).await.map_err(|error| chain(&error))? {
            Published::New { .. } => Ok("imported"),
            Published::Duplicate => Ok("already"),
        }
    }

    /// Another broker's numbers begin at 1 as well: where an entry of another message has the place,
    /// this one's name is made longer by a hash of what it is, so that a second import finds it.
    async fn put_back(&self, place: SpoolPlace, line: &Outgoing) -> Result<&'static str, Error> {
        let of = |headers: &Headers| headers.get(header::SPOOL_SUBJECT).map(str::to_owned);
        let mut hash = Sha256::new();
        hash.update(of(&line.headers).unwrap_or_default());
        hash.update([0]);
        hash.update(&line.payload);
        let longer = format!("{}-{}", place.origin, &hex::encode(hash.finalize())[..12]);
        let other = SpoolPlace { origin: longer, ..place.clone() };
        for place in [place, other] {
            let (headers, payload) = (line.headers.clone(), line.payload.clone());
            let sequence = match self.bus.spool_again(&place, headers, payload).await? {
                Spooled::New { .. } => return Ok("imported"),
                Spooled::Already { sequence } => sequence,
            };
            let there = self.stored(sequence).await?;
            if there.is_some_and(|there| {
                of(&there.headers) == of(&line.headers) && there.payload == line.payload
            }) {
                return Ok("already");
            }
        }
        let why = format!("entries of other messages have the place of {}", line.subject);
        Err(Error::Question(why))
    }
}
