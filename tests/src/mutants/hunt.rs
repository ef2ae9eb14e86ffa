//! Hunts mutants: builds the woven workspace, then runs layer after layer with one mutant on, until
//! one of them notices.
//!
//! It knows the layers only as programs that fail. First of all they run without any mutant: a
//! layer that fails then would kill everything and prove nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::catalogue::Mutant;

/// A layer that takes longer than this with a mutant on hangs; without one it would not.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is run against each mutant, in this order.
#[derive(Clone, Debug)]
pub struct Hunt {
    root: PathBuf,
    simulate: PathBuf,
    tests: Vec<(String, PathBuf)>,
    seeds: u64,
}

/// Who noticed a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The layer.
    pub layer: String,
    /// How many seeds the simulator took, if it was the simulator.
    pub seeds: Option<u64>,
    /// What it said.
    pub said: String,
}

impl Hunt {
    /// Builds the woven workspace at `root`.
    ///
    /// # Errors
    /// When it does not compile: a mutant is not Rust.
    pub fn build(root: &Path, target: &Path, seeds: u64) -> Result<Self> {
        cargo(
            root,
            target,
            &[
                "build",
                "--release",
                "-p",
                "raft-tests",
                "--bin",
                "simulate",
            ],
        )?;
        let mut wanted = vec!["test", "--release", "--no-run", "-p", "raft-core", "--lib"];
        let core = executables(&cargo(root, target, &wanted)?)?;
        wanted.truncate(3);
        wanted.extend(["-p", "raft-tests", "--test", "paper", "--test", "scenarios"]);
        wanted.extend(["--test", "transcripts", "--test", "crash_points"]);
        let mut tests = core;
        tests.extend(executables(&cargo(root, target, &wanted)?)?);
        let simulate = target.join("release").join("simulate");
        ensure!(simulate.exists(), "no {}", simulate.display());
        Ok(Self {
            root: root.to_owned(),
            simulate,
            tests,
            seeds,
        })
    }

    /// Runs every layer without a mutant.
    ///
    /// # Errors
    /// When one fails.
    pub fn control(&self) -> Result<()> {
        if let Some(seed) = self.simulate(0)? {
            bail!("without a mutant the simulator fails: {}", seed.said);
        }
        for layer in 0..self.tests.len() {
            if let Some(kill) = self.test(0, layer)? {
                bail!("without a mutant {} fails: {}", kill.layer, kill.said);
            }
        }
        Ok(())
    }

    /// The first layer that notices the mutant; `None` if it survives all of them.
    ///
    /// # Errors
    /// When a layer can't be run.
    pub fn hunt(&self, mutant: &Mutant) -> Result<Option<Kill>> {
        if let Some(kill) = self.simulate(mutant.number)? {
            return Ok(Some(kill));
        }
        for layer in 0..self.tests.len() {
            if let Some(kill) = self.test(mutant.number, layer)? {
                return Ok(Some(kill));
            }
        }
        Ok(None)
    }

    fn simulate(&self, mutant: u32) -> Result<Option<Kill>> {
        let mut command = Command::new(&self.simulate);
        command.args([
            "--jobs",
            "1",
            "--json",
            "--first",
            "--seeds",
            &self.seeds.to_string(),
        ]);
        let run = self.run(command, mutant)?;
        let json = run.json();
        let seeds = json.as_ref().and_then(|json| json.get("seeds")?.as_u64());
        let said = json
            .as_ref()
            .and_then(violation)
            .unwrap_or_else(|| run.last_line());
        Ok((!run.passed()).then(|| Kill {
            layer: "simulation".to_owned(),
            seeds,
            said,
        }))
    }

    fn test(&self, mutant: u32, layer: usize) -> Result<Option<Kill>> {
        let (name, program) = &self.tests[layer];
        let mut command = Command::new(program);
        command.args(["-q", "--test-threads", "2"]);
        let run = self.run(command, mutant)?;
        let said = run.failed_tests();
        Ok((!run.passed()).then(|| Kill {
            layer: name.clone(),
            seeds: None,
            said,
        }))
    }

    fn run(&self, mut command: Command, mutant: u32) -> Result<Run> {
        let folder = self.root.join("output");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{mutant}.txt"));
        let output = std::fs::File::create(&path)?;
        command
            .env("RAFT_MUTANT", mutant.to_string())
            .env("RUST_BACKTRACE", "0");
        command
            .current_dir(self.root.join("tests"))
            .stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if began.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Ok(Run {
            status,
            text: String::from_utf8_lossy(&std::fs::read(&path)?).into_owned(),
        })
    }
}

/// What a layer did.
struct Run {
    /// `None` if it had to be ended.
    status: Option<ExitStatus>,
    text: String,
}

impl Run {
    fn passed(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    fn json(&self) -> Option<serde_json::Value> {
        self.text
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok())
    }

    fn last_line(&self) -> String {
        match self.status {
            None => format!("still running after {} s", PATIENCE.as_secs()),
            Some(_) => self.text.lines().last().unwrap_or_default().to_owned(),
        }
    }

    /// The names of the tests that failed, as the test harness lists them at the end.
    fn failed_tests(&self) -> String {
        let list = self.text.rsplit("failures:\n").next().unwrap_or_default();
        let names: Vec<&str> = list
            .lines()
            .take_while(|line| line.starts_with("    "))
            .map(str::trim)
            .collect();
        if names.is_empty() {
            self.last_line()
        } else {
            names.join(", ")
        }
    }
}

/// The first violation in the simulator's answer.
fn violation(json: &serde_json::Value) -> Option<String> {
    let violation = json.pointer("/violations/0")?;
    let invariant = violation.get("invariant")?.as_str()?;
    let detail = violation.get("detail")?.as_str()?.lines().next()?;
    Some(format!(
        "{invariant}: {}",
        detail.chars().take(90).collect::<String>()
    ))
}

fn cargo(root: &Path, target: &Path, arguments: &[&str]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .env("CARGO_TARGET_DIR", target)
        .env_remove("RUSTFLAGS");
    command
        .args(arguments)
        .args(["--message-format", "json-render-diagnostics"]);
    let output = command.stdin(Stdio::null()).output().context("cargo")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "cargo {}:\n{errors}",
        arguments.join(" ")
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The test programs among cargo's messages, by the name of what they test.
fn executables(messages: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        let test = message.pointer("/profile/test") == Some(&serde_json::Value::Bool(true));
        let path = message.get("executable").and_then(|path| path.as_str());
        let name = message
            .pointer("/target/name")
            .and_then(|name| name.as_str());
        if let (true, Some(path), Some(name)) = (test, path, name) {
            let name = if name == "raft_core" {
                "unit tests"
            } else {
                name
            };
            found.push((name.to_owned(), PathBuf::from(path)));
        }
    }
    ensure!(!found.is_empty(), "cargo built no tests");
    Ok(found)
}
