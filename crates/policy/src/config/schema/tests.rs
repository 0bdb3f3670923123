use std::{collections::BTreeSet, sync::LazyLock};

use jsonschema::Validator;
use proptest::{prelude::*, sample::select};

use super::*;

fn parsed_schema() -> Value {
    serde_json::from_str(&schema()).unwrap()
}

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&parsed_schema()).unwrap());

fn reader_takes(document: &Value) -> Result<(), String> {
    // JSON is YAML.
    Config::parse(document.to_string().as_bytes()).map(drop).map_err(|errors| errors.to_string())
}

/// Follows a reference within the schema.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Values on both sides of everything that a schema says, with whether it takes them.
fn instances(root: &Value, schema: &Value) -> Vec<(Value, bool)> {
    let schema = resolved(root, schema);
    let mut found = Vec::new();
    if let Some(constant) = schema.get("const") {
        found.push((constant.clone(), true));
    }
    for word in schema.get("enum").and_then(Value::as_array).into_iter().flatten() {
        found.push((word.clone(), true));
    }
    for branch in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        found.extend(instances(root, branch));
    }
    let number = |key: &str| schema.get(key).and_then(Value::as_u64);
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    for kind in types {
        match kind {
            "null" => found.push((Value::Null, true)),
            "boolean" => found.extend([(json!(true), true), (json!(false), true)]),
            "integer" => {
                let (least, most) = (number("minimum").unwrap(), number("maximum").unwrap());
                found.extend([(json!(least), true), (json!(most), true), (json!(most + 1), false)]);
                found.push((json!(i64::try_from(least).unwrap() - 1), false));
            }
            "number" => {
                let bound = |key: &str| schema[key].as_f64().unwrap();
                let (least, most) = (bound("minimum"), bound("maximum"));
                found.extend([(json!(least), true), (json!(most), true), (json!(1), true)]);
                found.extend([(json!(least / 2.0), false), (json!(most + 0.5), false)]);
            }
            "string" => found.extend(texts(schema)),
            "array" => {
                let most = number("maxItems").unwrap() as usize;
                for (item, is_good) in instances(root, &schema["items"]) {
                    // A file of two hundred long ones is too large.
                    if is_good && item.to_string().len() < 100 {
                        found.push((json!(vec![item.clone(); most]), true));
                        found.push((json!(vec![item.clone(); most + 1]), false));
                    }
                    found.push((json!([item]), is_good));
                }
                found.push((json!([]), true));
            }
            "object" => found.extend(objects(root, schema)),
            other => panic!("a type that this test does not know: {other}"),
        }
    }
    found
}

fn texts(schema: &Value) -> Vec<(Value, bool)> {
    let examples = schema.get("examples").and_then(Value::as_array);
    let mut found: Vec<(Value, bool)> =
        examples.into_iter().flatten().map(|example| (example.clone(), true)).collect();
    if let Some(most) = schema.get("maxLength").and_then(Value::as_u64) {
        let least = schema["minLength"].as_u64().unwrap();
        let long = |length: u64| json!("a".repeat(length as usize));
        found.extend([(long(least), true), (long(most), true), (long(most + 1), false)]);
        if least > 0 {
            found.push((long(least - 1), false));
        }
        found.push((json!("a\0b"), false));
    }
    let odd: &[&str] = match schema["pattern"].as_str().unwrap() {
        DIRECTORY => &["/a", "..", "a/..", "../a", "a/../b", "a\\b"],
        GLOB => &["!a"],
        LABEL => &[" a", "a ", "a\nb", "\u{9f}", " "],
        TIME_PATTERN => &["", "5", "m", "5 m", "1h30", "-5m", "5m ", "5min", "1y", "1.5h"],
        _ => &[],
    };
    found.extend(odd.iter().map(|text| (json!(text), false)));
    found
}

fn objects(root: &Value, schema: &Value) -> Vec<(Value, bool)> {
    let mut found = Vec::new();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        // A mapping of names of the user's own.
        let most = schema["maxProperties"].as_u64().unwrap();
        let many = |count| (0..count).map(|n| (format!("V{n}"), json!("x"))).collect::<Value>();
        found.extend([(many(most), true), (many(most + 1), false)]);
        found.extend([(json!({ "1A": "x" }), false), (json!({ "a-b": "x" }), false)]);
        for (value, is_good) in instances(root, &schema["additionalProperties"]) {
            found.push((json!({ "A": value }), is_good));
        }
        return found;
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let least: Map<String, Value> = required
        .iter()
        .map(|key| {
            let values = instances(root, &properties[*key]);
            let good = values.into_iter().find(|(_, is_good)| *is_good).unwrap().0;
            ((*key).to_owned(), good)
        })
        .collect();
    let with = |key: &str, value: Value| {
        let mut map = least.clone();
        map.insert(key.to_owned(), value);
        Value::Object(map)
    };
    found.push((Value::Object(least.clone()), true));
    found.push((with("no_such_key", json!(1)), false));
    for key in &required {
        let mut map = least.clone();
        map.remove(*key);
        found.push((Value::Object(map), false));
    }
    for (key, schema) in properties {
        for (value, is_good) in instances(root, schema) {
            found.push((with(key, value), is_good));
        }
        for odd in [
            json!(true),
            json!(7),
            json!(0.5),
            json!("\u{7}odd"),
            json!([[]]),
            json!({ "odd": 1 }),
            json!(null),
        ] {
            // Whether it is good is for the schema to say.
            let is_good =
                jsonschema::draft202012::new(&json!({ "$defs": root["$defs"], "allOf": [schema] }))
                    .unwrap()
                    .is_valid(&odd);
            found.push((with(key, odd), is_good));
        }
    }
    found
}

