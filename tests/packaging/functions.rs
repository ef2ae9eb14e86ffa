//! The functions of Helm's templates that our chart uses. They know nothing of templates.

use serde_json::Value;

/// What a function comes to.
pub(crate) fn call(name: &str, given: &[Value]) -> Result<Value, String> {
    let wrong = || format!("{name} of {given:?}");
    match (name, given) {
        ("int" | "int64", [one]) => integer(one).map(Value::from),
        ("quote", [one]) => Ok(Value::from(format!("{:?}", text(one)))),
        ("upper", [one]) => Ok(Value::from(text(one).to_uppercase())),
        ("toYaml", [one]) => Ok(Value::from(to_yaml(one, 0).trim_matches('\n'))),
        ("until", [one]) => Ok((0..integer(one)?).map(Value::from).collect()),
        ("default", [other, one]) => Ok(if is_true(one) { one } else { other }.clone()),
        ("contains", [part, all]) => Ok(Value::from(text(all).contains(&text(part)))),
        ("eq", [a, b]) => Ok(Value::from(a == b)),
        ("lt", [a, b]) => Ok(Value::from(integer(a)? < integer(b)?)),
        ("gt", [a, b]) => Ok(Value::from(integer(a)? > integer(b)?)),
        ("sub", [a, b]) => Ok(Value::from(integer(a)? - integer(b)?)),
        ("div", [a, b]) => {
            let quotient = integer(a)?.checked_div(integer(b)?);
            quotient.map(Value::from).ok_or_else(wrong)
        }
        ("trunc", [length, one]) => {
            let length = usize::try_from(integer(length)?).map_err(|_| wrong())?;
            Ok(text(one).chars().take(length).collect::<String>().into())
        }
        ("trimSuffix", [suffix, one]) => {
            let one = text(one);
            Ok(Value::from(one.strip_suffix(&text(suffix)).unwrap_or(&one)))
        }
        ("nindent", [columns, one]) => {
            let columns = usize::try_from(integer(columns)?).map_err(|_| wrong())?;
            let indent = format!("\n{}", " ".repeat(columns));
            Ok(Value::from(format!(
                "{indent}{}",
                text(one).replace('\n', &indent)
            )))
        }
        ("printf", [Value::String(format), rest @ ..]) => printf(format, rest).map(Value::from),
        ("and", [.., last]) => {
            let first_false = given.iter().find(|one| !is_true(one));
            Ok(first_false.unwrap_or(last).clone())
        }
        ("or", [.., last]) => {
            let first_true = given.iter().find(|one| is_true(one));
            Ok(first_true.unwrap_or(last).clone())
        }
        _ => Err(format!("unknown, or wrongly called: {}", wrong())),
    }
}

/// What counts as true: all but nothing, no, zero and the empty.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(one) => *one,
        Value::Number(one) => one.as_f64() != Some(0.0),
        Value::String(one) => !one.is_empty(),
        Value::Array(parts) => !parts.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// A value as it is shown.
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn integer(value: &Value) -> Result<i64, String> {
    let wrong = || format!("{value} is no integer");
    match value {
        Value::Number(one) => one.as_i64().ok_or_else(wrong),
        Value::String(one) => one.parse().map_err(|_| wrong()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(wrong()),
    }
}

fn printf(format: &str, given: &[Value]) -> Result<String, String> {
    let mut parts = format.split('%');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    let mut given = given.iter();
    for part in parts {
        let one = given
            .next()
            .ok_or_else(|| format!("{format} wants more values"))?;
        let rest = match (part.chars().next(), one) {
            (Some('s'), Value::String(_)) | (Some('d'), Value::Number(_)) => &part[1..],
            _ => return Err(format!("%{part} of {one}")),
        };
        shown.push_str(&text(one));
        shown.push_str(rest);
    }
    match given.next() {
        None => Ok(shown),
        Some(one) => Err(format!("{format} leaves {one}")),
    }
}

fn to_yaml(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => fields
            .iter()
            .map(|(key, one)| format!("\n{indent}{key}: {}", to_yaml(one, depth + 1)))
            .collect(),
        Value::Array(parts) if !parts.is_empty() => parts
            .iter()
            .map(|one| {
                let one = to_yaml(one, depth + 1);
                // A map's first field stands behind the dash.
                format!("\n{indent}- {}", one.trim_start())
            })
            .collect(),
        // JSON is YAML.
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => value.to_string(),
    }
}
