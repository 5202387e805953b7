//! How far a run has come, on standard error where that is a terminal.
#![allow(clippy::disallowed_methods, reason = "a bar moves with the clock, results do not")]

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use crate::capture::Progress;

/// How often the bar moves.
const EVERY: Duration = Duration::from_millis(100);

/// A bar that moves until this value goes.
pub(super) struct Shown {
    stop: Option<Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Shown {
    /// Shows `progress`, unless `quiet` or nobody looks.
    pub(super) fn new(progress: Arc<Progress>, quiet: bool) -> Shown {
        if quiet || !std::io::stderr().is_terminal() {
            return Shown { stop: None, thread: None };
        }
        let (stop, stopped) = bounded(1);
        let thread = std::thread::spawn(move || {
            let bar = bar(&progress);
            let began = Instant::now();
            while stopped.recv_timeout(EVERY).is_err_and(|error| error.is_timeout()) {
                show(&bar, &progress, began.elapsed());
            }
            bar.finish_and_clear();
        });
        Shown { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A bar that failed is no reason to fail.
            let _failed = thread.join();
        }
    }
}

fn bar(progress: &Progress) -> ProgressBar {
    let (bar, template) = match progress.bytes_total() {
        Some(total) => (ProgressBar::new(total), "{bar:30} {percent:>3} %  {msg}  {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, progress: &Progress, elapsed: Duration) {
    let (bytes, packets) = (progress.bytes_read(), progress.packets());
    let per_second = |count: u64| (count as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    bar.set_position(bytes);
    bar.set_message(format!(
        "{} packets  {} packets/s  {}/s",
        HumanCount(packets),
        HumanCount(per_second(packets)),
        HumanBytes(per_second(bytes)),
    ));
}
