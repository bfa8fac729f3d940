//! What becomes of transactions, told to those who keep something outside of the database; and what memory has to hear of when,
//! and only when, a transaction commits.

use std::cell::{Cell, RefCell};

use e2i_core::{Error, Kind};
use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_sys};

use crate::error::raise;

/// What happens to a transaction, or to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It is about to be prepared: whether it will be committed, this process will not hear. Who cannot have that raises an error.
    Prepare,
    /// It has ended, and whether it was committed by this process.
    End {
        /// As a whole, and not by a parallel worker.
        committed: bool,
    },
    /// A subtransaction was rolled back, and with it those that began within it, whose numbers are larger.
    Undo(pg_sys::SubTransactionId),
    /// The process ends, and has not left shared memory yet. See [`hear_of_exit`].
    Exit,
}

/// Somebody who hears of all that.
pub type Listener = fn(Moment);

static LISTENERS: OnceCell<&'static [Listener]> = OnceCell::new();

thread_local! {
    static HEARS_OF_EXIT: Cell<bool> = const { Cell::new(false) };
}

/// Tells these listeners, in this order; called once, when the library is loaded.
pub fn listen(listeners: &'static [Listener]) {
    if LISTENERS.set(listeners).is_ok() {
        // SAFETY: the callbacks live as long as the library, which is never unloaded.
        unsafe {
            pg_sys::RegisterXactCallback(Some(at_end), std::ptr::null_mut());
            pg_sys::RegisterSubXactCallback(Some(at_end_of_subtransaction), std::ptr::null_mut());
        }
    }
}

/// Sees to it that this process tells of its end. Not done by [`listen`]: that may be in the postmaster, whose children drop what
/// it has registered.
pub fn hear_of_exit() {
    if !HEARS_OF_EXIT.replace(true) {
        // SAFETY: as above.
        unsafe { pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::from(0)) };
    }
}

fn tell(moment: Moment) {
    LISTENERS.get().into_iter().copied().flatten().for_each(|listener| listener(moment));
}

#[pg_guard]
unsafe extern "C-unwind" fn at_end(event: pg_sys::XactEvent::Type, _argument: *mut std::ffi::c_void) {
    use pg_sys::XactEvent as E;
    match event {
        E::XACT_EVENT_PRE_PREPARE => tell(Moment::Prepare),
        E::XACT_EVENT_PRE_COMMIT | E::XACT_EVENT_PARALLEL_PRE_COMMIT => {}
        _ => tell(Moment::End { committed: event == E::XACT_EVENT_COMMIT }),
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn at_end_of_subtransaction(
    event: pg_sys::SubXactEvent::Type,
    subtransaction: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut std::ffi::c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        tell(Moment::Undo(subtransaction));
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: std::ffi::c_int, _argument: pg_sys::Datum) {
    tell(Moment::Exit);
}

/// Things noted by this transaction, each with the subtransaction that noted it, for when it commits.
pub struct AtCommit<T> {
    /// What they are, for a message.
    what: &'static str,
    noted: RefCell<Vec<(pg_sys::SubTransactionId, T)>>,
}

impl<T: Clone> AtCommit<T> {
    /// Nothing yet; `what` was written when there is something.
    pub const fn new(what: &'static str) -> Self {
        Self { what, noted: RefCell::new(vec![]) }
    }

    /// Notes something for the commit.
    pub fn note(&self, things: impl IntoIterator<Item = T>) {
        // SAFETY: reads the state of this backend's transaction.
        let subtransaction = unsafe { pg_sys::GetCurrentSubTransactionId() };
        self.noted.borrow_mut().extend(things.into_iter().map(|thing| (subtransaction, thing)));
    }

    /// What was noted so far, oldest first.
    pub fn noted(&self) -> Vec<T> {
        self.noted.borrow().iter().map(|(_, thing)| thing.clone()).collect()
    }

    /// Hears what becomes of the transaction. What was noted is given back when it commits. What it has written would be written
    /// again after it was prepared, so that is refused.
    pub fn hear(&self, moment: Moment) -> Vec<T> {
        let Ok(mut noted) = self.noted.try_borrow_mut() else { return vec![] };
        match moment {
            Moment::Prepare if !noted.is_empty() => {
                drop(noted);
                let message = format!("cannot PREPARE a transaction that has written {}", self.what);
                let hint = "Call e2i_flush_metrics() in a transaction of its own.";
                raise(&Error::new(Kind::Unsupported, message).with_hint(hint))
            }
            Moment::End { committed } => {
                let noted = std::mem::take(&mut *noted);
                if committed { noted.into_iter().map(|(_, thing)| thing).collect() } else { vec![] }
            }
            Moment::Undo(subtransaction) => {
                noted.retain(|(by, _)| *by < subtransaction);
                vec![]
            }
            Moment::Prepare | Moment::Exit => vec![],
        }
    }
}
