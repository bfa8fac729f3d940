//! What an EXPLAIN says about models, in each of its formats; as text one line for each, in the form of those about triggers.

use std::ffi::{CStr, CString};
use std::fmt::Write;

use e2i_metrics::{Function, Key, Tally};
use pgrx::pg_sys;

/// Writes a line for each version that was used, shadows last.
///
/// # Safety
/// `state` must be that of a plan which is being explained.
pub unsafe fn write(state: *mut pg_sys::ExplainState, spent: &[(Key, Tally)], is_missing_workers: bool) {
    let mut used: Vec<_> = spent.iter().filter(|(_, tally)| is_used(tally)).collect();
    used.sort_by(|(one, _), (other, _)| order(one).cmp(&order(other)));
    if used.is_empty() {
        return;
    }
    // SAFETY: as the caller promises; C strings, which the server copies.
    unsafe {
        if (*state).format == pg_sys::ExplainFormat::EXPLAIN_FORMAT_TEXT {
            for (key, tally) in used {
                if let Ok(line) = CString::new(line(key, tally, (*state).timing, is_missing_workers)) {
                    pg_sys::appendStringInfoString((*state).str_, line.as_ptr());
                }
            }
            return;
        }
        pg_sys::ExplainOpenGroup(c"Models".as_ptr(), c"Models".as_ptr(), false, state);
        for (key, tally) in used {
            pg_sys::ExplainOpenGroup(c"Model".as_ptr(), std::ptr::null(), true, state);
            write_group(state, key, tally, is_missing_workers);
            pg_sys::ExplainCloseGroup(c"Model".as_ptr(), std::ptr::null(), true, state);
        }
        pg_sys::ExplainCloseGroup(c"Models".as_ptr(), c"Models".as_ptr(), false, state);
    }
}

/// A model that was only found in memory, such as by `e2i_prewarm`, has done nothing.
fn is_used(tally: &Tally) -> bool {
    tally.predictions > 0 || tally.loads > 0 || tally.failed() > 0
}

fn order(key: &Key) -> (bool, &str, &str) {
    (key.is(Function::Shadow), key.reference.as_str(), key.engine())
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

fn line(key: &Key, tally: &Tally, timing: bool, is_missing_workers: bool) -> String {
    let role = if key.is(Function::Shadow) { "Shadow model" } else { "Model" };
    let mut line = match key.reference.as_str() {
        "" => format!("{role} not found:"),
        reference => format!("{role} {reference} ({}):", key.engine()),
    };
    // Writing to a String does not fail.
    if timing {
        let _ = write!(line, " time={:.3}", milliseconds(tally.timed_ns));
    }
    let _ = write!(line, " rows={}", tally.predictions);
    if tally.failed() > 0 {
        let _ = write!(line, " errors={}", tally.failed());
    }
    if timing && tally.loads > 0 {
        let _ = write!(line, " loads={} load_time={:.3}", tally.loads, milliseconds(tally.load_ns));
    }
    if is_missing_workers {
        line.push_str(" (without workers)");
    }
    line.push('\n');
    line
}

/// # Safety
/// As [`write`].
unsafe fn write_group(state: *mut pg_sys::ExplainState, key: &Key, tally: &Tally, is_missing_workers: bool) {
    // SAFETY: as the caller promises; C strings, which the server copies.
    unsafe {
        let text = |label: &CStr, text: &str| {
            if let Ok(text) = CString::new(text) {
                pg_sys::ExplainPropertyText(label.as_ptr(), text.as_ptr(), state);
            }
        };
        let number = |label: &CStr, number: u64| {
            pg_sys::ExplainPropertyUInteger(label.as_ptr(), std::ptr::null(), number, state);
        };
        let time = |label: &CStr, nanoseconds: u64| {
            pg_sys::ExplainPropertyFloat(label.as_ptr(), c"ms".as_ptr(), milliseconds(nanoseconds), 3, state);
        };
        text(c"Model", key.reference.as_str());
        text(c"Engine", key.engine());
        pg_sys::ExplainPropertyBool(c"Shadow".as_ptr(), key.is(Function::Shadow), state);
        if (*state).timing {
            time(c"Time", tally.timed_ns);
        }
        number(c"Rows", tally.predictions);
        number(c"Errors", tally.failed());
        if (*state).timing {
            number(c"Loads", tally.loads);
            time(c"Load Time", tally.load_ns);
        }
        if is_missing_workers {
            pg_sys::ExplainPropertyBool(c"Workers Counted".as_ptr(), false, state);
        }
    }
}
