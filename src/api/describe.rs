//! What a model takes and gives, and what it would make of a row: `e2i_describe_model`, `e2i_model_classes`,
//! `e2i_check_features`.

use std::sync::Arc;

use e2i_core::{Batch, Binder, EngineTimes, InputTensor, Interface, OutputTensor, Result, Rows, Scalar};
use pgrx::datum::JsonB;
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde_json::Value as Json;

use crate::catalog::model::{Stored, Version};
use crate::catalog::schema::Schema;
use crate::datum::features::{FeatureSource, Features, Spelling};
use crate::datum::layout::Strictness;
use crate::error::OrRaise;
use crate::pg::varlena;
use crate::scoring::cache::resolve;
use crate::scoring::engines;
use crate::settings;

/// One row a feature and one an output of a model: name, type, shape, whether it must be given, what stands for NULL. Then
/// the engine that scores it in this session, with the reason where it is not the native one, and the native engine's steps
/// with the kernels that run for one row and for many. Last, what both engines took at registration, where both can score it. Declared in `sql/scoring.sql`, because two of its columns bear keywords as names.
#[pg_extern(sql = false)]
fn e2i_describe_model(
    model: &str,
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(kind, String),
        name!(position, i32),
        name!(name, String),
        name!(data_type, Option<String>),
        name!(shape, Option<String>),
        name!(required, Option<bool>),
        name!(takes_null, Option<bool>),
        name!(default, Option<JsonB>),
        name!(note, Option<String>),
    ),
> {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    let version = resolve(schema, model).or_raise();
    let engine = engine_rows(schema, &version).or_raise();
    let interface = version.interface;
    let is_within = |index: usize| interface.vector_of(index).is_some_and(|vector| vector.first != index);
    let listed = interface.features.iter().enumerate().filter(|(index, _)| !is_within(*index));
    let features = listed.map(|(index, feature)| {
        let vector = interface.vector_of(index);
        let type_name = feature.type_name();
        let defaults = vector.map(|vector| interface.features.get(vector.features()).unwrap_or_default());
        let defaults =
            defaults.and_then(|features| features.iter().map(|it| it.default.clone()).collect::<Option<_>>());
        (
            "feature".to_owned(),
            number(index + 1),
            vector.map_or_else(|| feature.name.clone(), |vector| vector.name.clone()),
            Some(vector.map_or_else(|| type_name.to_owned(), |vector| format!("{type_name}[{}]", vector.count))),
            Some(input_shape(&interface.inputs[feature.tensor])),
            Some(feature.required),
            Some(feature.takes_missing || feature.default.is_some()),
            if vector.is_some() {
                defaults.map(|list| JsonB(Json::Array(list)))
            } else {
                feature.default.clone().map(JsonB)
            },
            feature.categories.as_ref().map(|categories| format!("one of {}", categories.shown())),
        )
    });
    let outputs = interface.outputs.iter().enumerate().map(|(index, output)| {
        (
            "output".to_owned(),
            number(index + 1),
            output.name.clone(),
            Some(output.element.to_string()),
            Some(output_shape(output)),
            None,
            None,
            None,
            output_note(&interface, index),
        )
    });
    let times = interface.engine_times.as_ref().map_or(vec![], |times| {
        let shown = times
            .shown()
            .zip(1..)
            .map(|((rows, note), position)| ("pace", position, format!("rows {rows}"), Some(note)));
        let agrees = ("pace", EngineTimes::ROWS.len() + 1, "agreement".to_owned(), Some(times.agreement().to_owned()));
        shown.chain([agrees]).collect::<Vec<EngineRow>>()
    });
    let engine = engine.into_iter().chain(times).map(|(kind, position, name, note)| {
        (kind.to_owned(), number(position), name, None, None, None, None, None, note)
    });
    TableIterator::new(features.chain(outputs).chain(engine).collect::<Vec<_>>())
}

