//! A line as arguments, the way etcdctl splits what is typed at its transactions and watches. It
//! does not know what they mean.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::output::unquoted;

/// The words of `line`: separated by spaces; in double quotes with Go's escapes, or in single
/// quotes as they are.
///
/// # Errors
/// When what is quoted makes no sense.
pub(crate) fn words(line: &str) -> Result<Vec<OsString>, String> {
    let mut rest = line.trim_start();
    let mut words = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (word, tail) = match first {
            '"' => unquoted(rest).ok_or_else(|| format!("bad quotes in `{line}`"))?,
            '\'' => {
                let quoted = rest[1..].split_once('\'');
                let (word, tail) = quoted.ok_or_else(|| format!("bad quotes in `{line}`"))?;
                (word.as_bytes().to_vec(), tail)
            }
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest.as_bytes()[..end].to_vec(), &rest[end..])
            }
        };
        words.push(OsString::from_vec(word));
        rest = tail.trim_start();
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_at_spaces_outside_of_quotes() {
        let check = |line: &str, expected: Option<&[&str]>| {
            let read = words(line).ok();
            let expected: Option<Vec<OsString>> =
                expected.map(|words| words.iter().map(OsString::from).collect());
            assert_eq!(read, expected, "{line}");
        };
        check("", Some(&[]));
        check("put a b", Some(&["put", "a", "b"]));
        check("  put   a ", Some(&["put", "a"]));
        check(r#"put "a b" 'c "d"'"#, Some(&["put", "a b", r#"c "d""#]));
        check(r#"put "a\n\x62" """#, Some(&["put", "a\nb", ""]));
        check("put a=\"b\"", Some(&["put", "a=\"b\""]));
        check("put \"a", None);
        check("put 'a", None);
    }
}
