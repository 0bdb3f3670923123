//! Asking the model: from the past where it has the answer, else once, and durable before it is used.
//!
//! The one place where it is decided whether a question is asked again, of whom, and when.

use std::{collections::VecDeque, time::Duration};

use booty_model::{Answer, Class, Error, Model, Options, Request, open};
use tokio::{
    io::AsyncWrite,
    time::{sleep, timeout},
};

use super::{
    clamp::clamp,
    conversation::Halt,
    link::Link,
    protocol::{AgentEnd, Limits, ModelChoice, Start, Step},
};

/// The models, first the one that is asked. Each is opened at its first question that the past does not
/// answer.
pub(crate) struct Asker {
    models: VecDeque<Candidate>,
    limits: Limits,
    is_replay: bool,
    /// From 0 to 1, another one each time.
    random: fn() -> f64,
}

/// A model that may be asked.
enum Candidate {
    Closed(String, Options),
    Open(Box<dyn Model>),
}

/// Why a model is not asked any more.
struct GivenUp {
    end: AgentEnd,
    /// Whether another one may answer the question.
    another_may: bool,
}

impl Asker {
    pub(crate) fn new(start: &Start) -> Self {
        let limits = start.limits.clone();
        let closed = |choice: &ModelChoice| {
            let options = Options {
                api_key: choice.api_key.clone().map(Into::into),
                base_url: choice.base_url.clone(),
                socket: choice.socket.clone(),
                silence: Duration::from_millis(limits.silence_ms),
                answer_bytes: limits.answer_bytes,
            };
            Candidate::Closed(choice.spec.clone(), options)
        };
        let models = [&start.model].into_iter().chain(&start.model_fallback).map(closed).collect();
        Self { models, limits, is_replay: start.is_replay, random: rand::random }
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
            Some(Step::Halted { end }) => return Err(Halt::End(end)),
            Some(other) if self.is_replay => {
                let next = format!("a question to the model, in the place of {other},");
                return Err(Halt::End(AgentEnd::JournalEnds { next }));
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

    /// Asks one model after the other. One that was given up is not asked again by this process: its
    /// retries would be waited for at each question.
    async fn ask_anew<W: AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<W>,
        request: &Request,
    ) -> Result<Answer, Halt> {
        // What may pass by itself outlasts a second model that can't be had.
        let mut may_pass = None;
        loop {
            let given_up = match self.ask_first(link, request).await? {
                Ok(answer) => return Ok(answer),
                Err(given_up) => given_up,
            };
            let next = self.models.get(1).filter(|_| given_up.another_may);
            let Some(next) = next.map(|next| next.name().to_owned()) else {
                let passes = may_pass.filter(|_| given_up.another_may);
                return Err(Halt::End(passes.unwrap_or(given_up.end)));
            };
            let message = format!("{}; {next} goes on with it", why(&given_up.end));
            link.log("model_fallback", message).await?;
            self.models.pop_front();
            if matches!(given_up.end, AgentEnd::TryAgain { .. }) {
                may_pass = Some(given_up.end);
            }
        }
    }

    /// Asks the first model until it answers or is given up.
    async fn ask_first<W: AsyncWrite + Unpin>(
        &mut self,
        link: &mut Link<W>,
        request: &Request,
    ) -> Result<Result<Answer, GivenUp>, Halt> {
        let broken = || Halt::End(AgentEnd::Broken { why: "there is no model to ask".to_owned() });
        let first = self.models.front_mut().ok_or_else(broken)?;
        let model = match first.opened() {
            Ok(model) => model,
            Err(error) => return Ok(Err(failed(&error))),
        };
        let patience = Duration::from_millis(self.limits.answer_ms);
        let cap = Duration::from_millis(self.limits.retry_cap_ms);
        let mut waits = self.limits.retry_ms.iter();
        loop {
            let (why, after) = match timeout(patience, model.answer(request)).await {
                Ok(Ok(answer)) => return Ok(Ok(answer)),
                Ok(Err(error)) => match error.class() {
                    Class::FailFast => return Ok(Err(failed(&error))),
                    Class::Retryable { after } => (error.to_string(), after),
                    Class::Unknown => (error.to_string(), None),
                },
                Err(_) => (format!("no answer within {} s", patience.as_secs()), None),
            };
            let try_again = |after_ms| {
                let end = AgentEnd::TryAgain { why: why.clone(), after_ms };
                Ok(Err(GivenUp { end, another_may: true }))
            };
            if let Some(after) = after.filter(|after| *after > cap) {
                return try_again(Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)));
            }
            let Some(wait) = waits.next() else { return try_again(None) };
            let wait = jittered(Duration::from_millis(*wait).min(cap), (self.random)());
            let wait = wait.max(after.unwrap_or_default());
            link.log("model_retry", format!("{why}; asking again in {} ms", wait.as_millis()))
                .await?;
            sleep(wait).await;
        }
    }
}

