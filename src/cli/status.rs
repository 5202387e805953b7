//! `shadowscope status`: how a running sensor is, from the sensor itself.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{Mistake, settings, summary};
use crate::config::arguments::Given;
use crate::service::listen;

/// Where a running sensor is asked.
#[derive(Args)]
pub(super) struct SocketArgs {
    /// The socket of the sensor [default: service.socket of the configuration]
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// The sensor's configuration [default: /etc/shadowscope/shadowscope.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl SocketArgs {
    /// The answer of the sensor to a question.
    pub(super) fn ask(&self, question: &str) -> Result<String, Box<dyn Error>> {
        let given = Given { config: self.config.clone(), values: BTreeMap::new() };
        let configured = || Ok::<_, Box<dyn Error>>(settings::load(&given)?.path("service.socket"));
        let socket = match &self.socket {
            Some(socket) => Some(socket.clone()),
            None => configured()?,
        };
        let socket = socket.ok_or_else(|| {
            Mistake(
                "where is the sensor? give --socket FILE, or service.socket in its configuration"
                    .into(),
            )
        })?;
        listen::ask(&socket, question).map_err(|error| {
            let socket = socket.display();
            Mistake(format!(
                "no sensor answers at {socket}: {error}; is it running (systemctl status \
                 shadowscope), with service.socket set, and may you ask it?"
            ))
            .into()
        })
    }
}

/// The command's arguments.
#[derive(Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    socket: SocketArgs,
    /// All figures as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs) -> Result<ExitCode, Box<dyn Error>> {
    let answer = args.socket.ask("status")?;
    if args.json {
        super::tell(format_args!("{answer}\n"))?;
    } else {
        super::tell(told(&serde_json::from_str(&answer)?, jiff::Timestamp::now().as_second()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The figures in words. Writing to a String does not fail.
fn told(status: &Value, now: i64) -> String {
    let number = |key: &str| status[key].as_u64().unwrap_or(0);
    let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    let ago = |key: &str| status[key].as_i64().map(|then| format!("{} s ago", (now - then).max(0)));
    let share = |part: u64, whole: u64| match whole {
        0 => "none seen".to_owned(),
        _ => format!("{:.1} %", 100.0 * part as f64 / whole as f64),
    };
    let list = |key: &str| -> Vec<String> {
        let items = status[key].as_array().into_iter().flatten();
        items.filter_map(|item| item.as_str()).map(str::to_owned).collect()
    };
    let pairs = |key: &str| -> Vec<String> {
        let items = status[key].as_object().into_iter().flatten();
        items.map(|(name, value)| format!("{name} {value}")).collect()
    };
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(out, "{name:<14} {value}");
    };
    line("sensor", format!("{} on {}", text("version"), list("interfaces").join(", ")));
    line("running", ago("began_seconds").unwrap_or_default().replace(" ago", ""));
    let committed = ago("committed_seconds").unwrap_or_else(|| "none yet".into());
    line("last commit", format!("{committed}, {} in all, into {}", number("commits"), text("db")));
    if let Some(message) = status["uncommitted"].as_str() {
        line("NOT KEPT", message.to_owned());
    }
    if let Some(lag) = status["lag_seconds"].as_i64() {
        line("behind", format!("{lag} s (commits are once a minute)"));
    }
    line("catalogue", text("catalogue"));
    if number("reloads") + number("reloads_refused") > 0 {
        line("reloads", format!("{}, refused {}", number("reloads"), number("reloads_refused")));
    }
    let bytes = summary::bytes(number("bytes"));
    line("kept", format!("{} packets, {bytes}, {} flows", number("packets"), number("flows")));
    let lost = number("dropped") + number("interface_dropped");
    line(
        "lost",
        format!(
            "{} in the kernel, {} in the interface, {} of what came",
            number("dropped"),
            number("interface_dropped"),
            share(lost, number("received") + number("interface_dropped")),
        ),
    );
    let whole = number("sequence_bytes") + number("gap_bytes");
    line("lost before", format!("{} of the TCP payload", share(number("gap_bytes"), whole)));
    if number("down_seconds") > 0 {
        line("down", format!("{} s", number("down_seconds")));
    }
    line(
        "both ways",
        format!("{} of the TCP flows", share(number("tcp_two_way"), number("tcp_flows"))),
    );
    line("DNS answers", number("dns_answers").to_string());
    let known = share(number("clients_known"), number("clients"));
    line("clients", format!("{} today, a user is known of {known}", number("clients")));
    for key in ["names", "losses"] {
        let pairs = pairs(key);
        if !pairs.is_empty() {
            line(key, pairs.join(", "));
        }
    }
    for (index, worker) in status["workers"].as_array().into_iter().flatten().enumerate() {
        let name = format!("worker {index}");
        line(&name, format!("{} packets, holds {} flows", worker["packets"], worker["flows"]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_or_not_kept_is_told() {
        let status = serde_json::json!({
            "version": "1", "interfaces": ["tap0", "tap1"], "db": "usage.db", "began_seconds": 100,
            "commits": 2, "committed_seconds": 150, "uncommitted": "7 rows could not be kept",
            "received": 90, "dropped": 10, "interface_dropped": 10, "bytes": 2000,
            "names": {"sni": 4}, "workers": [{"packets": 5, "flows": 1}],
        });
        let told = told(&status, 160);
        for line in [
            "sensor         1 on tap0, tap1",
            "last commit    10 s ago, 2 in all, into usage.db",
            "NOT KEPT       7 rows could not be kept",
            "lost           10 in the kernel, 10 in the interface, 20.0 % of what came",
            "both ways      none seen of the TCP flows",
            "worker 0       5 packets, holds 1 flows",
        ] {
            assert!(told.lines().any(|found| found == line), "{line}\n{told}");
        }
    }
}
