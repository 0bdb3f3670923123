//! Questions that are answered at once and kept nowhere: NATS request and reply.

use std::time::Duration;

use async_nats::Request;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{connect::Bus, error::Error};

/// How many questions one server answers at one time; the others wait at the broker's client.
const ANSWERS_AT_ONCE: usize = 16;

impl Bus {
    /// Asks whoever serves the subject, and waits for one answer. Nobody there is
    /// [`Error::Unavailable`], said at once.
    ///
    /// # Errors
    /// The broker is not there, nobody serves the subject, or no answer came in time.
    pub async fn call(
        &self,
        subject: &str,
        question: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, Error> {
        let doing = || format!("call {subject}");
        self.connected()
            .await
            .map_err(|source| Error::Unavailable { doing: doing(), source: source.into() })?;
        let request = Request::new().payload(question);
        let asked = self.request(subject.to_owned(), request, timeout).await;
        Ok(asked.map_err(|error| Error::from_request(doing(), error))?.payload)
    }

    /// Answers questions until `shutdown`, one server of the group each. Comes back by itself when the
    /// connection does.
    ///
    /// # Errors
    /// A subject that can't be served.
    pub async fn serve<A, F>(
        &self,
        subject: &'static str,
        group: &'static str,
        answer: A,
        shutdown: CancellationToken,
    ) -> Result<(), Error>
    where
        A: Fn(Bytes) -> F + Send + Sync,
        F: Future<Output = Bytes> + Send + 'static,
    {
        let subscribed = self.client().queue_subscribe(subject, group.to_owned()).await;
        let mut questions = subscribed.map_err(|error| Error::Refused {
            doing: format!("serve {subject}"),
            source: error.into(),
        })?;
        let mut answers = JoinSet::new();
        loop {
            let question = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = answers.join_next() => continue,
                question = questions.next(), if answers.len() < ANSWERS_AT_ONCE => question,
            };
            let Some(question) = question else { break };
            let Some(reply) = question.reply else { continue };
            let (answered, client) = (answer(question.payload), self.client().clone());
            answers.spawn(async move {
                // Who asked will ask again; the connection is looked after elsewhere.
                if let Err(error) = client.publish(reply, answered.await).await {
                    tracing::debug!(%error, "an answer was not sent");
                }
            });
        }
        // What was asked before the end is answered, by us or, later, by another server.
        while answers.join_next().await.is_some() {}
        Ok(())
    }
}
