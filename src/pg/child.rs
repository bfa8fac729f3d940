//! Work in a throw-away child process of the backend, so that what crashes, hangs or eats memory does so there.
//!
//! The child is a fork that never comes back: it calls nothing of the server, holds no descriptor but its two pipes (so it
//! can never write to the client), has let go of the server's shared memory (so it can change no table), runs no exit handler,
//! and ends with `_exit`. It sees the backend's own memory as it was and changes only its copy. The backend waits for it like for anything else, interrupts included, and whatever ends the
//! waiting (an answer, an ERROR, the end of the process) kills and reaps it first: an orphan that dies of a signal would
//! be inherited by the process with the number 1, and where that is the postmaster itself it would restart the server.
//!
//! What the child reads must not lie in a page of a table, for it has none. It has default signal handlers, a group of its own, gets
//! SIGKILL when the backend dies, and has limits of address space, stack and processor time. A backend that has ONNX Runtime loaded
//! lends it to the child; one that has not stays without.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use e2i_core::{Error, Kind, Result};
use pgrx::{pg_guard, pg_sys};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::pg::interrupt;

/// What a child may use.
pub struct Limits {
    /// Time by the clock; `None` is no limit.
    pub time: Option<Duration>,
    /// Address space, in bytes, beyond what the backend has mapped already.
    pub memory: usize,
    /// Threads that the work may keep busy.
    pub threads: usize,
}

/// How a child ended.
#[derive(Debug)]
pub enum Outcome {
    /// It finished and wrote this.
    Finished(Vec<u8>),
    /// A signal that nobody here sent.
    Crashed(&'static str),
    /// It did not finish in time.
    TimedOut,
    /// It ended because it could not get memory.
    OutOfMemory,
    /// It ended by itself and without an answer.
    Vanished,
    /// It could not let go of the server's shared memory, and did no work.
    NotAlone,
}

/// The answer's descriptor in the child.
const ANSWER: c_int = 3;

/// Largest answer that is read: far above an interface of the largest number of features.
const MAX_ANSWER: usize = 256 << 20;

/// How long the end of a child is waited for at a time, once it has closed its pipe.
const SOON: Duration = Duration::from_millis(1);

/// The child that is under way, for the end of the process; 0 is none.
static UNDER_WAY: AtomicI32 = AtomicI32::new(0);
static AT_EXIT: AtomicBool = AtomicBool::new(false);

/// Status of a child that still had shared memory.
const NOT_ALONE: c_int = 71;

/// Runs `work` in a child and returns what became of it. `work` must call nothing of the server, read nothing that may lie in
/// shared memory (as a short value of a table's row may), and take no lock that another thread of this process may hold.
///
/// # Errors
/// [`Kind::WrongState`] when the operating system gives no process or pipe. An interrupt ends the statement, and the child.
pub fn run(limits: &Limits, work: impl FnOnce() -> Vec<u8>) -> Result<Outcome> {
    reap_at_exit();
    let (answer, answer_end) = pipe()?;
    let (complaints, complaints_end) = pipe()?;
    let mut child = Child::fork(|parent| {
        // SAFETY: this is the child, and the descriptors are its own.
        unsafe { become_harmless(parent, &answer_end, &complaints_end, limits) };
        work()
    })?;
    drop((answer_end, complaints_end));
    let deadline = limits.time.and_then(|time| Instant::now().checked_add(time));
    let mut written = Vec::new();
    loop {
        interrupt::check();
        if answer.read(&mut written, MAX_ANSWER) {
            break;
        }
        if !wait(Some(&answer), deadline) {
            return Ok(Outcome::TimedOut);
        }
    }
    let status = loop {
        if let Some(status) = child.ended() {
            break status;
        }
        interrupt::check();
        if !wait(None, deadline) {
            return Ok(Outcome::TimedOut);
        }
    };
    let mut said = Vec::new();
    complaints.read(&mut said, 64 << 10);
    Ok(outcome(status, written, &String::from_utf8_lossy(&said)))
}

/// An answer to write: the length of a JSON text, the text, and bytes as they are.
pub fn packed(head: &impl Serialize, rest: &[u8]) -> Vec<u8> {
    let json = serde_json::to_vec(head).unwrap_or_default();
    let length = u32::try_from(json.len()).unwrap_or_default();
    [&length.to_le_bytes()[..], &json, rest].concat()
}

/// Such an answer, taken apart.
///
/// # Errors
/// What is wrong with the text.
pub fn unpacked<T: DeserializeOwned>(written: &[u8]) -> serde_json::Result<(T, &[u8])> {
    let (length, rest) = written.split_at_checked(4).unwrap_or_default();
    let length = u32::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
    let (json, rest) = rest.split_at_checked(length).unwrap_or_default();
    Ok((serde_json::from_slice(json)?, rest))
}

fn outcome(status: c_int, written: Vec<u8>, said: &str) -> Outcome {
    // What Rust and C++ say before they abort for want of memory.
    let no_memory = said.contains("memory allocation of") || said.contains("bad_alloc");
    if libc::WIFSIGNALED(status) {
        return match libc::WTERMSIG(status) {
            libc::SIGXCPU => Outcome::TimedOut,
            libc::SIGABRT if no_memory => Outcome::OutOfMemory,
            // Nobody else has a reason to: the kernel was short of memory, and the child had volunteered.
            libc::SIGKILL => Outcome::OutOfMemory,
            signal => Outcome::Crashed(signal_name(signal)),
        };
    }
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
        return Outcome::Finished(written);
    }
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == NOT_ALONE {
        return Outcome::NotAlone;
    }
    if no_memory { Outcome::OutOfMemory } else { Outcome::Vanished }
}

