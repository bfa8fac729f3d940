//! The settings, `e2i_serve.*`: each with what it costs and why that default. Read through the functions below.

use std::ffi::{CStr, CString};
use std::path::PathBuf;
use std::time::Duration;

use e2i_core::native::{InstructionLevel, InstructionSet};
use pgrx::pg_sys;
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};

/// Which engine scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PostgresGucEnum)]
pub enum EngineChoice {
    /// What registration chose.
    #[name = c"auto"]
    Auto,
    /// The native one, or an error.
    #[name = c"native"]
    Native,
    /// ONNX Runtime, or an error.
    #[name = c"onnxruntime"]
    OnnxRuntime,
    /// What registration chose, and ONNX Runtime for batches of a size for which it was faster then.
    #[name = c"fastest"]
    Fastest,
}

/// Which instructions the native engine may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
enum Instructions {
    /// All that the processor has.
    #[name = c"auto"]
    Auto,
    #[name = c"portable"]
    Portable,
    #[name = c"avx2"]
    Avx2,
    #[name = c"avx512"]
    Avx512,
    #[name = c"avx512vbmi"]
    Avx512Vbmi,
}

/// What registration found to be exact, the native engine wherever it is.
static ENGINE: GucSetting<EngineChoice> = GucSetting::<EngineChoice>::new(EngineChoice::Auto);

/// All instructions give the same bits, so this is for measuring and for doubting.
static INSTRUCTION_SET: GucSetting<Instructions> = GucSetting::<Instructions>::new(Instructions::Auto);

/// Empty means the library that `make install` put beside the extension.
static ONNXRUNTIME_LIBRARY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// 256 MB hold a hundred models of common size (a boosted ensemble of 100 trees takes about 2 MB). It is the limit of one
/// backend, so many connections with many models each want a smaller one.
static SESSION_CACHE_SIZE: GucSetting<i32> = GucSetting::<i32>::new(256 * 1024);

/// One thread, the caller's own: PostgreSQL's parallel workers are the parallelism, a pool would spin beside them, and
/// the sum of a tree ensemble would depend on the number of threads.
static INTRA_OP_THREADS: GucSetting<i32> = GucSetting::<i32>::new(1);

/// Larger than any tabular model, smaller than what would surprise an administrator.
static MAX_MODEL_SIZE: GucSetting<i32> = GucSetting::<i32>::new(1024 * 1024);

/// A model of common size takes a tenth of a second; a large one takes seconds to load. Whoever registers waits, nobody else.
static VALIDATION_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(60_000);

/// Twice what the largest model that can be registered by default needs as bytes; common ones need a few dozen MB, most of it
/// address space of the runtime library.
static VALIDATION_MEMORY: GucSetting<i32> = GucSetting::<i32>::new(2 * 1024 * 1024);

/// On: counting costs about a nanosecond a row.
static METRICS: GucSetting<bool> = GucSetting::<bool>::new(true);

/// A place is a function of a version called through a service, and takes 1.7 kB of shared memory. Those of versions that are gone
/// are given to others, so this is for a thousand versions that are there, each called in a few ways.
static METRICS_PLACES: GucSetting<i32> = GucSetting::<i32>::new(5000);

/// As often as a model server's health check; a service then takes about 20 kB an hour.
static METRICS_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(30_000);

/// A month, in minutes.
static METRICS_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30 * 24 * 60);

/// 1,024 records of 4 kB. They wait half a second at most, or until half are taken.
static INFERENCE_LOG_BUFFER: GucSetting<i32> = GucSetting::<i32>::new(4 * 1024);

/// A month.
static INFERENCE_LOG_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30);

/// A year: which version scored a table when is asked long after, and a job is a row.
static SCORING_JOB_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(365);

/// Off: who drops the extension to install it anew does not mean the models.
static ALLOW_DROP: GucSetting<bool> = GucSetting::<bool>::new(false);

