//! What is one problem, and what are two.

use booty_events::Fingerprint;
use rstest::rstest;

use super::*;

fn of(event: Value) -> Fingerprint {
    of_event(event).fingerprint
}

#[rstest]
#[case(json!({"issue_id": "4501"}))]
#[case(json!({"issue_id": 4501}))]
#[case(json!({"issue_id": " 4501 ", "fingerprint": ["own"], "project": 2}))]
#[case(json!({"issue_id": null, "groupID": "4501", "culprit": "c"}))]
fn the_issue_comes_first(#[case] event: Value) {
    assert_eq!(of(event), Fingerprint::of("issue", &["4501"]));
}

#[rstest]
#[case(json!({"issue_id": ""}))]
#[case(json!({"issue_id": {}}))]
#[case(json!({"issue_id": null, "groupID": []}))]
fn no_issue_is_no_issue(#[case] event: Value) {
    assert_eq!(of(event), of(json!({})));
}

#[test]
fn a_huge_issue_id_is_one() {
    let parse = |body: &str| Alert::parse(body.as_bytes()).unwrap().fingerprint;
    let number = "123456789012345678901234567890";
    let text = parse(&format!("{{\"data\":{{\"event\":{{\"issue_id\":\"{number}\"}}}}}}"));
    assert_eq!(parse(&format!("{{\"data\":{{\"event\":{{\"issue_id\":{number}}}}}}}")), text);
}

fn with(fingerprint: Value, project: u32, culprit: &str) -> Fingerprint {
    of(
        json!({"fingerprint": fingerprint, "project": project, "culprit": culprit, "metadata": {"type": "T"}}),
    )
}

#[rstest]
#[case(json!(["{{ default }}"]))]
#[case(json!(["{{default}}", " {{ default }} "]))]
#[case(json!("{{ default }}"))]
#[case(json!([]))]
#[case(json!([null, {}, ""]))]
#[case(json!(null))]
#[case(json!({"a": "b"}))]
fn what_says_nothing_is_type_and_culprit(#[case] own: Value) {
    assert_eq!(with(own, 1, "c"), Fingerprint::of("type", &["1", "T", "c"]));
}

#[test]
fn its_own_is_the_same_for_all_culprits_of_a_project() {
    let own = json!(["db", 1]);
    assert_eq!(with(own.clone(), 1, "c"), with(json!(["db", "1"]), 1, "d"));
    assert_ne!(with(own.clone(), 1, "c"), with(own.clone(), 2, "c"));
    assert_ne!(with(own, 1, "c"), with(json!(["db", 2]), 1, "c"));
    assert_ne!(with(json!(["ab", "c"]), 1, "c"), with(json!(["a", "bc"]), 1, "c"));
    assert_ne!(with(json!(["T", "c"]), 1, "c"), with(json!(null), 1, "c"));
}

#[test]
fn what_sentry_would_fill_in_keeps_culprits_apart() {
    for own in [json!(["{{ default }}", "x"]), json!(["{{ transaction }}"])] {
        assert_eq!(with(own.clone(), 1, "c"), with(own.clone(), 1, "c"));
        assert_ne!(with(own.clone(), 1, "c"), with(own, 1, "d"));
    }
}

#[test]
fn type_and_culprit_keep_problems_apart() {
    assert_ne!(with(json!(null), 1, "c"), with(json!(null), 1, "d"));
    assert_ne!(with(json!(null), 1, "c"), with(json!(null), 2, "c"));
}

#[test]
fn the_message_keeps_nothing_apart() {
    let with =
        |value: &str| of(json!({"exception": [{"type": "T", "value": value}], "level": value}));
    assert_eq!(with("user 1"), with("user 2"));
}

#[test]
fn long_texts_are_told_apart_by_their_ends() {
    let long = |end: &str| with(json!(null), 1, &format!("{}{end}", "x".repeat(100_000)));
    assert_ne!(long("1"), long("2"));
}
