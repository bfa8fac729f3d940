//! Which engine scores a version in this session, and opening it.
//!
//! Registration has compiled the model and compared both engines; what it chose stands in the registry. A session follows
//! that unless `e2i_serve.engine` says otherwise. The native engine never touches the ONNX Runtime library.

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Engine, Error, Kind, Result};
use e2i_onnx::{Artifacts, Runtime, RuntimeEngine, watchdog};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

use crate::catalog::model::{Stored, Version};
use crate::catalog::schema::Schema;
use crate::pg::{interrupt, wait};
use crate::scoring::anew;
use crate::settings::{self, EngineChoice};

/// What decides about an engine besides the version; a loaded model is good as long as this has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preference {
    /// Which engine is asked for.
    pub engine: EngineChoice,
    /// Threads of ONNX Runtime for one operator.
    pub threads: usize,
    instruction_set: InstructionSet,
}

impl Preference {
    /// What registration chose, and one thread, on whose number sums depend, whatever the settings say: for answers that must not
    /// change.
    pub fn registered() -> Self {
        Self { engine: EngineChoice::Auto, threads: 1, ..Self::current() }
    }

    /// What the settings say now.
    pub fn current() -> Self {
        Self {
            engine: settings::engine(),
            threads: settings::intra_op_threads(),
            instruction_set: settings::instruction_set(),
        }
    }
}

/// The engine of a version in this session.
///
/// # Errors
/// What reading or loading reports; [`Kind::Unsupported`] when the engine that the setting forces cannot score the version.
pub fn open(schema: Schema, version: &Version, preference: Preference) -> Result<Box<dyn Engine>> {
    let stored = Stored::find(schema, version)?;
    if is_native(&stored, version, preference.engine)? {
        match open_native(schema, version, &stored, preference.instruction_set)? {
            Ok(engine) => return Ok(Box::new(engine)),
            Err(why) => instead(version, preference.engine, &why)?,
        }
    }
    on_runtime(schema, version, &stored, preference.threads)
}

/// ONNX Runtime scores a version that has a compiled form.
fn instead(version: &Version, choice: EngineChoice, why: &str) -> Result<()> {
    let reference = version.reference();
    if choice == EngineChoice::Native {
        return Err(Error::new(
            Kind::Unsupported,
            format!("model {reference} cannot be scored by the native engine: {why}"),
        )
        .with_hint("SET e2i_serve.engine = 'auto';"));
    }
    let message = format!("model {reference} is scored by ONNX Runtime: {why}");
    ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, message, "").report(PgLogLevel::WARNING);
    Ok(())
}

/// Whether the native engine scores a version, or else ONNX Runtime.
///
/// # Errors
/// [`Kind::Unsupported`] when the engine that is forced cannot score it.
pub fn is_native(stored: &Stored, version: &Version, choice: EngineChoice) -> Result<bool> {
    let is_native = stored.engine == "native";
    match choice {
        EngineChoice::Native if !is_native => {
            let why =
                stored.engine_reason.clone().unwrap_or_else(|| "it was registered without a compiled form".to_owned());
            let message = format!("model {} cannot be scored by the native engine", version.reference());
            Err(Error::new(Kind::Unsupported, message)
                .with_detail(format!("Reason: {why}."))
                .with_hint("SET e2i_serve.engine = 'auto';"))
        }
        EngineChoice::OnnxRuntime if stored.framework != "onnx" => {
            let message = format!(
                "model {} is of {} and cannot be scored by ONNX Runtime",
                version.reference(),
                stored.framework
            );
            Err(Error::new(Kind::Unsupported, message).with_hint("SET e2i_serve.engine = 'auto';"))
        }
        EngineChoice::OnnxRuntime => Ok(false),
        EngineChoice::Auto | EngineChoice::Native | EngineChoice::Fastest => Ok(is_native),
    }
}

/// The native engine of a version, from its compiled form; the inner error is why ONNX Runtime scores it in its place. See [`anew`] for
/// a form that this build does not read.
///
/// # Errors
/// As [`open`].
pub fn open_native(
    schema: Schema,
    version: &Version,
    stored: &Stored,
    instruction_set: InstructionSet,
) -> Result<std::result::Result<NativeEngine, String>> {
    let plan = stored.plan(schema, version)?;
    // Not while bytes are read from a table: that has events of the server's own, each of which ends the one before.
    let state = wait::loading();
    let opened = match plan {
        Some(plan) => NativeEngine::open(&plan, instruction_set),
        None => Err(Error::new(Kind::BadModel, "there is no compiled form")),
    };
    let made = match opened {
        Err(error) if error.kind() == Kind::BadModel => {
            drop(state);
            anew::compile_and_prove(schema, version, stored, instruction_set)?
        }
        other => Ok(other?),
    };
    Ok(made.map(|mut engine| {
        engine.set_probe(interrupt::pending);
        engine
    }))
}

/// ONNX Runtime for a version that the native engine scores, too.
///
/// # Errors
/// As [`open`].
pub fn open_beside(schema: Schema, version: &Version, preference: Preference) -> Result<Box<dyn Engine>> {
    on_runtime(schema, version, &Stored::find(schema, version)?, preference.threads)
}

fn on_runtime(schema: Schema, version: &Version, stored: &Stored, threads: usize) -> Result<Box<dyn Engine>> {
    let (model, preprocessor) = stored.artifacts(schema, version)?;
    let artifacts = Artifacts { model: &model, preprocessor: preprocessor.as_deref() };
    watchdog::set_probe(interrupt::pending);
    let _state = wait::loading();
    let runtime = Runtime::load(&settings::onnxruntime_library())?;
    loop {
        match RuntimeEngine::load(runtime, &version.interface, artifacts, threads) {
            // Returns only when the interrupt was withdrawn meanwhile.
            Err(error) if error.kind() == Kind::Interrupted => interrupt::check(),
            other => return Ok(Box::new(other?)),
        }
    }
}
