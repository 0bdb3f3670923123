//! What the payload says, as far as it is used. Nothing in it is believed without asking GitHub.

use booty_bus::Delivery;
use booty_events::{DeliveryId, JobId, RepoName, header, subject};
use booty_github::payload::Envelope;
use chrono::{DateTime, Utc};

/// What a delivery asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) job: JobId,
    pub(crate) delivery: DeliveryId,
    pub(crate) repository: RepoName,
    pub(crate) installation: u64,
    /// `None` where only the head is known.
    pub(crate) pull: Option<u64>,
    /// The head that the delivery speaks of.
    pub(crate) head: Option<String>,
    /// Whether a judgement is asked for again, whatever was judged before.
    pub(crate) is_again: bool,
    /// When the pull request was last changed; `None` for a request to judge again.
    pub(crate) updated: Option<DateTime<Utc>>,
}

/// Reads a delivery.
///
/// # Errors
/// What is missing, for people.
pub(crate) fn read(delivery: &Delivery) -> Result<Asked, String> {
    let envelope = Envelope::parse(&delivery.payload).map_err(|error| error.to_string())?;
    let missing = |what: &str| format!("the body has no usable {what}");
    let repository: RepoName = envelope
        .repository_name()
        .and_then(|name| name.parse().ok())
        .ok_or_else(|| missing("repository"))?;
    let id: DeliveryId = match delivery.headers.get(header::DELIVERY_ID) {
        Some(id) => id.parse().map_err(|_| "the delivery's id is none".to_owned())?,
        None => {
            subject::parse_inbox_github(&delivery.subject)
                .ok_or("neither headers nor subject name the delivery")?
                .delivery
        }
    };
    let pull = envelope.pull_request.value();
    let check = envelope.check_run.value().or(envelope.check_suite.value());
    if pull.is_none() && check.is_none() {
        return Err(missing("pull request or check"));
    }
    let external = check.and_then(|check| check.external_id.as_deref());
    let named = external.and_then(|id| id.parse::<JobId>().ok()).and_then(|job| job.pull_request());
    let number = pull.map(|pull| pull.number).filter(|number| *number > 0).or(named);
    let head = pull
        .and_then(|pull| pull.head.as_ref()?.sha.as_deref())
        .or(check.and_then(|check| check.head_sha.as_deref()));
    let updated = pull
        .and_then(|pull| pull.updated_at.as_deref())
        .and_then(|at| DateTime::parse_from_rfc3339(at).ok())
        .map(|at| at.with_timezone(&Utc));
    // What the sender was told, as long as it is a job's name for this delivery.
    let told = delivery.headers.get(header::JOB_ID).and_then(|job| job.parse::<JobId>().ok());
    let told = told.filter(|job| job.delivery().as_ref() == Some(&id));
    Ok(Asked {
        job: told.unwrap_or_else(|| JobId::for_pull_request(number.unwrap_or(0), &id)),
        delivery: id,
        repository,
        installation: envelope.installation.value().map_or(0, |installation| installation.id),
        pull: number,
        head: head.map(str::to_owned),
        is_again: pull.is_none(),
        updated,
    })
}
