//! Plants known bugs into a copy of the core and of the log, one at a time, and shows which layer
//! of the tests notices each. A bug that survives is a hole in the tests.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use clap::Parser;
use raft_tests::mutants::catalogue::{self, Mutant};
use raft_tests::mutants::hunt::{Hunt, Kill};
use raft_tests::mutants::weave;

/// Plants known bugs into a copy of the core and of the log, and shows which layer of the tests
/// notices each.
///
/// The bugs lie in tests/mutants, one a file. The copy is woven and built under the target
/// directory; the first build takes some minutes, later ones seconds.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Only mutants whose name contains this, or the path of the file that they lie in.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How many seeds the simulator may take for each mutant of the core before the other layers
    /// are asked.
    #[arg(long, default_value_t = 60)]
    seeds: u64,
    /// How many mutants are hunted at the same time.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
    /// One JSON object a mutant, and one for the whole.
    #[arg(long)]
    json: bool,
    /// Lists the mutants and what they are about.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns how many survived.
fn run(arguments: &Arguments) -> Result<usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("no workspace")?;
    let all = catalogue::read(&root.join("tests/mutants"))?;
    let wanted = |mutant: &&Mutant| {
        let path = mutant.file.to_string_lossy();
        let has = |part: &String| mutant.name.contains(part) || path.contains(part);
        arguments.name.as_ref().is_none_or(has)
    };
    let chosen: Vec<&Mutant> = all.iter().filter(wanted).collect();
    if arguments.list {
        chosen
            .iter()
            .for_each(|mutant| println!("{:34} {}", mutant.name, mutant.about));
        return Ok(0);
    }
    let woven = target_directory(root).join("mutants");
    eprintln!("weaving {} mutants into {}", all.len(), woven.display());
    weave::weave(root, &all, &woven)?;
    eprintln!("building them");
    let mut hunt = Hunt::build(&woven, &woven.join("target"), arguments.seeds)?;
    eprintln!("running every layer without a mutant");
    hunt.control()?;
    let survived = hunt_all(arguments, &hunt, &chosen)?;
    let killed = chosen.len() - survived;
    if arguments.json {
        println!(
            "{}",
            serde_json::json!({ "killed": killed, "survived": survived })
        );
    } else {
        println!("{killed} killed, {survived} survived");
    }
    Ok(survived)
}

fn target_directory(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn hunt_all(arguments: &Arguments, hunt: &Hunt, chosen: &[&Mutant]) -> Result<usize> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Result<bool>>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while let Some(mutant) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    progress(mutant);
                    let result = hunt.hunt(mutant);
                    let killed = result.map(|kill| {
                        print(arguments, mutant, kill.as_ref());
                        kill.is_some()
                    });
                    results
                        .lock()
                        .expect("no thread panics while it holds this")
                        .push(killed);
                }
            });
        }
    });
    let results = results
        .into_inner()
        .expect("no thread panics while it holds this");
    let killed: Vec<bool> = results.into_iter().collect::<Result<_>>()?;
    Ok(killed.iter().filter(|killed| !**killed).count())
}

fn progress(mutant: &Mutant) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{}", mutant.name);
        // Nothing is lost if the terminal does not take it.
        let _ = std::io::stderr().flush();
    }
}

fn print(arguments: &Arguments, mutant: &Mutant, kill: Option<&Kill>) {
    if arguments.json {
        let line = serde_json::json!({
            "mutant": mutant.name,
            "about": mutant.about,
            "layer": kill.map(|kill| kill.layer.as_str()),
            "seeds": kill.and_then(|kill| kill.seeds),
            "said": kill.map(|kill| kill.said.as_str()),
        });
        println!("{line}");
        return;
    }
    match kill {
        Some(Kill {
            layer,
            seeds: Some(seeds),
            said,
        }) => {
            println!(
                "{:34} killed by {layer} in {seeds} seeds: {said}",
                mutant.name
            );
        }
        Some(Kill {
            layer,
            seeds: None,
            said,
        }) => {
            println!("{:34} killed by {layer}: {said}", mutant.name);
        }
        None => println!("{:34} SURVIVED: {}", mutant.name, mutant.about),
    }
}
