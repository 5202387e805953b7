//! The board: what merge says of itself, for threads that are asked by others.
//!
//! Merge pins pages to it between two ticks and waits for nobody; whoever reads takes a copy. What
//! workers say of themselves is in their pulses, and read where they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dashmap::DashMap;

use super::live::Pulse;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    /// How it is, as JSON.
    Status,
    /// The same as metrics of Prometheus.
    Metrics,
    /// Names that no signature knows, as JSON. Made when it is asked for only.
    Unmatched,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Board {
    pages: DashMap<Page, Arc<str>>,
    wants_unmatched: AtomicBool,
    /// The workers'.
    pub pulses: Vec<Arc<Pulse>>,
}

impl Board {
    /// An empty one, with the pulses of `workers` workers.
    pub fn new(workers: usize) -> Board {
        let pulses = std::iter::repeat_with(Arc::default).take(workers).collect();
        Board { pulses, ..Board::default() }
    }

    /// Pins a page in the place of the one before.
    pub fn pin(&self, page: Page, text: String) {
        self.pages.insert(page, text.into());
    }

    /// The page, if it was pinned.
    pub fn read(&self, page: Page) -> Option<Arc<str>> {
        self.pages.get(&page).map(|text| Arc::clone(&text))
    }

    /// Asks merge for the page of unmatched names anew.
    pub fn ask_unmatched(&self) {
        self.pages.remove(&Page::Unmatched);
        self.wants_unmatched.store(true, Ordering::Release);
    }

    /// Whether somebody has asked for it since the last time this was asked.
    pub fn is_unmatched_wanted(&self) -> bool {
        self.wants_unmatched.swap(false, Ordering::Acquire)
    }
}
