//! A call as its definition says it: between JSON and the protocol's bytes.
//!
//! As etcd's gateway has it: 64-bit numbers and bytes are strings, enums go by name, fields by the
//! names of the definition, and what has its default is left out. What comes may be written more
//! freely, and what is not known in it is ignored. It does not know how a call travels.

use std::fmt;

use axum::http::uri::PathAndQuery;
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};

use super::routes::{ENDED_BY_READER, Route};

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Method {
    /// Where gRPC finds it.
    pub(super) path: PathAndQuery,
    /// More than one request may come.
    pub(super) takes_many: bool,
    /// More than one answer may come.
    pub(super) gives_many: bool,
    /// The end of the requests is not the end of the call.
    pub(super) is_ended_by_reader: bool,
    input: MessageDescriptor,
    output: MessageDescriptor,
}

impl Method {
    /// The one behind a route; `None` if the definitions hold no such thing.
    pub(super) fn of(pool: &DescriptorPool, route: Route) -> Option<Self> {
        let (path, service, name) = route;
        let service = pool.get_service_by_name(service)?;
        let method = service.methods().find(|method| method.name() == name)?;
        let at = format!("/{}/{}", service.full_name(), method.name());
        Some(Self {
            path: at.parse().ok()?,
            takes_many: method.is_client_streaming(),
            gives_many: method.is_server_streaming(),
            is_ended_by_reader: ENDED_BY_READER.contains(&path),
            input: method.input(),
            output: method.output(),
        })
    }

    /// A request, as gRPC frames it. No bytes at all are a request without fields.
    pub(super) fn encode(&self, json: &[u8]) -> Result<Bytes, Malformed> {
        let mut message = DynamicMessage::new(self.input.clone());
        if !json.trim_ascii().is_empty() {
            let mut reader = serde_json::Deserializer::from_slice(json);
            let options = DeserializeOptions::new().deny_unknown_fields(false);
            message = DynamicMessage::deserialize_with_options(
                self.input.clone(),
                &mut reader,
                &options,
            )?;
            reader.end()?;
        }
        framed(&message)
    }

    /// An answer, as JSON.
    pub(super) fn decode(&self, message: Bytes) -> Result<Vec<u8>, Malformed> {
        let message = DynamicMessage::decode(self.output.clone(), message)
            .map_err(|error| Malformed(error.to_string()))?;
        let mut json = Vec::with_capacity(message.encoded_len() * 2);
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .skip_default_fields(true)
            .stringify_64_bit_integers(true);
        message.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)?;
        Ok(json)
    }
}

/// gRPC's frame: not compressed, so long, the message.
fn framed(message: &DynamicMessage) -> Result<Bytes, Malformed> {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(FRAME_HEADER + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).map_err(|_| Malformed("too long".to_owned()))?);
    message
        .encode(&mut frame)
        .map_err(|error| Malformed(error.to_string()))?;
    Ok(frame.freeze())
}

/// The bytes before each message of gRPC.
const FRAME_HEADER: usize = 5;

/// Takes the next message off what has come of an answer, if it is there as a whole.
pub(super) fn next_message(answer: &mut BytesMut) -> Option<Bytes> {
    let header = answer.get(..FRAME_HEADER)?;
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
    let end = FRAME_HEADER + usize::try_from(length).ok()?;
    if answer.len() < end {
        return None;
    }
    Some(answer.split_to(end).split_off(FRAME_HEADER).freeze())
}

