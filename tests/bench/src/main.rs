//! What a request costs: Polysight beside the least work possible and beside what one writes by hand.
//!
//! See `README.md`.

mod alloc;
mod cases;
mod clients;
mod corpus;
mod drive;
mod measure;
mod proxies;
mod server;
mod table;
mod tls;
mod usage;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clients::{Client as _, Facade, Http2, Limit, Naive};
use lexopt::prelude::{Long, Value, ValueExt as _};

/// A program that measures stops at whatever is not as it expects.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const HELP: &str = "polysight-bench [--cases W1,W2] [--reps N] [--json PATH] [--instructions]
polysight-bench proxies --polysight PROGRAM [--litellm PROGRAM] [--cases small,photo] [--reps N]

  --cases          these cases only, or those of the group `grid` or `tls`; `list` prints them
  --reps           repetitions of each, interleaved (default 7)
  --json           writes every sample and the summary to a file
  --polysight      the command `polysight`, built with --release
  --litellm        the command `litellm` of `pip install 'litellm[proxy]'`; without it LiteLLM is left out
  --instructions   counts instructions too, where valgrind is installed; takes minutes";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything the command line can say; the part under `one` is what the program says to itself.
#[derive(Default)]
struct Arguments {
    options: drive::Options,
    one: Option<(String, String)>,
    base: String,
    folder: PathBuf,
    requests: Option<usize>,
    deltas: Option<usize>,
    counts: bool,
    /// Whether the gateway is measured beside other proxies.
    beside_proxies: bool,
    proxies: proxies::Options,
}

fn run() -> Result<()> {
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("cases") => arguments.options.cases = Some(parser.value()?.string()?),
            Long("reps") => arguments.options.repetitions = parser.value()?.parse()?,
            Long("json") => arguments.options.json = Some(parser.value()?.into()),
            Long("instructions") => arguments.options.instructions = true,
            Long("base") => arguments.base = parser.value()?.string()?,
            Long("folder") => arguments.folder = parser.value()?.into(),
            Long("requests") => arguments.requests = Some(parser.value()?.parse()?),
            Long("deltas") => arguments.deltas = Some(parser.value()?.parse()?),
            Long("counts") => arguments.counts = true,
            Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            Long("polysight") => arguments.proxies.polysight = parser.value()?.into(),
            Long("litellm") => arguments.proxies.litellm = Some(parser.value()?.into()),
            Value(word) if word == "serve" => return serve(&arguments.folder),
            Value(word) if word == "proxy" => return proxies::serve(&parser.value()?.string()?),
            Value(word) if word == "proxies" => arguments.beside_proxies = true,
            Value(client) => arguments.one = Some((client.string()?, parser.value()?.string()?)),
            other => return Err(format!("{}\n\n{HELP}", other.unexpected()).into()),
        }
    }
    if arguments.beside_proxies {
        let drive::Options { cases, repetitions, .. } = arguments.options;
        return proxies::drive(&proxies::Options { cases, repetitions, ..arguments.proxies });
    }
    match &arguments.one {
        Some((client, case)) => one(&arguments, client, case),
        None => drive::drive(&arguments.options),
    }
}

fn serve(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let tls = runtime.block_on(tls::start(folder))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{} {tls}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    Ok(server::serve(&listener)?)
}

