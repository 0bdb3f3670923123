//! What forge and the verifier would do, so that the builder is alone with its messages.

use booty_bus::{Headers, Outgoing};
use booty_events::{
    Message as _, RepoName, Service, bucket, header, subject,
    v1::{Effect, EffectRecord, EffectStatus, Event, FileChange, UpdatePullRequest, effect::Write},
};
use booty_service::Outbox;

use crate::world::{REPO, World, opens};

/// A pull request as forge opened it.
pub(crate) struct Opened {
    pub(crate) number: u64,
    pub(crate) branch: String,
    pub(crate) head: String,
}

impl World {
    /// Does what an [`booty_events::v1::OpenPullRequest`] asks for, remembers it and says so.
    pub(crate) async fn forge_opens(&self, effect: &Effect) -> Opened {
        let opened = self.forge_opens_silently(effect).await;
        self.forge_says_applied(effect, &opened).await;
        opened
    }

    /// The same without the report.
    pub(crate) async fn forge_opens_silently(&self, effect: &Effect) -> Opened {
        let open = opens(effect);
        let head = self.push(&open.branch, &open.commit_message, &open.changes);
        let number = self
            .sim
            .open_pull(REPO, "booty", &open.title, &open.body, &open.branch, "main")
            .unwrap();
        let opened = Opened { number, branch: open.branch.clone(), head };
        self.remember(effect, &opened).await;
        let repo: RepoName = REPO.parse().unwrap();
        let object = EffectRecord {
            effect_id: effect.id.clone(),
            status: EffectStatus::Applied.into(),
            number,
            ..EffectRecord::default()
        };
        self.keep(&bucket::object_key(&repo, number), &object).await;
        opened
    }

    /// Does what an [`UpdatePullRequest`] asks for, remembers it and says so.
    pub(crate) async fn forge_updates(&self, effect: &Effect) -> Opened {
        let update = updates(effect);
        let head = self.push(&update.branch, &update.commit_message, &update.changes);
        let (number, branch) = (update.pull_request, update.branch.clone());
        let updated = Opened { number, branch, head };
        self.remember(effect, &updated).await;
        self.forge_says_applied(effect, &updated).await;
        updated
    }

    pub(crate) async fn forge_says_applied(&self, effect: &Effect, made: &Opened) {
        let event = Event {
            number: made.number,
            url: format!("http://pull/{}", made.number),
            attributes: [
                ("branch".to_owned(), made.branch.clone()),
                ("commit".to_owned(), made.head.clone()),
            ]
            .into(),
            ..Event::default()
        };
        self.forge_says("applied", effect, event).await;
    }

    /// A verdict as the verifier publishes it; `run` tells runs on one head apart.
    pub(crate) async fn judged(&self, pull: &Opened, run: &str, conclusion: &str, findings: &str) {
        self.judged_because(pull, run, conclusion, "", findings).await;
    }

    pub(crate) async fn judged_because(
        &self,
        pull: &Opened,
        run: &str,
        conclusion: &str,
        reason: &str,
        findings: &str,
    ) {
        let job = format!("pr{}-{run}", pull.number);
        let event = Event {
            delivery_id: run.to_owned(),
            job_id: job.clone(),
            repository: REPO.to_owned(),
            number: pull.number,
            detail: conclusion.to_owned(),
            reason: reason.to_owned(),
            attributes: [
                ("head".to_owned(), pull.head.clone()),
                ("conclusion".to_owned(), conclusion.to_owned()),
                ("findings".to_owned(), findings.to_owned()),
            ]
            .into(),
            ..Event::default()
        };
        let outbox = Outbox::new(self.bus.clone(), Service::Verifier);
        outbox.event("verdict", &format!("{job}-verdict"), event).await.unwrap();
    }

    /// An operator replays what is in the spool, as if it were this entry of it.
    pub(crate) async fn replay_spooled(&self, sequence: u64) {
        let mut spool = self.bus.jetstream().get_stream("BOOTY_SPOOL").await.unwrap();
        let last = spool.info().await.unwrap().state.last_sequence;
        let message = spool.get_raw_message(last).await.unwrap();
        let mut headers = Headers::new();
        for (name, values) in message.headers.iter() {
            let name: &str = name.as_ref();
            if !name.starts_with("Nats-") {
                headers.insert(name, values[0].as_str());
            }
        }
        headers.insert(header::REPLAY_OF, sequence.to_string());
        let subject = subject::replay(Service::Builder, "BOOTY_EVENTS-1", sequence);
        let message = Outgoing { subject, headers, payload: message.payload };
        self.bus.publish(message).await.unwrap();
    }

    fn push(&self, branch: &str, message: &str, changes: &[FileChange]) -> String {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let files: Vec<_> =
            changes.iter().map(|change| (text(&change.path), text(&change.content))).collect();
        let files: Vec<_> = files
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_str(), "100644"))
            .collect();
        self.sim.push_files(REPO, "booty", branch, message, &files).unwrap()
    }

    async fn remember(&self, effect: &Effect, made: &Opened) {
        let record = EffectRecord {
            effect_id: effect.id.clone(),
            status: EffectStatus::Applied.into(),
            number: made.number,
            steps: [
                ("branch".to_owned(), made.branch.clone()),
                ("commit".to_owned(), made.head.clone()),
            ]
            .into(),
            ..EffectRecord::default()
        };
        self.keep(&effect.id, &record).await;
    }

    async fn keep(&self, key: &str, record: &EffectRecord) {
        let records = self.bus.bucket(&bucket::EFFECTS);
        records.create(key, record.encode_to_vec().into()).await.unwrap();
    }

    /// Waits until the builder has a verdict on everything that was published for a durable.
    pub(crate) async fn settled(&self, durable: &str) {
        self.settled_in("BOOTY_EVENTS", durable).await;
    }

    /// The same for what came from GitHub.
    pub(crate) async fn inbox_settled(&self, durable: &str) {
        self.settled_in("BOOTY_INBOX", durable).await;
    }

    async fn settled_in(&self, stream: &str, durable: &str) {
        let look = async {
            let stream = self.bus.jetstream().get_stream(stream).await.unwrap();
            loop {
                let info = stream.consumer_info(durable).await.unwrap();
                if (info.num_pending, info.num_ack_pending) == (0, 0) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::world::PATIENCE, look).await.unwrap();
    }
}

pub(crate) fn updates(effect: &Effect) -> &UpdatePullRequest {
    match &effect.write {
        Some(Write::UpdatePullRequest(update)) => update,
        other => panic!("no update: {other:?}"),
    }
}
