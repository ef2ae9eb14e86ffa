//! The log of the process: lines on standard error, as text or as JSON, and a level that can be
//! changed while it runs. Lines bear no colours, so there is nothing for `NO_COLOR` to turn off.
//! It does not know when the level is changed, nor what is logged.

use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use super::config::LogConfig;

/// The log of this process, once it is open. Its clones are the same.
#[derive(Clone, Debug)]
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// What is below us and speaks of every frame: it stays at `info` if all others say more. Who wants
/// to see it names it in a directive.
const TALKATIVE: [&str; 6] = ["h2", "hyper", "hyper_util", "rustls", "tonic", "tower"];

impl Logging {
    /// Opens the log; all that is logged from now on goes to standard error.
    ///
    /// # Errors
    /// When the level is none, or somebody has opened a log before.
    pub fn open(config: &LogConfig) -> anyhow::Result<Self> {
        let filter = filter(&config.level).map_err(anyhow::Error::msg)?;
        let (filter, handle) = reload::Layer::new(filter);
        let lines = lines(config, std::io::stderr);
        let subscriber = tracing_subscriber::registry().with(filter).with(lines);
        subscriber.try_init()?;
        Ok(Self { filter: handle })
    }

    /// Changes the level. What can't be read as one leaves it as it is.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        let filter = filter(level)?;
        self.filter
            .reload(filter)
            .map_err(|error| error.to_string())
    }
}

/// Whether a level is one, or directives.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn check_level(level: &str) -> Result<(), String> {
    filter(level).map(drop)
}

fn lines<W>(config: &LogConfig, writer: W) -> Box<dyn Layer<Filtered> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(false);
    if config.is_json {
        layer.json().flatten_event(true).boxed()
    } else {
        layer.boxed()
    }
}

/// What lines lie on.
type Filtered = tracing_subscriber::layer::Layered<reload::Layer<EnvFilter, Registry>, Registry>;

fn filter(level: &str) -> Result<EnvFilter, String> {
    let directives = match named(level) {
        Some(level) => {
            let quiet = level.min(LevelFilter::INFO);
            let quiet = TALKATIVE.iter().map(|target| format!(",{target}={quiet}"));
            format!("{level}{}", quiet.collect::<String>())
        }
        None => level.to_owned(),
    };
    let refused = |why: String| {
        format!(
            "`{level}` is no level (debug, info, warn, error), nor directives as \
             `info,raft_core=debug`: {why}"
        )
    };
    // A lone word would be read as the name of a target at its most talkative.
    if level.is_empty() || !directives.contains('=') {
        return Err(refused("there is no such level".to_owned()));
    }
    EnvFilter::builder()
        .parse(directives)
        .map_err(|error| refused(error.to_string()))
}

/// The levels, etcd's among them. Its three above `error` tell how the process ends, which is not
/// for a level to say here.
fn named(level: &str) -> Option<LevelFilter> {
    match level.to_ascii_lowercase().as_str() {
        "off" => Some(LevelFilter::OFF),
        "error" | "dpanic" | "panic" | "fatal" => Some(LevelFilter::ERROR),
        "warn" | "warning" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info, warn};

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        fn take(&self) -> String {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8(bytes).unwrap()
        }
    }

    fn within(level: &str, is_json: bool, body: impl FnOnce(&Logging, &Kept)) {
        let kept = Kept::default();
        let config = LogConfig {
            level: level.to_owned(),
            is_json,
        };
        let (layer, handle) = reload::Layer::new(filter(level).unwrap());
        let writer = kept.clone();
        let lines = lines(&config, move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer).with(lines);
        let logging = Logging { filter: handle };
        tracing::subscriber::with_default(subscriber, || body(&logging, &kept));
    }

    #[test]
    fn levels_are_words_of_etcd_or_directives() {
        let check = |level, is_good| assert_eq!(check_level(level).is_ok(), is_good, "{level}");
        for level in [
            "debug", "info", "warn", "error", "panic", "fatal", "dpanic", "trace", "off", "INFO",
        ] {
            check(level, true);
        }
        check("info,raft_core=debug", true);
        check("raft_core=debug", true);
        check("warn,raft_net[link{peer}]=trace", true);
        check("raft_core=loud", false);
        check("loud", false);
        check("", false);
    }

    #[test]
    fn a_level_hides_what_is_below_it_until_it_is_changed() {
        within("info", false, |logging, kept| {
            debug!("one");
            info!(term = 7, "two");
            let text = kept.take();
            assert!(!text.contains("one"), "{text}");
            assert!(text.contains("two") && text.contains("term=7"), "{text}");
            assert!(!text.contains('\u{1b}'), "{text}");

            logging.set_level("debug").unwrap();
            debug!("three");
            assert!(kept.take().contains("three"));

            logging.set_level("fatal").unwrap();
            warn!("four");
            assert_eq!(kept.take(), "");

            logging.set_level("loud").unwrap_err();
            warn!("five");
            assert_eq!(kept.take(), "", "the level stays as it was");
        });
    }

    #[test]
    fn directives_are_for_a_part_alone() {
        within("warn,raft_core=debug", false, |_, kept| {
            info!(target: "raft_net", "one");
            debug!(target: "raft_core", "two");
            let text = kept.take();
            assert!(!text.contains("one") && text.contains("two"), "{text}");
        });
    }

    #[test]
    fn frames_are_not_spoken_of_unless_asked_for() {
        within("trace", false, |logging, kept| {
            debug!(target: "h2::frame", "one");
            assert_eq!(kept.take(), "");
            logging.set_level("info,h2=debug").unwrap();
            debug!(target: "h2::frame", "two");
            assert!(kept.take().contains("two"));
        });
    }

    #[test]
    fn json_is_an_object_a_line() {
        within("info", true, |_, kept| {
            info!(term = 7, "elected");
            info!("second");
            let text = kept.take();
            let lines: Vec<serde_json::Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(lines.len(), 2);
            assert_eq!(lines[0]["term"], 7);
            assert_eq!(lines[0]["message"], "elected");
            assert_eq!(lines[0]["level"], "INFO");
        });
    }
}
