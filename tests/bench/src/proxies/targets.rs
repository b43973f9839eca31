//! The proxies that are measured, each started for a case and ended after it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::Options;
use super::cases::Case;
use super::process::{self, Usage};
use crate::Result;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Polysight,
    Limit,
    Nginx,
    /// Without buffering of requests and replies.
    NginxUnbuffered,
    LiteLlm,
}

impl Kind {
    /// Those that are here.
    pub fn all(options: &Options) -> Vec<Self> {
        let mut all = vec![Self::Polysight, Self::Limit];
        if Path::new(NGINX).exists() {
            all.extend([Self::Nginx, Self::NginxUnbuffered]);
        }
        all.extend(options.litellm.is_some().then_some(Self::LiteLlm));
        all
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Polysight => "polysight",
            Self::Limit => "limit",
            Self::Nginx => "nginx",
            Self::NginxUnbuffered => "nginx, unbuffered",
            Self::LiteLlm => "LiteLLM",
        }
    }
}

const NGINX: &str = "/usr/sbin/nginx";
/// The path of the shape, for those that choose the upstream by the model.
const CHAT: &str = "/v1/chat/completions";

/// A running proxy.
pub struct Target {
    pub kind: Kind,
    /// As `http://ADDRESS`.
    pub address: String,
    pub path: String,
    process: Child,
    _output: Option<BufReader<ChildStdout>>,
}

impl Target {
    pub fn start(kind: Kind, case: &Case, upstream: &str, folder: &Path, options: &Options) -> Result<Self> {
        let segment = case.segment();
        let passed = format!("/{segment}/chat/completions");
        match kind {
            Kind::Polysight => {
                let config = folder.join("polysight.toml");
                fs::write(&config, polysight_config(&segment, upstream))?;
                let mut command = Command::new(&options.polysight);
                command
                    .args(["serve", "--listen", "127.0.0.1:0", "--config"])
                    .arg(config)
                    .env("RUST_LOG", "warn");
                Self::announced(kind, command, CHAT.to_owned())
            }
            Kind::Limit => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["proxy", upstream]);
                Self::announced(kind, command, passed)
            }
            Kind::Nginx | Kind::NginxUnbuffered => {
                let (port, config) = (free_port()?, folder.join("nginx.conf"));
                fs::write(&config, nginx_config(kind, port, upstream, folder))?;
                let mut command = Command::new(NGINX);
                command.arg("-c").arg(config).arg("-p").arg(folder);
                Self::at_port(kind, command, port, passed)
            }
            Kind::LiteLlm => {
                let (port, config) = (free_port()?, folder.join("litellm.yaml"));
                fs::write(&config, litellm_config(&segment, upstream))?;
                let mut command = Command::new(options.litellm.as_ref().ok_or("no litellm")?);
                command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--config"]).arg(config);
                command
                    .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
                    .env("LITELLM_LOG", "ERROR")
                    .env("NO_PROXY", "127.0.0.1");
                command.env("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true");
                Self::at_port(kind, command, port, CHAT.to_owned())
            }
        }
    }

    /// One whose first line ends with the port.
    fn announced(kind: Kind, mut command: Command, path: String) -> Result<Self> {
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(process.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let port: u16 = line.trim().rsplit(':').next().unwrap_or_default().parse()?;
        Ok(Self { kind, address: format!("http://127.0.0.1:{port}"), path, process, _output: Some(output) })
    }

    /// One that listens on this port after a while.
    fn at_port(kind: Kind, mut command: Command, port: u16, path: String) -> Result<Self> {
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let target = Self { kind, address: format!("http://127.0.0.1:{port}"), path, process, _output: None };
        let until = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > until {
                return Err(format!("{} does not listen", kind.name()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(target)
    }

    pub fn usage(&self) -> Result<Usage> {
        process::usage(self.process.id())
    }

    pub fn forget_peak(&self) {
        process::forget_peak(self.process.id());
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // nginx ends its workers only when it is asked to stop.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn polysight_config(segment: &str, upstream: &str) -> String {
    format!(
        "[gateway]\nmax_bodies_in_flight = 1073741824\n[providers.upstream]\nbackend = \"openai\"\nbase_url = \"{upstream}/{segment}\"\n\
         api_key = \"key-of-the-bench\"\n[roles.{segment}]\nprovider = \"upstream\"\nmodel = \"bench-vl\"\n"
    )
}

fn nginx_config(kind: Kind, port: u16, upstream: &str, folder: &Path) -> String {
    let upstream = upstream.trim_start_matches("http://");
    let folder = folder.display();
    let buffering =
        if kind == Kind::Nginx { "" } else { "proxy_request_buffering off; proxy_buffering off;" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
        .concat();
    format!(
        "daemon off; user root; worker_processes 2; error_log {folder}/nginx.log crit; pid {folder}/nginx.pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; client_max_body_size 0;\n{temporary}\
         upstream bench {{ server {upstream}; keepalive 64; }}\n\
         server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ proxy_pass http://bench; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; {buffering} }} }} }}\n"
    )
}

fn litellm_config(segment: &str, upstream: &str) -> String {
    format!(
        "model_list:\n  - model_name: {segment}\n    litellm_params:\n      model: openai/bench-vl\n      \
         api_base: {upstream}/{segment}\n      api_key: key-of-the-bench\nlitellm_settings:\n  num_retries: 0\n"
    )
}
