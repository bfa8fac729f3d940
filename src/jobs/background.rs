//! Where a background worker of scoring jobs begins: it connects as its role and does what it was started for.

use std::panic::AssertUnwindSafe;

use pgrx::bgworkers::BackgroundWorker;
use pgrx::{PgTryBuilder, pg_guard, pg_sys};

use crate::jobs::schedule;
use crate::jobs::workers::{Order, part};
use crate::pg::commits::{Ground, as_worker};
use crate::pg::guc;
use crate::pg::worker::{OnTermination, accept_signals};

/// A worker.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn e2i_scoring_worker(_argument: pg_sys::Datum) {
    // SAFETY: reads a variable.
    if unsafe { pg_sys::IsBinaryUpgrade } {
        return;
    }
    accept_signals(OnTermination::Die);
    let extra = BackgroundWorker::get_extra().to_owned();
    let words: Vec<&str> = extra.split_whitespace().collect();
    let number = |place: usize| words.get(place).and_then(|word| word.parse::<u32>().ok()).map(pg_sys::Oid::from);
    let (Some(database), Some(role), Some(order)) = (number(0), number(1), words.get(2..).and_then(Order::read)) else {
        return;
    };
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), Some(role));
    guc::settle(&[(c"statement_timeout", c"0"), (c"idle_in_transaction_session_timeout", c"0")]);
    match order {
        Order::Part { job, number, leader } => as_worker(|| part(job, number, leader)),
        Order::Run { schedule } => PgTryBuilder::new(AssertUnwindSafe(|| as_worker(|| schedule::run(schedule))))
            .catch_others(|error| {
                // What ended the run is written down by now, or cannot be.
                Ground::Worker.roll_back();
                error.rethrow()
            })
            .execute(),
    }
}
