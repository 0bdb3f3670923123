//! Bodies that nobody would think of. `PROPTEST_CASES=100000 PROPTEST_RNG_SEED=$RANDOM` runs more and others.

use proptest::{prelude::*, test_runner::RngSeed};
use serde_json::Map;

use super::*;

/// The same cases each time unless another seed is set.
fn config() -> ProptestConfig {
    let set = ProptestConfig::default();
    let rng_seed = match set.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1117),
        seed => seed,
    };
    ProptestConfig { cases: set.cases * 4, rng_seed, failure_persistence: None, ..set }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "(fatal|debug|[0-9a-f]{32}|\\{\\{ default \\}\\}|-?[0-9]{1,25}(\\.[0-9]{1,3})?|2026-0[0-9]-01T00:00:00Z|\u{0}|\u{202e})".prop_map(Value::from),
    ];
    let name = || {
        prop::sample::select(vec![
            "values",
            "frames",
            "type",
            "value",
            "version",
            "stacktrace",
            "filename",
            "lineno",
            "level",
            "message",
            "data",
            "key",
            "trace",
            "trace_id",
            "formatted",
            "category",
            "timestamp",
            "crashed",
            "x",
        ])
    };
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6).prop_map(|fields| {
                Value::Object(
                    fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>(),
                )
            }),
        ]
    })
}

/// All places in a value.
fn places(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                places(value, format!("{at}/{name}"), out);
            }
        }
        Value::Array(items) => {
            for (n, value) in items.iter().enumerate() {
                places(value, format!("{at}/{n}"), out);
            }
        }
        _ => {}
    }
    out.push(at);
}

/// What must hold of any alert.
fn holds(alert: &Alert) {
    assert!(alert.frames.len() <= 7 && alert.frames.len() <= alert.frame_count);
    assert!(alert.breadcrumbs.len() <= 8);
    assert!(alert.first_seen <= alert.last_seen || alert.last_seen.is_none());
    let _ = alert.facts();
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_field_may_be_anything(changes in prop::collection::vec((any::<prop::sample::Index>(), any_value()), 1..6)) {
        let mut body = full();
        let mut all = Vec::new();
        places(&body["data"]["event"], String::new(), &mut all);
        all.retain(|place| !place.is_empty());
        for (place, value) in changes {
            if let Some(at) = body["data"]["event"].pointer_mut(&all[place.index(all.len())]) {
                *at = value;
            }
        }
        holds(&alert(&body));
    }

    #[test]
    fn an_event_may_be_anything(event in any_value()) {
        holds(&Alert::parse(json!({"data": {"event": event}}).to_string().as_bytes()).unwrap());
    }

    #[test]
    fn bytes_may_be_broken(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in any::<prop::sample::Index>()) {
        let mut body = full().to_string().into_bytes();
        for (place, byte) in changes {
            let at = place.index(body.len());
            body[at] = byte;
        }
        let _ = Alert::parse(&body).map(|alert| holds(&alert));
        let _ = Alert::parse(&body[..cut.index(body.len())]);
    }

    #[test]
    fn a_part_that_is_missing_takes_no_other_with_it(place in any::<prop::sample::Index>()) {
        let mut body = full();
        let names: Vec<String> = body["data"]["event"].as_object().unwrap().keys().cloned().collect();
        let gone = place.get(&names);
        body["data"]["event"].as_object_mut().unwrap().remove(gone);
        let alert = alert(&body);
        let found = [
            ("exception", alert.frame_count == 4),
            ("breadcrumbs", alert.breadcrumbs.len() == 2),
            ("environment", alert.environment.is_some()),
            ("release", alert.release.is_some()),
            ("web_url", alert.url.is_some()),
            ("contexts", alert.trace_id.is_some()),
            ("datetime", alert.last_seen.is_some()),
        ];
        for (name, is_there) in found {
            prop_assert_eq!(is_there, name != gone, "{}", name);
        }
    }
}
