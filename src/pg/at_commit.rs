//! What memory outside of the database has to hear of when, and only when, the transaction commits.

use std::cell::RefCell;

use pgrx::pg_sys;

/// Things noted by this transaction, each with the subtransaction that noted it.
pub struct AtCommit<T> {
    noted: RefCell<Vec<(pg_sys::SubTransactionId, T)>>,
}

impl<T: Clone> AtCommit<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { noted: RefCell::new(vec![]) }
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

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.noted.borrow().is_empty()
    }

    /// The transaction has ended: forgets all, and gives it back if it was a commit.
    pub fn end(&self, committed: bool) -> Vec<T> {
        let noted = self.noted.try_borrow_mut().map(|mut noted| std::mem::take(&mut *noted)).unwrap_or_default();
        if committed { noted.into_iter().map(|(_, thing)| thing).collect() } else { vec![] }
    }

    /// A subtransaction was rolled back, and with it those that began within it, whose numbers are larger.
    pub fn undo(&self, subtransaction: pg_sys::SubTransactionId) {
        if let Ok(mut noted) = self.noted.try_borrow_mut() {
            noted.retain(|(by, _)| *by < subtransaction);
        }
    }
}
