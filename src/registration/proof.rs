//! What a model must prove before it is registered: that it can be read, loaded and scored, that both engines agree, and
//! that it predicts its golden rows. Runs in the try-out's child, so nothing here may call the server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use e2i_core::class_scores::Built;
use e2i_core::evidence::{self, Evidence};
use e2i_core::formats::{self, Trained};
use e2i_core::native::agreement::{Sample, disagreement, first_difference, varied};
use e2i_core::native::{Ensemble, InstructionSet, NativeEngine, compile_trained};
use e2i_core::{
    Batch, Binder, ClassScores, ElementType, Engine, Error, Examples, Interface, Kind, Options, OutputSet, Outputs,
    Result, Signature, Task, quoted,
};
use e2i_onnx::{Artifacts, Model, Runtime, RuntimeEngine, SLOW, describe, find_rows, try_alone};
use serde::{Deserialize, Serialize};

use crate::registration::times;
use crate::scoring::compile;

/// A model that wants to be registered.
pub struct Candidate<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// The model: an ONNX graph, or a file of a training library.
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
    /// The format of the artifact: `onnx`, `xgboost`, `lightgbm` or `sklearn`.
    pub framework: String,
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
    /// What else whoever registers it should know.
    pub notices: Vec<String>,
}

/// The framework of skops files.
const SKLEARN: &str = "sklearn";

/// Reads, loads and scores a model.
///
/// # Errors
/// What is wrong with it.
pub fn prove(candidate: &Candidate<'_>, library: &Path) -> Result<Proved> {
    if let Some(model) = e2i_skops::read(candidate.model) {
        return prove_skops(candidate, model?);
    }
    match formats::read(candidate.model) {
        Some(trained) => prove_trained(candidate, trained?),
        None => prove_graph(candidate, library),
    }
}

/// A model of scikit-learn, which the native engine alone scores.
fn prove_skops(candidate: &Candidate<'_>, model: e2i_skops::Model) -> Result<Proved> {
    no_preprocessor(candidate, SKLEARN)?;
    model.must_be_proved(candidate.examples.is_some())?;
    let mut interface = model.interface_as(candidate.options.task, candidate.options.class_scores)?;
    let numbered = interface.features.iter().enumerate().all(|(index, feature)| feature.name == format!("x{index}"));
    candidate.options.apply(&mut interface, !numbered)?;
    prove_native(candidate, SKLEARN, interface, model.plan, &model.samples, unused_params(candidate))
}

/// A file of a training library, which the native engine alone scores.
fn prove_trained(candidate: &Candidate<'_>, trained: Trained) -> Result<Proved> {
    let framework = trained.framework;
    no_preprocessor(candidate, framework)?;
    let mut interface = trained.interface_as(candidate.options.task, candidate.options.class_scores)?;
    let numbered = interface.features.iter().enumerate().all(|(index, feature)| feature.name == format!("f{index}"));
    candidate.options.apply(&mut interface, !numbered)?;
    let mut notices = unused_params(candidate);
    notices.extend(coded(candidate, &trained.ensemble, &interface));
    let element = interface.inputs.first().map_or(ElementType::Float32, |input| input.element);
    let plan = compile_trained(framework, element, &trained.ensemble, &trained.link)?;
    let sample = Sample::of(Batch::new(&interface.inputs, 1));
    prove_native(candidate, framework, interface, plan, &sample, notices)
}

fn no_preprocessor(candidate: &Candidate<'_>, framework: &str) -> Result<()> {
    match candidate.preprocessor {
        None => Ok(()),
        Some(_) => {
            Err(Error::new(Kind::BadOption, format!("a preprocessor cannot be run before a model of {framework}"))
                .with_hint("Export both to ONNX."))
        }
    }
}

