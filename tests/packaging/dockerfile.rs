//! The Dockerfile, by rules of our own: an engine that could build it is not needed here.

use std::collections::BTreeSet;

use super::{command_line, packaging, read, root};

/// An instruction with its continued lines joined, comments gone.
struct Instruction {
    name: String,
    rest: String,
}

fn instructions(text: &str) -> Vec<Instruction> {
    let mut found = Vec::new();
    let mut joined = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            joined.push_str(part);
            continue;
        }
        joined.push_str(line);
        let (name, rest) = joined
            .split_once(' ')
            .unwrap_or_else(|| panic!("no instruction: {joined}"));
        found.push(Instruction {
            name: name.to_owned(),
            rest: rest.trim().to_owned(),
        });
        joined.clear();
    }
    assert!(joined.is_empty(), "the last line is continued: {joined}");
    found
}

/// What is wrong with a Dockerfile. `exists` knows the paths of the build's context.
fn offences(text: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let all = instructions(text);
    let mut found = Vec::new();
    let mut stages = BTreeSet::new();
    let mut user = None;
    for one in &all {
        let words: Vec<&str> = one.rest.split_whitespace().collect();
        match one.name.as_str() {
            "FROM" => {
                user = None;
                match words.as_slice() {
                    [image, "AS", stage] => {
                        found.extend(unpinned(image));
                        stages.insert((*stage).to_owned());
                    }
                    _ => found.push(format!("a stage without a name: {}", one.rest)),
                }
            }
            "USER" => user = Some(one.rest.clone()),
            "COPY" => found.extend(copies(&words, &stages, exists)),
            "RUN" if one.rest.contains("apt-get install") => found.extend(installs(&one.rest)),
            "ADD" => found.push("ADD fetches and unpacks unasked: COPY".to_owned()),
            "CMD" | "ENTRYPOINT" if !one.rest.starts_with('[') => {
                found.push(format!("{} by a shell gets no signals", one.name));
            }
            "ENV" | "RUN" | "WORKDIR" | "VOLUME" | "EXPOSE" | "HEALTHCHECK" | "STOPSIGNAL"
            | "CMD" | "ENTRYPOINT" => {}
            other => found.push(format!("{other} is not known here")),
        }
    }
    if all.iter().filter(|one| one.name == "FROM").count() < 2 {
        found.push("what compiles is shipped: two stages".to_owned());
    }
    match user.as_deref().and_then(|user| user.split(':').next()) {
        Some(id) if id.parse::<u32>().is_ok_and(|id| id > 0) => {}
        other => found.push(format!("the user is {other:?}, and no number above 0")),
    }
    for needed in ["HEALTHCHECK", "ENTRYPOINT", "CMD"] {
        if !all.iter().any(|one| one.name == needed) {
            found.push(format!("no {needed}"));
        }
    }
    found
}

fn unpinned(image: &str) -> Option<String> {
    let tag = image.split_once(':').map_or("", |(_, tag)| tag);
    let is_version = tag.starts_with(|c: char| c.is_ascii_digit()) && tag.contains('.');
    (!is_version).then(|| format!("{image} is not of a fixed version"))
}

fn copies(words: &[&str], stages: &BTreeSet<String>, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let (flags, paths): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| word.starts_with("--"));
    let from = flags.iter().find_map(|flag| flag.strip_prefix("--from="));
    let Some((_, sources)) = paths.split_last() else {
        return vec!["COPY of nothing".to_owned()];
    };
    match from {
        Some(stage) if !stages.contains(stage) => vec![format!("no stage {stage} so far")],
        Some(_) => Vec::new(),
        None => sources
            .iter()
            .filter(|path| !exists(path))
            .map(|path| format!("COPY {path}: not there"))
            .collect(),
    }
}

fn installs(command: &str) -> Option<String> {
    let needed = [
        "apt-get update",
        " -y",
        "--no-install-recommends",
        "rm -rf /var/lib/apt/lists",
    ];
    let missing: Vec<&str> = needed
        .into_iter()
        .filter(|part| !command.contains(part))
        .collect();
    (!missing.is_empty()).then(|| format!("apt-get without {}", missing.join(", ")))
}