/// What is no message, and why.
#[derive(Debug)]
pub(super) struct Malformed(pub(super) String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::routes::ROUTES;
    use super::*;
    use crate::pb::{DESCRIPTORS, etcdserverpb as pb, mvccpb};

    fn method(path: &str) -> Method {
        let pool = DescriptorPool::decode(DESCRIPTORS).expect("definitions");
        let route = ROUTES.iter().find(|(at, ..)| *at == path).expect("a route");
        Method::of(&pool, *route).expect("defined")
    }

    fn request<T: Message + Default>(path: &str, json: &str) -> T {
        let mut frame = BytesMut::from(&method(path).encode(json.as_bytes()).expect("encodes")[..]);
        T::decode(next_message(&mut frame).expect("a frame")).expect("decodes")
    }

    #[test]
    fn every_route_is_defined_and_every_definition_has_a_route() {
        let pool = DescriptorPool::decode(DESCRIPTORS).expect("definitions");
        let mut routed = Vec::new();
        for route in ROUTES {
            let method = Method::of(&pool, *route);
            routed.push(method.unwrap_or_else(|| panic!("{route:?}")).path);
        }
        for service in pool.services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                assert!(routed.iter().any(|at| *at == path), "{path}");
            }
        }
    }

    #[test]
    fn requests_may_be_written_in_each_way_that_json_allows() {
        let expected = pb::RangeRequest {
            key: Bytes::from_static(b"foo\xff"),
            limit: 3,
            sort_order: pb::range_request::SortOrder::Descend.into(),
            keys_only: true,
            ..pb::RangeRequest::default()
        };
        for json in [
            r#"{"key":"Zm9v/w==","limit":"3","sort_order":"DESCEND","keys_only":true}"#,
            r#"{"key":"Zm9v_w","limit":3,"sortOrder":2,"keysOnly":true}"#,
            r#" {"keysOnly":true,"key":"Zm9v/w","limit":3,"sort_order":"DESCEND","new":[1]} "#,
        ] {
            let read: pb::RangeRequest = request("/v3/kv/range", json);
            assert_eq!(read, expected, "{json}");
        }
        let nothing: pb::RangeRequest = request("/v3/kv/range", " \n");
        assert_eq!(nothing, pb::RangeRequest::default());
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_reason() {
        let check = |json: &str, expected: &str| {
            let error = method("/v3/kv/range").encode(json.as_bytes());
            let error = error.expect_err(json).to_string();
            assert!(error.contains(expected), "{json}: {error}");
        };
        check("{", "EOF");
        check("[]", "invalid type");
        check(r#"{"key":"%"}"#, "base64");
        check(r#"{"limit":"many"}"#, "invalid");
        check("{} {}", "trailing");
    }

    #[test]
    fn answers_are_written_as_etcds_gateway_does() {
        let answer = pb::RangeResponse {
            header: Some(pb::ResponseHeader {
                cluster_id: u64::MAX,
                revision: 7,
                ..pb::ResponseHeader::default()
            }),
            kvs: vec![mvccpb::KeyValue {
                key: Bytes::from_static(b"foo"),
                mod_revision: 7,
                ..mvccpb::KeyValue::default()
            }],
            count: 1,
            more: false,
        };
        let json = method("/v3/kv/range").decode(answer.encode_to_vec().into());
        let json: serde_json::Value = serde_json::from_slice(&json.expect("json")).expect("json");
        let expected = serde_json::json!({
            "header": {"cluster_id": "18446744073709551615", "revision": "7"},
            "kvs": [{"key": "Zm9v", "mod_revision": "7"}],
            "count": "1",
        });
        assert_eq!(json, expected);
        let alarms = pb::AlarmResponse {
            header: None,
            alarms: vec![pb::AlarmMember {
                member_id: 1,
                alarm: pb::AlarmType::Nospace.into(),
            }],
        };
        let json = method("/v3/maintenance/alarm").decode(alarms.encode_to_vec().into());
        assert_eq!(
            String::from_utf8(json.expect("json")).expect("text"),
            r#"{"alarms":[{"memberID":"1","alarm":"NOSPACE"}]}"#
        );
    }

    #[test]
    fn a_message_comes_off_an_answer_only_as_a_whole() {
        let frame = method("/v3/kv/range").encode(br#"{"key":"Zm9v"}"#);
        let frame = frame.expect("encodes");
        let twice = [&frame[..], &frame[..]].concat();
        for cut in 0..twice.len() {
            let mut answer = BytesMut::from(&twice[..cut]);
            let mut count = 0;
            while let Some(message) = next_message(&mut answer) {
                assert_eq!(message, frame[FRAME_HEADER..], "{cut} bytes");
                count += 1;
            }
            assert_eq!(count, cut / frame.len(), "{cut} bytes");
        }
    }
}
