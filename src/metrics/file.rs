//! The file that keeps the counters while the server is down.
//!
//! It lies among the temporary statistics, which a base backup leaves out: a standby begins with counters of its own. It is
//! written once an interval, when counters are set back, and at a clean shutdown; and read when shared memory is made: after a
//! start, and after a crash of any process, so that what is lost then is at most an interval. Only that of a clean shutdown says
//! what was written to tables; after a crash the tables say it (`crate::metrics::marks`).

use std::fs;
use std::io::Write;
use std::sync::atomic::AtomicU64;

use e2i_metrics::{Board, Pool};
use pgrx::prelude::*;
use pgrx::{pg_guard, pg_shmem_init, pg_sys};

use crate::inference_log::pool::pool;
use crate::metrics::board;
use crate::pg::shared::Region;

// Relative to the data directory, where every process of the server is.
const FILE: &str = "pg_stat_tmp/e2i_serve.stat";
const NEW_FILE: &str = "pg_stat_tmp/e2i_serve.stat.new";

// Records of the inference log that waited when the server was shut down.
const RECORDS: &str = "pg_stat_tmp/e2i_serve.records";

/// Held by who writes the file, so that an older one never replaces a newer.
static WRITING: Region = Region::new(c"e2i_serve counters file", || 1, 0, |_: &[AtomicU64]| ());

/// Asks for the shared memory; called while the library is preloaded.
pub fn request() {
    pg_shmem_init!(WRITING = true);
}

/// Takes in the records that a clean shutdown kept; once, because they are written down afterwards. Called in the postmaster.
pub fn read_records(pool: &Pool<'_>) {
    if let Ok(bytes) = fs::read(RECORDS)
        && fs::remove_file(RECORDS).is_ok()
    {
        pool.load(&bytes);
    }
}

/// Takes in the file, if there is one, and sees to it that a clean shutdown writes it. Called in the postmaster.
pub fn read(board: &Board<'_>) {
    if let Ok(bytes) = fs::read(FILE) {
        if board.load(&bytes) {
            // From now on there may come more.
            told(replace(&board.save(false)));
        } else {
            ereport!(
                PgLogLevel::LOG,
                PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                format!("e2i_serve: counters in {FILE} cannot be read; they begin at zero")
            );
        }
    }
    // SAFETY: the callback is a function of this library, which is never unloaded. The postmaster runs it when all other
    // processes have ended.
    unsafe { pg_sys::on_shmem_exit(Some(at_shutdown), pg_sys::Datum::from(0)) };
}

#[pg_guard]
unsafe extern "C-unwind" fn at_shutdown(code: std::ffi::c_int, _argument: pg_sys::Datum) {
    // SAFETY: reads a variable. Children inherit the callback and clear it before they could get here; after a crash the
    // counters may have been caught in the middle of a change.
    if code == 0 && !unsafe { pg_sys::IsUnderPostmaster } {
        told(replace(&board::together(|board| board.save(true))));
        let records = pool().save();
        if !records.is_empty()
            && let Err(error) = fs::write(RECORDS, records)
        {
            failed(RECORDS, &error);
        }
    }
}

fn failed(file: &str, error: &std::io::Error) {
    ereport!(
        PgLogLevel::LOG,
        PgSqlErrorCode::ERRCODE_IO_ERROR,
        format!("e2i_serve: {file} cannot be written: {error}")
    );
}

/// Writes the file. A failure is logged: counting goes on.
pub fn write() {
    // Nothing in there calls the server.
    told(WRITING.alone(|_| replace(&board::together(|board| board.save(false)))));
}

fn replace(bytes: &[u8]) -> std::io::Result<()> {
    fs::File::create(NEW_FILE).and_then(|mut file| file.write_all(bytes)).and_then(|()| fs::rename(NEW_FILE, FILE))
}

fn told(written: std::io::Result<()>) {
    if let Err(error) = written {
        failed(FILE, &error);
    }
}
