//! The readers of the server's binary forms against the server itself, and child processes. What SQL can show is tested in
//! `tests/pg_regress`.
//!
//! Each function is a test, which fails by a panic; they are in development builds only. `scripts/dev rust` calls them, each in a
//! session of its own.

use std::time::Duration;

use e2i_core::Scalar;
use pgrx::prelude::*;
use pgrx::{direct_function_call_as_datum, pg_sys};

use crate::datum::jsonb::{Container, Value};
use crate::datum::numeric;
use crate::pg::child::{self, Limits, Outcome};
use crate::pg::varlena;

/// A value of a type from its text form.
fn input(function: unsafe fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum, text: &str) -> pg_sys::Datum {
    let text = std::ffi::CString::new(text).expect("no zero bytes");
    let arguments =
        [Some(pg_sys::Datum::from(text.as_ptr())), Some(pg_sys::Datum::from(0)), Some(pg_sys::Datum::from(-1_i32))];
    // SAFETY: an input function takes a C string, an oid and a modifier.
    unsafe { direct_function_call_as_datum(function, &arguments) }.expect("not null")
}

fn with_numeric<T>(text: &str, read: impl FnOnce(Scalar<'_>) -> T) -> T {
    let datum = input(pg_sys::numeric_in, text);
    // SAFETY: numeric_in returns a numeric.
    read(numeric::scalar(unsafe { varlena::bytes(datum) }))
}

/// Numbers of every length, weight and sign, and the special ones.
fn numbers() -> Vec<String> {
    let mut numbers: Vec<String> =
        ["0", "-0.0", "1", "-1", "NaN", "Infinity", "-Infinity", "9007199254740993"].map(str::to_owned).to_vec();
    let digits = "73950184620913857264019283746501928374650192837465";
    for length in 1..=24 {
        for point in [0, 1, 3, 4, 5, 8, length] {
            let point = point.min(length);
            let (whole, fraction) = digits[..length].split_at(point);
            for sign in ["", "-"] {
                numbers.push(format!("{sign}0{whole}.{fraction}0"));
                numbers.push(format!("{sign}0{whole}.{fraction}0e-30"));
                numbers.push(format!("{sign}0{whole}.{fraction}0e30"));
            }
        }
    }
    numbers
}

#[pg_extern(sql = false)]
fn test_numerics_are_the_float8_that_the_server_makes() {
    for text in numbers() {
        let expected: f64 =
            Spi::get_one(&format!("SELECT '{text}'::numeric::float8")).expect("it runs").expect("a number");
        let got = with_numeric(&text, |scalar| match scalar {
            Scalar::Decimal(decimal) => decimal.to_f64(),
            Scalar::Float(special) => special,
            _ => unreachable!("a numeric is a number"),
        });
        assert!(expected == got || (expected.is_nan() && got.is_nan()), "{text}: expected {expected}, got {got}");
    }
}

#[pg_extern(sql = false)]
fn test_numerics_are_shown_as_the_server_shows_them() {
    for text in ["0", "12.60", "-0.00100", "123456789.125", "10000", "0.00001", "99999999999999999999"] {
        let expected: String =
            Spi::get_one(&format!("SELECT trim_scale('{text}'::numeric)::text")).expect("it runs").expect("a text");
        assert_eq!(with_numeric(text, |scalar| scalar.to_string()), expected);
    }
}

#[pg_extern(sql = false)]
fn test_objects_hold_what_jsonb_each_says() {
    // More members than between two stored offsets, keys of all lengths, numbers at every alignment.
    let members: Vec<String> = (0..150)
        .map(|i| {
            let key = "k".repeat(1 + i % 37) + &i.to_string();
            let value = match i % 7 {
                0 => format!("\"{}\"", "ä".repeat(i % 11)),
                1 => "null".to_owned(),
                2 => "true".to_owned(),
                3 => format!("{i}.{}", i * 7919),
                4 => "false".to_owned(),
                5 => format!("[{i}, {{\"deep\": \"{i}\"}}]"),
                _ => format!("-{i}e{}", i % 20),
            };
            format!("\"{key}\": {value}")
        })
        .collect();
    let document = format!("{{{}}}", members.join(", "));
    let datum = input(pg_sys::jsonb_in, &document);
    // SAFETY: jsonb_in returns a jsonb.
    let container = Container::root(unsafe { varlena::bytes(datum) });
    let got: Vec<(String, String)> =
        container.keys().zip(container.values()).map(|(key, value)| (key.to_owned(), shown(value))).collect();
    let expected = Spi::connect(|client| {
        let query = format!("SELECT key, value::text, jsonb_typeof(value) FROM jsonb_each('{document}')");
        let rows = client.select(&query, None, &[]).expect("it runs");
        rows.map(|row| {
            let text = |column| row.get::<String>(column).expect("a column").expect("not null");
            let kind = text(3);
            let value = match kind.as_str() {
                "array" | "object" => kind,
                "null" => "NULL".to_owned(),
                "number" => format!("{:e}", text(2).parse::<f64>().expect("a number")),
                _ => text(2),
            };
            (text(1), value)
        })
        .collect::<Vec<_>>()
    });
    assert_eq!(got, expected);
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Container(container) => container.kind().to_owned(),
        Value::Scalar(Scalar::Decimal(decimal)) => format!("{:e}", decimal.to_f64()),
        Value::Scalar(Scalar::Text(text)) => format!("\"{text}\""),
        Value::Scalar(scalar) => scalar.to_string(),
    }
}

