//! The spool as a file of lines, and back; and what others kept on disk onto the bus.

use std::io::{BufRead, Write};

use booty_bus::{Published, Spooled};
use booty_events::{header, subject::SpoolPlace};

use crate::{
    error::Error,
    filter::Filter,
    line::Line,
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
            let message = booty_bus::Outgoing {
                subject: stored.subject,
                headers: stored.headers.without_broker_headers(),
                payload: stored.payload,
            };
            writeln!(to, "{}", Line { time: entry.time, message, error }.write()).map_err(io)?;
            written += 1;
        }
        to.flush().map_err(io)?;
        Ok(written)
    }

    /// Takes lines in: an entry of the spool goes back into the spool, and what ingress or
    /// observability kept on disk goes to its own subject. Twice is once. In the answer, `sequence` is
    /// the line's number.
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
            let read = std::str::from_utf8(&line).map_err(|error| error.to_string());
            let taken = match read.and_then(Line::read) {
                Ok(line) => self.take(line).await,
                Err(why) => Err(format!("the line can't be read: {why}")),
            };
            match taken {
                Ok(result) => handled.add(number, result, None),
                Err(why) => handled.add(number, "failed", Some(why)),
            }
        }
    }

    async fn take(&self, line: Line) -> Result<&'static str, String> {
        let mut message = line.message;
        message.headers = message.headers.without_broker_headers();
        if !TAKEN.iter().any(|prefix| message.subject.starts_with(prefix)) {
            return Err(format!("{:?} is no subject that a spool holds", message.subject));
        }
        if let Some(place) = SpoolPlace::parse(&message.subject) {
            let put = self.bus.spool_again(&place, message.headers, message.payload).await;
            return match put.map_err(|error| chain(&error))? {
                Spooled::New { .. } => Ok("imported"),
                Spooled::Already { .. } => Ok("already"),
            };
        }
        match self.bus.publish(message).await.map_err(|error| chain(&error))? {
            Published::New { .. } => Ok("imported"),
            Published::Duplicate => Ok("already"),
        }
    }
}
