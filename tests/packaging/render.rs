//! Renders templates: from trees and values to text. It knows nothing of charts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::functions;
use super::template::{Node, Operand, Pipeline, parse};

/// Templates by the names that `include` knows them by.
#[derive(Debug, Default)]
pub(crate) struct Renderer {
    named: BTreeMap<String, Vec<Node>>,
}

/// What names mean at some place in a template.
#[derive(Clone)]
struct Scope {
    dot: Value,
    variables: BTreeMap<String, Value>,
}

impl Renderer {
    /// Takes what a text defines, and nothing else of it.
    pub(crate) fn define(&mut self, text: &str) -> Result<(), String> {
        for node in parse(text)? {
            if let Node::Define(name, body) = node
                && self.named.insert(name.clone(), body).is_some()
            {
                return Err(format!("{name} is defined twice"));
            }
        }
        Ok(())
    }

    /// What a template comes to.
    pub(crate) fn render(&self, text: &str, dot: &Value) -> Result<String, String> {
        self.nodes(&parse(text)?, &mut Scope::new(dot))
    }

    fn nodes(&self, nodes: &[Node], scope: &mut Scope) -> Result<String, String> {
        let mut shown = String::new();
        for node in nodes {
            match node {
                Node::Text(text) => shown.push_str(text),
                Node::Show(pipeline) => {
                    shown.push_str(&functions::text(&self.value(pipeline, scope)?));
                }
                Node::Let(name, pipeline) => {
                    let value = self.value(pipeline, scope)?;
                    scope.variables.insert(name.clone(), value);
                }
                Node::If(branches, otherwise) => {
                    let chosen = self.chosen(branches, otherwise, scope)?;
                    shown.push_str(&self.nodes(chosen, &mut scope.clone())?);
                }
                Node::With(pipeline, body) => {
                    let value = self.value(pipeline, scope)?;
                    if functions::is_true(&value) {
                        shown.push_str(&self.nodes(body, &mut scope.below(value))?);
                    }
                }
                Node::Range(name, pipeline, body) => {
                    shown.push_str(&self.range(name.as_deref(), pipeline, body, scope)?);
                }
                Node::Define(..) => {}
            }
        }
        Ok(shown)
    }

    fn chosen<'a>(
        &self,
        branches: &'a [(Pipeline, Vec<Node>)],
        otherwise: &'a [Node],
        scope: &Scope,
    ) -> Result<&'a [Node], String> {
        for (condition, body) in branches {
            if functions::is_true(&self.value(condition, scope)?) {
                return Ok(body);
            }
        }
        Ok(otherwise)
    }

    fn range(
        &self,
        name: Option<&str>,
        list: &Pipeline,
        body: &[Node],
        scope: &Scope,
    ) -> Result<String, String> {
        let Value::Array(list) = self.value(list, scope)? else {
            return Err(format!("range over what is no list: {list:?}"));
        };
        let mut shown = String::new();
        for one in list {
            let mut inner = scope.below(one.clone());
            if let Some(name) = name {
                inner.variables.insert(name.to_owned(), one);
            }
            shown.push_str(&self.nodes(body, &mut inner)?);
        }
        Ok(shown)
    }

    fn value(&self, pipeline: &Pipeline, scope: &Scope) -> Result<Value, String> {
        let mut last: Option<Value> = None;
        for call in pipeline {
            let (first, rest) = call.split_first().ok_or("an empty call")?;
            let given: Result<Vec<Value>, String> =
                rest.iter().map(|one| self.operand(one, scope)).collect();
            let mut given = given?;
            given.extend(last.take());
            last = Some(match first {
                Operand::Function(name) if name == "include" => self.include(&given)?,
                Operand::Function(name) => functions::call(name, &given)?,
                Operand::Text(_)
                | Operand::Number(_)
                | Operand::Dot(_)
                | Operand::Variable(_)
                | Operand::Group(_) => {
                    if !given.is_empty() {
                        return Err(format!("{first:?} is no function"));
                    }
                    self.operand(first, scope)?
                }
            });
        }
        last.ok_or_else(|| "an empty pipeline".to_owned())
    }

    fn include(&self, given: &[Value]) -> Result<Value, String> {
        let [Value::String(name), dot] = given else {
            return Err(format!("include of {given:?}"));
        };
        let body = self
            .named
            .get(name)
            .ok_or_else(|| format!("nothing defines {name}"))?;
        self.nodes(body, &mut Scope::new(dot)).map(Value::from)
    }

    fn operand(&self, operand: &Operand, scope: &Scope) -> Result<Value, String> {
        match operand {
            Operand::Text(text) => Ok(Value::from(text.as_str())),
            Operand::Number(number) => Ok(Value::from(*number)),
            Operand::Group(pipeline) => self.value(pipeline, scope),
            Operand::Function(name) => functions::call(name, &[]),
            Operand::Variable(name) => scope
                .variables
                .get(name)
                .cloned()
                .ok_or_else(|| format!("no variable ${name}")),
            // Stricter than Helm: a value that `values.yaml` does not name is a slip of the pen.
            Operand::Dot(fields) => fields.iter().try_fold(scope.dot.clone(), |at, field| {
                at.get(field)
                    .cloned()
                    .ok_or_else(|| format!("no value .{}", fields.join(".")))
            }),
        }
    }
}

