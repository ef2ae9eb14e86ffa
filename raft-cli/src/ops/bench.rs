//! Measures any etcd v3 endpoint under load, alone or beside others: the same load at each target
//! in turn, round after round, so that what disturbs the machine disturbs all of them.

pub(crate) mod args;
mod bare;
mod html;
pub(crate) mod keys;
pub(crate) mod lease;
pub(crate) mod load;
pub(crate) mod print;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schedule;
pub(crate) mod tally;
pub(crate) mod target;
mod usage;
mod watch;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use self::args::{Ask, BenchArgs, RunArgs, Task, describe};
use self::load::Load;
use self::print::Format;
use self::progress::Progress;
use self::report::{Report, TargetReport};
use self::run::Round;
use self::target::Target;
use crate::client::connect::Settings;
use crate::exit::Exit;
use crate::out::Out;

/// With something to compare with, figures are medians of so many rounds.
const ROUNDS_VERSUS: u8 = 3;

/// Does what the command line says.
pub(crate) fn run(args: BenchArgs) -> Result<(), Exit> {
    let ask = args.verb.resolve()?;
    let settings = args.connect.resolve()?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime can't be started")?;
    runtime.block_on(async {
        match ask {
            Ask::Measure(task) => measure(*task, &settings, args.write_out).await,
            Ask::Serve(listen) => bare::serve(listen).await,
        }
    })
}

async fn measure(task: Task, settings: &Settings, format: Format) -> Result<(), Exit> {
    let load = Arc::new(task.load);
    let targets = targets(&load, task.connections, &task.run, settings).await?;
    let default = if targets.len() > 1 { ROUNDS_VERSUS } else { 1 };
    let rounds = task.run.rounds.unwrap_or(default);
    let (results, interrupted) = all_rounds(&load, &targets, rounds).await?;

    let measured: Vec<TargetReport> = targets
        .iter()
        .zip(&results)
        .map(|((name, target), rounds)| {
            TargetReport::new(name.clone(), &target.endpoints(), rounds)
        })
        .collect();
    let report = Report::new(describe(&load, task.connections, rounds), measured);
    let mut out = Out::new();
    out.line(print::text(&report, format))?;
    out.flush()?;
    if let Some(path) = &task.run.report {
        save(&report, path)?;
    }
    if interrupted {
        let error = anyhow!("interrupted: the figures are of what was done until then");
        return Err(Exit::Unwell(error));
    }
    verdict(&report)
}

/// All targets with their names, the one that is compared with the others first.
async fn targets(
    load: &Load,
    connections: usize,
    run: &RunArgs,
    settings: &Settings,
) -> Result<Vec<(String, Target)>, Exit> {
    let versus = run
        .versus
        .iter()
        .map(|list| settings.with_endpoints(list.0.clone()));
    let clusters: Vec<Settings> = std::iter::once(settings.clone()).chain(versus).collect();
    if run.names.len() > clusters.len() || run.versus_pids.len() > run.versus.len() {
        return Err(Exit::BadInput(anyhow!(
            "--names, --versus-pids: there are more of them than targets"
        )));
    }
    let mut targets = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        let pids = match index.checked_sub(1) {
            None => run.pids.as_slice(),
            Some(other) => run.versus_pids.get(other).map_or(&[][..], |list| &list.0),
        };
        let target = Target::connect(cluster, connections, &load.keys, pids).await?;
        let name = run.names.get(index).cloned();
        targets.push((name.unwrap_or_else(|| target.endpoints().join(",")), target));
    }
    Ok(targets)
}

/// The rounds of each target, and whether somebody ended them.
async fn all_rounds(
    load: &Arc<Load>,
    targets: &[(String, Target)],
    rounds: u8,
) -> Result<(Vec<Vec<Round>>, bool), Exit> {
    let mut all: Vec<Vec<Round>> = targets.iter().map(|_| Vec::new()).collect();
    for number in 0..rounds {
        for (index, (name, target)) in targets.iter().enumerate() {
            if number == 0 {
                load.fill(target).await?;
            }
            let progress = Progress::new(&format!("{name}, round {} of {rounds}", number + 1));
            let round = run::round(load, target, number, &progress).await?;
            let interrupted = round.interrupted;
            all[index].push(round);
            if interrupted {
                return Ok((all, true));
            }
        }
    }
    Ok((all, false))
}

/// A page or a text, as the file's name says.
fn save(report: &Report, path: &Path) -> Result<(), Exit> {
    let is_page = path.extension().is_some_and(|end| end == "html");
    let text = match is_page {
        true => html::page(report),
        false => print::text(report, Format::Table) + "\n",
    };
    fs::write(path, text)
        .with_context(|| format!("{} can't be written", path.display()))
        .map_err(Exit::Failed)
}

/// Figures of failures alone are no success.
fn verdict(report: &Report) -> Result<(), Exit> {
    match report
        .targets
        .iter()
        .find(|target| target.figures.is_empty())
    {
        None => Ok(()),
        Some(target) => {
            let name = &target.name;
            Err(Exit::Unwell(anyhow!("{name}: no operation succeeded")))
        }
    }
}