/// Whether every set of instructions gives the same answers, and golden rows theirs.
fn prove_native(
    candidate: &Candidate<'_>,
    framework: &str,
    interface: Interface,
    plan: Vec<u8>,
    sample: &Sample,
    notices: Vec<String>,
) -> Result<Proved> {
    if plan.len() > MAX_PLAN {
        return Err(Error::new(
            Kind::Limit,
            format!("the compiled form of the model has {} bytes, more than {MAX_PLAN}", plan.len()),
        ));
    }
    let binder = Binder::new(Arc::new(interface.clone()), candidate.name);
    let rows = varied(&interface, sample, compared_rows(&interface, Duration::ZERO), true);
    let mut first: Option<Outputs> = None;
    for set in InstructionSet::available() {
        let mut answers = Outputs::default();
        NativeEngine::open(&plan, set)?.score_rows(&rows, OutputSet::BOTH, &mut answers)?;
        if let Some(difference) = disagreement(&answers, first.get_or_insert_with(|| answers.clone()), None) {
            return Err(Error::new(
                Kind::Internal,
                format!("with {set} instructions the model answers otherwise: {difference}"),
            ));
        }
    }
    if let Some(examples) = candidate.examples {
        let mut engine = NativeEngine::open(&plan, InstructionSet::best())?;
        examples.judge(&examples.prove(&binder, |batch, wanted, outputs| engine.score(batch, wanted, outputs))?)?;
    }
    Ok(Proved {
        framework: framework.to_owned(),
        signature: signature(candidate, &interface),
        interface,
        engine: "native".to_owned(),
        engine_reason: None,
        engines_differ: false,
        plan: Some(plan),
        warning: None,
        notices,
    })
}

/// That rows give codes, where the file does not say what they stand for.
fn coded(candidate: &Candidate<'_>, ensemble: &Ensemble, interface: &Interface) -> Option<String> {
    let coded = formats::coded_features(ensemble, interface);
    let names = quoted(coded.iter().copied());
    (!coded.is_empty()).then(|| format!("categories of model {:?} are given by their codes: {names}", candidate.name))
}

/// That nothing passes parameters of a signature to the model.
fn unused_params(candidate: &Candidate<'_>) -> Vec<String> {
    let signature = candidate.options.signature.iter();
    let names: Vec<String> = signature.flat_map(Signature::unused_params).map(|name| format!("{name:?}")).collect();
    if names.is_empty() {
        return vec![];
    }
    vec![format!(
        "params of the signature of model {:?} are kept, and nothing uses them: {}",
        candidate.name,
        names.join(", ")
    )]
}

fn signature(candidate: &Candidate<'_>, interface: &Interface) -> serde_json::Value {
    match &candidate.options.signature {
        Some(given) => given.completed(interface),
        None => Signature::describe(interface),
    }
}

