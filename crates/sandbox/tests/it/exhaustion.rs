//! Taking all of something. The machine, and the next run, must not notice.

use booty_sandbox::{End, Limit};
use rstest::rstest;
use std::time::Duration;

use crate::world::World;

async fn still_works(world: &World) {
    assert_eq!(world.sh("echo fine").await.output, "fine\n");
}

#[tokio::test]
async fn a_fork_bomb_hits_its_own_ceiling() {
    let world = World::new().await;
    let mut command = world.command("bomb() { bomb | bomb & }; bomb; sleep 30");
    command.limits.wall = Duration::from_secs(1);
    let result = world.run(&command).await;
    assert!(matches!(result.end, End::TimedOut | End::Exited(_)), "{:?}", result.end);
    still_works(&world).await;
}

#[tokio::test]
async fn processes_are_counted() {
    let world = World::new().await;
    let result = world
        .python(
            "import os, time\nn = 0\ntry:\n    while n < 500:\n        if os.fork() == 0:\n            time.sleep(60)\n            os._exit(0)\n        n += 1\nexcept OSError as e:\n    print(e.errno)\nprint(n < 70)\n",
        )
        .await;
    assert_eq!((result.end, result.output.as_str()), (End::Exited(0), "11\nTrue\n"));
}

#[rstest]
#[case::one_process("x = []\nwhile True:\n    x.append(bytearray(8 << 20))\n")]
#[case::many_processes(
    "import os, time\nfor _ in range(12):\n    if os.fork() == 0:\n        x = bytearray(os.urandom(1 << 20)) * 60\n        time.sleep(60)\n        os._exit(0)\ntime.sleep(60)\n"
)]
#[case::memory_file(
    "import os\nfor i in range(12):\n    f = os.memfd_create(str(i))\n    for _ in range(30):\n        os.write(f, b'x' * (1 << 20))\nimport time\ntime.sleep(60)\n"
)]
#[case::shared(
    "import mmap, time\nm = [mmap.mmap(-1, 32 << 20) for _ in range(20)]\nfor x in m:\n    x.write(b'x' * (32 << 20))\ntime.sleep(60)\n"
)]
#[tokio::test]
async fn memory_is_bounded_for_all_together(#[case] program: &str) {
    let world = World::new().await;
    let result = world.python(program).await;
    let refused = result.end == End::Exited(1) && result.output.contains("MemoryError");
    assert!(
        refused || result.end == End::OverLimit(Limit::Memory),
        "{:?} {}",
        result.end,
        result.output
    );
    still_works(&world).await;
}

#[rstest]
#[case::many_files(
    "i=0; while :; do head -c 4000000 /dev/zero > f$i; i=$((i+1)); done",
    Limit::Disk
)]
#[case::sparse_is_free_but_full_is_not(
    "truncate -s 60M s; while :; do cat /dev/zero > s2; cp s2 s3; done",
    Limit::Disk
)]
#[case::empty_files("i=0; while :; do : > f$i; i=$((i+1)); done", Limit::DiskEntries)]
#[case::empty_files_in_tmp(
    "cd /tmp; i=0; while :; do : > f$i; i=$((i+1)); done",
    Limit::DiskEntries
)]
#[case::deep("while mkdir d && cd d; do :; done; sleep 30", Limit::Depth)]
#[tokio::test]
async fn the_disk_is_watched(#[case] script: &str, #[case] limit: Limit) {
    let world = World::new().await;
    // A file too large ends its writer; the shell goes on.
    let result = world.sh(&format!("({script}) 2>/dev/null")).await;
    // The inodes of `/tmp` are memory: which limit comes first is a race.
    let also = script.contains("cd /tmp").then_some(End::OverLimit(Limit::Memory));
    assert!(
        result.end == End::OverLimit(limit) || Some(result.end) == also,
        "{:?} {}",
        result.end,
        result.output
    );
}

#[tokio::test]
async fn deleted_files_count_as_well() {
    let world = World::new().await;
    let result = world
        .python(
            "import os, time\nfor i in range(4):\n    f = open('f', 'wb')\n    os.unlink('f')\n    globals()['k%d' % i] = f\n    f.write(b'x' * (40 << 20))\n    f.flush()\ntime.sleep(60)\n",
        )
        .await;
    assert_eq!(result.end, End::OverLimit(Limit::Disk), "{}", result.output);
}

#[tokio::test]
async fn one_file_has_a_largest_size() {
    let world = World::new().await;
    let result = world.sh("exec head -c 200000000 /dev/zero > large").await;
    assert_eq!(result.end, End::OverLimit(Limit::FileSize));
    assert_eq!(std::fs::metadata(world.tree().join("large")).unwrap().len(), 64 << 20);
}

#[tokio::test]
async fn tmp_is_bounded() {
    let world = World::new().await;
    let result = world.sh("for i in 1 2 3; do head -c 60000000 /dev/zero > /tmp/$i; done; head -c 200000000 /dev/zero > /dev/shm/x; du -sm /tmp /dev/shm | cut -f1").await;
    let sizes: Vec<u64> = result.output.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(sizes.iter().sum::<u64>() <= 97 * 2, "{}", result.output);
    assert!(
        result.output.contains("No space left") || result.output.contains("File size limit"),
        "{}",
        result.output
    );
}

#[tokio::test]
async fn descriptors_are_counted() {
    let world = World::new().await;
    let program = "import os\nn = 0\ntry:\n    while True:\n        os.open('/dev/null', 0)\n        n += 1\nexcept OSError as e:\n    print(e.errno, n < 128)\n";
    assert_eq!(world.python(program).await.output, "24 True\n");
}

#[tokio::test]
async fn processor_time_is_bounded() {
    let world = World::new().await;
    let mut command = world.command("while :; do :; done");
    command.limits.cpu = Duration::from_secs(1);
    assert_eq!(world.run(&command).await.end, End::OverLimit(Limit::Cpu));
}
