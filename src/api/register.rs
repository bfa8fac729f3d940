//! Registering and dropping models.

use std::cell::RefCell;
use std::time::Instant;

use e2i_core::{Batch, Error, Interface, Kind, ModelReference, OutputSet, Outputs, Result, Signature, Task};
use e2i_onnx::{Model, Options, describe};
use pgrx::datum::JsonB;
use pgrx::prelude::*;
use pgrx::{default, pg_sys};

use crate::catalog::model::{describe as describe_version, identify};
use crate::catalog::register::{NewVersion, drop_version, insert};
use crate::catalog::schema::Schema;
use crate::error::OrRaise;
use crate::pg::encoding;
use crate::session::{open_engine, score};
use crate::settings;

/// The only format that is read; others are named in the error.
const FRAMEWORK: &str = "onnx";

/// Registers a model and returns its reference, `name:version`. The first version of a name is deployed at once.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn e2i_register_model(
    name: Option<&str>,
    artifact: Option<&[u8]>,
    version: default!(Option<&str>, "NULL"),
    framework: default!(Option<&str>, "NULL"),
    task: default!(Option<&str>, "NULL"),
    feature_names: default!(Option<Vec<Option<String>>>, "NULL"),
    class_labels: default!(Option<Vec<Option<String>>>, "NULL"),
    preprocessor: default!(Option<&[u8]>, "NULL"),
    signature: default!(Option<JsonB>, "NULL"),
    metrics: default!(Option<JsonB>, "NULL"),
    tags: default!(Option<JsonB>, "NULL"),
    description: default!(Option<&str>, "NULL"),
    deploy: default!(Option<bool>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> String {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    let register = || {
        encoding::require_utf8()?;
        let name = name.ok_or_else(|| null("name"))?;
        let artifact = artifact.ok_or_else(|| null("artifact"))?;
        check_names(name, version)?;
        check_framework(framework)?;
        check_size(artifact.len() + preprocessor.map_or(0, <[u8]>::len))?;
        let options = Options {
            feature_names: feature_names.map(|names| without_nulls("feature_names", names)).transpose()?,
            class_labels: class_labels.map(|labels| without_nulls("class_labels", labels)).transpose()?,
            task: task.map(parse_task).transpose()?,
            signature: signature.map(|signature| Signature::parse(&signature.0)).transpose()?,
        };
        let model = Model::parse(artifact)?;
        let first = preprocessor.map(Model::parse).transpose()?;
        let mut interface = describe(&model, first.as_ref(), &options)?;
        let engine = try_out(&mut interface, first.as_ref().unwrap_or(&model), artifact, preprocessor)?;
        let signature = match &options.signature {
            Some(given) => given.completed(&interface),
            None => Signature::describe(&interface),
        };
        let new = NewVersion {
            name,
            version,
            framework: FRAMEWORK,
            interface: &interface,
            signature,
            metrics,
            tags,
            description,
            engine,
            deploy,
        };
        insert(schema, new, artifact, preprocessor)
    };
    register().or_raise()
}

fn null(argument: &str) -> Error {
    Error::new(Kind::MissingValue, format!("the argument {argument} of e2i_register_model is NULL"))
        .with_hint("SELECT e2i_register_model('name', pg_read_binary_file('/path/to/model.onnx'));")
}

fn without_nulls(option: &str, texts: Vec<Option<String>>) -> Result<Vec<String>> {
    let null = texts.iter().position(Option::is_none);
    match null {
        None => Ok(texts.into_iter().flatten().collect()),
        Some(position) => Err(Error::new(Kind::MissingValue, format!("element {} of {option} is NULL", position + 1))),
    }
}

fn check_names(name: &str, version: Option<&str>) -> Result<()> {
    ModelReference::check_new_name(name)?;
    version.map_or(Ok(()), ModelReference::check_new_version)
}

fn check_framework(framework: Option<&str>) -> Result<()> {
    match framework {
        None | Some(FRAMEWORK) => Ok(()),
        Some(other) => {
            Err(Error::new(Kind::Unsupported, format!("models of the framework {other:?} cannot be registered"))
                .with_hint("Export the model to ONNX and leave framework out."))
        }
    }
}

fn check_size(bytes: usize) -> Result<()> {
    let limit = settings::max_model_bytes();
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::new(Kind::Limit, format!("the model has {bytes} bytes, the limit is {limit}"))
        .with_hint(format!("SET e2i_serve.max_model_size = '{}MB';", bytes.div_ceil(1 << 20))))
}

fn parse_task(name: &str) -> Result<Task> {
    Task::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = Task::ALL.iter().map(|task| task.name()).collect();
        Error::new(Kind::BadOption, format!("unknown task {name:?}")).with_hint(format!("One of {}.", known.join(", ")))
    })
}

/// Loads the model and scores a row of samples, so that what cannot be scored is not registered; completes what only a
/// run can tell. Returns the engine's name.
///
/// Samples are categories that the graph names, zeros elsewhere. Where the graph wants a text or number that nobody could
/// guess, the model is registered all the same, with a warning.
fn try_out(
    interface: &mut Interface,
    first: &Model,
    model: &[u8],
    preprocessor: Option<&[u8]>,
) -> Result<&'static str> {
    let engine = RefCell::new(open_engine(interface, model, preprocessor)?);
    let mut batch = Batch::new(&interface.inputs, interface.rows_per_call().unwrap_or(1));
    first.fill_samples(interface, &mut batch);
    let mut outputs = Outputs::default();
    if let Err(error) = score(&engine, &batch, OutputSet::BOTH, &mut outputs) {
        let may_want_categories = interface.features.iter().any(|feature| !feature.element.is_float());
        if error.kind() != Kind::Runtime || !may_want_categories {
            return Err(Error::new(
                error.kind(),
                format!("the model does not score a row of samples: {}", error.message()),
            ));
        }
        warning!("the model is registered although it did not score a row of samples: {}", error.message());
        return Ok(engine.borrow().name());
    }
    if let Some(output) = interface.main.and_then(|main| interface.outputs.get_mut(main)) {
        output.width = output.width.or(Some(outputs.width));
    }
    // The first run also allocates; the second tells how long one takes.
    let begun = Instant::now();
    score(&engine, &batch, OutputSet::BOTH, &mut outputs)?;
    interface.set_pace(begun.elapsed());
    Ok(engine.borrow().name())
}

/// Drops a version, with its bytes if no other version uses them. Refuses while it is deployed, unless forced.
#[pg_extern(volatile, parallel_unsafe, strict)]
fn e2i_drop_model(model: &str, force: default!(bool, "false"), fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    let drop = || {
        let reference = ModelReference::parse(model)?;
        let id = identify(schema, &reference)?;
        let version = describe_version(schema, &id, &reference)?;
        drop_version(schema, &id, &version.reference(), force)
    };
    drop().or_raise();
}
