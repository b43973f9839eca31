//! How a run ended, and its exit code.

use std::io;
use std::process::ExitCode;

use polysight::Error;

/// How a run that was carried out ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All went well.
    Done,
    /// Everything failed; each failure was printed already.
    Failed,
    /// Some of several failed; each failure was printed already.
    SomeFailed,
}

impl Outcome {
    /// The outcome of several things of which so many failed.
    pub(crate) fn of(failed: usize, all: usize) -> Self {
        match failed {
            0 => Self::Done,
            _ if failed < all => Self::SomeFailed,
            _ => Self::Failed,
        }
    }
}

/// Why a run was not carried out to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for makes no sense; says what would.
    Usage(String),
    /// A call, a config or a medium failed.
    Error(Error),
    /// Output or another file could not be written.
    Io(io::Error),
    /// Anything else, in words.
    Other(String),
    /// Ctrl-C.
    Interrupted,
}

/// What a command gives back.
pub(crate) type Run = Result<Outcome, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Prints what was not printed yet, and gives the exit code.
pub(crate) fn exit_code(run: Run) -> ExitCode {
    match run {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Ok(Outcome::SomeFailed) => ExitCode::from(3),
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    match failure {
        // Who reads the output had enough of it, as `head` does.
        Failure::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Failure::Usage(problem) => {
            crate::output::error(problem);
            return ExitCode::from(2);
        }
        Failure::Error(error) => crate::output::errors(None, error),
        Failure::Io(error) => crate::output::error(&format!("the output cannot be written: {error}")),
        Failure::Other(problem) => crate::output::error(problem),
        Failure::Interrupted => {
            crate::output::note("interrupted: the call was cancelled, and may be billed");
            return ExitCode::from(130);
        }
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_several_is_neither_all_nor_none() {
        assert_eq!(Outcome::of(0, 3), Outcome::Done);
        assert_eq!(Outcome::of(1, 3), Outcome::SomeFailed);
        assert_eq!(Outcome::of(3, 3), Outcome::Failed);
        assert_eq!(Outcome::of(1, 1), Outcome::Failed);
    }
}
