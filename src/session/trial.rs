//! The try-out: a model is opened, bound and scored in a throw-away process before it may enter the registry.
//!
//! Everything that looks at the bytes of a new model happens there, decoding included, under limits of time and memory. The
//! backend itself sees only what the try-out found: the interface, or an error. So no model, however hostile, takes a
//! session down, let alone the server.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2i_core::native::agreement::{disagreement, varied};
use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Binder, Check, Engine, Error, Examples, Interface, Kind, OutputSet, Outputs, Result, Signature};
use e2i_onnx::{Artifacts, Model, Options, Runtime, RuntimeEngine, describe, watchdog};
use serde::{Deserialize, Serialize};

use crate::catalog::examples::examples;
use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::pg::child::{self, Limits, Outcome};
use crate::session::{LoadedModel, engines};
use crate::settings;

/// A model that wants to be registered.
pub struct Candidate<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// The model graph.
    pub model: &'a [u8],
    /// The graph that is run first, if there is one.
    pub preprocessor: Option<&'a [u8]>,
    /// What the caller states about it.
    pub options: &'a Options,
    /// Golden rows.
    pub examples: Option<&'a Examples>,
}

/// What the try-out found.
#[derive(Serialize, Deserialize)]
pub struct Proved {
    /// What the model takes and gives, with what only a run can tell.
    pub interface: Interface,
    /// Its signature in MLflow's form.
    pub signature: serde_json::Value,
    /// Which engine is to score it.
    pub engine: String,
    /// Why not the native one.
    pub engine_reason: Option<String>,
    /// Whether it was compiled and gave other answers than the runtime.
    pub engines_differ: bool,
    /// The compiled form, for the native engine.
    #[serde(skip)]
    pub plan: Option<Vec<u8>>,
    /// Why it was not scored, where that is not held against it.
    pub warning: Option<String>,
}

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
    let outcome = child::run(&limits, || {
        watchdog::after_fork();
        answer(prove(candidate, &library, limits.threads))
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
        Outcome::Vanished => {
            Err(Error::new(Kind::Internal, "the process in which the model was tried out ended early"))
        }
    }
}

/// What the child writes: the length of a JSON text, the text, and the compiled form as it is.
fn answer(mut found: Result<Proved>) -> Vec<u8> {
    let plan = found.as_mut().ok().and_then(|proved| proved.plan.take()).unwrap_or_default();
    let json = serde_json::to_vec(&found).unwrap_or_default();
    let length = u32::try_from(json.len()).unwrap_or_default();
    [&length.to_le_bytes()[..], &json, &plan].concat()
}

