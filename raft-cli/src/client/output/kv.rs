//! How keys, values and events are printed.

use super::json::{self, Json};
use super::text::{Pairs, Text};
use super::{Format, Printer, unsupported};
use crate::exit::Exit;
use crate::pb::etcdserverpb::response_op::Response;
use crate::pb::etcdserverpb::{
    DeleteRangeResponse, PutResponse, RangeResponse, TxnResponse, WatchResponse,
};
use crate::pb::mvccpb::Event;
use crate::pb::mvccpb::event::EventType;

impl Printer {
    pub(crate) fn put(&mut self, answer: &PutResponse) -> Result<(), Exit> {
        self.show(
            "etcdserverpb.PutResponse",
            answer,
            |text| simple_put(text, answer),
            |text| put_fields(text, answer),
        )
    }

    pub(crate) fn get(&mut self, answer: &RangeResponse) -> Result<(), Exit> {
        let pairs = if self.is_value_only {
            Pairs::Values
        } else {
            Pairs::Whole
        };
        self.show(
            "etcdserverpb.RangeResponse",
            answer,
            |text| simple_get(text, answer, pairs),
            |text| get_fields(text, answer),
        )
    }

    pub(crate) fn del(&mut self, answer: &DeleteRangeResponse) -> Result<(), Exit> {
        self.show(
            "etcdserverpb.DeleteRangeResponse",
            answer,
            |text| simple_del(text, answer),
            |text| del_fields(text, answer),
        )
    }

    pub(crate) fn txn(&mut self, answer: &TxnResponse) -> Result<(), Exit> {
        self.show(
            "etcdserverpb.TxnResponse",
            answer,
            |text| simple_txn(text, answer),
            |text| txn_fields(text, answer),
        )
    }

    /// Events; also what else a watch hears, if it is one that carries events.
    pub(crate) fn watch(&mut self, answer: &WatchResponse) -> Result<(), Exit> {
        match self.format {
            Format::Simple => self.text(|text| {
                for event in &answer.events {
                    simple_event(text, event);
                }
            }),
            Format::Fields => self.text(|text| {
                text.header(answer.header.as_ref());
                for event in &answer.events {
                    event_fields(text, event);
                }
            }),
            Format::Json => {
                let json = watch_json(answer)?;
                self.line(json.text())
            }
            Format::Protobuf => self.protobuf(answer),
            Format::Table => Err(unsupported("table")),
        }
    }
}

fn simple_put(text: &mut Text, answer: &PutResponse) {
    text.line("OK");
    if let Some(pair) = &answer.prev_kv {
        text.pair(pair, Pairs::Whole);
    }
}

fn simple_get(text: &mut Text, answer: &RangeResponse, pairs: Pairs) {
    for pair in &answer.kvs {
        text.pair(pair, pairs);
    }
}

fn simple_del(text: &mut Text, answer: &DeleteRangeResponse) {
    text.line(answer.deleted.to_string());
    for pair in &answer.prev_kvs {
        text.pair(pair, Pairs::Whole);
    }
}

fn simple_txn(text: &mut Text, answer: &TxnResponse) {
    text.line(if answer.succeeded {
        "SUCCESS"
    } else {
        "FAILURE"
    });
    for operation in &answer.responses {
        text.line("");
        match &operation.response {
            Some(Response::ResponseRange(answer)) => simple_get(text, answer, Pairs::Whole),
            Some(Response::ResponsePut(answer)) => simple_put(text, answer),
            Some(Response::ResponseDeleteRange(answer)) => simple_del(text, answer),
            Some(Response::ResponseTxn(answer)) => simple_txn(text, answer),
            None => {}
        }
    }
}

fn simple_event(text: &mut Text, event: &Event) {
    text.line(type_of(event));
    for pair in event.prev_kv.iter().chain(&event.kv) {
        text.pair(pair, Pairs::Whole);
    }
}

/// `PUT` or `DELETE`.
pub(crate) fn type_of(event: &Event) -> &'static str {
    EventType::try_from(event.r#type).map_or("UNKNOWN", |kind| kind.as_str_name())
}

fn put_fields(text: &mut Text, answer: &PutResponse) {
    text.header(answer.header.as_ref());
    if let Some(pair) = &answer.prev_kv {
        text.pair_fields("Prev", pair);
    }
}

fn get_fields(text: &mut Text, answer: &RangeResponse) {
    text.header(answer.header.as_ref());
    for pair in &answer.kvs {
        text.pair_fields("", pair);
    }
    text.field("More", answer.more);
    text.field("Count", answer.count);
}

fn del_fields(text: &mut Text, answer: &DeleteRangeResponse) {
    text.header(answer.header.as_ref());
    text.field("Deleted", answer.deleted);
    for pair in &answer.prev_kvs {
        text.pair_fields("Prev", pair);
    }
}

fn txn_fields(text: &mut Text, answer: &TxnResponse) {
    text.header(answer.header.as_ref());
    text.field("Succeeded", answer.succeeded);
    for operation in &answer.responses {
        match &operation.response {
            Some(Response::ResponseRange(answer)) => get_fields(text, answer),
            Some(Response::ResponsePut(answer)) => put_fields(text, answer),
            Some(Response::ResponseDeleteRange(answer)) => del_fields(text, answer),
            Some(Response::ResponseTxn(answer)) => txn_fields(text, answer),
            None => {}
        }
    }
}

fn event_fields(text: &mut Text, event: &Event) {
    text.field("Type", type_of(event));
    if let Some(pair) = &event.prev_kv {
        text.pair_fields("Prev", pair);
    }
    if let Some(pair) = &event.kv {
        text.pair_fields("", pair);
    }
}

/// etcd's client has a struct of its own for it, whose fields have no other names for JSON.
fn watch_json(answer: &WatchResponse) -> Result<Json, Exit> {
    let header = answer.header.unwrap_or_default();
    let events: Result<Vec<Json>, Exit> = answer
        .events
        .iter()
        .map(|event| json::object("mvccpb.Event", event))
        .collect();
    Ok(Json::members(vec![
        (
            "Header",
            json::object("etcdserverpb.ResponseHeader", &header)?,
        ),
        ("Events", Json::list(events?)),
        ("CompactRevision", Json::number(answer.compact_revision)),
        ("Canceled", Json::bool(answer.canceled)),
        ("Created", Json::bool(answer.created)),
    ]))
}
