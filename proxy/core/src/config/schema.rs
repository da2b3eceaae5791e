//! The registry as a JSON Schema, for editors that complete and check a configuration while it is written.

use serde_json::{Map, Value, json};

use super::keys::{Key, Presence, Section};
use super::load::ROOT;

/// A string with a variable may be anything when that is filled in.
const VARIABLE: &str = r"\$\{";

/// JSON Schema, draft 2020-12.
pub fn schema() -> Value {
    let mut schema = object(&ROOT);
    let draft = "https://json-schema.org/draft/2020-12/schema";
    schema.insert("$schema".to_owned(), draft.into());
    schema.insert("title".to_owned(), "OpenClaw configuration".into());
    schema.into()
}

fn object(section: &Section) -> Map<String, Value> {
    let properties: Map<String, Value> = section
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key).into()))
        .collect();
    let required = section.keys.iter();
    let required = required.filter(|key| key.presence == Presence::Required);
    let (either, required): (Vec<&Key>, Vec<&Key>) = required.partition(|key| key.unless.is_some());
    let required: Vec<&str> = required.into_iter().map(|key| key.name).collect();
    let mut object = members([
        ("type", "object".into()),
        ("properties", properties.into()),
        ("additionalProperties", false.into()),
    ]);
    if !required.is_empty() {
        object.insert("required".to_owned(), required.into());
    }
    let either = either
        .into_iter()
        .find_map(|key| Some((key.name, key.unless?)));
    if let Some((key, other)) = either {
        let needs = |name: &str| json!({ "required": [name] });
        object.insert("anyOf".to_owned(), vec![needs(key), needs(other)].into());
    }
    describe(&mut object, section.doc);
    object
}

fn property(key: &Key) -> Map<String, Value> {
    let mut property = shape(key);
    describe(&mut property, key.doc);
    // What a table has is told key by key.
    if key.fields.is_some() {
        return property;
    }
    if let Presence::Default(text) = key.presence
        && let Some(value) = value(text)
    {
        property.insert("default".to_owned(), value);
    }
    if let Some(example) = value(key.example) {
        property.insert("examples".to_owned(), vec![example].into());
    }
    property
}

fn describe(schema: &mut Map<String, Value>, doc: &str) {
    if !doc.is_empty() {
        schema.insert("description".to_owned(), doc.into());
    }
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    let members = members.into_iter();
    members
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn shape(key: &Key) -> Map<String, Value> {
    match (key.kind, key.fields) {
        ("table", Some(fields)) => object(fields),
        ("table or boolean", Some(fields)) => {
            members([("anyOf", json!([{ "type": "boolean" }, object(fields)]))])
        }
        ("tables by name", Some(fields)) => by_name(object(fields).into()),
        ("list of tables", Some(fields)) => one_or_more(&object(fields).into()),
        ("table of upstreams", Some(fields)) => by_name(one_or_more(&name_or(fields)).into()),
        // One name, or tables that say more about each.
        (_, Some(fields)) => one_or_more(&name_or(fields)),
        ("table of strings", None) => by_name(one_or_more(&json!({ "type": "string" })).into()),
        ("table of conditions", None) => {
            by_name(members([("type", json!(["string", "boolean"]))]).into())
        }
        ("list of numbers", None) => one_or_more(&json!({ "type": "number" })),
        (kind, None) if kind.contains("list of ") => one_or_more(&json!({ "type": "string" })),
        (_, None) if !key.words.is_empty() => {
            let variable = json!({ "type": "string", "pattern": VARIABLE });
            members([("anyOf", json!([{ "enum": key.words }, variable]))])
        }
        (kind, None) => {
            let mut scalar = members([("type", scalar(kind))]);
            if let Some(form) = form(kind) {
                scalar.insert("pattern".to_owned(), format!("{form}|{VARIABLE}").into());
            }
            scalar
        }
    }
}

/// Values that have one: numbers with a unit.
fn form(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "duration" => "^[0-9]+(ms|s|m|h|d)$",
        "size" => "^[0-9]+[kKmMgGtT]?$",
        "size or \"none\"" => "^([0-9]+[kKmMgGtT]?|none)$",
        "rate" => "^[0-9]+[kKmM]?/(s|min|m|h|d)$",
        _ => return None,
    })
}

fn name_or(fields: &Section) -> Value {
    json!({ "anyOf": [{ "type": "string" }, object(fields)] })
}

fn by_name(each: Value) -> Map<String, Value> {
    members([("type", "object".into()), ("additionalProperties", each)])
}

/// A list of one may go without its brackets.
fn one_or_more(item: &Value) -> Map<String, Value> {
    let more = json!({ "type": "array", "items": item });
    members([("anyOf", vec![item.clone(), more].into())])
}

