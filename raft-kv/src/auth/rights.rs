//! What a user may do, from the permissions of all roles together. It does not know which roles.

use crate::engine::Span;
use crate::keys::Keys;

use super::permission::Permission;

/// What a user may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) reads: Stretches,
    pub(super) writes: Stretches,
}

impl Rights {
    pub(super) fn of<'a>(permissions: impl Iterator<Item = &'a Permission>) -> Self {
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for permission in permissions {
            let span = permission.keys.span();
            if permission.kind.reads() {
                reads.push(span.clone());
            }
            if permission.kind.writes() {
                writes.push(span);
            }
        }
        Self {
            reads: Stretches::of(reads),
            writes: Stretches::of(writes),
        }
    }
}

/// Keys, as few spans: sorted, and between any two lies a key that is in neither. So whatever spans
/// it was made of, what all of them cover together is covered by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretches(Vec<Span>);

impl Stretches {
    fn of(mut spans: Vec<Span>) -> Self {
        spans.retain(|span| !span.is_empty());
        spans.sort_unstable_by(|one, other| one.from.cmp(&other.from));
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if last.to.as_ref().is_none_or(|to| span.from <= *to) => {
                    if !ends_within(&span, last) {
                        last.to = span.to;
                    }
                }
                Some(_) | None => merged.push(span),
            }
        }
        Self(merged)
    }

    /// Whether all of these keys are among them. No key is empty, so what begins before the first
    /// key there can be begins with it. In a span that is empty, its first key must be.
    pub(super) fn cover(&self, keys: &Keys) -> bool {
        let mut span = keys.span();
        if span.from.is_empty() {
            span.from = FIRST_KEY.into();
        }
        let behind = self.0.partition_point(|one| one.from <= span.from);
        let before = behind.checked_sub(1).and_then(|at| self.0.get(at));
        before.is_some_and(|one| one.contains(&span.from) && ends_within(&span, one))
    }
}

/// No key is before it.
const FIRST_KEY: &[u8] = b"\0";

/// Whether it ends where the other one does, or before.
fn ends_within(span: &Span, other: &Span) -> bool {
    match (&span.to, &other.to) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(to), Some(limit)) => to <= limit,
    }
}