fn dockerfile() -> String {
    read(&packaging().join("Dockerfile"))
}

#[test]
fn our_dockerfile_keeps_the_rules() {
    let found = offences(&dockerfile(), &|path| root().join(path).exists());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_rule_has_its_offender() {
    let good = "FROM a:1.2 AS build\nFROM b:3.4-slim AS run\nCOPY --from=build /x /y\nCOPY here /\n\
        HEALTHCHECK CMD [\"x\"]\nUSER 10:10\nENTRYPOINT [\"x\"]\nCMD [\"y\"]\n";
    let check = |from: &str, to: &str, expected: &str| {
        let text = good.replace(from, to);
        assert!(from == to || text != good, "{from} is not there");
        let found = offences(&text, &|path| path == "here");
        assert_eq!(found.join("\n"), expected, "{text}");
    };
    check("b:3.4-slim", "b:3.4-slim", "");
    check("a:1.2", "a", "a is not of a fixed version");
    check("a:1.2", "a:latest", "a:latest is not of a fixed version");
    check("a:1.2", "a:2", "a:2 is not of a fixed version");
    check(" AS run", "", "a stage without a name: b:3.4-slim");
    check("--from=build", "--from=other", "no stage other so far");
    check("COPY here", "COPY there", "COPY there: not there");
    check(
        "COPY here /",
        "ADD here /",
        "ADD fetches and unpacks unasked: COPY",
    );
    check("COPY here /", "FRIES 1", "FRIES is not known here");
    check("[\"y\"]", "y", "CMD by a shell gets no signals");
    let wrong = "the user is Some(\"0\"), and no number above 0";
    check("USER 10:10", "USER 0:10", wrong);
    let wrong = "the user is Some(\"raft\"), and no number above 0";
    check("USER 10:10", "USER raft", wrong);
    check(
        "USER 10:10\n",
        "",
        "the user is None, and no number above 0",
    );
    check("HEALTHCHECK CMD [\"x\"]\n", "", "no HEALTHCHECK");
    let install = "RUN apt-get update && apt-get install -y --no-install-recommends a";
    check(
        "COPY here /",
        install,
        "apt-get without rm -rf /var/lib/apt/lists",
    );
}

#[test]
fn it_compiles_with_the_compiler_of_the_workspace() {
    let toolchain: toml::Table = read(&root().join("rust-toolchain.toml")).parse().unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    for line in [
        format!("FROM rust:{channel}-"),
        format!("ENV RUSTUP_TOOLCHAIN={channel}\n"),
    ] {
        assert!(
            dockerfile().contains(&line),
            "not in the Dockerfile: {line}"
        );
    }
}

#[test]
fn it_installs_what_the_tests_install() {
    let tools = read(&root().join(".ci/tools"));
    let line = "gcc libc6-dev clang libclang-dev git make";
    assert!(tools.contains(line), ".ci/tools installs something else");
    assert!(dockerfile().contains(line), "not in the Dockerfile");
}

/// The words of `["a", "b"]`.
fn words(list: &str) -> Vec<String> {
    let start = list.find('[').expect("a list");
    serde_json::from_str(&list[start..]).unwrap_or_else(|error| panic!("{list}: {error}"))
}

#[test]
fn what_a_container_runs_is_understood() {
    let all = instructions(&dockerfile());
    let of = |name: &str| {
        let one = all.iter().find(|one| one.name == name);
        words(&one.unwrap_or_else(|| panic!("no {name}")).rest)
    };
    let mut server = of("ENTRYPOINT");
    server.extend(of("CMD"));
    command_line::check_server(&server, "ENTRYPOINT and CMD");
    command_line::check(&of("HEALTHCHECK"), "HEALTHCHECK");
    assert_eq!(of("HEALTHCHECK")[1..], ["endpoint", "health"]);
    let volume = &of("VOLUME")[0];
    assert!(server.contains(&format!("--data-dir={volume}")));
}

#[test]
fn the_examples_in_it_name_it() {
    let name = "docker build -f raft-cli/packaging/Dockerfile ";
    assert!(dockerfile().contains(name));
}
