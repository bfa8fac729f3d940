//! Registering and dropping models.

use e2i_core::{ClassScores, Error, Examples, Kind, ModelReference, Options, Result, Selector, Signature, Task};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use pgrx::{default, pg_sys};

use crate::catalog::annotate::check_objects;
use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::datum::document::Document;
use crate::error::{OrRaise, given, without_nulls};
use crate::on_write::stale;
use crate::pg::encoding;
use crate::registration::proof::{Candidate, Proved};
use crate::registration::trial::try_out;
use crate::registration::write::{NewVersion, Origin, drop_version, insert};
use crate::settings;

/// What is said of a model that has nothing to prove itself by.
const WITHOUT_GOLDEN_ROWS: &str = "model \"{}\" came without golden rows: examples => '[{\"features\": …, \"prediction\": …}]' proves that it scores as it did in training";

/// The formats that are read.
const FRAMEWORKS: [&str; 4] = ["onnx", "xgboost", "lightgbm", "sklearn"];

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
    signature: default!(Option<Document<'_>>, "NULL"),
    metrics: default!(Option<Document<'_>>, "NULL"),
    tags: default!(Option<Document<'_>>, "NULL"),
    description: default!(Option<&str>, "NULL"),
    deploy: default!(Option<bool>, "NULL"),
    examples: default!(Option<Document<'_>>, "NULL"),
    tolerance: default!(Option<f64>, "NULL"),
    algorithm: default!(Option<&str>, "NULL"),
    mlflow_run_id: default!(Option<&str>, "NULL"),
    mlflow_model_uri: default!(Option<&str>, "NULL"),
    trained_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    class_scores: default!(Option<&str>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> String {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let register = || {
        encoding::require_utf8()?;
        let name = name.ok_or_else(|| null("name"))?;
        let artifact = artifact.ok_or_else(|| null("artifact"))?;
        check_names(name, version)?;
        check_framework(framework)?;
        check_objects(metrics, tags)?;
        check_size(artifact.len() + preprocessor.map_or(0, <[u8]>::len))?;
        let options = Options {
            feature_names: feature_names.map(|names| without_nulls("feature_names", names)).transpose()?,
            class_labels: class_labels.map(|labels| without_nulls("class_labels", labels)).transpose()?,
            task: task.map(parse_task).transpose()?,
            class_scores: class_scores.map(parse_scores).transpose()?,
            signature: signature.map(|signature| Signature::parse(&signature.read("signature")?)).transpose()?,
        };
        let golden = examples.map(|rows| Examples::parse(&rows.read("examples")?, tolerance)).transpose()?;
        if golden.is_none() && tolerance.is_some() {
            return Err(Error::new(Kind::BadOption, "a tolerance was given, but no examples to apply it to"));
        }
        let candidate = Candidate { name, model: artifact, preprocessor, options: &options, examples: golden.as_ref() };
        let proved = try_out(&candidate)?;
        check_detected(framework, &proved.framework)?;
        let Proved { framework, interface, signature, engine, engine_reason, engines_differ, plan, warning, notices } =
            proved;
        if let Some(why) = engine_reason.as_ref().filter(|_| engines_differ) {
            notice!("model {name:?} is scored by ONNX Runtime: {why}");
        }
        for notice in notices {
            notice!("{notice}");
        }
        if let Some(warning) = warning {
            warning!("{warning}");
        }
        if let Some(why) = &interface.varies {
            warning!(
                "the answer of model {name:?} to a row is not that row's alone, or not always the same: {why}; its rows are scored one at a time, and e2i_predict_pinned refuses it"
            );
        }
        if golden.is_none() {
            notice!("{}", WITHOUT_GOLDEN_ROWS.replacen("{}", name, 1));
        }
        let new = NewVersion {
            name,
            version,
            framework: &framework,
            interface: &interface,
            signature,
            metrics,
            tags,
            description,
            engine: &engine,
            engine_reason: engine_reason.as_deref(),
            plan: plan.as_deref(),
            deploy,
            examples,
            tolerance,
            origin: Origin { algorithm, mlflow_run_id, mlflow_model_uri, trained_at },
        };
        let service = ModelReference { name: name.to_owned(), selector: Selector::Deployed };
        stale::watching(schema, &service, || insert(schema, new, artifact, preprocessor))
    };
    register().or_raise()
}

fn null(argument: &str) -> Error {
    Error::new(Kind::MissingValue, format!("the argument {argument} of e2i_register_model is NULL"))
        .with_hint("SELECT e2i_register_model('name', pg_read_binary_file('/path/to/model.onnx'));")
}

fn check_names(name: &str, version: Option<&str>) -> Result<()> {
    /// Sizes of `bento_version` and `bento_tag` in ml_bentoml_services, in characters.
    const VERSION: usize = 100;
    const TAG: usize = 255;
    ModelReference::check_new_name(name)?;
    let length = version.map_or(20, |version| version.chars().count());
    if length > VERSION || name.chars().count() + 1 + length > TAG {
        return Err(Error::new(
            Kind::BadOption,
            format!("a version has at most {VERSION} characters, and name:version at most {TAG}"),
        ));
    }
    version.map_or(Ok(()), ModelReference::check_new_version)
}

fn check_framework(framework: Option<&str>) -> Result<()> {
    match framework.filter(|framework| !FRAMEWORKS.contains(framework)) {
        None => Ok(()),
        Some(other) => {
            Err(Error::new(Kind::Unsupported, format!("models of the framework {other:?} cannot be registered"))
                .with_hint("One of onnx, xgboost, lightgbm, sklearn; export others to ONNX, and leave framework out."))
        }
    }
}

/// What was stated must be what the bytes are.
fn check_detected(stated: Option<&str>, detected: &str) -> Result<()> {
    match stated.filter(|stated| *stated != detected) {
        None => Ok(()),
        Some(stated) => Err(Error::new(
            Kind::BadOption,
            format!("the framework {stated:?} was given, but the artifact is a model of {detected}"),
        )
        .with_hint("Leave framework out.")),
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

fn parse_scores(name: &str) -> Result<ClassScores> {
    ClassScores::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = ClassScores::STATED.iter().map(|scores| scores.name()).collect();
        Error::new(Kind::BadOption, format!("unknown class_scores {name:?}"))
            .with_hint(format!("One of {}.", known.join(", ")))
    })
}

/// Drops a version, with its bytes if no other version uses them. Refuses while it is deployed, unless forced.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_drop_model(model: Option<&str>, force: default!(Option<bool>, "false"), fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let drop = || {
        let reference = ModelReference::parse(given(model, "model")?)?;
        let version = Version::find(schema, &reference)?;
        drop_version(schema, &version.id, &version.reference(), given(force, "force")?)
    };
    drop().or_raise();
}
