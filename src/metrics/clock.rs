//! How long a call takes, and how much of that was the loading of models.
//!
//! Who calls waits for both, so latency is both; an EXPLAIN tells them apart.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// What loading took in this process, all together.
    static LOADING: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Runs while a call does.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    begun: Instant,
    loading: Duration,
    is_drawn: bool,
}

/// What a call took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// From its begin to its end.
    pub all: Duration,
    /// Of that, what was not loading.
    pub busy: Duration,
    /// Whether the call was drawn from all.
    pub is_drawn: bool,
}

impl Clock {
    /// A call begins.
    pub fn start() -> Self {
        Self { begun: Instant::now(), loading: LOADING.get(), is_drawn: false }
    }

    /// The same for a call that was drawn from all, not for one that is timed because it is the first.
    pub fn drawn(self, is_drawn: bool) -> Self {
        Self { is_drawn, ..self }
    }

    /// What it has taken until now.
    pub fn read(&self) -> Took {
        let all = self.begun.elapsed();
        Took { all, busy: all.saturating_sub(LOADING.get().saturating_sub(self.loading)), is_drawn: self.is_drawn }
    }
}

impl Took {
    /// Part of it is told elsewhere.
    #[must_use]
    pub fn without(self, other: Duration) -> Self {
        Self { busy: self.busy.saturating_sub(other), ..self }
    }
}

/// A model took so long to load.
pub fn loaded(time: Duration) {
    LOADING.set(LOADING.get().saturating_add(time));
}
