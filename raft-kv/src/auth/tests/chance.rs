//! Random roles and keys, against a user who walks through every permission for every key.

use raft_core::sim::rng::Rng;

use super::*;

/// All keys there are here: what is cut by their bytes is cut between them.
const KEYS: [&str; 7] = ["\0", "a", "a\0", "ab", "b", "c", "c\0"];

fn keys(dice: &mut Rng) -> Keys {
    let mut key = || KEYS[dice.place(KEYS.len())];
    let (one, other) = (key(), key());
    match dice.below(5) {
        0 | 1 => Keys::one(one),
        2 => Keys::from(one),
        _ => Keys::between(one.min(other), one.max(other)),
    }
}

#[test]
fn rights_are_what_permissions_allow_key_by_key() {
    for seed in 0..300 {
        let mut dice = Rng::new(seed);
        let mut auth = enabled();
        let mut granted: Vec<(Keys, PermissionKind)> = Vec::new();
        for _ in 0..dice.below(8) {
            let keys = keys(&mut dice);
            let kind = [
                PermissionKind::Read,
                PermissionKind::Write,
                PermissionKind::ReadWrite,
            ][dice.place(3)];
            let command = role_grant("reader", keys.clone(), kind);
            if auth.change(&command).is_ok() {
                granted.retain(|(known, _)| *known != keys);
                granted.push((keys, kind));
            }
        }
        if dice.below(3) == 0 && !granted.is_empty() {
            let (keys, _) = granted.swap_remove(dice.place(granted.len()));
            let name = "reader".to_owned();
            auth.change(&AuthCommand::RoleRevokePermission { name, keys })
                .expect("it was granted");
        }
        for _ in 0..20 {
            let keys = keys(&mut dice);
            compare(seed, &auth, &granted, &keys);
        }
    }
}

fn compare(seed: u64, auth: &Auth, granted: &[(Keys, PermissionKind)], keys: &Keys) {
    let what = format!("seed {seed}: {keys:?} of {granted:?}");
    let is_allowed = |allows: fn(PermissionKind) -> bool| {
        let is_some = |key: &&&str| keys.contains(key.as_bytes());
        KEYS.iter().filter(is_some).all(|key| {
            granted
                .iter()
                .any(|(of, kind)| allows(*kind) && of.contains(key.as_bytes()))
        })
    };
    // Who may do something with all keys of a span may do it with those between ours as well; so
    // what is allowed is allowed key by key, and for one key the other way round, too.
    for (found, allows) in [
        (
            auth.may_read("ann", keys),
            PermissionKind::reads as fn(_) -> _,
        ),
        (auth.may_write("ann", keys), PermissionKind::writes),
    ] {
        if found.is_ok() {
            assert!(is_allowed(allows), "{what}");
        } else if matches!(keys, Keys::One(_)) {
            assert!(!is_allowed(allows), "{what}");
        }
    }
}

#[test]
fn permissions_that_touch_allow_what_lies_across_them() {
    let across = |pieces: &[(&'static str, &'static str)], from: &'static str, to: &'static str| {
        let mut auth = enabled();
        for (from, to) in pieces {
            let keys = Keys::between(*from, *to);
            auth.change(&role_grant("reader", keys, PermissionKind::Read))
                .expect("a permission");
        }
        auth.may_read("ann", &Keys::between(from, to)).is_ok()
    };
    for (pieces, from, to, expected) in [
        (&[("a", "c"), ("c", "e")][..], "b", "d", true),
        (&[("c", "e"), ("a", "d")], "a", "e", true),
        (&[("a", "c"), ("c\0", "e")], "b", "d", false),
        (&[("a", "z"), ("b", "c")], "b", "y", true),
        (&[("a", "c")], "a", "c\0", false),
        (&[("a", "c")], "\0", "b", false),
        (&[], "a", "b", false),
    ] {
        assert_eq!(across(pieces, from, to), expected, "{pieces:?} {from} {to}");
    }
}

#[test]
fn a_permission_without_an_end_covers_what_has_none() {
    let mut auth = enabled();
    auth.change(&role_grant("reader", Keys::from("b"), PermissionKind::Read))
        .expect("a permission");
    for (keys, is_allowed) in [
        (Keys::from("b"), true),
        (Keys::from("c"), true),
        (Keys::from("a"), false),
        (Keys::all(), false),
        (Keys::between("b", "zz"), true),
    ] {
        assert_eq!(auth.may_read("ann", &keys).is_ok(), is_allowed, "{keys:?}");
    }
    auth.change(&role_grant(
        "reader",
        Keys::from("\0"),
        PermissionKind::Read,
    ))
    .expect("a permission");
    assert_eq!(auth.may_read("ann", &Keys::all()), Ok(()));
}