/// An ONNX graph, which ONNX Runtime scores and the native engine too, where it knows all operators.
fn prove_graph(candidate: &Candidate<'_>, library: &Path) -> Result<Proved> {
    let model = Model::parse(candidate.model)?;
    let first = candidate.preprocessor.map(Model::parse).transpose()?;
    let mut interface = describe(&model, first.as_ref(), candidate.options).map_err(|error| match error.kind() {
        Kind::BadModel => error.of_model(candidate.name),
        _ => error,
    })?;
    let suspect = model.suspect(&interface).or_else(|| first.as_ref()?.suspect(&interface));
    let is_suspect = suspect.is_some();
    let built = e2i_onnx::built(&model, &interface);
    let mut sample = first.as_ref().unwrap_or(&model).samples(&interface);
    // The runtime makes copies of its own: what was decoded here goes first.
    drop((model, first));
    if let Some(examples) = candidate.examples {
        let binder = Binder::new(Arc::new(interface.clone()), candidate.name);
        sample.rows = examples.bind(&binder, examples.len())?;
    }
    let runtime = Runtime::load(library)?;
    let artifacts = Artifacts { model: candidate.model, preprocessor: candidate.preprocessor };
    let (mut engine, lacking) = compile::load_to_compare(runtime, &interface, artifacts)?;
    let (one_row, warning) = match find_rows(&mut engine, &mut interface, &sample.rows) {
        Ok(pace) => {
            let rows = varied(&interface, &sample, tried_rows(&interface, pace), false);
            try_alone(&mut engine, &mut interface, &rows, suspect)?;
            (pace, None)
        }
        Err(error) => {
            let warning = unscored(&error, candidate, &interface)?;
            // What could not be tried is not relied on.
            interface.rows_at_once = 1;
            interface.varies = suspect;
            engine.follow(&interface);
            (Duration::ZERO, Some(warning))
        }
    };
    let compared = compared_rows(&interface, one_row);
    let mut rows = Vec::new();
    if warning.is_none() {
        rows.push(varied(&interface, &sample, compared, false));
    }
    if candidate.examples.is_some() {
        rows.push(sample.rows.clone());
    }
    let mut notices = settle_scores(candidate, &mut interface, built, &mut engine, &rows)?;
    notices.extend(unused_params(candidate));
    if let Some(examples) = candidate.examples {
        let binder = Binder::new(Arc::new(interface.clone()), candidate.name);
        examples.judge(&examples.prove(&binder, |batch, wanted, outputs| engine.score(batch, wanted, outputs))?)?;
    }
    let compiled = compile(candidate, &interface, &mut engine, &rows, || varied(&interface, &sample, compared, true))?;
    match &compiled {
        // Compiled, rows have no neighbours, and the answers are those of the runtime to rows alone.
        Compiled::Agrees(plan) => {
            interface.varies = None;
            if warning.is_none() {
                let mut native = NativeEngine::open(plan, InstructionSet::best())?;
                let rows = |count| varied(&interface, &sample, count, false);
                interface.engine_times = times::measure(&mut native, &mut engine, rows);
            }
        }
        Compiled::Not { why, .. } if why.contains(ALONG_THE_ROWS) && interface.varies.is_some() && !is_suspect => {
            interface.varies = Some(why.clone());
        }
        Compiled::Not { .. } => {}
    }
    if let (Compiled::Not { .. }, Some(lacking)) = (&compiled, lacking) {
        return Err(lacking);
    }
    let (chosen, plan, engine_reason, engines_differ) = match compiled {
        Compiled::Agrees(plan) => ("native", Some(plan), None, false),
        Compiled::Not { why, differs } => (engine.name(), None, Some(why), differs),
    };
    Ok(Proved {
        framework: "onnx".to_owned(),
        signature: signature(candidate, &interface),
        interface,
        engine: chosen.to_owned(),
        engine_reason,
        engines_differ,
        plan,
        warning,
        notices,
    })
}

