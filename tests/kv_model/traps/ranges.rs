//! The options of a range, and what is not asked for but answered.

use bytes::Bytes;
use raft_kv::request::{Content, RangeRequest, RevisionRange, Sort, SortBy};
use raft_kv::{Command, Keys, Refusal, Revision};

use super::{Trial, at, delete, keys, put};

#[test]
fn an_end_of_one_zero_byte_means_all_from_the_key_on() {
    let trial = Trial::with(&["a=1", "a\0=1", "ab=1", "b=1", "\u{7f}=1"]);
    for (key, end, expected) in [
        ("ab", "\0", "ab b \\x7f"),
        ("\0", "\0", "a a\\x00 ab b \\x7f"),
        ("a", "", "a"),
        ("a", "b", "a a\\x00 ab"),
        ("a", "a\0", "a"),
        ("b", "a", ""),
        ("a", "a", ""),
        ("c", "", ""),
    ] {
        let asked = Keys::of(Bytes::from(key), Bytes::from(end));
        let found = trial.found(&RangeRequest::of(asked));
        assert_eq!(keys(&found), expected, "{key:?}..{end:?}");
        assert_eq!(found.count, found.kvs.len() as u64, "{key:?}..{end:?}");
    }
    let of_nothing = RangeRequest::of(Keys::of(Bytes::new(), Bytes::new()));
    assert_eq!(trial.range(&of_nothing), Err(Refusal::EmptyKey));
}

#[test]
fn the_prefix_of_the_greatest_byte_has_no_end() {
    let mut trial = Trial::with(&["a=1"]);
    for key in [&b"\xff"[..], b"\xff\xff", b"\xfe\xff"] {
        let mut request = put("a=1");
        request.key = Bytes::copy_from_slice(key);
        trial.done(&Command::Put(request));
    }
    let found = trial.found(&RangeRequest::of(Keys::prefix(&b"\xff"[..])));
    assert_eq!(keys(&found), "\\xff \\xff\\xff");
    let found = trial.found(&RangeRequest::of(Keys::prefix(&b"\xfe\xff"[..])));
    assert_eq!(keys(&found), "\\xfe\\xff");
}

#[test]
fn count_is_of_all_and_more_says_that_some_were_left_out() {
    let trial = Trial::with(&["a=1", "b=1", "c=1", "d=1", "b=2"]);
    let modified = RevisionRange {
        min: Revision(3),
        max: Revision(5),
    };
    let all = RevisionRange::default();
    let by_value = Some(Sort {
        by: SortBy::Value,
        is_descending: true,
    });
    for (limit, sort, modified, expected, more) in [
        (0, None, all, "a b c d", false),
        (3, None, all, "a b c", true),
        (4, None, all, "a b c d", false),
        (u64::MAX, None, all, "a b c d", false),
        (2, by_value, all, "b a", true),
        (0, None, modified, "c d", false),
        (1, None, modified, "c", true),
        (2, None, modified, "c d", false),
    ] {
        let request = RangeRequest {
            limit,
            sort,
            modified,
            ..RangeRequest::of(Keys::all())
        };
        let found = trial.found(&request);
        let (is, count) = (keys(&found), found.count);
        assert_eq!(
            (is.as_str(), count, found.more),
            (expected, 4, more),
            "{request:?}"
        );
    }
}

#[test]
fn what_sorts_alike_stays_in_the_order_of_the_keys() {
    // Versions: a 1, b 2, c 1, d 2. Mod revisions: a 2, c 4, b 6, d 7.
    let trial = Trial::with(&["a=2", "b=9", "c=1", "d=9", "b=1", "d=2"]);
    for (by, up, down) in [
        (SortBy::Key, "a b c d", "d c b a"),
        (SortBy::Version, "a c b d", "b d a c"),
        (SortBy::Create, "a b c d", "d c b a"),
        (SortBy::Mod, "a c b d", "d b c a"),
        (SortBy::Value, "b c a d", "a d b c"),
    ] {
        for (is_descending, expected) in [(false, up), (true, down)] {
            let request = RangeRequest {
                sort: Some(Sort { by, is_descending }),
                ..RangeRequest::of(Keys::all())
            };
            assert_eq!(
                keys(&trial.found(&request)),
                expected,
                "{by:?}, {is_descending}"
            );
        }
    }
}

#[test]
fn keys_only_lacks_the_value_alone_and_may_be_sorted_by_it() {
    let trial = Trial::with(&["a=2", "b=1", "b=1"]);
    let request = RangeRequest {
        content: Content::KeysOnly,
        sort: Some(Sort {
            by: SortBy::Value,
            is_descending: false,
        }),
        ..RangeRequest::of(Keys::all())
    };
    let found = trial.found(&request);
    assert_eq!(keys(&found), "b a");
    let mut full = trial.all().kvs;
    full.reverse();
    for (kv, mut full) in found.kvs.into_iter().zip(full) {
        full.value = Bytes::new();
        assert_eq!(kv, full);
    }
}

#[test]
fn count_only_counts_at_any_revision() {
    let mut trial = Trial::with(&["a=1", "b=1", "c=1"]);
    trial.done(&Command::Delete(delete(Keys::from("b"))));
    for (revision, keys, count) in [
        (0, Keys::all(), 1),
        (4, Keys::all(), 3),
        (4, Keys::from("b"), 2),
        (3, Keys::one("c"), 0),
        (1, Keys::all(), 0),
    ] {
        let request = RangeRequest {
            content: Content::CountOnly,
            limit: 1,
            ..at(revision, keys)
        };
        let found = trial.found(&request);
        assert_eq!((found.count, found.more), (count, false), "{request:?}");
        assert!(found.kvs.is_empty(), "{request:?}");
    }
}

#[test]
fn bounds_of_revisions_include_both_ends_and_0_is_no_bound() {
    // Created: a 2, b 3, c 4. Put: a 5, b 3, c 4.
    let trial = Trial::with(&["a=1", "b=1", "c=1", "a=2"]);
    for (modified, created, expected) in [
        ((0, 0), (0, 0), "a b c"),
        ((4, 0), (0, 0), "a c"),
        ((0, 4), (0, 0), "b c"),
        ((4, 4), (0, 0), "c"),
        ((0, 0), (3, 0), "b c"),
        ((0, 0), (0, 2), "a"),
        ((5, 0), (0, 2), "a"),
        ((0, 4), (0, 2), ""),
        ((6, 0), (0, 0), ""),
        ((5, 4), (0, 0), ""),
    ] {
        let bounds = |(min, max)| RevisionRange {
            min: Revision(min),
            max: Revision(max),
        };
        let request = RangeRequest {
            modified: bounds(modified),
            created: bounds(created),
            ..RangeRequest::of(Keys::all())
        };
        let found = trial.found(&request);
        assert_eq!(
            (keys(&found).as_str(), found.count),
            (expected, 3),
            "{request:?}"
        );
    }
}
