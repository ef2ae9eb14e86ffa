//! How the program ends: what scripts can tell failures apart by. It does not know what failed.

use std::fmt;
use std::process::ExitCode;

/// Why a verb did not do what it was asked for. Each kind has its own exit code.
#[derive(Debug)]
pub enum Exit {
    /// Something went wrong that has no code of its own: 1.
    Failed(anyhow::Error),
    /// Nobody could be reached: 2.
    Unreachable(anyhow::Error),
    /// What was asked for makes no sense: 3.
    BadInput(anyhow::Error),
    /// The server said no: 4.
    Refused(anyhow::Error),
    /// Interrupted, or what was looked at is not well: 5.
    Unwell(anyhow::Error),
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Unreachable(_) => 2,
            Self::BadInput(_) => 3,
            Self::Refused(_) => 4,
            Self::Unwell(_) => 5,
        }
    }

    const fn error(&self) -> &anyhow::Error {
        match self {
            Self::Failed(error)
            | Self::Unreachable(error)
            | Self::BadInput(error)
            | Self::Refused(error)
            | Self::Unwell(error) => error,
        }
    }
}

impl fmt::Display for Exit {
    /// The error with all that it came from, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error())
    }
}

impl From<anyhow::Error> for Exit {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
