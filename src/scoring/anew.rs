//! A compiled form that another build has written and this one cannot read.
//!
//! It is made anew from the artifact in each session that loads the version, and proved before it scores, like a new version before it
//! is registered and like that in a throw-away process, so that the session itself stays without ONNX Runtime: it scores its golden
//! rows, and with every set of instructions a graph gives the answers of ONNX Runtime, another model those of the portable set.
//! Nothing is stored: who scores may not write, nor may a standby.

use std::path::Path;
use std::sync::Arc;

use e2i_core::native::agreement::{Sample, first_difference, varied};
use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Binder, Engine, Error, Examples, Kind, Result};
use e2i_onnx::{Artifacts, Model, Runtime, watchdog};

use crate::catalog::examples::examples;
use crate::catalog::model::{Stored, Version};
use crate::catalog::schema::Schema;
use crate::pg::child::{self, Limits, Outcome};
use crate::pg::wait;
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
    let library = settings::onnxruntime_library();
    let limits = Limits {
        time: settings::validation_timeout(),
        memory: settings::validation_memory_bytes(),
        threads: settings::intra_op_threads(),
    };
    let outcome = child::run(&limits, || {
        watchdog::after_fork();
        let mut plan = vec![];
        let found = prove(version, stored, artifacts, examples.as_ref(), &library).map(|proved| match proved {
            Ok(proved) => {
                plan = proved;
                None
            }
            Err(why) => Some(why),
        });
        child::packed(&found, &plan)
    })?;
    let why = match outcome {
        Outcome::Finished(written) => match child::unpacked::<Result<Option<String>>>(&written) {
            Ok((Ok(None), plan)) => return NativeEngine::open(plan, set).map(Ok),
            Ok((Ok(Some(why)), _)) => why,
            Ok((Err(error), _)) => return Err(error),
            Err(why) => return Err(Error::new(Kind::Internal, format!("the proof cannot be read: {why}"))),
        },
        Outcome::Crashed(signal) => format!("it crashed the process in which it was tried out: {signal}"),
        Outcome::TimedOut => "it did not finish its try-out within e2i_serve.validation_timeout".to_owned(),
        Outcome::OutOfMemory => "it needed more memory than e2i_serve.validation_memory".to_owned(),
        Outcome::NotAlone | Outcome::Vanished => "it could not be tried out".to_owned(),
    };
    let why = format!("another build wrote its compiled form, and made anew {why}");
    if stored.framework == "onnx" {
        return Ok(Err(why));
    }
    let reference = version.reference();
    Err(Error::new(Kind::WrongState, format!("model {reference} cannot be scored: {why}"))
        .with_hint(format!("SELECT e2i_export_model('{reference}') gives the file, to be registered again.")))
}

/// The compiled form, or what it lacks. Runs in the child.
fn prove(
    version: &Version,
    stored: &Stored,
    artifacts: Artifacts<'_>,
    examples: Option<&Examples>,
    library: &Path,
) -> Result<std::result::Result<Vec<u8>, String>> {
    let interface = &version.interface;
    let plan = match compile::compile(artifacts.model, artifacts.preprocessor, interface)? {
        Ok(plan) => plan,
        Err(why) => return Ok(Err(format!("it cannot be compiled: {why}"))),
    };
    let binder = Binder::new(Arc::new(interface.clone()), version.reference());
    if let Some(examples) = examples {
        let mut native = NativeEngine::open(&plan, InstructionSet::best())?;
        let checks = examples.prove(&binder, |batch, wanted, outputs| native.score(batch, wanted, outputs));
        if let Err(error) = checks.and_then(|checks| examples.judge(&checks)) {
            return Ok(Err(format!("it is not right: {}", error.message())));
        }
    }
    let mut sample = if stored.framework == "onnx" {
        Model::parse(artifacts.preprocessor.unwrap_or(artifacts.model))?.samples(interface)
    } else if let Some(model) = e2i_skops::read(artifacts.model) {
        model?.samples
    } else {
        Sample::of(Batch::new(&interface.inputs, 1))
    };
    if let Some(examples) = examples {
        sample.rows = examples.bind(&binder, examples.len())?;
    }
    let mut other: Box<dyn Engine> = if stored.framework == "onnx" {
        Box::new(compile::load_to_compare(Runtime::load(library)?, interface, artifacts)?.0)
    } else {
        Box::new(NativeEngine::open(&plan, InstructionSet::PORTABLE)?)
    };
    let many = interface.rows_per_call().unwrap_or(ROWS);
    for set in InstructionSet::available() {
        let mut native = NativeEngine::open(&plan, set)?;
        let mut rows = vec![varied(interface, &sample, many, false)];
        if native.is_exact() {
            rows.push(varied(interface, &sample, many, true));
        }
        if let Some(difference) = first_difference(&mut native, &mut *other, &rows)? {
            return Ok(Err(format!("it gave another answer {difference}")));
        }
    }
    Ok(Ok(plan))
}