/// Finds out what the numbers of a classifier are, and what to say of it.
fn settle_scores(
    candidate: &Candidate<'_>,
    interface: &mut Interface,
    built: Built,
    engine: &mut RuntimeEngine,
    rows: &[Batch],
) -> Result<Vec<String>> {
    let mut evidence = Evidence::default();
    let mut outputs = Outputs::default();
    for batch in rows {
        // A row that is refused shows nothing of its numbers.
        if engine.score(batch, OutputSet::BOTH, &mut outputs).is_ok() {
            evidence.add(interface, &outputs);
        }
    }
    let stated = candidate.options.class_scores;
    evidence::settle(interface, stated, built, &evidence)?;
    let others = interface.numbers_not_read();
    let mut notices = vec![];
    if stated.is_none() && !interface.class_scores.give_probabilities() {
        let numbers = match interface.class_scores {
            ClassScores::Unknown => "no probabilities".to_owned(),
            scores => format!("{scores}, no probabilities"),
        };
        let why = evidence.against().map_or(String::new(), |why| format!(" ({why})"));
        let refuse = match interface.task {
            Task::BinaryClassification => "e2i_predict and e2i_predict_proba refuse",
            _ => "e2i_predict_proba refuses",
        };
        let name = candidate.name;
        notices.push(format!(
            "the numbers of model {name:?} are {numbers}{why}: {refuse} them; class_scores says what else they are"
        ));
    }
    if let (Some(main), false) = (interface.main_output(), others.is_empty()) {
        let others: Vec<String> = others.iter().map(|name| format!("{name:?}")).collect();
        notices.push(format!(
            "of the numbers of model {:?} its output {:?} is read, not {}",
            candidate.name,
            main.name,
            others.join(", ")
        ));
    }
    Ok(notices)
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

/// Compiles the model and compares both engines on `rows`, and on `extreme` ones too where they must agree exactly.
fn compile(
    candidate: &Candidate<'_>,
    interface: &Interface,
    runtime: &mut RuntimeEngine,
    rows: &[Batch],
    extreme_rows: impl Fn() -> Batch,
) -> Result<Compiled> {
    let no = |why: String, differs: bool| Ok(Compiled::Not { why, differs });
    let plan = match compile::compile(candidate.model, candidate.preprocessor, interface)? {
        Ok(plan) if plan.len() > MAX_PLAN => return no("the compiled form is too large".to_owned(), false),
        Ok(plan) => plan,
        Err(why) => return no(why, false),
    };
    if rows.is_empty() {
        return no("there was no row to compare the engines on".to_owned(), false);
    }
    let mut extreme = None;
    for set in InstructionSet::available() {
        let mut native = match NativeEngine::open(&plan, set) {
            Ok(native) => native,
            Err(error) => return no(error.message().to_owned(), false),
        };
        if native.is_exact() {
            extreme.get_or_insert_with(&extreme_rows);
        }
        if let Some(difference) = first_difference(&mut native, runtime, rows.iter().chain(&extreme))? {
            return no(format!("compiled, it gave another answer {difference}"), true);
        }
    }
    Ok(Compiled::Agrees(plan))
}

/// Rows to compare engines on: many, but of a slow model no more than take a few tenths of a second.
fn compared_rows(interface: &Interface, one_row: Duration) -> usize {
    let many = interface.rows_at_once.clamp(16, 512);
    interface.rows_per_call().unwrap_or_else(|| many.min(rows_within(Duration::from_millis(200), one_row)).max(1))
}

/// Rows to score alone and beside others: as many as take a few hundredths of a second. Of a model that takes longer for one
/// it is that one, which is never beside others.
fn tried_rows(interface: &Interface, one_row: Duration) -> usize {
    let rows = rows_within(Duration::from_millis(20), one_row).min(64);
    match interface.rows_per_call() {
        None | Some(1) if one_row > SLOW => 1,
        _ => rows.max(3),
    }
}

fn rows_within(time: Duration, one_row: Duration) -> usize {
    usize::try_from(time.as_nanos() / one_row.as_nanos().max(1)).unwrap_or(usize::MAX)
}

/// What the compiler says of a node that looks at other rows.
const ALONG_THE_ROWS: &str = "axis of the rows";

/// A row of samples was not scored: where the graph wants a text or a number that nobody could guess it is taken on trust,
/// with a warning.
///
/// # Errors
/// Everywhere else.
fn unscored(error: &Error, candidate: &Candidate<'_>, interface: &Interface) -> Result<String> {
    if error.kind() == Kind::Runtime && candidate.examples.is_some() {
        return Err(error.clone().in_row(1));
    }
    if error.kind() != Kind::Runtime || interface.features.iter().all(|feature| feature.element.is_float()) {
        let message = format!("the model does not score a row of samples: {}", error.message());
        let error = match error.hint() {
            Some(hint) => Error::new(error.kind(), message).with_hint(hint),
            None if error.kind() == Kind::Runtime => Error::new(error.kind(), message).with_hint(
                "If it takes certain values only, give rows that it scores: examples => '[{\"features\": [1, 2], \"prediction\": 0.7}]'.",
            ),
            None => Error::new(error.kind(), message),
        };
        return Err(error);
    }
    Ok(format!("the model is registered although it did not score a row of samples: {}", error.message()))
}
