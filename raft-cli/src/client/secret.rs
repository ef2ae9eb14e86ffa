//! Asks for a password. What is typed is not shown. It does not know whose password it is.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};

/// Asks on standard error and reads a line of standard input.
pub(crate) fn ask(prompt: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    write!(stderr, "{prompt}")?;
    stderr.flush()?;
    let quiet = Quiet::begin()?;
    let mut line = String::new();
    let count = io::stdin().lock().read_line(&mut line)?;
    if quiet.is_some() {
        // The line's end was not shown either.
        writeln!(stderr)?;
    }
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The terminal shows nothing while this lives.
struct Quiet {
    before: Termios,
}

impl Quiet {
    /// `None` when nobody types: input is a pipe or a file.
    fn begin() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = termios::tcgetattr(&stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone has nothing to show.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