fn scalar(kind: &str) -> Value {
    match kind {
        "boolean" => "boolean".into(),
        "integer" => "integer".into(),
        "number" => "number".into(),
        // Bytes may go without a unit.
        "size" | "size or \"none\"" => json!(["string", "integer"]),
        _ => "string".into(),
    }
}

/// A TOML value as JSON.
fn value(text: &str) -> Option<Value> {
    let table: toml::Table = format!("value = {text}").parse().ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    /// As much of JSON Schema as the schema uses.
    fn accepts(schema: &Value, value: &Value) -> bool {
        let types = match schema.get("type") {
            None => vec![],
            Some(types) => types.as_array().cloned().unwrap_or(vec![types.clone()]),
        };
        let is_of = |name: &Value| match name.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            "number" => value.is_number(),
            other => unreachable!("{other}"),
        };
        let any_of = schema["anyOf"].as_array();
        let words = schema["enum"].as_array();
        let pattern = schema["pattern"].as_str().zip(value.as_str());
        let has_form = pattern
            .is_none_or(|(pattern, text)| regex::Regex::new(pattern).unwrap().is_match(text));
        (types.is_empty() || types.iter().any(is_of))
            && has_form
            && words.is_none_or(|words| words.contains(value))
            && any_of.is_none_or(|any| any.iter().any(|one| accepts(one, value)))
            && value.as_array().is_none_or(|items| {
                let item = &schema["items"];
                items.iter().all(|one| accepts(item, one))
            })
            && value
                .as_object()
                .is_none_or(|members| has_members(schema, members))
    }

    fn has_members(schema: &Value, members: &Map<String, Value>) -> bool {
        let required = schema["required"].as_array();
        let mut required = required.into_iter().flatten();
        let rest = &schema["additionalProperties"];
        required.all(|name| members.contains_key(name.as_str().unwrap()))
            && members.iter().all(|(name, value)| {
                let property = schema["properties"].get(name).unwrap_or(rest);
                // Behind `anyOf` there is nothing to say of members.
                *property != Value::Bool(false) && accepts(property, value)
            })
    }

    fn is_accepted(text: &str) -> bool {
        let table: toml::Table = text.parse().unwrap();
        accepts(&schema(), &serde_json::to_value(table).unwrap())
    }

    #[test]
    fn what_loads_is_accepted_and_a_wrong_key_or_type_is_not() {
        assert!(is_accepted(&crate::config::reference()));
        assert!(is_accepted(crate::config::DEFAULT));
        for (text, expected) in [
            ("[listener.web]\nbind = \"127.0.0.1:80\"\n", true),
            ("[listener.web]\nbind = [\"127.0.0.1:80\"]\n", true),
            ("[listener.web]\nbind = 80\n", false),
            ("[listener.web]\n", false),
            ("[listener.web]\nbind = []\nbnid = []\n", false),
            ("[listner.web]\n", false),
            ("[log]\nlevel = \"warn\"\n", true),
            ("[log]\nlevel = \"${LEVEL:-warn}\"\n", true),
            ("[log]\nlevel = \"q\"\n", false),
            ("[shield]\nmode = \"natve\"\n", false),
            ("[cache]\nmemory = \"12q\"\n", false),
            ("[cache]\nmemory = \"12M\"\n", true),
            ("[server]\nshutdown_grace = \"10\"\n", false),
            ("[server]\nshutdown_grace = \"${GRACE}\"\n", true),
            ("[server]\nworkers = 2\n", true),
            ("[server]\nworkers = \"2\"\n", false),
            (
                "[upstream.a]\nendpoints = [\"a:1\", { address = \"b:2\", weight = 3 }]\n",
                true,
            ),
            ("[upstream.a]\nendpoints = [{ weight = 3 }]\n", false),
            ("[upstream.a]\ndiscover = { dns = \"a:1\" }\n", true),
            ("[upstream.a]\nbalance = \"random\"\n", false),
            (
                "[[route]]\nto = \"a\"\nmatch = { header = { a = \"1\" } }\n",
                true,
            ),
            ("[[route]]\nto = [{ upstream = \"a\", weight = 9 }]\n", true),
            ("[[route]]\nto = [{ upstraem = \"a\" }]\n", false),
            ("[[route]]\nmax_body = 100\n", true),
            ("[[route]]\nmatch = { method = 5 }\n", false),
        ] {
            assert_eq!(is_accepted(text), expected, "{text}");
        }
    }

    /// Every kind has a shape that takes the examples of its keys.
    #[test]
    fn each_example_is_accepted_by_the_shape_of_its_key() {
        fn check(section: &Section) {
            for key in section.keys {
                let example = value(key.example).unwrap();
                assert!(
                    accepts(&shape(key).into(), &example),
                    "{} {}",
                    section.name,
                    key.name
                );
                key.fields.into_iter().for_each(check);
            }
        }
        check(&ROOT);
    }
}
