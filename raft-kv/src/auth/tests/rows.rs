//! Users and roles in their rows.

use raft_core::Index;

use super::*;
use crate::auth::is_auth_key;
use crate::engine::{self, Batch, Engine, Family, MemoryEngine};

#[test]
fn users_and_roles_come_back_from_their_rows() {
    let engine = MemoryEngine::new();
    let mut auth = Auth::default();
    let keys = Keys::between("a", "b");
    for (index, command) in (1..).zip([
        user_add(ROOT),
        user_grant(ROOT, ROOT),
        user_add("ann"),
        role_add("reader"),
        role_grant("reader", keys, PermissionKind::ReadWrite),
        user_grant("ann", "reader"),
        enable(),
        AuthCommand::RoleDelete {
            name: "reader".to_owned(),
        },
    ]) {
        let rows = auth.change(&command).expect("it is allowed");
        let rows = rows.iter().map(|row| (row.key(), auth.row(row)));
        let mut rows: Vec<_> = rows.collect();
        rows.sort();
        assert!(rows.iter().all(|(key, _)| is_auth_key(key)));
        let mut batch = Batch::new(Index(index));
        batch.changes.push((Family::Meta, rows));
        engine.write(batch).expect("written");
        let loaded = engine::read(&engine, Auth::load).expect("its rows");
        assert_eq!(loaded, auth, "{command:?}");
    }
}

#[test]
fn rows_that_are_none_are_damage() {
    for (key, row) in [
        ("auth/state", ""),
        ("auth/state", "\u{2}"),
        ("auth/user/ann", "\u{1}"),
        ("auth/role/reader", "\u{1}\u{9}"),
        ("auth/other", "\u{1}"),
    ] {
        let engine = MemoryEngine::new();
        let mut batch = Batch::new(Index(1));
        let change = (Bytes::from(key), Some(Bytes::from(row)));
        batch.changes.push((Family::Meta, vec![change]));
        engine.write(batch).expect("written");
        let loaded = engine::read(&engine, Auth::load);
        assert!(loaded.is_err(), "{row:?} under {key}");
    }
}
