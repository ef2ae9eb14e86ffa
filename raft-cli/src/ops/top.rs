//! A cluster as it goes: a line a member, fresh each second. What is shown is what the members
//! report, and rates by difference; nothing is judged.

mod rows;
mod screen;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio::time::{MissedTickBehavior, interval};

use self::rows::{Past, rows, table};
use self::screen::Screen;
use super::reports;
use crate::client::connect::{ConnectArgs, Settings};
use crate::client::duration::Span;
use crate::exit::Exit;
use crate::out::Out;

/// Watch the members of a cluster: roles, progress, rates, sizes. `q` ends it.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Look once, and end.
    #[arg(long)]
    once: bool,
    /// How often to look.
    #[arg(long, default_value = "1s")]
    interval: Span,
    /// How to print it; `json` is a line each time.
    #[arg(short, long, value_enum, default_value = "simple")]
    write_out: Form,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Simple,
    Json,
}

/// More often would show more of us than of the cluster.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Does what the command line says.
pub(crate) fn run(args: TopArgs) -> Result<(), Exit> {
    let Span(every) = args.interval;
    let look = Look {
        settings: args.connect.resolve()?,
        form: args.write_out,
        every: every.max(INTERVAL_MIN),
    };
    let runtime = tokio::runtime::Runtime::new().context("no runtime can be had")?;
    let is_screen = args.write_out == Form::Simple && std::io::stdout().is_terminal();
    let done = runtime.block_on(async {
        if args.once {
            look.once(&mut Past::default(), &mut Out::new()).await
        } else if is_screen {
            look.on_screen().await
        } else {
            look.line_by_line().await
        }
    });
    // A key may still be waited for; there is no need.
    runtime.shutdown_background();
    done
}

struct Look {
    settings: Settings,
    form: Form,
    every: Duration,
}

impl Look {
    /// What there is to see now.
    async fn text(&self, past: &mut Past) -> Result<String, Exit> {
        let asked = reports::fetch(&self.settings).await;
        let rows = rows(&asked, past, Instant::now());
        match self.form {
            Form::Simple => Ok(table(&rows)),
            Form::Json => {
                let json = serde_json::to_string(&rows);
                Ok(json.map_err(anyhow::Error::new)? + "\n")
            }
        }
    }

    async fn once(&self, past: &mut Past, out: &mut Out) -> Result<(), Exit> {
        let text = self.text(past).await?;
        out.bytes(text.as_bytes())?;
        out.flush()
    }

    /// For whoever reads along, until Ctrl-C.
    async fn line_by_line(&self) -> Result<(), Exit> {
        let (mut past, mut out) = (Past::default(), Out::new());
        let mut ticks = self.ticks();
        loop {
            tokio::select! {
                _ = ticks.tick() => self.once(&mut past, &mut out).await?,
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
    }

    /// For people, until `q` or Ctrl-C.
    async fn on_screen(&self) -> Result<(), Exit> {
        let mut past = Past::default();
        let mut screen = Screen::open().context("the terminal can't be drawn on")?;
        let mut ticks = self.ticks();
        loop {
            let looked = async {
                ticks.tick().await;
                self.text(&mut past).await
            };
            tokio::select! {
                text = looked => screen.show(&text?).context("the terminal can't be drawn on")?,
                () = screen.quit.ended() => return Ok(()),
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
    }

    fn ticks(&self) -> tokio::time::Interval {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }
}
