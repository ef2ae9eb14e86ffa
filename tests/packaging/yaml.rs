//! YAML as plain values. It knows nothing of what they mean.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

/// All documents of a text, but for empty ones. Duplicate keys and anything else that is no YAML
/// are errors.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    let values: Result<Vec<Value>, String> = documents.iter().map(value).collect();
    Ok(values?.into_iter().filter(|one| !one.is_null()).collect())
}

fn value(yaml: &Yaml<'_>) -> Result<Value, String> {
    match yaml {
        Yaml::Value(scalar) => Ok(match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(one) => Value::from(*one),
            Scalar::Integer(one) => Value::from(*one),
            Scalar::FloatingPoint(one) => Value::from(one.into_inner()),
            Scalar::String(one) => Value::from(one.as_ref()),
        }),
        Yaml::Sequence(parts) => parts.iter().map(value).collect(),
        Yaml::Mapping(pairs) => {
            let mut map = Map::new();
            for (key, one) in pairs {
                let key = key.as_str().ok_or("a key that is no text")?;
                map.insert(key.to_owned(), value(one)?);
            }
            Ok(Value::Object(map))
        }
        Yaml::Representation(..) | Yaml::Tagged(..) | Yaml::Alias(_) | Yaml::BadValue => {
            Err(format!("not plain YAML: {yaml:?}"))
        }
    }
}

#[test]
fn yaml_becomes_plain_values() {
    let text = "a: 1\nb: [x, \"2\"]\nc: {d: null, e: true}\n---\n# nothing\n---\n- 1.5\n";
    let expected = [
        serde_json::json!({"a": 1, "b": ["x", "2"], "c": {"d": null, "e": true}}),
        serde_json::json!([1.5]),
    ];
    assert_eq!(documents(text).unwrap(), expected);
}

#[test]
fn what_is_no_yaml_is_refused() {
    for text in ["a: 1\na: 2\n", "a:\n\t- 1\n", "a: [1\n", "a: b: c\n"] {
        assert!(documents(text).is_err(), "{text:?}");
    }
}
