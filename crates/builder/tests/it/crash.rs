//! A builder that is killed with SIGKILL over and over in one short job. `each_step.rs` has a long job, killed
//! once at each of its steps.

use std::collections::BTreeSet;

use booty_bus::{Bus, BusSettings};
use booty_events::{Message as _, v1::JournalEntry};
use futures_util::StreamExt as _;
use tokio::process::Child;

use crate::{
    entry::builder_command,
    world::{PATIENCE, WRONG_THEN_RIGHT, World, opens},
};

pub(crate) fn start(world: &World) -> Child {
    let mut command = builder_command();
    command.envs(world.env.iter().map(|(name, value)| (name, value)));
    command.stdout(std::process::Stdio::null());
    command.spawn().unwrap()
}

/// Kills the builder at these journal entries, counted from 0. A message that kills its worker five
/// times is given up, so no job is killed more often than four times.
async fn killed_at(deaths: &[usize]) {
    let mut world = World::new(WRONG_THEN_RIGHT).await;
    world.set("LEASE", "2s");
    let watcher = Bus::connect(BusSettings::new(world.server.url(), "watcher")).await.unwrap();
    let mut entries = watcher.client().subscribe("booty.journal.>").await.unwrap();
    watcher.client().flush().await.unwrap();

    let (_, job) = world.labelled_issue("d-1").await;
    let mut builder = start(&world);
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "Proposed") {
        let entry = tokio::time::timeout(PATIENCE, entries.next()).await;
        let entry = entry.unwrap_or_else(|_| panic!("nothing came after {kinds:?}")).unwrap();
        let entry = JournalEntry::decode(entry.payload.as_ref()).unwrap();
        let kind = format!("{:?}", entry.step.unwrap());
        kinds.push(kind.split('(').next().unwrap().to_owned());
        if deaths.contains(&(kinds.len() - 1)) {
            builder.kill().await.unwrap();
            builder = start(&world);
        }
    }
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    builder.kill().await.unwrap();

    let expected = [
        "BaseChosen",
        "ModelAnswered",
        "ToolsRan",
        "ModelAnswered",
        "ToolsRan",
        "CommandRan",
        "ModelAnswered",
        "ToolsRan",
        "CommandRan",
        "CommandRan",
        "Proposed",
    ];
    assert_eq!(kinds, expected, "each step was journalled once");
    let effects = world.effects().await;
    let ids: BTreeSet<_> = effects.iter().map(|effect| &effect.id).collect();
    assert_eq!(ids.len(), 1, "one effect, however often it was asked for");
    assert_eq!(opens(&effects[0]).changes.len(), 1);
    let asked = world.asked();
    let different: BTreeSet<_> = asked.iter().collect();
    assert_eq!(different.len(), 3, "a resumed job asks what the dead one asked: {asked:?}");
    // A question may be on its way when its asker dies; an answer is never asked for again.
    assert!(asked.len() <= 3 + deaths.len(), "{asked:?}");
    // Said again after a crash, and refused by the stream as said already.
    let said = world.messages("BOOTY_EVENTS").await;
    let times = |what: &str| said.iter().filter(|(subject, _)| subject.contains(what)).count();
    assert_eq!((times(".model_answered."), times(".command_ran.")), (3, 3));
    assert_eq!((times(".round_started."), times(".workspace_created.")), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_each_of_the_first_entries_it_ends_as_if_it_never_was() {
    killed_at(&[0, 1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_each_of_the_middle_entries_it_ends_as_if_it_never_was() {
    killed_at(&[3, 4, 5, 6]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_each_of_the_last_entries_it_ends_as_if_it_never_was() {
    killed_at(&[7, 8, 9, 10]).await;
}
