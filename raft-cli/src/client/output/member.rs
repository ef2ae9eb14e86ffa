//! How membership is printed.

use super::json::Json;
use super::table::Rows;
use super::text::Text;
use super::{Format, Printer, quoted};
use crate::exit::Exit;
use crate::pb::etcdserverpb::{
    Member, MemberAddResponse, MemberListResponse, MemberPromoteResponse, MemberRemoveResponse,
    MemberUpdateResponse, ResponseHeader,
};

impl Printer {
    pub(crate) fn members(&mut self, answer: &MemberListResponse) -> Result<(), Exit> {
        if self.format == Format::Table {
            return self.line(&rows(answer).table());
        }
        if self.format == Format::Json && self.is_hex {
            return self.line(hex_json(answer).text());
        }
        self.show(
            "etcdserverpb.MemberListResponse",
            answer,
            |text| {
                for line in rows(answer).lines() {
                    text.line(line);
                }
            },
            |text| {
                text.header(answer.header.as_ref());
                for member in &answer.members {
                    member_fields(text, member);
                }
            },
        )
    }

    /// `name` and `urls` are the newcomer's; what it is to be started with follows.
    pub(crate) fn member_added(
        &mut self,
        (name, urls): (&str, &str),
        answer: &MemberAddResponse,
    ) -> Result<(), Exit> {
        let member = answer.member.clone().unwrap_or_default();
        let header = answer.header.unwrap_or_default();
        self.show(
            "etcdserverpb.MemberAddResponse",
            answer,
            |text| {
                let learner = if member.is_learner {
                    " as learner "
                } else {
                    " "
                };
                let (id, cluster) = (member.id, header.cluster_id);
                text.line(format!(
                    "Member {id:16x} added{learner}to cluster {cluster:16x}"
                ));
                text.line("");
                for (variable, value) in environment(name, urls, answer) {
                    text.line(format!("{variable}={}", quoted(value.as_bytes())));
                }
            },
            |text| {
                text.header(Some(&header));
                member_fields(text, &member);
            },
        )
    }

    pub(crate) fn member_removed(
        &mut self,
        id: u64,
        answer: &MemberRemoveResponse,
    ) -> Result<(), Exit> {
        let header = answer.header.unwrap_or_default();
        self.show(
            "etcdserverpb.MemberRemoveResponse",
            answer,
            |text| changed(text, id, "removed from", &header),
            |text| text.header(Some(&header)),
        )
    }

    pub(crate) fn member_updated(
        &mut self,
        id: u64,
        answer: &MemberUpdateResponse,
    ) -> Result<(), Exit> {
        let header = answer.header.unwrap_or_default();
        self.show(
            "etcdserverpb.MemberUpdateResponse",
            answer,
            |text| changed(text, id, "updated in", &header),
            |text| text.header(Some(&header)),
        )
    }

    pub(crate) fn member_promoted(
        &mut self,
        id: u64,
        answer: &MemberPromoteResponse,
    ) -> Result<(), Exit> {
        let header = answer.header.unwrap_or_default();
        self.show(
            "etcdserverpb.MemberPromoteResponse",
            answer,
            |text| changed(text, id, "promoted in", &header),
            |text| text.header(Some(&header)),
        )
    }
}

fn changed(text: &mut Text, id: u64, how: &str, header: &ResponseHeader) {
    let cluster = header.cluster_id;
    text.line(format!("Member {id:16x} {how} cluster {cluster:16x}"));
}

fn rows(answer: &MemberListResponse) -> Rows {
    let row = |member: &Member| {
        // A member that has never started has not told its name yet.
        let status = if member.name.is_empty() {
            "unstarted"
        } else {
            "started"
        };
        vec![
            format!("{:x}", member.id),
            status.to_owned(),
            member.name.clone(),
            member.peer_ur_ls.join(","),
            member.client_ur_ls.join(","),
            member.is_learner.to_string(),
        ]
    };
    Rows {
        header: &[
            "ID",
            "Status",
            "Name",
            "Peer Addrs",
            "Client Addrs",
            "Is Learner",
        ],
        rows: answer.members.iter().map(row).collect(),
    }
}

fn member_fields(text: &mut Text, member: &Member) {
    text.id("ID", member.id);
    text.quoted("Name", &member.name);
    for url in &member.peer_ur_ls {
        text.quoted("PeerURL", url);
    }
    for url in &member.client_ur_ls {
        text.quoted("ClientURL", url);
    }
    text.field("IsLearner", member.is_learner);
    text.line("");
}

/// What the new member's environment has to say.
fn environment(name: &str, urls: &str, answer: &MemberAddResponse) -> [(&'static str, String); 4] {
    let newcomer = answer.member.as_ref().map(|member| member.id);
    let mut cluster = Vec::new();
    for member in &answer.members {
        let name = if Some(member.id) == newcomer {
            name
        } else {
            &member.name
        };
        for url in &member.peer_ur_ls {
            cluster.push(format!("{name}={url}"));
        }
    }
    [
        ("ETCD_NAME", name.to_owned()),
        ("ETCD_INITIAL_CLUSTER", cluster.join(",")),
        ("ETCD_INITIAL_ADVERTISE_PEER_URLS", urls.to_owned()),
        ("ETCD_INITIAL_CLUSTER_STATE", "existing".to_owned()),
    ]
}

/// With ids as people know them from elsewhere.
fn hex_json(answer: &MemberListResponse) -> Json {
    let id = |id: u64| Json::string(&format!("{id:x}"));
    let strings = |texts: &[String]| {
        Json::list_or_null(texts.iter().map(|text| Json::string(text)).collect())
    };
    let header = answer.header.unwrap_or_default();
    let header = Json::members(vec![
        ("cluster_id", id(header.cluster_id)),
        ("member_id", id(header.member_id)),
        ("raft_term", Json::number(header.raft_term)),
    ]);
    let member = |member: &Member| {
        Json::members(vec![
            ("ID", id(member.id)),
            ("name", Json::string(&member.name)),
            ("peerURLs", strings(&member.peer_ur_ls)),
            ("clientURLs", strings(&member.client_ur_ls)),
        ])
    };
    let members = answer.members.iter().map(member).collect();
    Json::members(vec![("header", header), ("members", Json::list(members))])
}