/// Kind, position, name, note.
type EngineRow = (&'static str, usize, String, Option<String>);

/// The engine of a version in this session, and its steps.
fn engine_rows(schema: Schema, version: &Version) -> Result<Vec<EngineRow>> {
    /// Rows of a large batch, for which other kernels may run.
    const MANY: usize = 1024;
    let stored = Stored::find(schema, version)?;
    match engines::is_native(&stored, version, settings::engine()) {
        Ok(true) => {}
        Ok(false) => return Ok(vec![("engine", 1, "onnxruntime".to_owned(), stored.engine_reason)]),
        Err(error) => return Ok(vec![("engine", 1, stored.engine, Some(error.message().to_owned()))]),
    }
    let engine = match engines::open_native(schema, version, &stored, settings::instruction_set())? {
        Ok(engine) => engine,
        Err(why) => return Ok(vec![("engine", 1, "onnxruntime".to_owned(), Some(why))]),
    };
    let mut rows = vec![("engine", 1, "native".to_owned(), Some(engine.instruction_set().to_string()))];
    for (index, (one, many)) in engine.describe(1).into_iter().zip(engine.describe(MANY)).enumerate() {
        let kernels =
            if one.kernel == many.kernel { one.kernel } else { format!("{}; many rows: {}", one.kernel, many.kernel) };
        rows.push(("step", index + 1, one.node, Some(kernels)));
    }
    Ok(rows)
}

fn number(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

fn input_shape(tensor: &InputTensor) -> String {
    let rows = match tensor.rows {
        Rows::Free => Some("N".to_owned()),
        Rows::Fixed(rows) => Some(rows.to_string()),
        Rows::Single => None,
    };
    let axes: Vec<String> = rows.into_iter().chain(tensor.shape.iter().map(ToString::to_string)).collect();
    format!("[{}]", axes.join(","))
}

fn output_shape(output: &OutputTensor) -> String {
    match output.width {
        Some(width) => format!("[N,{width}]"),
        None => "[N,?]".to_owned(),
    }
}

/// What the numbers of a classifier are.
fn output_note(interface: &Interface, index: usize) -> Option<String> {
    (interface.task.is_classification() && interface.main == Some(index)).then(|| interface.class_scores.to_string())
}

/// The classes of a classifier, in the order of its probabilities; NULL for other models.
#[pg_extern(stable, parallel_safe, strict)]
fn e2i_model_classes(model: &str, fcinfo: pg_sys::FunctionCallInfo) -> Option<Vec<String>> {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    resolve(schema, model).or_raise().interface.classes.map(|classes| classes.labels)
}

/// A dry run of the binding: what each feature would be to the model, and what is wrong with it. Declared for each
/// spelling of the features in `sql/scoring.sql`.
#[pg_extern(sql = false)]
fn e2i_check_features(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(feature, String),
        name!(tensor, String),
        name!(position, i32),
        name!(value, Option<String>),
        name!(problem, Option<String>),
    ),
> {
    // SAFETY: the server passes a valid fcinfo with the two arguments of the declaration, neither of them NULL.
    let (schema, model, features) = unsafe {
        let arguments = (*fcinfo).args.as_slice(2);
        let spelling = match pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, 1) {
            pg_sys::JSONBOID => Spelling::Jsonb,
            pg_sys::TEXTOID | pg_sys::JSONOID => Spelling::Text,
            other if pg_sys::get_element_type(other) != pg_sys::Oid::INVALID => Spelling::Array,
            _ => Spelling::Row,
        };
        let features = Features::of_datum(spelling, arguments[1].value);
        (Schema::of_call(fcinfo), varlena::text(arguments[0].value), features)
    };
    let version = resolve(schema, model).or_raise();
    let interface = Arc::new(version.interface.clone());
    let binder = Binder::new(interface.clone(), version.reference());
    let mut batch = Batch::new(&interface.inputs, 1);
    let mut problems: Vec<Option<String>> = vec![None; interface.features.len()];
    let scanned = FeatureSource::default().scan(&binder, features, Strictness::DryRun, |feature, value| {
        problems[feature] = match value {
            None if interface.features[feature].required => Some("not given".to_owned()),
            value => {
                let bound = binder.set(&mut batch, 0, feature, value.unwrap_or(Scalar::Missing));
                bound.err().map(|error| error.message().to_owned())
            }
        };
        Ok(())
    });
    scanned.or_raise();
    let rows: Vec<_> = interface
        .features
        .iter()
        .zip(problems)
        .enumerate()
        .map(|(index, (feature, problem))| {
            let value = if problem.is_none() { binder.shown(&batch, 0, index) } else { None };
            let tensor = interface.inputs[feature.tensor].name.clone();
            (feature.name.clone(), tensor, number(feature.position + 1), value, problem)
        })
        .collect();
    TableIterator::new(rows)
}
