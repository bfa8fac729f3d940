//! A compiled form that another build has written and this one cannot read.
//!
//! It is made anew from the artifact in each session that loads the version, and proved before it scores, like a new version before it
//! is registered: it scores its golden rows, and a graph gives the answers of ONNX Runtime. Nothing is stored: who scores may not
//! write, nor may a standby.

use std::sync::Arc;

use e2i_core::native::agreement::{first_difference, varied};
use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Binder, Engine, Error, Examples, Kind, Result};
use e2i_onnx::{Artifacts, Model, Runtime, watchdog};

use crate::catalog::examples::examples;
use crate::catalog::model::{Stored, Version};
use crate::catalog::schema::Schema;
use crate::pg::{interrupt, wait};
use crate::scoring::compile;
use crate::settings;

/// Rows that engines are compared on.
const ROWS: usize = 64;

/// The native engine of a version whose compiled form cannot be read; the inner error is why ONNX Runtime scores it instead.
///
/// # Errors
/// What reading or loading reports; [`Kind::WrongState`] where nothing else scores the version.
pub fn compile_and_prove(
    schema: Schema,
    version: &Version,
    stored: &Stored,
    set: InstructionSet,
) -> Result<std::result::Result<NativeEngine, String>> {
    let (model, preprocessor) = stored.artifacts(schema, version)?;
    let artifacts = Artifacts { model: &model, preprocessor: preprocessor.as_deref() };
    let examples = examples(schema, &version.id)?;
    let _state = wait::loading();
    let why = loop {
        match prove(version, stored, artifacts, examples.as_ref(), set) {
            // Returns only when the interrupt was withdrawn meanwhile.
            Err(error) if error.kind() == Kind::Interrupted => interrupt::check(),
            Err(error) => return Err(error),
            Ok(Ok(engine)) => return Ok(Ok(engine)),
            Ok(Err(why)) => break format!("another build wrote its compiled form, and made anew {why}"),
        }
    };
    if stored.framework == "onnx" {
        return Ok(Err(why));
    }
    let reference = version.reference();
    Err(Error::new(Kind::WrongState, format!("model {reference} cannot be scored: {why}"))
        .with_hint(format!("SELECT e2i_export_model('{reference}') gives the file, to be registered again.")))
}

/// The engine, or what it lacks.
fn prove(
    version: &Version,
    stored: &Stored,
    artifacts: Artifacts<'_>,
    examples: Option<&Examples>,
    set: InstructionSet,
) -> Result<std::result::Result<NativeEngine, String>> {
    let interface = &version.interface;
    let plan = match compile::compile(artifacts.model, artifacts.preprocessor, interface)? {
        Ok(plan) => plan,
        Err(why) => return Ok(Err(format!("it cannot be compiled: {why}"))),
    };
    let mut native = NativeEngine::open(&plan, set)?;
    let binder = Binder::new(Arc::new(interface.clone()), version.reference());
    if let Some(examples) = examples {
        let checks = examples.prove(&binder, |batch, wanted, outputs| native.score(batch, wanted, outputs));
        if let Err(error) = checks.and_then(|checks| examples.judge(&checks)) {
            return Ok(Err(format!("it is not right: {}", error.message())));
        }
    }
    if stored.framework != "onnx" {
        return Ok(Ok(native));
    }
    watchdog::set_probe(interrupt::pending);
    let runtime = Runtime::load(&settings::onnxruntime_library())?;
    let (mut other, _) = compile::load_to_compare(runtime, interface, artifacts)?;
    let mut sample = Model::parse(artifacts.preprocessor.unwrap_or(artifacts.model))?.samples(interface);
    if let Some(examples) = examples {
        sample.rows = examples.bind(&binder, examples.len())?;
    }
    let many = interface.rows_per_call().unwrap_or(ROWS);
    let mut rows = vec![varied(interface, &sample, many, false)];
    if native.is_exact() {
        rows.push(varied(interface, &sample, many, true));
    }
    Ok(match first_difference(&mut native, &mut other, &rows)? {
        None => Ok(native),
        Some(difference) => Err(format!("it gave another answer {difference}")),
    })
}
