//! Messages as Go's `encoding/json` prints the structs that etcd's messages are compiled to: fields
//! under the names of the definition, in its order, nothing that has its default; bytes in base64,
//! enumerations and all numbers as numbers; an alternative within an object of its own. That is
//! not the JSON of the protocol's gateway. It does not know any message.

use std::fmt::Write;
use std::sync::OnceLock;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Value};

use crate::exit::Exit;
use crate::pb::DESCRIPTORS;

/// A part of JSON as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Json(String);

/// `message`, whose full name is `name`.
pub(super) fn of(name: &str, message: &impl Message) -> Result<String, Exit> {
    object(name, message).map(|Json(text)| text)
}

/// The same as a part of something larger.
pub(super) fn object(name: &str, message: &impl Message) -> Result<Json, Exit> {
    let descriptor = pool()
        .get_message_by_name(name)
        .with_context(|| format!("{name} is not defined"))?;
    let bytes = message.encode_to_vec();
    let message = DynamicMessage::decode(descriptor, bytes.as_slice())
        .with_context(|| format!("{name} is not what it is defined as"))?;
    let mut text = String::new();
    push_message(&mut text, &message);
    Ok(Json(text))
}

fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        DescriptorPool::decode(DESCRIPTORS).expect("a test decodes the definitions")
    })
}

impl Json {
    pub(super) fn number(value: impl Into<i128>) -> Self {
        Self(value.into().to_string())
    }

    pub(super) fn bool(value: bool) -> Self {
        Self(value.to_string())
    }

    pub(super) fn string(value: &str) -> Self {
        let mut text = String::new();
        push_string(&mut text, value);
        Self(text)
    }

    pub(super) fn bytes(value: &[u8]) -> Self {
        Self(format!("\"{}\"", STANDARD.encode(value)))
    }

    /// As Go prints what it has not made: not as an empty list.
    pub(super) fn list_or_null(items: Vec<Self>) -> Self {
        if items.is_empty() {
            return Self("null".to_owned());
        }
        Self::list(items)
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        let items: Vec<_> = items.into_iter().map(|Self(text)| text).collect();
        Self(format!("[{}]", items.join(",")))
    }

    pub(super) fn members(members: Vec<(&str, Self)>) -> Self {
        let members: Vec<_> = members
            .into_iter()
            .map(|(name, Self(value))| format!("\"{name}\":{value}"))
            .collect();
        Self(format!("{{{}}}", members.join(",")))
    }

    /// An object with the members of `self`, an object too, before its own: what Go does with a
    /// struct within a struct that has no name there.
    pub(super) fn with(&self, members: Vec<(&str, Self)>) -> Self {
        let Self(own) = Self::members(members);
        let before = self.0.trim_end_matches('}');
        let comma = if before == "{" { "" } else { "," };
        Self(format!("{before}{comma}{}", own.trim_start_matches('{')))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

fn push_message(text: &mut String, message: &DynamicMessage) {
    text.push('{');
    let mut separator = "";
    // Only what is not the default, in the order of their numbers, which is the definition's.
    for (field, value) in message.fields() {
        text.push_str(separator);
        separator = ",";
        match field.containing_oneof() {
            Some(oneof) => {
                push_name(text, &capitalised(oneof.name()));
                text.push('{');
                push_field(text, &field, value);
                text.push('}');
            }
            None => push_field(text, &field, value),
        }
    }
    text.push('}');
}

fn push_field(text: &mut String, field: &FieldDescriptor, value: &Value) {
    push_name(text, field.name());
    push_value(text, value);
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn push_name(text: &mut String, name: &str) {
    push_string(text, name);
    text.push(':');
}

fn push_value(text: &mut String, value: &Value) {
    match value {
        Value::Bool(value) => push(text, format_args!("{value}")),
        Value::I32(value) | Value::EnumNumber(value) => push(text, format_args!("{value}")),
        Value::I64(value) => push(text, format_args!("{value}")),
        Value::U32(value) => push(text, format_args!("{value}")),
        Value::U64(value) => push(text, format_args!("{value}")),
        Value::F32(value) => push(text, format_args!("{value}")),
        Value::F64(value) => push(text, format_args!("{value}")),
        Value::String(value) => push_string(text, value),
        Value::Bytes(value) => push(text, format_args!("\"{}\"", STANDARD.encode(value))),
        Value::Message(value) => push_message(text, value),
        Value::List(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                push_value(text, value);
            }
            text.push(']');
        }
        Value::Map(_) => unreachable!("etcd's definitions have no maps"),
    }
}

/// What could end a script in a web page is escaped as well.
fn push_string(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                push(text, format_args!("\\u{:04x}", u32::from(c)));
            }
            _ => text.push(c),
        }
    }
    text.push('"');
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what)
        .expect("writing into a String does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::etcdserverpb as pb;
    use crate::pb::mvccpb::KeyValue;

    #[test]
    fn what_has_its_default_is_left_out() {
        let empty = pb::RangeResponse::default();
        assert_eq!(of("etcdserverpb.RangeResponse", &empty).unwrap(), "{}");
    }

    #[test]
    fn fields_have_the_names_of_the_definition_and_bytes_are_base64() {
        let answer = pb::RangeResponse {
            header: Some(pb::ResponseHeader {
                cluster_id: u64::MAX,
                ..pb::ResponseHeader::default()
            }),
            kvs: vec![KeyValue {
                key: b"a".as_slice().into(),
                create_revision: 2,
                ..KeyValue::default()
            }],
            more: true,
            count: 1,
        };
        let expected = r#"{"header":{"cluster_id":18446744073709551615},"#.to_owned()
            + r#""kvs":[{"key":"YQ==","create_revision":2}],"more":true,"count":1}"#;
        assert_eq!(of("etcdserverpb.RangeResponse", &answer).unwrap(), expected);
    }

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        let check = |value: &str, expected: &str| {
            assert_eq!(Json::string(value).text(), expected);
        };
        check("a\"b\\\n", r#""a\"b\\\n""#);
        check("<&>\u{1}\u{2028}", r#""\u003c\u0026\u003e\u0001\u2028""#);
        check("ü", "\"ü\"");
    }

    #[test]
    fn a_nameless_struct_gives_its_members_away() {
        let own = || vec![("ID", Json::number(1))];
        let empty = Json::members(Vec::new());
        assert_eq!(empty.with(own()).text(), r#"{"ID":1}"#);
        let full = Json::members(vec![("a", Json::bool(true))]);
        assert_eq!(full.with(own()).text(), r#"{"a":true,"ID":1}"#);
    }
}