fn one(arguments: &Arguments, client: &str, case: &str) -> Result<()> {
    let Arguments { base, folder, counts, .. } = arguments;
    let case = cases::named(case).ok_or("no such case")?.scaled(arguments.requests, arguments.deltas);
    let sample = match client {
        Facade::<false>::NAME => measure::measure::<Facade>(&case, base, folder, *counts),
        Http2::NAME => measure::measure::<Http2>(&case, base, folder, *counts),
        Limit::NAME => measure::measure::<Limit>(&case, base, folder, *counts),
        Naive::NAME => measure::measure::<Naive>(&case, base, folder, *counts),
        _ => Err("no such client".into()),
    };
    println!("{}", serde_json::to_string(&sample?)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_and_folder() -> (String, tempfile::TempDir) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || server::serve(&listener));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("338274.jpg"), corpus::jpeg(cases::PHOTO)).unwrap();
        (base, folder)
    }

    fn sample<C: clients::Client>(case: &str) -> measure::Sample {
        let (base, folder) = server_and_folder();
        let case = cases::named(case).unwrap().scaled(Some(1), Some(40));
        measure::measure::<C>(&case, &base, folder.path(), false).unwrap()
    }

    fn every_case_hands_out_what_was_sent<C: clients::Client>() {
        for case in ["W1", "check", "S-1K", "W4-event", "W4-bulk", "W4-odd", "W6"] {
            let sample = sample::<C>(case);
            assert_eq!(sample.wrong, 0, "{} {case}", C::NAME);
            assert!(sample.units > 0, "{} {case}", C::NAME);
        }
    }

    #[test]
    fn polysight_hands_out_what_was_sent() {
        every_case_hands_out_what_was_sent::<Facade>();
    }

    #[test]
    fn the_limit_hands_out_what_was_sent() {
        every_case_hands_out_what_was_sent::<Limit>();
    }

    #[test]
    fn what_is_written_by_hand_hands_out_what_was_sent() {
        every_case_hands_out_what_was_sent::<Naive>();
    }

    #[test]
    fn over_tls_every_client_hands_out_what_was_sent() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let base = format!("https://localhost:{}", runtime.block_on(tls::start(folder.path())).unwrap());
        let case =
            cases::Case { pictures: cases::Pictures::Shared(1_000), ..*cases::named("TLS-16").unwrap() };
        let wrong = |sample: Result<measure::Sample>| sample.unwrap().wrong;
        assert_eq!(wrong(measure::measure::<Facade>(&case, &base, folder.path(), false)), 0);
        assert_eq!(wrong(measure::measure::<Http2>(&case, &base, folder.path(), false)), 0);
        assert_eq!(wrong(measure::measure::<Naive>(&case, &base, folder.path(), false)), 0);
    }

    /// What `peers/README.md` says a harness is.
    mod harness {
        use std::path::PathBuf;

        pub struct Ask {
            pub model: String,
            pub text: String,
            pub images: Vec<PathBuf>,
        }

        pub struct Reply {
            pub text: String,
            pub finish: Option<String>,
            pub total_tokens: Option<u64>,
        }

        #[derive(Default)]
        pub struct End {
            pub finish: Option<String>,
            pub total_tokens: Option<u64>,
        }

        #[derive(Default)]
        pub struct Sink(pub String);

        impl Sink {
            pub fn push(&mut self, text: &str) {
                self.0.push_str(text);
            }
        }

        pub trait Client: Send + Sync + 'static {
            const NAME: &'static str;
            const VERSION: &'static str;
            fn new(base: &str, key: &str) -> Self;
            fn ask(&self, ask: &Ask) -> impl Future<Output = Result<Reply, String>> + Send;
            fn stream(&self, ask: &Ask, sink: &mut Sink) -> impl Future<Output = Result<End, String>> + Send;
        }

        pub fn run<C: Client>() {
            let (base, folder) = super::server_and_folder();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let images = vec![folder.path().join("338274.jpg"); 2];
            let ask = Ask { model: "qwen-vl-max".to_owned(), text: "?".to_owned(), images };
            let client = |case: &str| {
                let case = crate::cases::named(case).unwrap();
                (C::new(&format!("{base}/{}/v1", case.scenario.segment()), "key"), case.expected().unwrap())
            };
            let (checked, expected) = client("check");
            let reply = runtime.block_on(checked.ask(&ask)).unwrap();
            assert_eq!((reply.text, reply.finish.as_deref()), (expected, Some("stop")));
            let (streamed, expected) = client("W4-event");
            let mut sink = Sink::default();
            let end = runtime.block_on(streamed.stream(&ask, &mut sink)).unwrap();
            assert_eq!((sink.0, end.finish.as_deref()), (expected, Some("stop")));
            assert_eq!((reply.total_tokens, end.total_tokens), (Some(1801), Some(1801)));
            assert_eq!((C::NAME, C::VERSION), ("polysight", env!("CARGO_PKG_VERSION")));
        }
    }

    mod peers {
        use super::harness;

        include!("../peers/main.rs.txt");

        #[test]
        fn the_adapter_for_other_harnesses_works() {
            main();
        }
    }
}
