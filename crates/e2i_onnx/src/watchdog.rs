//! Cancellation of work that the runtime does not interrupt by itself.
//!
//! A call into ONNX Runtime can last: one node over many rows, a loop, the optimisation of a large graph. While such a
//! call is under way a helper thread asks the *probe* (a function that only reads flags) every few milliseconds whether
//! the caller wants to stop, and then sets the runtime's own terminate flag, which the executor looks at between nodes.
//!
//! Cost: beginning and ending a watch is one uncontended lock each; the thread sleeps for good when nothing has run for a
//! second, and is woken by the next watch.
//!
//! Invariants: one scoring thread a process; the helper starts with every signal blocked, so that no signal handler of
//! the host ever runs on it; it calls nothing of the host but the probe.
//!
//! A batch is cut into runs of `rows_at_once` rows, because the runtime looks at its flag only between operators, and the caller's
//! interrupts take effect between runs. A load stops only where the runtime looks at its cancel flag, which it does not while it folds
//! constants. The native engine asks the same probe before each block of rows, and needs no thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use once_cell::sync::OnceCell;
use ort::session::RunOptions;
use ort::session::builder::LoadCanceler;

/// How often the probe is asked; well below what a person notices.
const PERIOD: Duration = Duration::from_millis(5);

/// Periods without any watch after which the thread goes to sleep.
const IDLE_PERIODS: u32 = 200;

static PROBE: OnceCell<fn() -> bool> = OnceCell::new();
static STATE: Mutex<State> = Mutex::new(State { watched: None, active: false });
static ASLEEP: AtomicBool = AtomicBool::new(false);
/// Whether the last watched run was told to stop.
static TERMINATED: AtomicBool = AtomicBool::new(false);
static THREAD: OnceCell<Option<Thread>> = OnceCell::new();
/// Whether this process was forked from one that keeps watch.
static FORKED: AtomicBool = AtomicBool::new(false);

struct State {
    watched: Option<Watched>,
    /// Whether anything was watched since the thread last looked.
    active: bool,
}

enum Watched {
    Run(&'static RunOptions),
    Load(LoadCanceler),
}

/// Sets the function that says whether the caller wants to be interrupted. It is called from another thread: it may read
/// flags and nothing else. Only the first call has an effect.
pub fn set_probe(probe: fn() -> bool) {
    let _ = PROBE.set(probe);
}

/// To be called first in a forked child: the helper thread does not exist there, its locks may be held for ever, and the
/// probe's flags are another process's. Nothing is watched from here on; who forked it can kill it.
pub fn after_fork() {
    FORKED.store(true, Ordering::SeqCst);
}

fn forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Whether the caller wants to be interrupted.
#[must_use]
pub fn interrupted() -> bool {
    !forked() && PROBE.get().is_some_and(|probe| probe())
}

/// Ends the watch when dropped.
pub(crate) struct Watch(());

impl Drop for Watch {
    fn drop(&mut self) {
        if !forked() {
            state().watched = None;
        }
    }
}

/// Watches a run until the guard is dropped.
pub(crate) fn watch_run(options: &'static RunOptions) -> Watch {
    if forked() {
        // The parent's last run may have been told to stop.
        drop(options.unterminate());
    }
    watch(Watched::Run(options))
}

/// Whether the last run was told to stop; allows the next one to begin. To be asked when a run has failed.
pub(crate) fn was_terminated(options: &'static RunOptions) -> bool {
    if forked() {
        return false;
    }
    // Under the lock, so that the helper cannot be between its two steps.
    let _state = state();
    let terminated = TERMINATED.swap(false, Ordering::SeqCst);
    if terminated {
        drop(options.unterminate());
    }
    terminated
}

/// Watches the creation of a session until the guard is dropped.
pub(crate) fn watch_load(canceler: LoadCanceler) -> Watch {
    watch(Watched::Load(canceler))
}

fn watch(what: Watched) -> Watch {
    if !forked() && PROBE.get().is_some() {
        {
            let mut state = state();
            state.watched = Some(what);
            state.active = true;
        }
        let helper = THREAD.get_or_init(|| start().ok());
        if ASLEEP.swap(false, Ordering::SeqCst)
            && let Some(helper) = helper
        {
            helper.unpark();
        }
    }
    Watch(())
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() -> std::io::Result<Thread> {
    let handle = with_signals_blocked(|| {
        thread::Builder::new().name("e2i-watchdog".into()).stack_size(64 << 10).spawn(keep_watch)
    })?;
    Ok(handle.thread().clone())
}

fn keep_watch() {
    let mut idle = 0;
    loop {
        thread::sleep(PERIOD);
        {
            let mut state = state();
            idle = if state.active || state.watched.is_some() { 0 } else { idle + 1 };
            state.active = false;
            if interrupted() {
                match &state.watched {
                    Some(Watched::Run(options)) => {
                        TERMINATED.store(true, Ordering::SeqCst);
                        drop(options.terminate());
                    }
                    Some(Watched::Load(canceler)) => drop(canceler.cancel()),
                    None => {}
                }
            }
        }
        while idle > IDLE_PERIODS {
            ASLEEP.store(true, Ordering::SeqCst);
            // A watch that began before the store is seen here; one that begins after it unparks.
            if state().watched.is_some() || !ASLEEP.load(Ordering::SeqCst) {
                ASLEEP.store(false, Ordering::SeqCst);
                idle = 0;
            } else {
                thread::park();
            }
        }
    }
}

/// Runs `f` with every signal blocked on this thread, so that threads made in it inherit the mask.
#[allow(unsafe_code)]
pub(crate) fn with_signals_blocked<T>(f: impl FnOnce() -> T) -> T {
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the mask was written by the call below.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
        }
    }
    // SAFETY: both sets are plain data, initialised by sigfillset and pthread_sigmask before they are read.
    let before = unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    };
    let _restore = Restore(before);
    f()
}
