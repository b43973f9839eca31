//! `completions` and `man`: both are made from the command line's own description.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Cli;
use crate::outcome::{Failure, Outcome, Run};
use crate::output;

/// Prints the completions of a shell.
pub(crate) fn completions(shell: Shell) -> Run {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "polysight", &mut script);
    print(&script)
}

/// Prints the manual page, or writes the pages of all commands into a folder.
pub(crate) fn manual(folder: Option<&Path>) -> Run {
    if let Some(folder) = folder {
        let cannot =
            |error| Failure::Other(format!("{}: no pages can be written: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(cannot)?;
        clap_mangen::generate_to(Cli::command(), folder).map_err(cannot)?;
        output::aside(format_args!("wrote the manual pages into {}", folder.display()));
        return Ok(Outcome::Done);
    }
    let mut page = Vec::new();
    Man::new(Cli::command()).render(&mut page)?;
    print(&page)
}

fn print(text: &[u8]) -> Run {
    output::lines(&String::from_utf8_lossy(text))?;
    Ok(Outcome::Done)
}
