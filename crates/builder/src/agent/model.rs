//! Asking the model: from the past where it has the answer, else once, and durable before it is used.

use std::time::Duration;

use booty_model::{Answer, Class, Model, Options, Request, open};
use tokio::{
    io::AsyncWrite,
    time::{sleep, timeout},
};

use super::{
    clamp::clamp,
    conversation::Halt,
    link::Link,
    protocol::{AgentEnd, Limits, Start, Step},
};

/// The model, opened at the first question that the past does not answer.
pub(crate) struct Asker {
    spec: String,
    options: Options,
    limits: Limits,
    is_replay: bool,
    opened: Option<Box<dyn Model>>,
}

impl Asker {
    pub(crate) fn new(start: &Start) -> Self {
        let options = Options {
            api_key: start.model_api_key.clone().map(Into::into),
            base_url: start.model_base_url.clone(),
            ..Options::default()
        };
        Self {
            spec: start.model.clone(),
            options,
            limits: start.limits.clone(),
            is_replay: start.is_replay,
            opened: None,
        }
    }

    /// The answer to a request. An answer of the past is never asked for again, also when the request
    /// differs from the one that it was given to: it is paid for, and the job goes on from it.
    pub(crate) async fn ask<W: AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<W>,
        request: &Request,
    ) -> Result<Answer, Halt> {
        let hash = hex::encode(request.hash());
        match link.next_past() {
            Some(Step::ModelAnswered { request_hash, answer }) => {
                if request_hash != hash {
                    let message = format!(
                        "the answer was given to request {}, now {} would be asked; it is taken",
                        request_hash.get(..12).unwrap_or_default(),
                        hash.get(..12).unwrap_or_default(),
                    );
                    link.differs(message).await?;
                }
                return Ok(answer);
            }
            Some(other) => {
                return Err(Halt::End(AgentEnd::Broken {
                    why: format!("the journal has {other} where an answer is needed"),
                }));
            }
            None if self.is_replay => {
                let next = "a question to the model".to_owned();
                return Err(Halt::End(AgentEnd::JournalEnds { next }));
            }
            None => {}
        }
        if let Err(what) = link.may_ask().await? {
            return Err(Halt::End(AgentEnd::OutOfBudget { what }));
        }
        let answer = clamp(self.ask_anew(link, request).await?, &self.limits);
        link.journal(Step::ModelAnswered { request_hash: hash, answer: answer.clone() }).await?;
        Ok(answer)
    }

    async fn ask_anew<W: AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<W>,
        request: &Request,
    ) -> Result<Answer, Halt> {
        let failed = |why: String| Halt::End(AgentEnd::ModelFailed { why });
        let model = match self.opened.take() {
            Some(model) => model,
            None => open(&self.spec, &self.options).map_err(|error| failed(error.to_string()))?,
        };
        let model = self.opened.insert(model);
        let mut waits = self.limits.retry_ms.iter();
        loop {
            let patience = Duration::from_millis(self.limits.answer_ms);
            let (why, after) = match timeout(patience, model.answer(request)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => match error.class() {
                    Class::FailFast => return Err(failed(error.to_string())),
                    Class::Retryable { after } => (error.to_string(), after),
                    Class::Unknown => (error.to_string(), None),
                },
                Err(_) => (format!("no answer within {} s", patience.as_secs()), None),
            };
            let Some(wait) = waits.next() else {
                return Err(Halt::End(AgentEnd::TryAgain { why }));
            };
            let wait = Duration::from_millis(*wait).max(after.unwrap_or_default());
            link.log("model_retry", format!("{why}; asking again in {} ms", wait.as_millis()))
                .await?;
            sleep(wait).await;
        }
    }
}
