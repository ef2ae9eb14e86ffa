//! Strings as Go quotes them, and back; bytes as etcdctl's `--hex` shows them. It does not know
//! where they stand.

use std::fmt::Write;

/// `bytes` in double quotes, so that they are all printable: what is no UTF-8 as `\xff`.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_quoted(&mut text, c);
        }
        for byte in chunk.invalid() {
            push_hex(&mut text, *byte);
        }
    }
    text.push('"');
    text
}

fn push_quoted(text: &mut String, c: char) {
    match c {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\'' => text.push('\''),
        '\x07' => text.push_str("\\a"),
        '\x08' => text.push_str("\\b"),
        '\x0c' => text.push_str("\\f"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\x0b' => text.push_str("\\v"),
        '\0'..='\x1f' | '\x7f' => push_hex(text, c as u8),
        // A single space is the only one that counts as printable; `escape_debug` knows the rest.
        _ if c.is_whitespace() && c != ' ' || c.escape_debug().len() > 1 => {
            let code = u32::from(c);
            if code < 0x1_0000 {
                push(text, format_args!("\\u{code:04x}"));
            } else {
                push(text, format_args!("\\U{code:08x}"));
            }
        }
        _ => text.push(c),
    }
}

fn push_hex(text: &mut String, byte: u8) {
    push(text, format_args!("\\x{byte:02x}"));
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what)
        .expect("writing into a String does not fail");
}

/// Each byte as `\x61`.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        push_hex(&mut text, *byte);
    }
    text
}

/// What `text` begins with, if that is a string in double quotes or backquotes: its bytes, and
/// what follows.
pub(crate) fn unquoted(text: &str) -> Option<(Vec<u8>, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        let (raw, rest) = raw.split_once('`')?;
        return Some((raw.as_bytes().to_vec(), rest));
    }
    let mut rest = text.strip_prefix('"')?;
    let mut bytes = Vec::new();
    loop {
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Some((bytes, rest)),
            '\\' => rest = unescape(rest, &mut bytes)?,
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// What follows a backslash; returns what follows that.
fn unescape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let c = text.chars().next()?;
    let rest = &text[c.len_utf8()..];
    let byte = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' | '"' => u8::try_from(c).ok()?,
        'x' => {
            bytes.push(u8::try_from(number(rest, 2, 16)?).ok()?);
            return Some(&rest[2..]);
        }
        '0'..='7' => {
            bytes.push(u8::try_from(number(text, 3, 8)?).ok()?);
            return Some(&text[3..]);
        }
        'u' | 'U' => {
            let digits = if c == 'u' { 4 } else { 8 };
            let c = char::from_u32(number(rest, digits, 16)?)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(&rest[digits..]);
        }
        _ => return None,
    };
    bytes.push(byte);
    Some(rest)
}

fn number(text: &str, digits: usize, radix: u32) -> Option<u32> {
    let text = text.get(..digits)?;
    // `from_str_radix` would take a sign.
    if !text.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(quoted(bytes), expected);
            assert_eq!(unquoted(expected), Some((bytes.to_vec(), "")), "{expected}");
        };
        check(b"", r#""""#);
        check(b"a'b", r#""a'b""#);
        check(b"a\"b\\", r#""a\"b\\""#);
        check(b"\0\x1f\x7f\n\t\x07", r#""\x00\x1f\x7f\n\t\a""#);
        check("ü€😀".as_bytes(), "\"ü€😀\"");
        check(b"\xff\xfea", r#""\xff\xfea""#);
        check("\u{a0}\u{200b}".as_bytes(), r#""\u00a0\u200b""#);
        check(b" ", r#"" ""#);
    }

    #[test]
    fn only_whole_strings_are_unquoted() {
        let check = |text: &str, expected: Option<(&[u8], &str)>| {
            let read = unquoted(text);
            let read = read.as_ref().map(|(bytes, rest)| (bytes.as_slice(), *rest));
            assert_eq!(read, expected, "{text}");
        };
        check(r#""a") = "b""#, Some((b"a", r#") = "b""#)));
        check(r#""\101\u00fc""#, Some(("Aü".as_bytes(), "")));
        check("`a\\n`", Some((b"a\\n", "")));
        check("\"a", None);
        check("a", None);
        check(r#""\q""#, None);
        check(r#""\x+1""#, None);
        check(r#""\400""#, None);
        check("", None);
    }

    #[test]
    fn bytes_are_shown_as_hexadecimal_numbers() {
        assert_eq!(escaped(b"a\0"), r"\x61\x00");
    }
}
