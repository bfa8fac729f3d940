//! What this process collects for the statements that it explains: one, or several where a function explains another.

use std::cell::RefCell;

use e2i_metrics::{Key, Tally};
use pgrx::pg_sys;

use crate::explain::workers::{self, Ticket};

/// A statement that is explained.
struct Frame {
    state: *mut pg_sys::ExplainState,
    spent: Vec<(Key, Tally)>,
    /// Where its workers hand over.
    ticket: Option<Ticket>,
    /// Whether a plan that may have workers has ended.
    is_parallel: bool,
}

impl Frame {
    fn add(&mut self, key: &Key, tally: &Tally) {
        match self.spent.iter_mut().find(|(known, _)| known == key) {
            Some((_, sum)) => sum.add(tally),
            None => self.spent.push((*key, *tally)),
        }
    }
}

thread_local! {
    /// The innermost last.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(vec![]) };
}

/// While it lives, the statement is explained; an ERROR drops it, too.
pub struct Explaining {
    ticket: i32,
}

/// Begins to collect for a statement.
pub fn begin(state: *mut pg_sys::ExplainState) -> Explaining {
    let ticket = workers::claim();
    let number = ticket.as_ref().map_or(0, Ticket::number);
    FRAMES.with_borrow_mut(|frames| frames.push(Frame { state, spent: vec![], ticket, is_parallel: false }));
    Explaining { ticket: number }
}

impl Explaining {
    /// The number that workers hand over to, 0 for nowhere.
    pub fn ticket(&self) -> i32 {
        self.ticket
    }
}

impl Drop for Explaining {
    fn drop(&mut self) {
        FRAMES.with_borrow_mut(|frames| {
            let Some(frame) = frames.pop() else { return };
            // What a function explained is also what the statement around it did.
            if let Some(outer) = frames.last_mut() {
                frame.spent.iter().for_each(|(key, tally)| outer.add(key, tally));
                outer.is_parallel |= frame.is_parallel && frame.ticket.is_none();
            }
        });
    }
}

/// Adds to the innermost statement; whether there is one.
pub fn add(key: &Key, tally: &Tally) -> bool {
    FRAMES.with_borrow_mut(|frames| frames.last_mut().map(|frame| frame.add(key, tally)).is_some())
}

/// The innermost statement has had a plan that may have workers.
pub fn is_parallel() {
    FRAMES.with_borrow_mut(|frames| frames.last_mut().into_iter().for_each(|frame| frame.is_parallel = true));
}

/// Where the innermost statement is explained.
pub fn state() -> Option<*mut pg_sys::ExplainState> {
    FRAMES.with_borrow(|frames| frames.last().map(|frame| frame.state))
}

/// What was collected for the innermost statement, that of its workers too; whether there may be workers that it is not from.
pub fn spent() -> (Vec<(Key, Tally)>, bool) {
    FRAMES.with_borrow_mut(|frames| {
        let Some(frame) = frames.last_mut() else { return (vec![], false) };
        let of_workers = frame.ticket.as_ref().map(workers::take).unwrap_or_default();
        of_workers.iter().for_each(|(key, tally)| frame.add(key, tally));
        (frame.spent.clone(), frame.is_parallel && frame.ticket.is_none())
    })
}

/// The process ends: nobody shall wait for its tickets.
pub fn end() {
    let frames = FRAMES.with(|frames| frames.try_borrow_mut().map(|mut frames| std::mem::take(&mut *frames)));
    drop(frames);
}
