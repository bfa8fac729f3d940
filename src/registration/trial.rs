//! The try-out: a model is opened, bound and scored in a throw-away process before it may enter the registry.
//!
//! Everything that looks at the bytes of a new model happens there (see [`super::proof`]), under limits of time and memory.
//! The backend itself sees only what the try-out found, or an error. So no model, however hostile, takes a session down, let
//! alone the server.

use std::borrow::Cow;

use e2i_core::{Error, Kind, Result};
use e2i_onnx::watchdog;
use pgrx::pg_sys;

use crate::pg::child::{self, Limits, Outcome};
use crate::registration::proof::{Candidate, Proved, prove};
use crate::settings;

/// Tries a model out in a process of its own.
///
/// # Errors
/// What is wrong with the model, be it that it crashed, hung, or took too much memory.
pub fn try_out(candidate: &Candidate<'_>) -> Result<Proved> {
    let library = settings::onnxruntime_library();
    let limits = Limits {
        time: settings::validation_timeout(),
        memory: settings::validation_memory_bytes(),
        threads: settings::intra_op_threads(),
    };
    // A short value may lie in a page of a table, which the child has no more.
    let name = candidate.name.to_owned();
    let model = out_of_pages(candidate.model);
    let preprocessor = candidate.preprocessor.map(out_of_pages);
    let own = Candidate { name: &name, model: &model, preprocessor: preprocessor.as_deref(), ..*candidate };
    let outcome = child::run(&limits, || {
        watchdog::after_fork();
        answer(prove(&own, &library))
    })?;
    let subject = format!("the model {:?}", candidate.name);
    match outcome {
        Outcome::Finished(written) => match read_answer(&written) {
            Ok(Ok(proved)) if proved.interface.is_consistent() => Ok(proved),
            Ok(Err(error)) if error.kind() == Kind::Memory => {
                Err(out_of_memory(&subject).with_detail(format!("The try-out reported: {}.", error.message())))
            }
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) => Err(Error::new(Kind::Internal, "the try-out returned an interface that contradicts itself")),
            Err(why) => {
                Err(Error::new(Kind::Internal, format!("the try-out returned nothing that can be read: {why}")))
            }
        },
        Outcome::Crashed(signal) => {
            Err(Error::new(Kind::Runtime, format!("{subject} crashed the process in which it was tried out: {signal}"))
                .with_detail("It is not registered. No session was affected."))
        }
        Outcome::TimedOut => Err(Error::new(
            Kind::Limit,
            format!(
                "{subject} did not finish its try-out within e2i_serve.validation_timeout, {}",
                settings::shown(c"e2i_serve.validation_timeout")
            ),
        )
        .with_hint(format!(
            "SET e2i_serve.validation_timeout = '{}ms';",
            limits.time.unwrap_or_default().as_millis().saturating_mul(4)
        ))),
        Outcome::OutOfMemory => Err(out_of_memory(&subject)),
        Outcome::NotAlone => Err(Error::new(
            Kind::WrongState,
            format!("{subject} cannot be tried out: the process for it could not let go of the server's memory"),
        )
        .with_hint("The server's user must be able to read /proc/self/maps.")),
        Outcome::Vanished => {
            Err(Error::new(Kind::Internal, "the process in which the model was tried out ended early"))
        }
    }
}

/// Bytes where no page of a table can hold them: those that fit into one, copied.
fn out_of_pages(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.len() <= pg_sys::BLCKSZ as usize { Cow::Owned(bytes.to_vec()) } else { Cow::Borrowed(bytes) }
}

/// What the child writes: what was found, and the compiled form behind it.
fn answer(mut found: Result<Proved>) -> Vec<u8> {
    let plan = found.as_mut().ok().and_then(|proved| proved.plan.take()).unwrap_or_default();
    child::packed(&found, &plan)
}

fn read_answer(written: &[u8]) -> serde_json::Result<Result<Proved>> {
    let (mut found, plan) = child::unpacked::<Result<Proved>>(written)?;
    if let Ok(proved) = &mut found {
        proved.plan = (!plan.is_empty()).then(|| plan.to_vec());
    }
    Ok(found)
}

fn out_of_memory(subject: &str) -> Error {
    let megabytes = settings::validation_memory_bytes() >> 20;
    Error::new(
        Kind::Memory,
        format!(
            "{subject} needed more memory than e2i_serve.validation_memory, {}",
            settings::shown(c"e2i_serve.validation_memory")
        ),
    )
    .with_hint(format!("SET e2i_serve.validation_memory = '{}MB';", megabytes.saturating_mul(4)))
}