#[pg_extern(sql = false)]
fn test_the_same_keys_have_the_same_key_bytes() {
    let bytes = |document: &str| {
        let datum = input(pg_sys::jsonb_in, document);
        // SAFETY: jsonb_in returns a jsonb, which lives until the end of the test.
        let (entries, keys) = Container::root(unsafe { varlena::bytes(datum) }).key_bytes();
        (entries.to_vec(), keys.to_vec())
    };
    assert_eq!(bytes(r#"{"a": 1, "bb": [1]}"#), bytes(r#"{"bb": null, "a": "x"}"#));
    assert_ne!(bytes(r#"{"a": 1, "bb": 1}"#), bytes(r#"{"a": 1, "bc": 1}"#));
    assert_ne!(bytes(r#"{"ab": 1, "c": 1}"#), bytes(r#"{"a": 1, "bc": 1}"#));
    assert_eq!(bytes("{}"), (vec![], vec![]));
}

fn in_child(milliseconds: u64, work: impl FnOnce() -> Vec<u8>) -> Outcome {
    let limits = Limits { time: Some(Duration::from_millis(milliseconds)), memory: 256 << 20, threads: 1 };
    let outcome = child::run(&limits, work).expect("there is a process");
    assert_no_child();
    outcome
}

fn assert_no_child() {
    // SAFETY: asks whether there is any child left, reaped or not.
    assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) }, -1, "a child is left");
}

#[pg_extern(sql = false)]
fn test_a_child_ends_as_it_ends() {
    assert!(matches!(in_child(9000, || b"done".to_vec()), Outcome::Finished(written) if written == b"done"));
    assert!(matches!(in_child(9000, || vec![7; 3 << 20]), Outcome::Finished(written) if written.len() == 3 << 20));
    assert!(matches!(in_child(9000, || std::process::abort()), Outcome::Crashed("SIGABRT")));
    // SAFETY: not sound at all, which is the point.
    assert!(matches!(in_child(9000, || unsafe { vec![*std::ptr::dangling::<u8>()] }), Outcome::Crashed("SIGSEGV")));
    assert!(matches!(in_child(9000, || unreachable!("a panic stays inside")), Outcome::Vanished));
    assert!(matches!(in_child(9000, || vec![1; 1 << 30]), Outcome::OutOfMemory));
    assert!(matches!(
        in_child(200, || loop {
            std::thread::sleep(Duration::from_secs(1))
        }),
        Outcome::TimedOut
    ));
    assert!(matches!(
        in_child(200, || loop {
            std::hint::spin_loop()
        }),
        Outcome::TimedOut
    ));
}

#[pg_extern(sql = false)]
fn test_a_child_holds_nothing_of_the_session() {
    let open = |path: &str| {
        let mut open: Vec<String> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        open.sort();
        open.join(" ")
    };
    // The fourth is the folder that is being read.
    let Outcome::Finished(written) = in_child(9000, || open("/proc/self/fd").into_bytes()) else { unreachable!() };
    assert_eq!(String::from_utf8_lossy(&written), "0 1 2 3 4");
    // SAFETY: asks for the handler of a signal.
    let handler = || unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        libc::sigaction(libc::SIGTERM, std::ptr::null(), &raw mut action);
        vec![u8::from(action.sa_sigaction == libc::SIG_DFL)]
    };
    assert!(matches!(in_child(9000, handler), Outcome::Finished(written) if written == [1]));
}

#[pg_extern(sql = false)]
fn test_a_cancelled_statement_leaves_no_child() {
    let is_cancelled = PgTryBuilder::new(|| {
        in_child(60_000, || {
            // SAFETY: what pg_cancel_backend sends, once the session waits.
            unsafe { libc::kill(libc::getppid(), libc::SIGINT) };
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        false
    })
    .catch_when(PgSqlErrorCode::ERRCODE_QUERY_CANCELED, |_| true)
    .execute();
    assert!(is_cancelled);
    assert_no_child();
}
