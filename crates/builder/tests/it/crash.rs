//! A builder that is killed with SIGKILL after every journal entry.

use booty_bus::{Bus, BusSettings};
use booty_events::{Message as _, v1::JournalEntry};
use futures_util::StreamExt as _;
use tokio::process::Child;

use crate::{
    entry::builder_command,
    world::{PATIENCE, WRONG_THEN_RIGHT, World, opens},
};

fn start(world: &World) -> Child {
    let mut command = builder_command();
    command.envs(world.env.iter().map(|(name, value)| (name, value)));
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_every_journal_entry_it_ends_as_if_it_never_was() {
    // What fits into one answer's time is enough: each kill comes with the entry, not after it.
    let mut world = World::new(WRONG_THEN_RIGHT).await;
    world.set("LEASE", "2s");
    let watcher = Bus::connect(BusSettings::new(world.server.url(), "watcher")).await.unwrap();
    let mut entries = watcher.client().subscribe("booty.journal.>").await.unwrap();
    watcher.client().flush().await.unwrap();

    let (_, job) = world.labelled_issue("d-1").await;
    let mut kills = 0;
    let mut kinds = Vec::new();
    loop {
        let mut builder = start(&world);
        let entry = tokio::time::timeout(PATIENCE, entries.next()).await.unwrap().unwrap();
        let entry = JournalEntry::decode(entry.payload.as_ref()).unwrap();
        let kind = format!("{:?}", entry.step.unwrap());
        kinds.push(kind.split('(').next().unwrap().to_owned());
        builder.kill().await.unwrap();
        kills += 1;
        if kinds.last().unwrap() == "Proposed" {
            break;
        }
    }
    // The last kill came between the journal and the effect.
    let mut builder = start(&world);
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    builder.kill().await.unwrap();

    let expected = ["BaseChosen", "ModelAnswered", "ModelAnswered", "CommandRan", "ModelAnswered",
        "CommandRan", "Proposed"];
    assert_eq!(kinds, expected, "each step was journalled once");
    assert_eq!(kills, expected.len());
    let effects = world.effects().await;
    let ids: std::collections::BTreeSet<_> = effects.iter().map(|effect| &effect.id).collect();
    assert_eq!(ids.len(), 1, "one effect, however often it was asked for");
    assert_eq!(opens(&effects[0]).changes.len(), 1);
    let mut asked = world.asked();
    // A question whose answer was lost with its asker may be asked again; an answer never is.
    asked.dedup();
    let turns: Vec<_> =
        asked.iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(turns, ["turn=0", "turn=1", "turn=2"], "the same questions: {asked:?}");
    let names = world.events.names(&job);
    assert_eq!(names.iter().filter(|name| *name == "model_answered").count(), 3);
    assert_eq!(names.iter().filter(|name| *name == "command_ran").count(), 2);
}
