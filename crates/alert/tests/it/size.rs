//! Large bodies. How much is allocated stands for the work: a second pass over a part, or a tree of it, shows.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use rstest::rstest;

use super::*;

struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all of it is the system's; counting touches no memory that is handed out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATED.try_with(|all| all.set(all.get() + layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1024 * 1024;

fn event(fields: &str) -> Vec<u8> {
    format!("{{\"data\":{{\"event\":{{{fields}}}}}}}").into_bytes()
}

/// As often as it fits.
fn list(item: &str, bytes: usize) -> String {
    let items = vec![item; bytes / (item.len() + 1)];
    format!("[{}]", items.join(","))
}

fn frames(bytes: usize) -> Vec<u8> {
    let frame = r#"{"filename":"a.py","function":"f","lineno":1,"in_app":true,"vars":{"x":"y"}}"#;
    event(&format!(
        "\"exception\":{{\"values\":[{{\"stacktrace\":{{\"frames\":{}}}}}]}}",
        list(frame, bytes)
    ))
}

fn breadcrumbs(bytes: usize) -> Vec<u8> {
    let breadcrumb = r#"{"message":"m","level":"info","data":{"url":"u"},"timestamp":1}"#;
    event(&format!("\"breadcrumbs\":{{\"values\":{}}}", list(breadcrumb, bytes)))
}

fn texts(bytes: usize) -> Vec<u8> {
    let text = "\\u003c! ".repeat(bytes / 8 / 5);
    event(&format!(
        "\"culprit\":\"{text}\",\"release\":\"{text}\",\"message\":\"{text}\",\"environment\":\"{text}\",\"level\":\"{text}\""
    ))
}

fn depth(bytes: usize) -> Vec<u8> {
    let (open, close) = ("[".repeat(bytes / 4), "]".repeat(bytes / 4));
    event(&format!("\"breadcrumbs\":{open}{close},\"tags\":{open}{close}"))
}

fn names(bytes: usize) -> Vec<u8> {
    let field = "\"release\":\"1\"";
    event(&vec![field; bytes / (field.len() + 1)].join(","))
}

fn tags(bytes: usize) -> Vec<u8> {
    event(&format!("\"tags\":{}", list("[\"environment\",\"x\"]", bytes)))
}

fn own_fingerprint(bytes: usize) -> Vec<u8> {
    event(&format!("\"fingerprint\":{}", list("\"x\"", bytes)))
}

fn halves_of_pairs(bytes: usize) -> Vec<u8> {
    event(&format!("\"message\":\"{}\"", "\\ud83d".repeat(bytes / 6)))
}

#[rstest]
#[case::frames(frames)]
#[case::breadcrumbs(breadcrumbs)]
#[case::texts(texts)]
#[case::depth(depth)]
#[case::names(names)]
#[case::tags(tags)]
#[case::own_fingerprint(own_fingerprint)]
#[case::halves_of_pairs(halves_of_pairs)]
fn work_grows_with_the_body_and_no_faster(#[case] body: fn(usize) -> Vec<u8>) {
    let allocated = |bytes: usize| {
        let body = body(bytes);
        let before = ALLOCATED.get();
        let alert = Alert::parse(&body).unwrap();
        let allocated = ALLOCATED.get() - before;
        assert!(alert.frames.len() <= 7 && alert.breadcrumbs.len() <= 8);
        allocated
    };
    let (small, large) = (allocated(5 * MIB), allocated(10 * MIB));
    assert!(large <= small * 5 / 2 + MIB, "{small} bytes for 5 MiB, {large} for 10 MiB");
    // A tree of values takes more than ten times the body.
    assert!(large <= 90 * MIB, "{large} bytes for 10 MiB");
}

#[test]
fn what_is_kept_is_small_however_long_a_text_is() {
    let alert = Alert::parse(&texts(10 * MIB)).unwrap();
    for text in [text(&alert.culprit), text(&alert.release), text(&alert.message)] {
        assert!(text.unwrap().len() <= 16 * 1024);
    }
}

#[test]
fn many_frames_and_breadcrumbs() {
    let frame = json!({"filename": "lib/x.py", "lineno": 2});
    let mut frames = vec![frame; 10_000];
    frames[0] = json!({"filename": "app/y.py", "lineno": 9, "in_app": true});
    let alert = of_event(json!({
        "exception": [{"type": "T", "value": "m".repeat(MIB), "stacktrace": {"frames": frames}}],
        "breadcrumbs": vec![json!({"message": "b"}); 50_000],
    }));
    assert_eq!((alert.frames.len(), alert.frame_count, alert.breadcrumbs.len()), (7, 10_000, 8));
    assert_eq!(alert.location.unwrap().place.open("a test"), "app/y.py");
}