fn read_answer(written: &[u8]) -> serde_json::Result<Result<Proved>> {
    let (length, rest) = written.split_at_checked(4).unwrap_or_default();
    let length = u32::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
    let (json, plan) = rest.split_at_checked(length).unwrap_or_default();
    let mut found = serde_json::from_slice::<Result<Proved>>(json)?;
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

/// Reads, loads and scores a model. Runs in the child: nothing here may call the server.
fn prove(candidate: &Candidate<'_>, library: &Path, threads: usize) -> Result<Proved> {
    let model = Model::parse(candidate.model)?;
    let first = candidate.preprocessor.map(Model::parse).transpose()?;
    let mut interface = describe(&model, first.as_ref(), candidate.options)?;
    let binder = Binder::new(Arc::new(interface.clone()), candidate.name);
    let mut sample = Batch::new(&interface.inputs, interface.rows_per_call().unwrap_or(1));
    first.as_ref().unwrap_or(&model).fill_samples(&interface, &mut sample);
    // The runtime makes copies of its own: what was decoded here goes first.
    drop((model, first));
    let runtime = Runtime::load(library)?;
    let artifacts = Artifacts { model: candidate.model, preprocessor: candidate.preprocessor };
    let mut engine = RuntimeEngine::load(runtime, &interface, artifacts, threads)?;
    let mut outputs = Outputs::default();
    let mut warning = None;
    if let Err(error) = engine.score(&sample, OutputSet::BOTH, &mut outputs) {
        // Where the graph wants a text or a number that nobody could guess, a golden row tells, or it is taken on trust.
        let may_want_categories = interface.features.iter().any(|feature| !feature.element.is_float());
        if error.kind() != Kind::Runtime || !may_want_categories {
            return Err(Error::new(
                error.kind(),
                format!("the model does not score a row of samples: {}", error.message()),
            ));
        }
        match candidate.examples {
            Some(examples) => {
                sample = examples.bind(&binder, 1)?;
                engine.score(&sample, OutputSet::BOTH, &mut outputs).map_err(|error| error.in_row(1))?;
            }
            None => {
                warning = Some(format!(
                    "the model is registered although it did not score a row of samples: {}",
                    error.message()
                ));
            }
        }
    }
    if warning.is_none() {
        if let Some(output) = interface.main.and_then(|main| interface.outputs.get_mut(main)) {
            output.width = output.width.or(Some(outputs.width));
        }
        interface.set_pace(pace(&mut engine, &sample, &mut outputs)?);
    }
    if let Some(examples) = candidate.examples {
        examples.judge(&compare(examples, &binder, &interface, |batch, wanted, outputs| {
            engine.score(batch, wanted, outputs)
        })?)?;
    }
    let mut rows = Vec::new();
    if warning.is_none() {
        rows.push(varied(&interface, &sample, compared_rows(&interface)));
    }
    if let Some(examples) = candidate.examples {
        rows.push(examples.bind(&binder, examples.len())?);
    }
    let compiled = compile(candidate, &interface, &mut engine, &rows)?;
    let signature = match &candidate.options.signature {
        Some(given) => given.completed(&interface),
        None => Signature::describe(&interface),
    };
    Ok(match compiled {
        Compiled::Agrees(plan) => Proved {
            interface,
            signature,
            engine: "native".to_owned(),
            engine_reason: None,
            engines_differ: false,
            plan: Some(plan),
            warning,
        },
        Compiled::Not { why, differs } => Proved {
            interface,
            signature,
            engine: engine.name().to_owned(),
            engine_reason: Some(why),
            engines_differ: differs,
            plan: None,
            warning,
        },
    })
}

/// What became of compiling a model.
enum Compiled {
    /// The compiled form, which answers as the runtime does.
    Agrees(Vec<u8>),
    /// Why the runtime scores it, and whether because its answers differ.
    Not { why: String, differs: bool },
}

/// Most bytes of a compiled form; a larger one is left to the runtime.
const MAX_PLAN: usize = 192 << 20;

/// Compiles the model and compares both engines on `rows`.
fn compile(
    candidate: &Candidate<'_>,
    interface: &Interface,
    runtime: &mut RuntimeEngine,
    rows: &[Batch],
) -> Result<Compiled> {
    let no = |why: String, differs: bool| Ok(Compiled::Not { why, differs });
    let plan = match engines::compile(candidate.model, candidate.preprocessor, interface)? {
        Ok(plan) if plan.len() > MAX_PLAN => return no("the compiled form is too large".to_owned(), false),
        Ok(plan) => plan,
        Err(why) => return no(why, false),
    };
    if rows.is_empty() {
        return no("there was no row to compare the engines on".to_owned(), false);
    }
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        let mut native = NativeEngine::open(&plan, set)?;
        for batch in rows {
            let (mut ours, mut theirs) = (Outputs::default(), Outputs::default());
            let expected = runtime.score(batch, OutputSet::BOTH, &mut theirs);
            let found = native.score(batch, OutputSet::BOTH, &mut ours);
            let difference = match (found, expected) {
                // Both refuse, as for a category that is not known.
                (Err(_), Err(_)) => None,
                (Err(error), Ok(())) | (Ok(()), Err(error)) => Some(error.message().to_owned()),
                (Ok(()), Ok(())) => disagreement(&ours, &theirs),
            };
            if let Some(difference) = difference {
                return no(format!("compiled, it does not answer as ONNX Runtime: {difference}"), true);
            }
        }
    }
    Ok(Compiled::Agrees(plan))
}

/// Rows to compare engines on: many, but no more than take a few hundredths of a second.
fn compared_rows(interface: &Interface) -> usize {
    interface.rows_per_call().unwrap_or_else(|| interface.rows_at_once.clamp(16, 512))
}

/// How long a row takes: the best of a few runs, the first of which (the one before) also allocated.
fn pace(engine: &mut RuntimeEngine, sample: &Batch, outputs: &mut Outputs) -> Result<Duration> {
    const ENOUGH: Duration = Duration::from_millis(5);
    let begun = Instant::now();
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let run = Instant::now();
        engine.score(sample, OutputSet::BOTH, outputs)?;
        best = best.min(run.elapsed());
        if begun.elapsed() > ENOUGH {
            break;
        }
    }
    Ok(best)
}

/// Scores golden rows and compares.
fn compare(
    examples: &Examples,
    binder: &Binder,
    interface: &Interface,
    mut score: impl FnMut(&Batch, OutputSet, &mut Outputs) -> Result<()>,
) -> Result<Vec<Check>> {
    let wanted = examples.needed(interface, binder.model())?;
    let batch = examples.bind(binder, examples.len())?;
    let mut outputs = Outputs::default();
    score(&batch, wanted, &mut outputs)?;
    examples.compare(interface, &outputs, binder.model())
}

/// Scores the golden rows of a loaded model again, in this session.
///
/// # Errors
/// What binding or scoring reports; a difference is no error.
pub fn verify(model: &LoadedModel, examples: &Examples) -> Result<Vec<Check>> {
    compare(examples, &model.binder, model.interface(), |batch, wanted, outputs| model.score(batch, wanted, outputs))
}

/// Whether a version, loaded anew, still scores its golden rows as expected; one without any is only loaded.
///
/// # Errors
/// What loading or scoring reports, or the first differences.
pub fn still_proves(schema: Schema, version: &Version) -> Result<()> {
    let model = LoadedModel::load(schema, version)?;
    match examples(schema, &version.id)? {
        Some(examples) => examples.judge(&verify(&model, &examples)?),
        None => Ok(()),
    }
}
