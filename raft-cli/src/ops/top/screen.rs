//! The terminal while something is drawn on it again and again: what was there before comes back
//! in the end. It does not know what is drawn.

use std::io::{self, Read, Write};
use std::thread;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::watch;

/// The other screen, without a cursor; and back.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";
/// To the first line; to the end of a line; all below.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST: &str = "\x1b[J";

/// The screen, for as long as this lives.
pub(super) struct Screen {
    /// How the terminal took keys before, if it is one.
    before: Option<Termios>,
    /// Whether somebody wants to leave.
    pub(super) quit: Quit,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            // Keys come one by one, and are not shown. Ctrl-C still is a signal.
            let mut single = before.clone();
            single.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            tcsetattr(io::stdin(), OptionalActions::Now, &single)?;
        }
        let screen = Self {
            before,
            quit: Quit::listen()?,
        };
        draw(OPEN)?;
        Ok(screen)
    }

    pub(super) fn show(&mut self, text: &str) -> io::Result<()> {
        let mut frame = String::from(HOME);
        for line in text.lines() {
            frame.push_str(line);
            frame.push_str(REST_OF_LINE);
            frame.push_str("\r\n");
        }
        frame.push_str(REST);
        draw(&frame)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let closed = draw(CLOSE);
        let restored = self.before.as_ref().map_or(Ok(()), |before| {
            tcsetattr(io::stdin(), OptionalActions::Now, before).map_err(io::Error::from)
        });
        if let Err(error) = closed.and(restored) {
            tracing::debug!(%error, "the terminal was not restored");
        }
    }
}

fn draw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Listens for the key that ends it.
pub(super) struct Quit {
    pressed: watch::Receiver<bool>,
}

impl Quit {
    fn listen() -> io::Result<Self> {
        let (sender, pressed) = watch::channel(false);
        // It sits in a read that nothing ends but a key; the process does not wait for it.
        thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || {
                for key in io::stdin().lock().bytes() {
                    if matches!(key, Ok(b'q' | b'Q') | Err(_)) {
                        sender.send_replace(true);
                        return;
                    }
                }
                // Nobody is there to press a key; then a signal ends it.
                thread::park();
            })?;
        Ok(Self { pressed })
    }

    /// Waits for the key.
    pub(super) async fn ended(&self) {
        let mut pressed = self.pressed.clone();
        drop(pressed.wait_for(|pressed| *pressed).await);
    }
}
