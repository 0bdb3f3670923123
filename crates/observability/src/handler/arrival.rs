//! An alert as the inbox brings it.

use booty_alert::Alert;
use booty_bus::Delivery;
use booty_events::{DeliveryId, Fingerprint, JobId, header};

use crate::decide::Seen;

/// An alert, and what brought it.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) alert: Alert,
    pub(super) job: JobId,
    pub(super) seen: Seen,
}

impl Arrival {
    /// Reads a delivery.
    ///
    /// # Errors
    /// Why it is no alert, for people.
    pub(super) fn read(delivery: &Delivery) -> Result<Self, String> {
        let id = delivery_id(delivery).ok_or("neither headers nor subject name the delivery")?;
        let alert = Alert::parse(&delivery.payload).map_err(|error| error.to_string())?;
        let seen = Seen {
            delivery: id.to_string(),
            event: alert.event_id.clone(),
            severity: alert.severity,
            received: delivery.published,
            is_replay: delivery.replay_of.is_some(),
        };
        // What the sender was told, as long as it is a job's name for this delivery.
        let job = told(delivery).filter(|job| job.delivery().as_ref() == Some(&id));
        let job = job.unwrap_or_else(|| JobId::for_alert(&alert.fingerprint, &id));
        Ok(Self { alert, job, seen })
    }

    pub(super) fn fingerprint(&self) -> &Fingerprint {
        &self.alert.fingerprint
    }
}

/// The delivery's id.
pub(super) fn delivery_id(delivery: &Delivery) -> Option<DeliveryId> {
    let named = delivery.headers.get(header::DELIVERY_ID);
    let named = named.or_else(|| delivery.subject.rsplit('.').next())?;
    named.parse().ok()
}

/// The job that the sender was told.
pub(super) fn told(delivery: &Delivery) -> Option<JobId> {
    delivery.headers.get(header::JOB_ID)?.parse().ok()
}
