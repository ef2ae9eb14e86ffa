//! A Rust file as the rules see it: its text, and the same text with comments and literals blanked.
//!
//! It deliberately is no parser: it knows where literals and braces end, and nothing of grammar.

use std::ops::Range;

/// What a file is for, which decides the limits that bind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of a crate that users build.
    Shipped,
    /// A program or library of `raft-tests`.
    TestProgram,
    /// Tests, benchmarks and examples.
    Test,
}

/// One Rust file.
pub(crate) struct Source {
    /// Relative to the root, with `/` between the parts.
    pub(crate) path: String,
    pub(crate) text: String,
    /// `text`, line for line, with the inside of comments and literals replaced by spaces.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code: blank(text),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        let mut parts = self.path.split('/');
        let test_part = |part| matches!(part, "tests" | "tests.rs" | "benches" | "examples");
        if self.path.starts_with("tests/src/") {
            Kind::TestProgram
        } else if parts.any(test_part) {
            Kind::Test
        } else {
            Kind::Shipped
        }
    }

    /// Line number of a byte offset of `code`, counted from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        1 + self.code[..offset].matches('\n').count()
    }

    /// Offsets where `words` stand alone in the code, not as a part of longer identifiers.
    pub(crate) fn find(&self, words: &str) -> Vec<usize> {
        let starts = words.starts_with(is_identifier);
        let ends = words.ends_with(is_identifier);
        let alone = |&(at, _): &(usize, &str)| {
            !(starts && self.code[..at].ends_with(is_identifier)
                || ends && self.code[at + words.len()..].starts_with(is_identifier))
        };
        self.code
            .match_indices(words)
            .filter(alone)
            .map(|(at, _)| at)
            .collect()
    }

    /// Code that exists only in tests: the items under `#[cfg(test)]` and `#[test]`.
    pub(crate) fn test_items(&self) -> Vec<Range<usize>> {
        let mut items = Vec::new();
        for attribute in ["#[cfg(test)]", "#[test]"] {
            for start in self.find(attribute) {
                if let Some(open) = self.body(start + attribute.len()) {
                    items.push(start..self.block_end(open));
                }
            }
        }
        items
    }

    /// Every function that has a body: its name and the span from `fn` to the closing brace.
    pub(crate) fn functions(&self) -> Vec<(String, Range<usize>)> {
        let mut functions = Vec::new();
        for start in self.find("fn") {
            let after = self.code[start + 2..].trim_start();
            let name: String = after.chars().take_while(|&c| is_identifier(c)).collect();
            // A pointer type such as `fn(u8) -> u8` has no name.
            if name.is_empty() {
                continue;
            }
            if let Some(open) = self.body(start) {
                functions.push((name, start..self.block_end(open)));
            }
        }
        functions
    }

    /// The opening brace of the item that begins at `start`; none if a semicolon ends it first.
    fn body(&self, start: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (at, byte) in self.code.bytes().enumerate().skip(start) {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                b'{' if depth == 0 => return Some(at),
                b';' if depth == 0 => return None,
                _ => {}
            }
        }
        None
    }

    /// One past the brace that closes the one at `open`; the end of the file if none does.
    fn block_end(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (at, byte) in self.code.bytes().enumerate().skip(open) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at + 1;
            }
        }
        self.code.len()
    }
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Replaces comments and literals by spaces and keeps every line break.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        if let Some(end) = opaque_end(&chars, at) {
            code.extend(
                chars[at..end]
                    .iter()
                    .map(|&c| if c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        } else {
            code.push(chars[at]);
            at += 1;
        }
    }
    code
}

/// Where the comment or literal that begins at `at` ends, if one does begin there.
fn opaque_end(chars: &[char], at: usize) -> Option<usize> {
    let peek = |ahead: usize| chars.get(at + ahead).copied();
    match (chars[at], peek(1)) {
        ('/', Some('/')) => {
            let length = chars[at..].iter().position(|&c| c == '\n');
            Some(length.map_or(chars.len(), |length| at + length))
        }
        ('/', Some('*')) => Some(comment_end(chars, at)),
        ('"', _) => Some(quoted_end(chars, at)),
        ('r', Some('"' | '#')) if starts_raw(chars, at) => raw_end(chars, at),
        ('\'', Some('\\')) => Some(quoted_end(chars, at)),
        // Anything else with an apostrophe is a lifetime.
        ('\'', Some(_)) if peek(2) == Some('\'') => Some(at + 3),
        _ => None,
    }
}

/// Block comments nest.
fn comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            c if c == chars[start] => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// An `r` begins a raw string unless it ends an identifier; `br` and `cr` are prefixes too.
fn starts_raw(chars: &[char], at: usize) -> bool {
    let before = &chars[..at];
    let prefix = before.ends_with(&['b']) || before.ends_with(&['c']);
    let rest = if prefix { &before[..at - 1] } else { before };
    !rest.last().is_some_and(|&c| is_identifier(c))
}

/// None for a raw identifier such as `r#type`.
fn raw_end(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |at: &usize| {
        chars[*at] == '"' && chars[at + 1..].iter().take_while(|&&c| c == '#').count() >= hashes
    };
    Some(
        (open + 1..chars.len())
            .find(closes)
            .map_or(chars.len(), |at| at + 1 + hashes),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let table = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("x(\"}\\\"{\", y)", "x(      , y)"),
            ("r#\"a\"b\"# c", "         c"),
            ("br\"a\" c", "b     c"),
            ("r#type 'a' '\\'' 'a: &'a u8", "r#type          'a: &'a u8"),
            ("\"two\nlines\" x", "    \n       x"),
            ("\"never closed", "             "),
        ];
        for (text, expected) in table {
            assert_eq!(blank(text), expected, "blanking {text:?}");
        }
    }

    #[test]
    fn words_are_found_only_whole_and_only_in_code() {
        let source = Source::new(
            "a.rs",
            "rand::x(); // rand::y\nbrand::z(); Instantly; Instant",
        );
        assert_eq!(source.find("rand::"), [0]);
        assert_eq!(source.find("Instant").len(), 1);
        assert_eq!(source.line(source.find("Instant")[0]), 2);
    }

    #[test]
    fn functions_span_from_keyword_to_brace() {
        let text = "fn a(x: [u8; 2]) {\n    if x { \"}\" }\n}\n\
            trait T {\n    fn b();\n}\ntype F = fn(u8);";
        let source = Source::new("a.rs", text);
        let functions = source.functions();
        assert_eq!(functions.len(), 1);
        assert_eq!(functions[0].0, "a");
        assert_eq!(source.line(functions[0].1.end - 1), 3);
    }

    #[test]
    fn test_items_cover_their_blocks() {
        let source = Source::new(
            "a.rs",
            "#[cfg(test)]\nmod tests {\n}\n#[cfg(test)]\nmod more;\n",
        );
        let lines: Vec<usize> = source
            .test_items()
            .iter()
            .map(|item| source.line(item.end))
            .collect();
        assert_eq!(lines, [3]);
    }

    #[test]
    fn the_path_tells_the_kind() {
        let table = [
            ("raft-core/src/lib.rs", Kind::Shipped),
            ("raft-core/src/sim/tests.rs", Kind::Test),
            ("raft-core/benches/consensus.rs", Kind::Test),
            ("tests/tidy.rs", Kind::Test),
            ("tests/src/bin/simulate.rs", Kind::TestProgram),
        ];
        for (path, kind) in table {
            assert_eq!(Source::new(path, "").kind(), kind, "the kind of {path}");
        }
    }
}
