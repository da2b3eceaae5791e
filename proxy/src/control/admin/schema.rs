//! What the JSON answers of the admin API look like, as schemas. `shapes.json` has them in short, one shape a name:
//!
//! - `integer: Since the start.` is a type and what it means; `string?` may be null, `any` is anything, `time` is RFC 3339;
//! - `on|off` is one of these words, and what begins with a capital letter is the shape of that name;
//! - a list has what it is of, and what it means; in an object a key that ends in `?` may be missing, `*` stands for any key, and
//!   an object with the key `?` may be null.

use serde_json::{Map, Value, json};

static SHAPES: &str = include_str!("shapes.json");

/// All of them, by name.
pub(super) fn schemas() -> Map<String, Value> {
    // A test reads it.
    let shapes: Map<String, Value> = serde_json::from_str(SHAPES).unwrap_or_default();
    let shapes = shapes.into_iter();
    shapes.map(|(name, shape)| (name, schema(&shape))).collect()
}

/// That of a name.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn schema(shape: &Value) -> Value {
    match shape {
        Value::String(text) => simple(text),
        Value::Array(list) => {
            let items = list.first().map_or_else(|| json!({}), schema);
            let list_of = json!({ "type": "array", "items": items });
            described(list_of, list.get(1).and_then(Value::as_str))
        }
        Value::Object(keys) => object(keys),
        Value::Null | Value::Bool(_) | Value::Number(_) => json!({}),
    }
}

fn simple(text: &str) -> Value {
    let (word, meaning) = match text.split_once(": ") {
        Some((word, meaning)) => (word, Some(meaning)),
        None => (text, None),
    };
    let name = word.trim_end_matches('?');
    let kind = if name == "time" { "string" } else { name };
    let kind = if name == word {
        json!(kind)
    } else {
        json!([kind, "null"])
    };
    let schema = match name {
        "any" => json!({}),
        "time" => json!({ "type": kind, "format": "date-time" }),
        "string" | "integer" | "number" | "boolean" | "object" => json!({ "type": kind }),
        name if name.starts_with(|letter: char| letter.is_ascii_uppercase()) => reference(name),
        words => json!({ "type": "string", "enum": words.split('|').collect::<Vec<_>>() }),
    };
    described(schema, meaning)
}

fn object(keys: &Map<String, Value>) -> Value {
    if let Some(any) = keys.get("*") {
        return json!({ "type": "object", "additionalProperties": schema(any) });
    }
    let kind = if keys.contains_key("?") {
        json!(["object", "null"])
    } else {
        json!("object")
    };
    let keys = || keys.iter().filter(|(key, _)| *key != "?");
    let required = keys().map(|(key, _)| key).filter(|key| !key.ends_with('?'));
    let properties =
        keys().map(|(key, shape)| (key.trim_end_matches('?').to_owned(), schema(shape)));
    json!({
        "type": kind,
        "required": required.collect::<Vec<_>>(),
        "properties": properties.collect::<Map<_, _>>(),
    })
}

fn described(mut schema: Value, meaning: Option<&str>) -> Value {
    if let (Value::Object(schema), Some(meaning)) = (&mut schema, meaning) {
        schema.insert("description".into(), meaning.into());
    }
    schema
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_shape_becomes_a_schema() {
        for (shape, expected) in [
            (json!("integer"), json!({ "type": "integer" })),
            (
                json!("number?: Seconds."),
                json!({ "type": ["number", "null"], "description": "Seconds." }),
            ),
            (
                json!("time"),
                json!({ "type": "string", "format": "date-time" }),
            ),
            (
                json!("on|off"),
                json!({ "type": "string", "enum": ["on", "off"] }),
            ),
            (
                json!("Error"),
                json!({ "$ref": "#/components/schemas/Error" }),
            ),
            (
                json!(["string", "Names."]),
                json!({ "type": "array", "items": { "type": "string" }, "description": "Names." }),
            ),
            (
                json!({ "*": "any" }),
                json!({ "type": "object", "additionalProperties": {} }),
            ),
            (
                json!({ "?": "null", "a": "string", "b?": "any" }),
                json!({
                    "type": ["object", "null"],
                    "required": ["a"],
                    "properties": { "a": { "type": "string" }, "b": {} },
                }),
            ),
        ] {
            assert_eq!(schema(&shape), expected, "{shape}");
        }
    }

    #[test]
    fn the_shapes_can_be_read() {
        let shapes: Map<String, Value> = serde_json::from_str(SHAPES).expect("it is JSON");
        assert_eq!(schemas().len(), shapes.len());
    }
}