impl Candidate {
    fn opened(&mut self) -> Result<&dyn Model, Error> {
        if let Self::Closed(spec, options) = self {
            *self = Self::Open(open(spec, options)?);
        }
        match self {
            Self::Open(model) => Ok(&**model),
            Self::Closed(spec, _) => Err(Error::FailFast { why: format!("{spec} is not open") }),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Closed(spec, _) => spec,
            Self::Open(model) => model.name(),
        }
    }
}

fn failed(error: &Error) -> GivenUp {
    GivenUp {
        end: AgentEnd::ModelFailed { why: error.to_string() },
        another_may: error.another_may_answer(),
    }
}

fn why(end: &AgentEnd) -> &str {
    match end {
        AgentEnd::ModelFailed { why } | AgentEnd::TryAgain { why, .. } => why,
        _ => "it was given up",
    }
}

/// A fifth shorter to a fifth longer; `random` is from 0 to 1.
fn jittered(wait: Duration, random: f64) -> Duration {
    wait.mul_f64(0.8 + 0.4 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use booty_model::{Message, Part, StopReason, Usage};
    use tokio::io::DuplexStream;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::agent::{
        frame,
        protocol::{Commands, FromAgent, SandboxChoice, Task, ToAgent},
    };

    /// Answers with what it was given, and says when it is asked.
    struct Played {
        name: &'static str,
        replies: Mutex<VecDeque<Result<Answer, Error>>>,
        asked: Arc<Mutex<Vec<String>>>,
    }

    #[async_trait::async_trait]
    impl Model for Played {
        fn name(&self) -> &str {
            self.name
        }

        async fn answer(&self, request: &Request) -> Result<Answer, Error> {
            self.asked.lock().unwrap().push(format!("{} {}", self.name, request.messages.len()));
            let reply = self.replies.lock().unwrap().pop_front();
            match reply {
                Some(reply) => reply,
                None => std::future::pending().await,
            }
        }
    }

    /// The builder's side: acknowledges everything, and keeps what it heard.
    #[derive(Clone, Default)]
    struct Heard {
        logs: Arc<Mutex<Vec<(String, String)>>>,
        journal: Arc<Mutex<Vec<Step>>>,
    }

    struct Bench {
        link: Link<DuplexStream>,
        heard: Heard,
        asker: Asker,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Bench {
        async fn new(
            past: Vec<Step>,
            limits: Limits,
            models: Vec<(&'static str, Vec<Result<Answer, Error>>)>,
        ) -> Self {
            let (mut to_agent, stdin) = tokio::io::duplex(1 << 16);
            let (stdout, mut from_agent) = tokio::io::duplex(1 << 16);
            let heard = Heard::default();
            let hears = heard.clone();
            tokio::spawn(async move {
                frame::write(&mut to_agent, &ToAgent::Start(Box::new(start()))).await.unwrap();
                for step in past {
                    frame::write(&mut to_agent, &ToAgent::Past(step)).await.unwrap();
                }
                frame::write(&mut to_agent, &ToAgent::Begin).await.unwrap();
                while let Ok(said) = frame::read(&mut from_agent).await {
                    match said {
                        FromAgent::Log { event, message } => {
                            hears.logs.lock().unwrap().push((event, message));
                        }
                        FromAgent::Journal(step) => {
                            hears.journal.lock().unwrap().push(step);
                            frame::write(&mut to_agent, &ToAgent::Ack).await.unwrap();
                        }
                        _ => frame::write(&mut to_agent, &ToAgent::Ack).await.unwrap(),
                    }
                }
            });
            let (link, _) = Link::open(stdin, stdout, CancellationToken::new()).await.unwrap();
            let asked = Arc::default();
            let open = |(name, replies): (&'static str, Vec<_>)| {
                let replies = Mutex::new(replies.into());
                Candidate::Open(Box::new(Played { name, replies, asked: Arc::clone(&asked) }))
            };
            let models = models.into_iter().map(open).collect();
            Self {
                link,
                heard,
                asker: Asker { models, limits, is_replay: false, random: || 1.0 },
                asked,
            }
        }

        async fn ask(&mut self) -> Result<Answer, AgentEnd> {
            match self.asker.ask(&mut self.link, &request()).await {
                Ok(answer) => Ok(answer),
                Err(Halt::End(end)) => Err(end),
                Err(Halt::Lost(error)) => panic!("{error}"),
            }
        }

        fn asked(&self) -> Vec<String> {
            self.asked.lock().unwrap().clone()
        }

        fn logs(&self) -> Vec<(String, String)> {
            self.heard.logs.lock().unwrap().clone()
        }

        fn journalled(&self) -> usize {
            self.heard.journal.lock().unwrap().len()
        }
    }

    fn start() -> Start {
        let choice = |spec: &str| ModelChoice {
            spec: spec.to_owned(),
            api_key: Some("sesame".to_owned()),
            base_url: None,
            socket: None,
        };
        Start {
            task: Task {
                repository: String::new(),
                issue: 1,
                title: "".into(),
                body: "".into(),
                restricted: false,
                nonce: String::new(),
                follow_up: None,
            },
            source_tree: "/".into(),
            run_tree: "/".into(),
            commands: Commands::default(),
            rules: super::super::protocol::Rules::default(),
            sandbox: SandboxChoice { bwrap: None, read_only: vec![], run_as: None },
            limits: Limits::default(),
            model: choice("anthropic:one"),
            model_fallback: Some(choice("openai:two")),
            is_replay: false,
        }
    }

    fn quick() -> Limits {
        Limits { retry_ms: vec![1, 5, 20], retry_cap_ms: 50, ..Limits::default() }
    }

    fn request() -> Request {
        Request {
            system: String::new(),
            messages: vec![Message::User { content: "u".into() }],
            tools: vec![],
            max_output_tokens: 1,
        }
    }

    fn answer(model: &str) -> Answer {
        Answer {
            parts: vec![Part::Text { text: "done".into() }],
            stop: StopReason::EndTurn,
            usage: Usage::default(),
            model: model.to_owned(),
            id: String::new(),
        }
    }

    fn busy(after_ms: Option<u64>) -> Result<Answer, Error> {
        let after = after_ms.map(Duration::from_millis);
        Err(Error::Retryable { after, why: "busy".into() })
    }

    fn unusable() -> Result<Answer, Error> {
        Err(Error::Unusable { why: "the key".into() })
    }

    #[tokio::test]
    async fn what_may_pass_is_asked_again_and_journalled_once() {
        let replies = vec![
            busy(None),
            Err(Error::Unknown { why: "cut".into() }),
            busy(Some(30)),
            Ok(answer("one")),
        ];
        let mut bench = Bench::new(vec![], quick(), vec![("one", replies)]).await;
        assert_eq!(bench.ask().await.unwrap().model, "one");
        assert_eq!(bench.asked().len(), 4);
        assert_eq!(bench.journalled(), 1);
        // Jitter at its most: a fifth longer, and never sooner than was asked for.
        let logs = bench.logs();
        for (said, wait) in logs.iter().zip(["in 1 ms", "in 6 ms", "in 30 ms"]) {
            assert!(said.0 == "model_retry" && said.1.ends_with(wait), "{logs:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_of_the_past_is_not_asked_for_again() {
        let past = Step::ModelAnswered { request_hash: "other".into(), answer: answer("past") };
        let mut bench =
            Bench::new(vec![past], quick(), vec![("one", vec![Ok(answer("one"))])]).await;
        assert_eq!(bench.ask().await.unwrap().model, "past");
        assert_eq!((bench.asked().len(), bench.journalled()), (0, 0));
        assert_eq!(bench.ask().await.unwrap().model, "one");
        assert_eq!(bench.logs()[0].0, "journal_mismatch");
        assert_eq!((bench.asked().len(), bench.journalled()), (1, 1));
    }

    #[tokio::test]
    async fn retries_end_and_the_job_is_tried_again() {
        let mut bench =
            Bench::new(vec![], quick(), vec![("one", (0..9).map(|_| busy(None)).collect())]).await;
        let end = bench.ask().await.unwrap_err();
        assert!(matches!(end, AgentEnd::TryAgain { after_ms: None, .. }), "{end:?}");
        assert_eq!((bench.asked().len(), bench.journalled()), (4, 0));
    }

    #[tokio::test]
    async fn a_wait_above_the_cap_is_not_slept_through() {
        let mut bench = Bench::new(vec![], quick(), vec![("one", vec![busy(Some(600_000))])]).await;
        let end = bench.ask().await.unwrap_err();
        assert!(matches!(end, AgentEnd::TryAgain { after_ms: Some(600_000), .. }), "{end:?}");
        assert_eq!(bench.asked().len(), 1);
    }

    #[tokio::test]
    async fn a_model_that_hangs_is_given_up() {
        let limits = Limits { answer_ms: 20, retry_ms: vec![1], ..quick() };
        let mut bench = Bench::new(vec![], limits, vec![("one", vec![])]).await;
        let end = bench.ask().await.unwrap_err();
        assert!(
            matches!(&end, AgentEnd::TryAgain { why, .. } if why.contains("no answer")),
            "{end:?}"
        );
        assert_eq!(bench.asked().len(), 2);
    }

    #[tokio::test]
    async fn another_model_goes_on_with_the_same_conversation_and_stays() {
        for (first, times) in [
            (vec![unusable()], 1),
            (vec![Err(Error::TooLong { why: "long".into() })], 1),
            (vec![busy(Some(600_000))], 1),
            ((0..4).map(|_| busy(None)).collect(), 4),
        ] {
            let models = vec![("one", first), ("two", vec![Ok(answer("two")), Ok(answer("two"))])];
            let mut bench = Bench::new(vec![], quick(), models).await;
            assert_eq!(bench.ask().await.unwrap().model, "two");
            assert_eq!(bench.ask().await.unwrap().model, "two");
            let mut expected = vec!["one 1"; times];
            expected.extend(["two 1", "two 1"]);
            assert_eq!(bench.asked(), expected);
            assert_eq!(bench.journalled(), 2);
            let (event, message) = bench.logs().last().unwrap().clone();
            assert_eq!(event, "model_fallback");
            assert!(message.ends_with("two goes on with it"), "{message}");
        }
    }

    #[tokio::test]
    async fn a_question_that_is_wrong_is_asked_of_nobody_else() {
        let wrong = || Err(Error::FailFast { why: "wrong".into() });
        let models = vec![("one", vec![wrong()]), ("two", vec![Ok(answer("two"))])];
        let mut bench = Bench::new(vec![], quick(), models).await;
        assert!(matches!(bench.ask().await, Err(AgentEnd::ModelFailed { .. })));
        assert_eq!(bench.asked(), ["one 1"]);
    }

    #[tokio::test]
    async fn when_nobody_is_left_what_may_pass_is_waited_for() {
        let models = vec![("one", vec![unusable()]), ("two", vec![unusable()])];
        let mut bench = Bench::new(vec![], quick(), models).await;
        let end = bench.ask().await.unwrap_err();
        assert!(
            matches!(&end, AgentEnd::ModelFailed { why } if why.contains("the key")),
            "{end:?}"
        );

        let models = vec![("one", vec![busy(Some(600_000))]), ("two", vec![unusable()])];
        let mut bench = Bench::new(vec![], quick(), models).await;
        let end = bench.ask().await.unwrap_err();
        assert!(matches!(end, AgentEnd::TryAgain { after_ms: Some(600_000), .. }), "{end:?}");
        assert_eq!(bench.asked(), ["one 1", "two 1"]);
    }

    #[test]
    fn waits_are_spread_a_fifth_around_their_mean() {
        let wait = Duration::from_secs(10);
        let [least, mean, most] = [0.0, 0.5, 1.0].map(|random| jittered(wait, random));
        assert_eq!((least.as_millis(), most.as_millis()), (8_000, 12_000));
        assert_eq!(mean.as_millis(), 10_000);
    }

    #[test]
    fn no_debug_text_holds_a_key() {
        let start = start();
        assert!(!format!("{start:?} {:?}", start.model).contains("sesame"));
        assert_eq!(Asker::new(&start).models.len(), 2);
    }
}