#[test]
fn the_reader_and_the_schema_take_and_refuse_the_same() {
    let root = parsed_schema();
    let documents = instances(&root, &root);
    assert!(documents.len() > 500, "{}", documents.len());
    for (document, is_good) in documents {
        assert_eq!(VALIDATOR.is_valid(&document), is_good, "the schema: {document}");
        let read = reader_takes(&document);
        let shown: String = document.to_string().chars().take(500).collect();
        assert_eq!(read.is_ok(), is_good, "the reader: {shown}: {read:?}");
    }
}

/// Every mapping of the format, as the path to it.
fn mappings<'a>(
    root: &'a Value,
    schema: &'a Value,
    path: &[String],
    found: &mut Vec<(Vec<String>, BTreeSet<String>)>,
) {
    let schema = resolved(root, schema);
    for branch in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        mappings(root, branch, path, found);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    found.push((path.to_vec(), properties.keys().cloned().collect()));
    for (key, schema) in properties {
        mappings(root, schema, &[path, std::slice::from_ref(key)].concat(), found);
    }
}

#[test]
fn the_reader_knows_no_key_that_the_schema_lacks() {
    let root = parsed_schema();
    let mut found = Vec::new();
    mappings(&root, &root, &[], &mut found);
    assert_eq!(found.len(), 12, "{found:?}");
    for (path, keys) in found {
        let inner = path
            .iter()
            .rev()
            .fold(json!({ "unlike_any_other": 1 }), |inner, key| json!({ (key): inner }));
        let said = reader_takes(&inner).unwrap_err();
        let known =
            said.split("unlike_any_other`; known are ").nth(1).unwrap().lines().next().unwrap();
        let known: BTreeSet<String> =
            known.split(", ").map(|key| key.trim_matches('`').to_owned()).collect();
        assert_eq!(known, keys, "{path:?}");
    }
}

/// Values that are odd somewhere and right elsewhere. None is wrong in a way that only the reader can
/// see: times are in every range, and patterns can be read.
fn value() -> impl Strategy<Value = Value> {
    let scalars = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(5),
        json!(6),
        json!(500),
        json!(501),
        json!(5_000),
        json!(-1),
        json!(0.5),
        json!(1e9),
        json!(""),
        json!("a"),
        json!("off"),
        json!("none"),
        json!("warn"),
        json!("python"),
        json!("pypi"),
        json!("5m"),
        json!("2m 30s"),
        json!("on"),
        json!("yes"),
        json!("~"),
        json!("null"),
        json!("1"),
        json!("0x10"),
        json!("1e3"),
        json!("é: ü"),
        json!("- x"),
        json!("#x"),
        json!("a\nb"),
    ];
    let keys = [
        "version",
        "language",
        "setup",
        "check",
        "test",
        "format",
        "lint",
        "limits",
        "protect",
        "network",
        "builder",
        "verifier",
        "command",
        "timeout",
        "directory",
        "env",
        "files",
        "lines",
        "bytes",
        "binaries",
        "modes",
        "paths",
        "policy",
        "rounds",
        "budget",
        "tokens",
        "cost_usd",
        "wall",
        "generate_tests",
        "promote",
        "flaky_retries",
        "evidence",
        "evidence_budget",
        "waiver_label",
    ];
    select(scalars.to_vec()).prop_recursive(3, 24, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::btree_map(select(keys.to_vec()), inner, 0..5).prop_map(|map| map
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn on_any_document_the_two_agree(key in select(vec!["language", "setup", "lint", "limits", "protect", "network", "builder", "verifier"]), value in value()) {
        let document = json!({ "version": 1, (key): value });
        let read = reader_takes(&document);
        prop_assert_eq!(VALIDATOR.is_valid(&document), read.is_ok(), "{}: {:?}", document, read);
    }
}

#[test]
fn the_schema_in_the_repository_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/booty.schema.json");
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == schema(), "run `make docs` and commit the result");
}

#[test]
fn the_page_tells_of_every_key_and_its_example_is_valid() {
    let page = include_str!("../../../../../docs/BOOTY_YML.md");
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    Config::parse(example.as_bytes()).unwrap();
    let id = parsed_schema()["$id"].as_str().unwrap().to_owned();
    assert!(example.contains(&format!("# yaml-language-server: $schema={id}\n")));

    let root = parsed_schema();
    let mut found = Vec::new();
    mappings(&root, &root, &[], &mut found);
    for (path, keys) in found {
        for key in keys {
            let heading = format!("### `{key}`");
            let row =
                |name: &str| page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let of_budget = format!("budget.{key}");
            let Some(row) = row(&key).or_else(|| row(&of_budget)) else {
                let is_told = page.contains(&heading) || page.contains(&format!("| `{key}:`"));
                assert!(is_told, "{path:?}.{key} is not on the page");
                continue;
            };
            let pointer = path
                .iter()
                .fold(String::new(), |pointer, key| format!("{pointer}/properties/{key}"));
            let schema =
                root.pointer(&format!("{pointer}/properties/{key}")).unwrap_or(&Value::Null);
            for part in ["default", "minimum", "maximum"] {
                let Some(said) = schema.get(part) else { continue };
                let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
                let said = said.trim_end_matches(".0");
                assert!(row.contains(said), "{key}: the page lacks the {part} {said}: {row}");
            }
        }
    }
}
