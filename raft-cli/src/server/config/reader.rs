//! Texts become values here, and whatever is wrong with one is kept, so that somebody who mends a
//! command line hears of all at once. It does not know what values mean together.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::duration;
use super::merged::{Merged, Origin, switch};
use super::nearest::suggestion;
use super::table::{self, Kind};
use super::url::Url;

/// Reads values of settings.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) merged: &'a Merged,
    pub(super) errors: Vec<String>,
    /// Settings that somebody is told about already.
    bad: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(merged: &'a Merged) -> Self {
        Self {
            merged,
            errors: Vec::new(),
            bad: BTreeSet::new(),
        }
    }

    /// Something is wrong with a setting.
    pub(super) fn refuse(&mut self, name: &str, what: impl AsRef<str>) {
        let called = self.merged.called(name);
        self.errors.push(format!("{called}: {}", what.as_ref()));
    }

    /// Whether all of these could be read, so that what they mean together can be looked at.
    pub(super) fn are_good(&self, names: &[&str]) -> bool {
        names.iter().all(|name| !self.bad.contains(name))
    }

    pub(super) fn text(&self, name: &'static str) -> Option<&'a str> {
        self.merged.get(name).map(|given| given.text.as_str())
    }

    pub(super) fn path(&self, name: &'static str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    pub(super) fn switch(&mut self, name: &'static str) -> bool {
        let text = self.text(name).unwrap_or("false");
        switch(text).unwrap_or_else(|| {
            self.bad(name, &format!("`{text}` is neither true nor false"));
            false
        })
    }

    /// A number within the bounds of its row; its least if it is none.
    pub(super) fn number(&mut self, name: &'static str) -> i64 {
        let (least, most) = match table::find(name).map(|setting| setting.kind) {
            Some(Kind::Number(least, most)) => (least, most),
            Some(_) | None => (i64::MIN, i64::MAX),
        };
        let text = self.text(name).unwrap_or("0");
        match text.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => return number,
            Ok(number) if number < least => {
                self.bad(name, &format!("{number} is too small: at least {least}"));
            }
            Ok(number) => self.bad(name, &format!("{number} is too large: at most {most}")),
            Err(_) => self.bad(name, &format!("`{text}` is not an integer")),
        }
        least
    }

    /// A number of things in memory.
    pub(super) fn size(&mut self, name: &'static str) -> usize {
        let number = self.number(name);
        usize::try_from(number).unwrap_or_else(|_| {
            self.bad(name, &format!("{number} is too large"));
            0
        })
    }

    pub(super) fn millis(&mut self, name: &'static str) -> Duration {
        let text = self.text(name).unwrap_or("0");
        let plain = text.parse::<u64>().ok().map(Duration::from_millis);
        plain.or_else(|| duration::parse(text)).unwrap_or_else(|| {
            self.bad(name, &format!("`{text}` is no number of milliseconds"));
            Duration::ZERO
        })
    }

    pub(super) fn duration(&mut self, name: &'static str) -> Duration {
        let text = self.text(name).unwrap_or("0");
        duration::parse(text).unwrap_or_else(|| {
            self.bad(
                name,
                &format!("`{text}` is no duration, as 5m, 1h30m or 90s"),
            );
            Duration::ZERO
        })
    }

    pub(super) fn choice(&mut self, name: &'static str) -> &'a str {
        let words: &[&str] = match table::find(name).map(|setting| setting.kind) {
            Some(Kind::Choice(words)) => words,
            Some(_) | None => &[],
        };
        let text = self.text(name).unwrap_or("");
        if !words.contains(&text) {
            let meant = suggestion(text, words.iter().copied());
            let words = words.join(", ");
            self.bad(name, &format!("`{text}` is none of {words}{meant}"));
        }
        text
    }

    pub(super) fn list(&self, name: &'static str) -> Vec<&'a str> {
        let parts = self.text(name).unwrap_or("").split(',').map(str::trim);
        parts.filter(|part| !part.is_empty()).collect()
    }

    pub(super) fn urls(&mut self, name: &'static str) -> Vec<Url> {
        let mut urls = Vec::new();
        for part in self.list(name) {
            match part.parse::<Url>() {
                Ok(url) => urls.push(url),
                Err(what) => self.bad(name, &what),
            }
        }
        urls
    }

    /// A single URL, where etcd would take several.
    pub(super) fn url(&mut self, name: &'static str) -> Option<Url> {
        let urls = self.urls(name);
        if urls.len() > 1 {
            let what = "one URL is supported: members speak over one connection each way; \
                to be reached over several networks, give a host name";
            self.bad(name, what);
        }
        urls.into_iter().next()
    }

    /// The value of a setting can't be read. If it follows from another's, that one can't be read
    /// either, and was written by somebody.
    pub(super) fn bad(&mut self, name: &'static str, what: &str) {
        let origin = self.merged.get(name).map(|given| &given.origin);
        if !matches!(origin, Some(Origin::FollowsFrom(_))) {
            self.refuse(name, what);
        }
        self.bad.insert(name);
    }
}
