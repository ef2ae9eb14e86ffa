//! Go's text templates, as far as our chart uses them: from a text to a tree. What is not known
//! here is refused, so a chart that uses more fails instead of being half understood.
//!
//! It evaluates nothing.

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Text(String),
    /// `{{ pipeline }}`
    Show(Pipeline),
    /// `{{ $name := pipeline }}`
    Let(String, Pipeline),
    /// `{{ if }} {{ else if }} {{ else }} {{ end }}`
    If(Vec<(Pipeline, Vec<Node>)>, Vec<Node>),
    /// `{{ with }} {{ end }}`: the value becomes the dot, if there is one.
    With(Pipeline, Vec<Node>),
    /// `{{ range $name := }} {{ end }}`; without a name the element becomes the dot.
    Range(Option<String>, Pipeline, Vec<Node>),
    /// `{{ define "name" }} {{ end }}`
    Define(String, Vec<Node>),
}

/// Calls, each given what the one before came to as its last argument.
pub(crate) type Pipeline = Vec<Vec<Operand>>;

/// The name of a function, or what it is given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Function(String),
    Text(String),
    Number(i64),
    /// `.` and the fields below it.
    Dot(Vec<String>),
    Variable(String),
    Group(Pipeline),
}

/// The tree of a template.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut parser = Parser {
        pieces: pieces(text)?.into_iter(),
    };
    let (nodes, end) = parser.body()?;
    match end {
        None => Ok(nodes),
        Some(end) => Err(format!("`{end}` ends nothing")),
    }
}

#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Action(String),
}

/// Cuts a text at its braces; `{{-` and `-}}` eat the white space beside them.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut eats = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, after) = after
            .split_once("}}")
            .ok_or_else(|| format!("never closed: {after:.40}"))?;
        let (eats_before, action) = trimmed(action.strip_prefix("- "), action);
        let (eats_after, action) = trimmed(action.strip_suffix(" -"), action);
        let before = if eats { before.trim_start() } else { before };
        let before = if eats_before {
            before.trim_end()
        } else {
            before
        };
        found.push(Piece::Text(before.to_owned()));
        let action = action.trim();
        if !(action.starts_with("/*") && action.ends_with("*/")) {
            found.push(Piece::Action(action.to_owned()));
        }
        (rest, eats) = (after, eats_after);
    }
    let rest = if eats { rest.trim_start() } else { rest };
    found.push(Piece::Text(rest.to_owned()));
    Ok(found)
}

fn trimmed<'a>(without: Option<&'a str>, with: &'a str) -> (bool, &'a str) {
    without.map_or((false, with), |without| (true, without))
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
}

impl Parser {
    /// Up to the `end` or `else` of this body, which is returned, or up to the end of the text.
    fn body(&mut self) -> Result<(Vec<Node>, Option<String>), String> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let action = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(action) => action,
            };
            let (word, rest) = action.split_once(' ').unwrap_or((&action, ""));
            nodes.push(match word {
                "end" | "else" => return Ok((nodes, Some(action))),
                "if" => self.choice(rest)?,
                "with" => Node::With(pipeline(rest)?, self.closed()?),
                "range" => {
                    let (name, list) = assignment(rest);
                    Node::Range(name, pipeline(list)?, self.closed()?)
                }
                "define" => match pipeline(rest)?.as_slice() {
                    [call] => match call.as_slice() {
                        [Operand::Text(name)] => Node::Define(name.clone(), self.closed()?),
                        other => return Err(format!("define what? {other:?}")),
                    },
                    other => return Err(format!("define what? {other:?}")),
                },
                _ => match assignment(&action) {
                    (Some(name), value) => Node::Let(name, pipeline(value)?),
                    (None, shown) => Node::Show(pipeline(shown)?),
                },
            });
        }
        Ok((nodes, None))
    }

    fn choice(&mut self, condition: &str) -> Result<Node, String> {
        let mut branches = Vec::new();
        let mut condition = condition.to_owned();
        loop {
            let (nodes, end) = self.body()?;
            branches.push((pipeline(&condition)?, nodes));
            match end.as_deref() {
                Some("end") => return Ok(Node::If(branches, Vec::new())),
                Some("else") => return Ok(Node::If(branches, self.closed()?)),
                Some(other) => match other.strip_prefix("else if ") {
                    Some(next) => next.clone_into(&mut condition),
                    None => return Err(format!("`{other}` in an if")),
                },
                None => return Err("an if has no end".to_owned()),
            }
        }
    }

    fn closed(&mut self) -> Result<Vec<Node>, String> {
        match self.body()? {
            (nodes, Some(end)) if end == "end" => Ok(nodes),
            (_, end) => Err(format!("`end` was expected, and not {end:?}")),
        }
    }
}

/// `$name := rest`, or no name.
fn assignment(text: &str) -> (Option<String>, &str) {
    match text.split_once(":=") {
        Some((name, rest)) if name.trim().starts_with('$') => {
            (Some(name.trim()[1..].to_owned()), rest)
        }
        Some(_) | None => (None, text),
    }
}

fn pipeline(text: &str) -> Result<Pipeline, String> {
    let mut rest = text.trim();
    let calls = calls(&mut rest)?;
    if rest.is_empty() {
        Ok(calls)
    } else {
        Err(format!("`{rest}` is left of `{text}`"))
    }
}

/// Reads calls up to the end or a closing parenthesis.
fn calls(rest: &mut &str) -> Result<Pipeline, String> {
    let mut calls = vec![Vec::new()];
    loop {
        *rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            break;
        };
        if first == ')' {
            break;
        }
        if first == '|' {
            *rest = &rest[1..];
            calls.push(Vec::new());
            continue;
        }
        let operand = operand(first, rest)?;
        calls
            .last_mut()
            .expect("there is one from the start")
            .push(operand);
    }
    if calls.iter().any(Vec::is_empty) {
        return Err("an empty call".to_owned());
    }
    Ok(calls)
}

fn operand(first: char, rest: &mut &str) -> Result<Operand, String> {
    if first == '(' {
        *rest = &rest[1..];
        let inner = calls(rest)?;
        *rest = rest.strip_prefix(')').ok_or("a parenthesis stays open")?;
        return Ok(Operand::Group(inner));
    }
    if first == '"' {
        let (text, after) = rest[1..].split_once('"').ok_or("a text stays open")?;
        if text.contains('\\') {
            return Err(format!("escapes are not known here: {text}"));
        }
        *rest = after;
        return Ok(Operand::Text(text.to_owned()));
    }
    let length = rest
        .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|' | '"'))
        .unwrap_or(rest.len());
    let (word, after) = rest.split_at(length);
    *rest = after;
    Ok(match first {
        '.' => Operand::Dot(
            word.split('.')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        '$' => Operand::Variable(word[1..].to_owned()),
        '0'..='9' => Operand::Number(word.parse().map_err(|_| format!("{word} is no number"))?),
        _ => Operand::Function(word.to_owned()),
    })
}

#[test]
fn what_is_no_template_is_refused() {
    let table = [
        "{{ if .a }}x",
        "{{ end }}",
        "{{ .a",
        "{{ (.a }}",
        "{{ \"a }}",
        "{{ .a | }}",
        "{{ with .a }}x{{ else }}y{{ end }}",
        "{{ define name }}x{{ end }}",
    ];
    for text in table {
        assert!(parse(text).is_err(), "{text}");
    }
}