/// On: what is rewritten answers the same. Off is for measuring and for doubting.
static REWRITE_CALLS: GucSetting<bool> = GucSetting::<bool>::new(true);

/// Empty: none.
static TRACE_ID: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// On: the same answers, several times as fast.
static BATCH_SCAN: GucSetting<bool> = GucSetting::<bool>::new(true);

/// Large enough that what a batch costs is not seen beside its rows, small enough that they stay in the processor's cache.
static BATCH_SIZE: GucSetting<i32> = GucSetting::<i32>::new(1024);

/// What an EXPLAIN wants of the calls under it, see `explain`. A setting because the server hands those to parallel workers
/// and sets them back after an ERROR; nobody else has a use for it.
static EXPLAINING: GucSetting<i32> = GucSetting::<i32>::new(0);

/// Its name.
pub const EXPLAINING_NAME: &CStr = c"e2i_serve.explaining";

/// Defines the settings and reserves their prefix.
pub fn define() {
    GucRegistry::define_string_guc(
        c"e2i_serve.onnxruntime_library",
        c"Path of the ONNX Runtime library; empty for the one installed beside the extension.",
        c"An absolute path of libonnxruntime.so, version 1.24 or newer. It is loaded once a session, at the first use.",
        &ONNXRUNTIME_LIBRARY,
        GucContext::Suset,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_enum_guc(
        c"e2i_serve.engine",
        c"Which engine scores: auto, native, onnxruntime or fastest.",
        c"auto is what registration chose. fastest gives batches to ONNX Runtime where it was faster then: the last bits of a score may depend on its batch. Forcing one is for comparing; a model that it cannot score is an error.",
        &ENGINE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"e2i_serve.instruction_set",
        c"Which instructions the native engine may use: auto, portable, avx2, avx512 or avx512vbmi.",
        c"All of them give the same scores. What the processor does not have is not used.",
        &INSTRUCTION_SET,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.session_cache_size",
        c"Memory for loaded models, in each session.",
        c"The least recently used models are dropped when it is exceeded; the one in use always stays.",
        &SESSION_CACHE_SIZE,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.intra_op_threads",
        c"Threads that ONNX Runtime may use for one operator.",
        c"More than one costs reproducibility: sums then depend on the number of threads. Applies to models loaded afterwards.",
        &INTRA_OP_THREADS,
        1,
        64,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.max_model_size",
        c"Largest model that can be registered.",
        c"Counts the model and its preprocessor together.",
        &MAX_MODEL_SIZE,
        1,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.validation_timeout",
        c"How long the try-out of a model may take when it is registered; 0 is no limit.",
        c"The model is opened and scored in a process of its own, which is killed when the time is over.",
        &VALIDATION_TIMEOUT,
        0,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.validation_memory",
        c"Memory that the try-out of a model may use when it is registered.",
        c"Counts address space, beyond what the session has mapped already.",
        &VALIDATION_MEMORY,
        64 * 1024,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_bool_guc(
        c"e2i_serve.metrics",
        c"Whether what is served is counted.",
        c"See the view e2i_serving_stats.",
        &METRICS,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.metrics_interval",
        c"How often the background worker writes a row for each active service.",
        c"It goes into ml_bentoml_serving_metrics. Needs the library in shared_preload_libraries.",
        &METRICS_INTERVAL,
        100,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.metrics_retention",
        c"How long rows of ml_bentoml_serving_metrics are kept; 0 is for ever.",
        c"Older ones are deleted when new ones are written.",
        &METRICS_RETENTION,
        0,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MIN,
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.inference_log_retention",
        c"Days for which rows of ml_inference_log are kept; 0 is for ever.",
        c"Partitions of days before are dropped by the background worker.",
        &INFERENCE_LOG_RETENTION,
        0,
        36_500,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.scoring_job_retention",
        c"Days for which scoring jobs that have ended are kept in ml_scoring_jobs, with their errors; 0 is for ever.",
        c"Older ones are dropped when a job begins.",
        &SCORING_JOB_RETENTION,
        0,
        36_500,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"e2i_serve.trace_id",
        c"What the inference log notes as trace of the rows that follow.",
        c"A trace id, or a traceparent as W3C Trace Context writes it, of which the trace id is taken.",
        &TRACE_ID,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"e2i_serve.rewrite_calls",
        c"Whether scoring calls are planned so that only the columns that the model needs are read.",
        c"It changes no answer. Statements that are prepared keep their plans.",
        &REWRITE_CALLS,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"e2i_serve.allow_drop",
        c"Whether the extension may be dropped while there are models.",
        c"Off, DROP EXTENSION and what else would drop it is refused as long as ml_model_registry has rows.",
        &ALLOW_DROP,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"e2i_serve.batch_scan",
        c"Whether plans score the rows that they read in batches.",
        c"EXPLAIN shows where: Custom Scan (E2iScore). Off, each row is scored when it is asked for; the answers are the same.",
        &BATCH_SCAN,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.batch_size",
        c"Most rows that a plan scores together.",
        c"It begins with one and doubles; work_mem bounds it, too.",
        &BATCH_SIZE,
        1,
        65_536,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        EXPLAINING_NAME,
        c"Set while EXPLAIN (ANALYZE) runs a statement.",
        c"Parallel workers learn from it what to count. Not to be set by anybody.",
        &EXPLAINING,
        0,
        i32::MAX,
        GucContext::Suset,
        GucFlags::NO_SHOW_ALL | GucFlags::NO_RESET_ALL | GucFlags::DISALLOW_IN_FILE,
    );
    // SAFETY: reads a variable.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        define_sizes();
    }
    // SAFETY: a plain C string; the prefix is ours.
    unsafe { reserve_prefix(c"e2i_serve") };
}

/// Sizes of shared memory, which the server takes only while it starts.
fn define_sizes() {
    GucRegistry::define_int_guc(
        c"e2i_serve.metrics_max",
        c"How many different things can be counted: each function of each version of each service.",
        c"What finds no room is counted together.",
        &METRICS_PLACES,
        16,
        1_000_000,
        GucContext::Postmaster,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"e2i_serve.inference_log_buffer",
        c"Shared memory for rows that wait to be written to ml_inference_log.",
        c"A row takes 4 kB. What finds no room is dropped and counted; scoring never waits.",
        &INFERENCE_LOG_BUFFER,
        64,
        1024 * 1024,
        GucContext::Postmaster,
        GucFlags::UNIT_KB,
    );
}

unsafe fn reserve_prefix(prefix: &CStr) {
    // SAFETY: as the caller promises.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) };
}

/// Where ONNX Runtime is.
pub fn onnxruntime_library() -> PathBuf {
    let configured = ONNXRUNTIME_LIBRARY.get().filter(|path| !path.is_empty());
    match configured {
        Some(path) => PathBuf::from(path.to_string_lossy().into_owned()),
        None => {
            // SAFETY: the server fills this array with a C string before it loads any library.
            let lib = unsafe { CStr::from_ptr((&raw const pg_sys::pkglib_path).cast()) };
            PathBuf::from(lib.to_string_lossy().into_owned()).join("e2i_serve/libonnxruntime.so")
        }
    }
}

/// Which engine scores.
pub fn engine() -> EngineChoice {
    ENGINE.get()
}

/// Which instructions the native engine may use.
pub fn instruction_set() -> InstructionSet {
    match INSTRUCTION_SET.get() {
        Instructions::Auto => InstructionSet::best(),
        Instructions::Portable => InstructionSet::PORTABLE,
        Instructions::Avx2 => InstructionSet::at_most(InstructionLevel::Avx2),
        Instructions::Avx512 => InstructionSet::at_most(InstructionLevel::Avx512),
        Instructions::Avx512Vbmi => InstructionSet::at_most(InstructionLevel::Avx512Vbmi),
    }
}

/// Bytes of loaded models to keep.
pub fn session_cache_bytes() -> usize {
    usize::try_from(SESSION_CACHE_SIZE.get()).unwrap_or_default().saturating_mul(1024)
}

/// Threads of one operator.
pub fn intra_op_threads() -> usize {
    usize::try_from(INTRA_OP_THREADS.get()).unwrap_or(1)
}

/// Largest model in bytes.
pub fn max_model_bytes() -> usize {
    usize::try_from(MAX_MODEL_SIZE.get()).unwrap_or_default().saturating_mul(1024)
}

/// How long a try-out may take; `None` is no limit.
pub fn validation_timeout() -> Option<Duration> {
    u64::try_from(VALIDATION_TIMEOUT.get()).ok().filter(|time| *time > 0).map(Duration::from_millis)
}

/// Memory of a try-out.
pub fn validation_memory_bytes() -> usize {
    usize::try_from(VALIDATION_MEMORY.get()).unwrap_or_default().saturating_mul(1024)
}

/// Whether what is served is counted.
#[inline]
pub fn metrics() -> bool {
    METRICS.get()
}

/// Whether plans score in batches.
pub fn batch_scan() -> bool {
    BATCH_SCAN.get()
}

/// Most rows that a plan scores together; one where it is not to batch.
pub fn batch_size() -> usize {
    if batch_scan() { usize::try_from(BATCH_SIZE.get()).unwrap_or(1) } else { 1 }
}

/// Whether models may be dropped with the extension.
pub fn allow_drop() -> bool {
    ALLOW_DROP.get()
}

/// Whether calls are rewritten when a statement is planned.
pub fn rewrite_calls() -> bool {
    REWRITE_CALLS.get()
}

/// What an EXPLAIN wants of the calls under it; 0 without one.
#[inline]
pub fn explaining() -> i32 {
    EXPLAINING.get()
}

/// Whether an EXPLAIN wants something of them.
#[inline]
pub fn is_explaining() -> bool {
    explaining() != 0
}

/// How often metrics are written.
pub fn metrics_interval() -> Duration {
    Duration::from_millis(u64::try_from(METRICS_INTERVAL.get()).unwrap_or_default())
}

/// How long they are kept; `None` is for ever.
pub fn metrics_retention_minutes() -> Option<i32> {
    Some(METRICS_RETENTION.get()).filter(|minutes| *minutes > 0)
}

/// Records of the inference log that can wait.
pub fn inference_log_slots() -> usize {
    usize::try_from(INFERENCE_LOG_BUFFER.get()).unwrap_or_default() / 4
}

/// How long the inference log is kept; `None` is for ever.
pub fn inference_log_retention_days() -> Option<i32> {
    Some(INFERENCE_LOG_RETENTION.get()).filter(|days| *days > 0)
}

/// How long scoring jobs are kept that have ended; `None` is for ever.
pub fn scoring_job_retention_days() -> Option<i32> {
    Some(SCORING_JOB_RETENTION.get()).filter(|days| *days > 0)
}

/// The trace that rows belong to: of a traceparent (W3C Trace Context, section 3.2: `00-trace-parent-flags`) the second part.
pub fn trace_id() -> Option<String> {
    let text = TRACE_ID.get()?.to_string_lossy().into_owned();
    let mut parts = text.split('-');
    let id = match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(version), Some(trace), Some(_), Some(_), None) if version.len() == 2 && trace.len() == 32 => trace,
        _ => text.as_str(),
    };
    let id = &id[..id.floor_char_boundary(128)];
    (!id.is_empty()).then(|| id.to_owned())
}

/// Places among the counters.
pub fn metrics_places() -> usize {
    usize::try_from(METRICS_PLACES.get()).unwrap_or_default()
}

/// A setting as SHOW writes it, for messages.
pub fn shown(name: &CStr) -> String {
    // SAFETY: a C string; the result is null or a palloc'd C string.
    unsafe {
        let text = pg_sys::GetConfigOptionByName(name.as_ptr(), std::ptr::null_mut(), true);
        if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
    }
}
