//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const EXIT_CODES: &str = "\
Exit codes:
  0    answered; what was asked for was done
  1    refused or failed
  2    wrong usage
  3    some of several roles failed
  130  interrupted by Ctrl-C

Config: --config FILE, else ./polysight.toml, else polysight/polysight.toml in your config folder, else the vendors'
key variables: ZHIPUAI_API_KEY or ZAI_API_KEY, DASHSCOPE_API_KEY, QIANFAN_API_KEY. Without any key: --emulator.";

const ASK_HELP: &str = "\
Standard input:
  -                         a picture, a video, or a text that names one (URL, data URI, base64, path)
  piped, no `-`             a picture or a video is one more MEDIA; a text is the prompt, or stands below the one of -p
  piped beside MEDIA and -p is not read

A pipe that says nothing for 10 s is not waited for; `-p -` waits for a prompt as long as it takes.

Examples:
  polysight ask cat.jpg
  polysight ask cat.jpg dog.jpg -p \"Which one is older?\" -r zhipu -r qwen
  polysight ask receipt.jpg --schema receipt.schema.json
  curl -s https://example.com/cat.jpg | polysight ask -p \"What is it?\" --json
  polysight ask cat.jpg --emulator";

/// Ask vision-language models from a terminal: pictures and videos in, answers out.
///
/// The models and accounts are roles of a config file; `polysight init` writes a first one. With --emulator a local emulator
/// answers, without a key and without cost: it lists what arrived and understands no picture.
#[derive(Debug, Parser)]
#[command(name = "polysight", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Config file [default: ./polysight.toml, then polysight/polysight.toml in your config folder]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "emulator")]
    pub(crate) config: Option<PathBuf>,
    /// Let an emulator in this process answer: roles `zhipu`, `qwen`, `ernie` and `default`, no key, no cost
    #[arg(long, global = true)]
    pub(crate) emulator: bool,
    /// Log more on stderr: -v what happens, -vv its details; RUST_LOG sets it by module
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Form of the log
    #[arg(long, global = true, value_name = "FORM", default_value = "text", hide_default_value = true)]
    pub(crate) log: LogForm,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// One line of text an event.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask one or several models about pictures and videos
    #[command(after_help = ASK_HELP)]
    Ask(Ask),
    /// Show which roles would take a request, with which changes and at what cost; sends nothing
    Plan(Plan),
    /// List the models with their limits, prices and sources
    Models(Models),
    /// Check the config: every fault at once, each with its line
    Check,
    /// Write a first config for the keys that are in the environment
    Init(Init),
    /// Serve the roles as an OpenAI-compatible API, with a page to compare models
    Serve(Serve),
    /// Run the emulator of the vendors' APIs, for programs in any language
    Emulate(Emulate),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man {
        /// Write the pages of all commands into this folder instead
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

/// A question about media.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// Pictures and videos: file, URL, data URI, or `-` for standard input
    #[arg(value_name = "MEDIA")]
    pub(crate) media: Vec<OsString>,
    /// What to ask, or `-` for the text on standard input [default: "What do you see?"]
    #[arg(short, long, value_name = "PROMPT", allow_hyphen_values = true)]
    pub(crate) prompt: Option<String>,
    /// Role to ask; may be repeated, or hold several, as `a,b`
    #[arg(short, long = "role", value_name = "ROLE", value_delimiter = ',')]
    pub(crate) roles: Vec<String>,
    /// Make pictures fit the limits of each role's model
    #[arg(long)]
    pub(crate) fit: bool,
}

/// Arguments of `ask`.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    #[command(flatten)]
    pub(crate) question: Question,
    /// Print one JSON object a role, one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask for JSON that fits this JSON Schema, and print it
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Print the answer alone: no summary, no notes
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) question: Question,
}

/// Arguments of `models`.
#[derive(Debug, Args)]
pub(crate) struct Models {
    /// Show only models and providers whose name has this in it
    #[arg(value_name = "NAME")]
    pub(crate) filter: Option<String>,
    /// Print one JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Overwrite a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
}

/// Arguments of `emulate`.
#[derive(Debug, Args)]
pub(crate) struct Emulate {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn roles_are_repeated_or_listed() {
        let cli = Cli::parse_from(["polysight", "ask", "a.jpg", "-r", "one", "-r", "two,three"]);
        let Command::Ask(ask) = cli.command else { panic!("ask") };
        assert_eq!(ask.question.roles, ["one", "two", "three"]);
        assert_eq!(ask.question.media, ["a.jpg"]);
    }
}