impl Scope {
    fn new(dot: &Value) -> Self {
        Self {
            dot: dot.clone(),
            variables: BTreeMap::new(),
        }
    }

    fn below(&self, dot: Value) -> Self {
        Self {
            dot,
            variables: self.variables.clone(),
        }
    }
}

#[test]
fn templates_come_to_what_go_makes_of_them() {
    let dot = serde_json::json!({
        "name": "x", "no": false, "none": "", "n": 3, "list": ["a", "b"],
        "map": {"b": {"c": 1}, "a": ["p", {"q": "r", "s": null}]},
    });
    let mut renderer = Renderer::default();
    let named = "{{ define \"hello\" }}hello {{ .name -}} {{ end }}";
    renderer.define(named).unwrap();
    let table = [
        ("a {{ .name }} b", "a x b"),
        ("a {{- .name -}} b", "axb"),
        ("a {{/* nothing */}} b", "a  b"),
        ("a\n{{- /* nothing */ -}}\n b", "ab"),
        ("{{ $a := .n }}{{ $a }}{{ $a }}", "33"),
        ("{{ if .no }}1{{ else if .name }}2{{ else }}3{{ end }}", "2"),
        ("{{ if or .no .none }}1{{ else }}3{{ end }}", "3"),
        ("{{ if and .name (eq .n 3) }}1{{ end }}", "1"),
        (
            "{{ with .name }}<{{ . }}>{{ end }}{{ with .none }}!{{ end }}",
            "<x>",
        ),
        ("{{ range .list }}[{{ . }}]{{ end }}", "[a][b]"),
        (
            "{{ range $i := until .n }}{{ if $i }},{{ end }}{{ $i }}{{ end }}",
            "0,1,2",
        ),
        ("{{ .none | default .name | quote }}", "\"x\""),
        ("{{ printf \"%s-%d\" .name .n | upper }}", "X-3"),
        ("{{ include \"hello\" . }}!", "hello x!"),
        ("{{ \"abc-d\" | trunc 4 | trimSuffix \"-\" }}", "abc"),
        ("{{ div (sub .n 1) 2 }}", "1"),
        (
            "a:{{ .list | toYaml | nindent 2 }}",
            "a:\n  - \"a\"\n  - \"b\"",
        ),
        (
            "{{ toYaml .map }}",
            "a: \n  - \"p\"\n  - q: \"r\"\n    s: null\nb: \n  c: 1",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(
            renderer.render(text, &dot).as_deref(),
            Ok(expected),
            "{text}"
        );
    }
    for text in [
        "{{ .names }}",
        "{{ frob .n }}",
        "{{ $b }}",
        "{{ include \"b\" . }}",
    ] {
        assert!(renderer.render(text, &dot).is_err(), "{text}");
    }
}
