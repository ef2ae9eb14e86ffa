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

/// What is run against each mutant.
#[derive(Clone, Debug)]
pub struct Hunt {
    root: PathBuf,
    simulate: PathBuf,
    seeds: u64,
    /// For mutants of the core, in this order, after the simulator.
    core: Vec<Layer>,
    /// For mutants of the driver.
    driver: Vec<Layer>,
    /// For mutants of the key-value machine.
    kv: Vec<Layer>,
    /// For mutants of the log, the cheapest first once they ran without one.
    log: Vec<Layer>,
}

/// A test program.
#[derive(Clone, Debug)]
struct Layer {
    name: String,
    program: PathBuf,
    /// The one test in it that is run; all of them if there is none.
    only: Option<String>,
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
        let test = |which: &[&str]| {
            let wanted = [&["test", "--release", "--no-run", "-p"], which].concat();
            executables(&cargo(root, target, &wanted)?)
        };
        let mut core = test(&["raft-core", "--lib"])?;
        let mut driver = core.clone();
        let mut log = test(&["raft-log", "--lib", "--test", "conformance"])?;
        let mut kv = test(&["raft-kv", "--no-default-features", "--lib"])?;
        let mut wanted = vec!["raft-tests", "--test", "paper", "--test", "scenarios"];
        wanted.extend(["--test", "transcripts", "--test", "crash_points"]);
        wanted.extend(["--test", "log_crash", "--test", "driver"]);
        wanted.extend(["--test", "kv_model"]);
        for layer in test(&wanted)? {
            match layer.name.as_str() {
                "log_crash" => log.extend(layer.one_by_one()?),
                "driver" => driver.push(layer),
                "kv_model" => kv.push(layer),
                _ => core.push(layer),
            }
        }
        let simulate = target.join("release").join("simulate");
        ensure!(simulate.exists(), "no {}", simulate.display());
        Ok(Self {
            root: root.to_owned(),
            simulate,
            seeds,
            core,
            driver,
            kv,
            log,
        })
    }

    /// Runs every layer without a mutant, and learns what it takes.
    ///
    /// # Errors
    /// When one fails.
    pub fn control(&mut self) -> Result<()> {
        if let Some(seed) = self.simulate(0)? {
            bail!("without a mutant the simulator fails: {}", seed.said);
        }
        let passes = |layer: &Layer| match self.test(0, layer)? {
            None => Ok(()),
            Some(kill) => bail!("without a mutant {} fails: {}", kill.layer, kill.said),
        };
        let others = self.driver.iter().chain(&self.kv);
        self.core.iter().chain(others).try_for_each(passes)?;
        let mut timed = Vec::new();
        for layer in &self.log {
            let began = Instant::now();
            passes(layer)?;
            timed.push((began.elapsed(), layer.clone()));
        }
        timed.sort_by_key(|(took, _)| *took);
        self.log = timed.into_iter().map(|(_, layer)| layer).collect();
        Ok(())
    }

    /// The first layer that notices the mutant; `None` if it survives all of them.
    ///
    /// # Errors
    /// When a layer can't be run.
    pub fn hunt(&self, mutant: &Mutant) -> Result<Option<Kill>> {
        let layers = if mutant.file.starts_with("raft-log") {
            &self.log
        } else if mutant.file.starts_with("raft-kv") {
            &self.kv
        } else if mutant.file.starts_with("raft-core/src/driver") {
            &self.driver
        } else {
            if let Some(kill) = self.simulate(mutant.number)? {
                return Ok(Some(kill));
            }
            &self.core
        };
        for layer in layers {
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

    fn test(&self, mutant: u32, layer: &Layer) -> Result<Option<Kill>> {
        let mut command = Command::new(&layer.program);
        command.args(["-q", "--test-threads", "2"]);
        if let Some(test) = &layer.only {
            command.args(["--exact", test]);
        }
        let run = self.run(command, mutant)?;
        let said = run.failed_tests();
        Ok((!run.passed()).then(|| Kill {
            layer: layer.name.clone(),
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

impl Layer {
    /// Each of the tests as a layer of the same name: the slow ones run only if the quick ones
    /// notice nothing.
    fn one_by_one(&self) -> Result<Vec<Self>> {
        let mut command = Command::new(&self.program);
        command.args(["--list", "--format", "terse"]);
        let output = command.output().with_context(|| format!("{command:?}"))?;
        let list = String::from_utf8(output.stdout)?;
        let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
        let alone = |test: &str| Self {
            only: Some(test.to_owned()),
            ..self.clone()
        };
        let layers: Vec<Self> = tests.map(alone).collect();
        ensure!(!layers.is_empty(), "{} has no tests", self.name);
        Ok(layers)
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
fn executables(messages: &str) -> Result<Vec<Layer>> {
    let mut found = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        let test = message.pointer("/profile/test") == Some(&serde_json::Value::Bool(true));
        let path = message.get("executable").and_then(|path| path.as_str());
        let name = message
            .pointer("/target/name")
            .and_then(|name| name.as_str());
        if let (true, Some(path), Some(name)) = (test, path, name) {
            let name = match name {
                "raft_core" | "raft_kv" | "raft_log" => "unit tests",
                name => name,
            };
            found.push(Layer {
                name: name.to_owned(),
                program: PathBuf::from(path),
                only: None,
            });
        }
    }
    ensure!(!found.is_empty(), "cargo built no tests");
    Ok(found)
}