fn signal_name(signal: c_int) -> &'static str {
    match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTRAP => "SIGTRAP",
        _ => "a signal",
    }
}

/// Waits for something to read, an interrupt or the deadline; false when that has passed.
fn wait(readable: Option<&Descriptor>, deadline: Option<Instant>) -> bool {
    const AT_MOST: Duration = Duration::from_secs(10);
    let left = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
        Some(Duration::ZERO) => return false,
        left => left.unwrap_or(AT_MOST).min(if readable.is_some() { AT_MOST } else { SOON }),
    };
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    if readable.is_some() {
        events |= pg_sys::WL_SOCKET_READABLE;
    }
    let milliseconds = std::ffi::c_long::try_from(left.as_millis()).unwrap_or(1).max(1);
    // SAFETY: the backend's own latch and a descriptor that is open; the bits are those of the server.
    unsafe {
        let fd = readable.map_or(-1, |descriptor| descriptor.0);
        let woken =
            pg_sys::WaitLatchOrSocket(pg_sys::MyLatch, events as c_int, fd, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        if woken & pg_sys::WL_LATCH_SET as c_int != 0 {
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
    }
    true
}

/// A child of this process, killed and reaped when dropped.
struct Child(libc::pid_t);

impl Child {
    fn fork(work: impl FnOnce(libc::pid_t) -> Vec<u8>) -> Result<Self> {
        // SAFETY: the sets are initialised by the calls before they are read. All signals are blocked while there are two of
        // us, so that none of the server's handlers runs in the child. The child leaves by _exit, whatever happens.
        unsafe {
            let mut all = std::mem::zeroed::<libc::sigset_t>();
            let mut before = std::mem::zeroed::<libc::sigset_t>();
            libc::sigfillset(&raw mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            let parent = libc::getpid();
            let pid = libc::fork();
            if pid == 0 {
                let written = catch_unwind(AssertUnwindSafe(|| write_all(&work(parent))));
                libc::_exit(if matches!(written, Ok(true)) { 0 } else { 1 });
            }
            let failed = std::io::Error::last_os_error();
            UNDER_WAY.store(pid.max(0), Ordering::SeqCst);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            if pid < 0 {
                return Err(no_process(&failed));
            }
            Ok(Self(pid))
        }
    }

    /// Its status, if it has ended.
    fn ended(&mut self) -> Option<c_int> {
        let mut status = 0;
        // SAFETY: a child of this process that was not reaped yet.
        match unsafe { libc::waitpid(self.0, &raw mut status, libc::WNOHANG) } {
            0 => None,
            reaped => {
                self.0 = 0;
                UNDER_WAY.store(0, Ordering::SeqCst);
                // Were it reaped by somebody else, it would be gone without a status: exit code 1.
                Some(if reaped > 0 { status } else { 1 << 8 })
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.0 > 0 {
            kill_and_reap(self.0);
            UNDER_WAY.store(0, Ordering::SeqCst);
        }
    }
}

fn kill_and_reap(pid: libc::pid_t) {
    // SAFETY: a child of this process that was not reaped yet, so the number is its own.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        while libc::waitpid(pid, std::ptr::null_mut(), 0) < 0
            && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
        {}
    }
}

/// Has the child that is under way reaped when the process ends without unwinding, as a terminated session does.
fn reap_at_exit() {
    if !AT_EXIT.swap(true, Ordering::SeqCst) {
        // SAFETY: the function has the form that the server calls.
        unsafe { pg_sys::on_proc_exit(Some(reap_what_is_left), pg_sys::Datum::from(0)) };
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn reap_what_is_left(_code: c_int, _argument: pg_sys::Datum) {
    let pid = UNDER_WAY.swap(0, Ordering::SeqCst);
    if pid > 0 {
        kill_and_reap(pid);
    }
}

fn no_process(error: &std::io::Error) -> Error {
    Error::new(Kind::WrongState, format!("cannot start a process to try the model in: {error}"))
}

/// An open file descriptor, closed when dropped.
struct Descriptor(c_int);

impl Descriptor {
    /// Appends what there is to read, up to `most` bytes in all; true at the end.
    fn read(&self, into: &mut Vec<u8>, most: usize) -> bool {
        let mut chunk = [0u8; 16 << 10];
        while into.len() < most {
            // SAFETY: the buffer has the length that is passed.
            let count = unsafe { libc::read(self.0, chunk.as_mut_ptr().cast(), chunk.len()) };
            match usize::try_from(count) {
                Ok(0) => return true,
                Ok(count) => into.extend_from_slice(&chunk[..count]),
                Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: opened here, closed once.
        unsafe { libc::close(self.0) };
    }
}

/// A pipe: the reading end, which does not block, and the writing end.
fn pipe() -> Result<(Descriptor, Descriptor)> {
    let mut ends = [0; 2];
    // SAFETY: two descriptors are written, both ours from then on.
    unsafe {
        if libc::pipe(ends.as_mut_ptr()) != 0 {
            return Err(no_process(&std::io::Error::last_os_error()));
        }
        for end in ends {
            libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK);
    }
    Ok((Descriptor(ends[0]), Descriptor(ends[1])))
}

/// The first steps of a child: alone, without the parent's handlers, shared memory and descriptors, within limits.
///
/// # Safety
/// Only in a child, before anything else.
unsafe fn become_harmless(parent: libc::pid_t, answer: &Descriptor, complaints: &Descriptor, limits: &Limits) {
    // SAFETY: plain system calls on this process, with valid arguments.
    unsafe {
        // What is sent to the session, a cancel for instance, goes to its whole group.
        libc::setpgid(0, 0);
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != parent {
            libc::_exit(1);
        }
        for signal in 1..32 {
            libc::signal(signal, libc::SIG_DFL);
        }
        // Before the limit of address space, which is counted from what is left.
        if !let_go_of_shared_memory() {
            libc::_exit(NOT_ALONE);
        }
        keep_only(answer.0, complaints.0);
        limit(libc::RLIMIT_CORE as c_int, 0, 0);
        // What recurses here on half of the stack will not overflow the whole one of a session.
        let mut stack = std::mem::zeroed::<libc::rlimit>();
        if libc::getrlimit(libc::RLIMIT_STACK, &raw mut stack) == 0 && stack.rlim_cur != libc::RLIM_INFINITY {
            limit(libc::RLIMIT_STACK as c_int, stack.rlim_cur / 2, stack.rlim_max);
        }
        // The next one that the kernel takes when memory is short, before any session.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        if let Some(mapped) = mapped_bytes() {
            let bytes = mapped.saturating_add(limits.memory as u64);
            limit(libc::RLIMIT_AS as c_int, bytes, bytes);
        }
        if let Some(time) = limits.time {
            // For a parent that cannot keep the time, because it was stopped.
            let seconds = (time.as_secs() + 1).saturating_mul(limits.threads.max(1) as u64);
            limit(libc::RLIMIT_CPU as c_int, seconds, seconds.saturating_add(1));
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Unmaps what other processes would see changed: buffers, locks and all else that the server shares, in whatever way. False when
/// the operating system does not say what is mapped, or something stays.
///
/// # Safety
/// Only in a child, which touches nothing of it afterwards.
unsafe fn let_go_of_shared_memory() -> bool {
    let Some(shared) = shared_memory() else { return false };
    // SAFETY: whole mappings, which nobody in this process uses from here on.
    shared.into_iter().all(|(start, length)| unsafe { libc::munmap(start as *mut _, length) == 0 })
        && shared_memory().is_some_and(|left| left.is_empty())
}

/// The mappings that are shared and not merely read; `None` where the operating system does not say.
fn shared_memory() -> Option<Vec<(usize, usize)>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut shared = Vec::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ')?;
        let rights = rest.as_bytes().get(..4)?;
        // What is only read is a file of the operating system, such as a table of encodings.
        if rights[3] == b's' && !rights.starts_with(b"r-") {
            let (start, end) = range.split_once('-')?;
            let [start, end] = [start, end].map(|address| usize::from_str_radix(address, 16).ok());
            shared.push((start?, end?.checked_sub(start?)?));
        }
    }
    Some(shared)
}

/// Leaves the child with nothing on 0 and 1, complaints on 2, the answer on [`ANSWER`].
///
/// # Safety
/// Only in a child: every other descriptor is closed.
unsafe fn keep_only(answer: c_int, complaints: c_int) {
    // SAFETY: plain system calls; copies are made above all numbers that are assigned.
    unsafe {
        let answer = libc::fcntl(answer, libc::F_DUPFD, 10);
        let complaints = libc::fcntl(complaints, libc::F_DUPFD, 10);
        let nothing = libc::fcntl(libc::open(c"/dev/null".as_ptr(), libc::O_RDWR), libc::F_DUPFD, 10);
        for (from, to) in [(nothing, 0), (nothing, 1), (complaints, 2), (answer, ANSWER)] {
            if libc::dup2(from, to) != to {
                libc::_exit(1);
            }
        }
        // Nobody reads complaints while the child runs: what does not fit is lost.
        libc::fcntl(2, libc::F_SETFL, libc::O_NONBLOCK);
        #[cfg(target_os = "linux")]
        if libc::syscall(libc::SYS_close_range, ANSWER + 1, c_int::MAX, 0) == 0 {
            return;
        }
        let most = libc::sysconf(libc::_SC_OPEN_MAX).clamp(256, 1 << 20);
        for descriptor in ANSWER + 1..most as c_int {
            libc::close(descriptor);
        }
    }
}

/// Lowers a limit, as far as it is not lower already.
///
/// # Safety
/// `resource` must be one of the operating system's.
unsafe fn limit(resource: c_int, soft: u64, hard: u64) {
    // SAFETY: as the caller promises; the structure is plain data.
    unsafe {
        let mut now = std::mem::zeroed::<libc::rlimit>();
        if libc::getrlimit(resource as _, &raw mut now) == 0 {
            now.rlim_max = now.rlim_max.min(hard as _);
            now.rlim_cur = now.rlim_cur.min(soft as _).min(now.rlim_max);
            libc::setrlimit(resource as _, &raw const now);
        }
    }
}

/// Address space of this process; `None` where the operating system does not say.
fn mapped_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').next()?.parse().ok()?;
    // SAFETY: asks for a constant.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    Some(pages.saturating_mul(page))
}

/// Writes the answer; false when the parent does not read it.
fn write_all(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        // SAFETY: the buffer has the length that is passed.
        let count = unsafe { libc::write(ANSWER, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(count) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
    true
}
