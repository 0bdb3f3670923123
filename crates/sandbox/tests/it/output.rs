//! Output of any size and kind.

use booty_sandbox::End;

use crate::world::World;

#[tokio::test]
async fn a_gigabyte_without_a_newline_is_cut_and_never_blocks() {
    let world = World::new().await;
    let before = resident_bytes();
    let result = world.sh("printf start; head -c 1073741824 /dev/zero; printf end; exit 4").await;
    assert_eq!(result.end, End::Exited(4));
    assert_eq!(result.output_bytes, (1 << 30) + 8);
    assert!(result.output.starts_with("start\0"));
    assert!(result.output.ends_with("\0end"));
    assert!(result.output.contains(&format!("[… {} bytes cut …]", (1 << 30) + 8 - 64 * 1024)));
    assert!(result.output.len() < 65 * 1024);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "{grown}");
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn both_streams_come_in_order_and_escapes_stay() {
    let world = World::new().await;
    let result = world
        .sh("echo 1; echo 2 >&2; echo 3; printf '\\033[31mred\\033[0m\\377\\n'; exec 2>&-; echo 4")
        .await;
    assert_eq!(result.output, "1\n2\n3\n\u{1b}[31mred\u{1b}[0m\u{fffd}\n4\n");
}

#[tokio::test]
async fn a_command_that_closes_its_output_is_waited_for() {
    let world = World::new().await;
    let result = world.sh("exec >&- 2>&-; sleep 0.3; exit 9").await;
    assert_eq!((result.end, result.output.as_str()), (End::Exited(9), ""));
}
