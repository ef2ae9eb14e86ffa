//! How leases are printed. Their answers are structs of etcd's client, with JSON of its own.

use prost::Message;

use super::json::{self, Json};
use super::text::Text;
use super::{Format, Printer, unsupported};
use crate::exit::Exit;
use crate::pb::etcdserverpb::{
    LeaseGrantResponse, LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeResponse,
    LeaseTimeToLiveResponse, ResponseHeader,
};

impl Printer {
    pub(crate) fn granted(&mut self, answer: &LeaseGrantResponse) -> Result<(), Exit> {
        let members = vec![
            ("ID", Json::number(answer.id)),
            ("TTL", Json::number(answer.ttl)),
            ("Error", Json::string(&answer.error)),
        ];
        let (id, ttl) = (answer.id, answer.ttl);
        self.lease(
            answer,
            (answer.header.as_ref(), members),
            |text| text.line(format!("lease {id:016x} granted with TTL({ttl}s)")),
            |text| {
                text.lease("ID", id);
                text.field("TTL", ttl);
            },
        )
    }

    pub(crate) fn revoked(&mut self, id: i64, answer: &LeaseRevokeResponse) -> Result<(), Exit> {
        self.show(
            "etcdserverpb.LeaseRevokeResponse",
            answer,
            |text| text.line(format!("lease {id:016x} revoked")),
            |text| text.header(answer.header.as_ref()),
        )
    }

    pub(crate) fn kept_alive(&mut self, answer: &LeaseKeepAliveResponse) -> Result<(), Exit> {
        let (id, ttl) = (answer.id, answer.ttl);
        let members = vec![("ID", Json::number(id)), ("TTL", Json::number(ttl))];
        self.lease(
            answer,
            (answer.header.as_ref(), members),
            |text| text.line(format!("lease {id:016x} keepalived with TTL({ttl})")),
            |text| {
                text.lease("ID", id);
                text.field("TTL", ttl);
            },
        )
    }

    /// `has_keys` when keys were asked for.
    pub(crate) fn time_to_live(
        &mut self,
        answer: &LeaseTimeToLiveResponse,
        has_keys: bool,
    ) -> Result<(), Exit> {
        let keys = answer.keys.iter().map(|key| Json::bytes(key)).collect();
        let members = vec![
            ("id", Json::number(answer.id)),
            ("ttl", Json::number(answer.ttl)),
            ("granted-ttl", Json::number(answer.granted_ttl)),
            ("keys", Json::list_or_null(keys)),
        ];
        self.lease(
            answer,
            (answer.header.as_ref(), members),
            |text| simple_time_to_live(text, answer, has_keys),
            |text| {
                text.lease("ID", answer.id);
                text.field("TTL", answer.ttl);
                text.field("GrantedTTL", answer.granted_ttl);
                for key in &answer.keys {
                    text.quoted("Key", key);
                }
            },
        )
    }

    pub(crate) fn leases(&mut self, answer: &LeaseLeasesResponse) -> Result<(), Exit> {
        let ids = answer.leases.iter().map(|lease| lease.id);
        let items = ids.clone();
        let items = items.map(|id| Json::members(vec![("id", Json::number(id))]));
        let members = vec![("leases", Json::list(items.collect()))];
        self.lease(
            answer,
            (answer.header.as_ref(), members),
            |text| {
                text.line(format!("found {} leases", answer.leases.len()));
                for id in ids.clone() {
                    text.line(format!("{id:016x}"));
                }
            },
            |text| {
                for id in ids.clone() {
                    text.lease("ID", id);
                }
            },
        )
    }

    /// The header is a nameless part of these structs.
    fn lease(
        &mut self,
        answer: &impl Message,
        (header, members): (Option<&ResponseHeader>, Vec<(&str, Json)>),
        simple: impl FnOnce(&mut Text),
        fields: impl FnOnce(&mut Text),
    ) -> Result<(), Exit> {
        match self.format {
            Format::Simple => self.text(simple),
            Format::Fields => self.text(|text| {
                text.header(header);
                fields(text);
            }),
            Format::Json => {
                let header = header.copied().unwrap_or_default();
                let header = json::object("etcdserverpb.ResponseHeader", &header)?;
                self.line(header.with(members).text())
            }
            Format::Protobuf => self.protobuf(answer),
            Format::Table => Err(unsupported("table")),
        }
    }
}

fn simple_time_to_live(text: &mut Text, answer: &LeaseTimeToLiveResponse, has_keys: bool) {
    let (id, ttl, granted) = (answer.id, answer.ttl, answer.granted_ttl);
    if granted == 0 && ttl == -1 {
        text.line(format!("lease {id:016x} already expired"));
        return;
    }
    let mut line =
        format!("lease {id:016x} granted with TTL({granted}s), remaining({ttl}s)").into_bytes();
    if has_keys {
        line.extend_from_slice(b", attached keys([");
        line.extend_from_slice(&answer.keys.join(&b' '));
        line.extend_from_slice(b"])");
    }
    text.line(line);
}
