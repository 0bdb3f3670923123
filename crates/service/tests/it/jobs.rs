use booty_bus::{Headers, Outgoing};
use booty_events::{Fingerprint, IssueNumber, JobId, header, subject, v1::JobState};
use booty_service::JobStore;
use futures_util::StreamExt as _;

#[tokio::test]
async fn a_job_is_queued_from_its_delivery_on_and_then_what_its_service_says() {
    let (_server, bus) = crate::broker().await;
    let store = JobStore::new(&bus);
    let delivery = "72d3162e-cc78-11e3-81ab-4c9367dc0958".parse().unwrap();
    let job = JobId::for_issue(IssueNumber::new(7).unwrap(), &delivery);
    assert!(store.find(&job).await.unwrap().is_none());

    let mut headers = Headers::default();
    headers.insert(header::JOB_ID, job.as_str());
    let subject = subject::inbox_github("issues", Some("labeled"), &delivery);
    bus.publish(Outgoing { subject, headers, payload: "{}".into() }).await.unwrap();
    assert_eq!(store.find(&job).await.unwrap().unwrap().state(), JobState::Queued);
    // Another issue's number with the same delivery is no job.
    let other = JobId::for_issue(IssueNumber::new(8).unwrap(), &delivery);
    assert!(store.find(&other).await.unwrap().is_none());

    store.update(&job, |job| job.set_state(JobState::Running)).await.unwrap();
    assert_eq!(store.find(&job).await.unwrap().unwrap().state(), JobState::Running);
}

#[tokio::test]
async fn an_alerts_job_is_queued_from_its_delivery_on() {
    let (_server, bus) = crate::broker().await;
    let store = JobStore::new(&bus);
    let delivery = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let job = JobId::for_alert(&Fingerprint::of("issue", &["1117540176"]), &delivery);
    assert!(store.find(&job).await.unwrap().is_none());

    let mut headers = Headers::default();
    headers.insert(header::JOB_ID, job.as_str());
    let subject = subject::inbox_sentry("event_alert", Some("triggered"), &delivery);
    bus.publish(Outgoing { subject, headers, payload: "{}".into() }).await.unwrap();
    let found = store.find(&job).await.unwrap().unwrap();
    assert_eq!((found.state(), found.delivery_id), (JobState::Queued, delivery.to_string()));
    // Another problem's fingerprint with the same delivery is no job.
    let other = JobId::for_alert(&Fingerprint::of("issue", &["7"]), &delivery);
    assert!(store.find(&other).await.unwrap().is_none());
}

#[tokio::test]
async fn parallel_changes_of_one_job_all_count() {
    let (_server, bus) = crate::broker().await;
    let store = JobStore::new(&bus);
    let job: JobId = "1-d".parse().unwrap();
    let changes = (0..8).map(|_| {
        let (store, job) = (store.clone(), job.clone());
        tokio::spawn(async move { store.update(&job, |job| job.attempt += 1).await.unwrap() })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.unwrap();
    }
    assert_eq!(store.get(&job).await.unwrap().unwrap().attempt, 8);
    let listed: Vec<_> = store.list().await.unwrap().into_iter().map(|job| job.id).collect();
    assert_eq!(listed, ["1-d"]);
}

#[tokio::test]
async fn a_watch_tells_what_is_there_and_then_each_change() {
    let (_server, bus) = crate::broker().await;
    let store = JobStore::new(&bus);
    let (one, other): (JobId, JobId) = ("1-d".parse().unwrap(), "2-d".parse().unwrap());
    store.update(&one, |job| job.set_state(JobState::Running)).await.unwrap();
    let mut watch = std::pin::pin!(store.watch(Some(&one)).await.unwrap());
    assert_eq!(watch.next().await.unwrap().unwrap().state(), JobState::Running);
    store.update(&other, |job| job.set_state(JobState::Failed)).await.unwrap();
    store.update(&one, |job| job.set_state(JobState::Completed)).await.unwrap();
    let told = watch.next().await.unwrap().unwrap();
    assert_eq!((told.id.as_str(), told.state()), ("1-d", JobState::Completed));
}
