//! How users, roles and permissions are printed.

use prost::Message;

use super::Printer;
use super::text::Text;
use crate::client::range::{FROM_KEY, prefix_end};
use crate::exit::Exit;
use crate::pb::authpb::Permission;
use crate::pb::authpb::permission::Type;
use crate::pb::etcdserverpb::{
    AuthRoleGetResponse, AuthRoleListResponse, AuthStatusResponse, AuthUserGetResponse,
    AuthUserListResponse, ResponseHeader,
};

/// The role that may do everything.
const ROOT: &str = "root";

impl Printer {
    /// An answer that only says that something was done: `line` says so to people.
    pub(crate) fn done(
        &mut self,
        name: &str,
        answer: &impl Message,
        header: Option<&ResponseHeader>,
        line: &[u8],
    ) -> Result<(), Exit> {
        self.show(
            name,
            answer,
            |text| text.line(line),
            |text| text.header(header),
        )
    }

    pub(crate) fn auth_status(&mut self, answer: &AuthStatusResponse) -> Result<(), Exit> {
        self.show(
            "etcdserverpb.AuthStatusResponse",
            answer,
            |text| {
                text.line(format!("Authentication Status: {}", answer.enabled));
                text.line(format!("AuthRevision: {}", answer.auth_revision));
            },
            |text| {
                text.header(answer.header.as_ref());
                text.field("Enabled", answer.enabled);
                text.field("AuthRevision", answer.auth_revision);
            },
        )
    }

    pub(crate) fn user(&mut self, name: &str, answer: &AuthUserGetResponse) -> Result<(), Exit> {
        self.show(
            "etcdserverpb.AuthUserGetResponse",
            answer,
            |text| {
                text.line(format!("User: {name}"));
                let roles = answer.roles.iter().map(|role| format!(" {role}"));
                text.line(format!("Roles:{}", roles.collect::<String>()));
            },
            |text| names(text, answer.header.as_ref(), "Roles", &answer.roles),
        )
    }

    pub(crate) fn users(&mut self, answer: &AuthUserListResponse) -> Result<(), Exit> {
        self.show(
            "etcdserverpb.AuthUserListResponse",
            answer,
            |text| answer.users.iter().for_each(|user| text.line(user)),
            |text| names(text, answer.header.as_ref(), "Users", &answer.users),
        )
    }

    pub(crate) fn role(&mut self, name: &str, answer: &AuthRoleGetResponse) -> Result<(), Exit> {
        self.show(
            "etcdserverpb.AuthRoleGetResponse",
            answer,
            |text| simple_role(text, name, &answer.perm),
            |text| {
                text.header(answer.header.as_ref());
                for permission in &answer.perm {
                    // The second space is etcdctl's.
                    text.field(
                        "PermType",
                        format_args!(" {}", type_of(permission).as_str_name()),
                    );
                    text.quoted("Key", &permission.key);
                    text.quoted("RangeEnd", &permission.range_end);
                }
            },
        )
    }

    pub(crate) fn roles(&mut self, answer: &AuthRoleListResponse) -> Result<(), Exit> {
        self.show(
            "etcdserverpb.AuthRoleListResponse",
            answer,
            |text| answer.roles.iter().for_each(|role| text.line(role)),
            |text| names(text, answer.header.as_ref(), "Roles", &answer.roles),
        )
    }
}

fn names(text: &mut Text, header: Option<&ResponseHeader>, what: &str, names: &[String]) {
    text.header(header);
    let quoted = names.iter().map(|name| super::quoted(name.as_bytes()));
    let quoted: Vec<_> = quoted.collect();
    let line = format!("\"{what}\" : {}", quoted.join(" "));
    text.line(line.trim_end());
}

/// An unknown type permits nothing; it is printed as the least that there is.
fn type_of(permission: &Permission) -> Type {
    Type::try_from(permission.perm_type).unwrap_or(Type::Read)
}

fn simple_role(text: &mut Text, name: &str, permissions: &[Permission]) {
    text.line(format!("Role {name}"));
    if name == ROOT && permissions.is_empty() {
        for what in ["Read", "Write"] {
            text.line(format!("KV {what}:"));
            text.line("\t[, <open ended>");
        }
        return;
    }
    text.line("KV Read:");
    for permission in permissions {
        match type_of(permission) {
            Type::Read | Type::Readwrite => text.line(range(permission)),
            Type::Write => {}
        }
    }
    text.line("KV Write:");
    for permission in permissions {
        match type_of(permission) {
            Type::Write | Type::Readwrite => text.line(range(permission)),
            Type::Read => {}
        }
    }
}

/// Keys may be any bytes.
fn range(permission: &Permission) -> Vec<u8> {
    let (key, end) = (&permission.key, &permission.range_end);
    if end.is_empty() {
        return [b"\t", key.as_ref()].concat();
    }
    let mut line = interval(key, end);
    line.insert(0, b'\t');
    if !key.is_empty() && prefix_end(key) == *end {
        line.extend_from_slice(&[b" (prefix ", key.as_ref(), b")"].concat());
    }
    line
}

/// `[key, end)`, as etcdctl has it where there is no end.
pub(crate) fn interval(key: &[u8], end: &[u8]) -> Vec<u8> {
    if end == FROM_KEY {
        [b"[", key, b", <open ended>"].concat()
    } else {
        [b"[", key, b", ", end, b")"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_printed_as_keys_ranges_and_prefixes() {
        let permission = |perm_type, key: &'static [u8], end: &'static [u8]| Permission {
            perm_type,
            key: key.into(),
            range_end: end.into(),
        };
        let permissions = [
            permission(Type::Read as i32, b"a", b""),
            permission(Type::Write as i32, b"b", b"d"),
            permission(Type::Readwrite as i32, b"p/", b"p0"),
            permission(Type::Readwrite as i32, b"z", b"\0"),
        ];
        let mut text = Text::new(false);
        simple_role(&mut text, "r", &permissions);
        let expected = "Role r\nKV Read:\n\ta\n\t[p/, p0) (prefix p/)\n\t[z, <open ended>\n\
             KV Write:\n\t[b, d)\n\t[p/, p0) (prefix p/)\n\t[z, <open ended>\n";
        assert_eq!(String::from_utf8_lossy(text.bytes()), expected);
    }
}
