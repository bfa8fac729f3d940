//! Words of shared memory with one lock around them, or of this backend's own memory where the library was not preloaded.

use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};

use once_cell::sync::OnceCell;
use pgrx::pg_sys;
use pgrx::shmem::PgSharedMemoryInitialization;

/// A region; one static for each.
pub struct Region {
    name: &'static CStr,
    words: fn() -> usize,
    /// Words of a backend's own, where nothing is shared.
    own_words: usize,
    /// Called once when the region was made, in the postmaster, with all words zero.
    made: fn(&[AtomicU64]),
    memory: AtomicPtr<AtomicU64>,
    length: AtomicUsize,
    lock: AtomicPtr<pg_sys::LWLock>,
    own: OnceCell<&'static [AtomicU64]>,
}

impl Region {
    /// A region that nothing has been asked for yet: hand it to `pg_shmem_init!` while the library is preloaded.
    pub const fn new(name: &'static CStr, words: fn() -> usize, own_words: usize, made: fn(&[AtomicU64])) -> Self {
        Self {
            name,
            words,
            own_words,
            made,
            memory: AtomicPtr::new(std::ptr::null_mut()),
            length: AtomicUsize::new(0),
            lock: AtomicPtr::new(std::ptr::null_mut()),
            own: OnceCell::new(),
        }
    }

    /// Whether other backends see it.
    pub fn is_shared(&self) -> bool {
        !self.memory.load(Relaxed).is_null()
    }

    /// The words where they are shared, for what needs no lock.
    pub fn shared(&self) -> Option<&'static [AtomicU64]> {
        let memory = self.memory.load(Relaxed);
        // SAFETY: as in `locked`.
        (!memory.is_null()).then(|| unsafe { std::slice::from_raw_parts(memory, self.length.load(Relaxed)) })
    }

    /// Reads and adds: others may do so at the same time.
    pub fn together<R>(&self, f: impl FnOnce(&'static [AtomicU64]) -> R) -> R {
        self.locked(pg_sys::LWLockMode::LW_SHARED, f)
    }

    /// Reads in the postmaster, which no process can wake up: `None` where another holds the lock, as one that was killed with it does
    /// after an immediate shutdown.
    pub fn without_waiting<R>(&self, f: impl FnOnce(&'static [AtomicU64]) -> R) -> Option<R> {
        let (words, lock) = (self.shared()?, self.lock.load(Relaxed));
        // SAFETY: as in `locked`.
        unsafe {
            pg_sys::LWLockConditionalAcquire(lock, pg_sys::LWLockMode::LW_SHARED).then(|| {
                let result = f(words);
                pg_sys::LWLockRelease(lock);
                result
            })
        }
    }

    /// Nobody else does anything meanwhile.
    pub fn alone<R>(&self, f: impl FnOnce(&'static [AtomicU64]) -> R) -> R {
        self.locked(pg_sys::LWLockMode::LW_EXCLUSIVE, f)
    }

    /// `f` must not call the server: an ERROR would leave while the lock is held.
    fn locked<R>(&self, mode: pg_sys::LWLockMode::Type, f: impl FnOnce(&'static [AtomicU64]) -> R) -> R {
        let memory = self.memory.load(Relaxed);
        if memory.is_null() {
            return f(self.own.get_or_init(|| leaked(self.own_words)));
        }
        let lock = self.lock.load(Relaxed);
        // SAFETY: set together with the memory, in the postmaster, before any backend was forked; the words live as long as
        // the server, or until all backends that see them were ended after a crash.
        unsafe {
            pg_sys::LWLockAcquire(lock, mode);
            let result = f(std::slice::from_raw_parts(memory, self.length.load(Relaxed)));
            pg_sys::LWLockRelease(lock);
            result
        }
    }
}

/// Zeroed words for the rest of the process; pages that are never written take no memory.
fn leaked(words: usize) -> &'static [AtomicU64] {
    let words: &'static mut [u64] = Box::leak(vec![0u64; words].into_boxed_slice());
    // SAFETY: the same layout, and nobody else has the reference.
    unsafe { std::slice::from_raw_parts(words.as_mut_ptr().cast(), words.len()) }
}

impl PgSharedMemoryInitialization for Region {
    type Value = bool;

    unsafe fn on_shmem_request(&'static self) {
        // SAFETY: as the caller promises.
        unsafe {
            pg_sys::RequestAddinShmemSpace((self.words)() * size_of::<u64>());
            pg_sys::RequestNamedLWLockTranche(self.name.as_ptr(), 1);
        }
    }

    unsafe fn on_shmem_startup(&'static self, _value: bool) {
        let (words, mut found) = ((self.words)(), false);
        // SAFETY: as the caller promises; ShmemInitStruct gives so many bytes, aligned to a cache line. The number of the
        // lock AddinShmemInitLock is the same in all supported versions.
        unsafe {
            let making = &raw mut (*pg_sys::MainLWLockArray.add(21)).lock;
            pg_sys::LWLockAcquire(making, pg_sys::LWLockMode::LW_EXCLUSIVE);
            let memory = pg_sys::ShmemInitStruct(self.name.as_ptr(), words * size_of::<u64>(), &raw mut found);
            if !found {
                memory.cast::<u64>().write_bytes(0, words);
            }
            self.lock.store(&raw mut (*pg_sys::GetNamedLWLockTranche(self.name.as_ptr())).lock, Relaxed);
            self.length.store(words, Relaxed);
            self.memory.store(memory.cast(), Relaxed);
            pg_sys::LWLockRelease(making);
            if !found {
                (self.made)(std::slice::from_raw_parts(memory.cast(), words));
            }
        }
    }
}
