//! Where data goes that others read: standard output. A reader that has gone away is no error of
//! ours, so the program ends quietly then. It does not know what is printed.

use std::io::{self, Write};

use crate::exit::Exit;

/// Standard output. All else that the program has to say goes to standard error.
#[derive(Debug)]
pub(crate) struct Out {
    to: io::BufWriter<io::Stdout>,
}

impl Out {
    /// The one of this process.
    pub(crate) fn new() -> Self {
        Self {
            to: io::BufWriter::new(io::stdout()),
        }
    }

    /// A line.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) -> Result<(), Exit> {
        self.bytes(line.as_ref().as_bytes())?;
        self.bytes(b"\n")
    }

    /// Bytes as they are: keys and values may be anything.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Exit> {
        told(self.to.write_all(bytes))
    }

    /// Has the reader see what was printed.
    pub(crate) fn flush(&mut self) -> Result<(), Exit> {
        told(self.to.flush())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        quiet(self.to.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        quiet(self.to.flush())
    }
}

/// Says something to whoever runs the program: a line on standard error, if anybody reads it.
pub(crate) fn say(line: impl std::fmt::Display) {
    // Who has closed it does not want to hear; there is nobody else to tell.
    drop(writeln!(io::stderr(), "{line}"));
}

fn told(result: io::Result<()>) -> Result<(), Exit> {
    let failed = |error| anyhow::Error::new(error).context("standard output can't be written to");
    quiet(result).map_err(|error| failed(error).into())
}

fn quiet<T>(result: io::Result<T>) -> io::Result<T> {
    match result {
        // As `head` does it to `yes`: there is nobody left to tell.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result,
    }
}
