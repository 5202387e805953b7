//! `signatures/schema.json`: the format of signature files for editors that check while one types
//! (JSON Schema 2020-12; Taplo and its plug-ins read it for TOML).
//!
//! Written from the types in `format`, by a test alone: the program needs no schema. It says less
//! than the linter, which also knows what makes sense.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};

use super::format::{AppFile, Date};

impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    /// Editors hand TOML's dates to a schema as text.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date",
            "description": "A day, without quotes: 2026-11-22."
        })
    }
}

fn schema() -> String {
    let mut schema = schema_for!(AppFile);
    schema.insert("title".to_owned(), "A signature file of shadowscope".into());
    serde_json::to_string_pretty(&schema).unwrap() + "\n"
}

#[test]
fn the_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures/schema.json");
    let expected = schema();
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{path:?} is not current; UPDATE_EXPECT=1 writes it");
}

#[test]
fn the_schema_knows_every_key_and_word() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    let required = schema["required"].as_array().unwrap();
    for key in super::keys::APP.iter().copied() {
        assert!(properties.contains_key(key), "{key}");
    }
    for key in ["schema", "id", "kind", "match", "verified"] {
        assert!(required.iter().any(|required| required == key), "{key}");
    }
    assert_eq!(schema["additionalProperties"], false);
    let roles = schema["$defs"]["Role"].to_string();
    for role in super::format::Role::ALL {
        assert!(roles.contains(role.as_str()), "{role}");
    }
}
