//! Why a row has its score: `e2i_base_value`, `e2i_explain`, `e2i_reasons`; and rows to
//! compare with: `e2i_set_background`. Their SQL declarations
//! are in `sql/explain.sql`.
//!
//! A row is bound as it is to be scored, and by the version that would score it; the same rights are asked for.

use std::rc::Rc;
use std::sync::Arc;

use e2i_core::random::Random;
use e2i_core::{Batch, Binder, Column, Error, Kind, Result};
use e2i_explain::{Direction, Method, Reason, Space, stored};
use pgrx::datum::JsonB;
use pgrx::prelude::*;
use pgrx::{direct_function_call, pg_sys};
use serde_json::{Map, Value as Json, json};

use crate::catalog::background::{self, Description};
use crate::catalog::model::Version;
use crate::catalog::reason_text;
use crate::catalog::schema::Schema;
use crate::datum::features::{FeatureSource, Features, Spelling};
use crate::error::OrRaise;
use crate::pg::{call_site, data, interrupt, query, sqlstate, varlena};
use crate::scoring::arm::Asked;
use crate::scoring::engines::Preference;
use crate::scoring::explained::{Explanation, Wanted, predicted};
use crate::scoring::{CallSite, LoadedModel, Scorer, cache};

/// Rows are not scored here, and no call of a scoring function is counted.
pub(super) const ASKED: Asked = Asked::NOTHING;

/// What one call in a plan keeps.
#[derive(Default)]
struct Site {
    site: CallSite,
    spelling: Option<Spelling>,
}

/// An argument; `None` for NULL.
///
/// # Safety
/// `fcinfo` must be that of a call with so many arguments.
pub(super) unsafe fn argument(fcinfo: pg_sys::FunctionCallInfo, index: usize) -> Option<pg_sys::Datum> {
    // SAFETY: as the caller promises.
    let argument = unsafe { (*fcinfo).args.as_slice(index + 1)[index] };
    (!argument.isnull).then_some(argument.value)
}

/// How the features are spelled, which are the second argument.
///
/// # Safety
/// `fcinfo` must be that of a call.
pub(super) unsafe fn spelling(fcinfo: pg_sys::FunctionCallInfo) -> Spelling {
    // SAFETY: as the caller promises; then a catalog look-up.
    unsafe {
        match pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, 1) {
            pg_sys::JSONBOID => Spelling::Jsonb,
            pg_sys::TEXTOID | pg_sys::JSONOID => Spelling::Text,
            other if pg_sys::get_element_type(other) != pg_sys::Oid::INVALID => Spelling::Array,
            _ => Spelling::Row,
        }
    }
}

/// The options from an argument on: space, class, method; those of what is drawn as usual.
///
/// # Safety
/// `fcinfo` must be that of a call with these three arguments, which are texts.
pub(super) unsafe fn wanted<'w>(fcinfo: pg_sys::FunctionCallInfo, first: usize) -> Result<Wanted<'w>> {
    // SAFETY: as the caller promises.
    unsafe { of_options(&[0, 1, 2].map(|index| argument(fcinfo, first + index))) }
}

/// The same with how many orders are to be drawn, or until which error; these two arguments begin at `draws`.
///
/// # Safety
/// As [`wanted`]; and of a call with these two, which are an integer and a float8.
pub(super) unsafe fn wanted_drawn<'w>(
    fcinfo: pg_sys::FunctionCallInfo,
    first: usize,
    draws: usize,
) -> Result<Wanted<'w>> {
    // SAFETY: as the caller promises.
    unsafe { of_options(&[first, first + 1, first + 2, draws, draws + 1].map(|index| argument(fcinfo, index))) }
}

/// What is wanted by the values of options: space, class, method, samples, error; those that are left out are NULL.
///
/// # Safety
/// The values must be three texts, an integer and a float8.
pub(super) unsafe fn of_options<'w>(options: &[Option<pg_sys::Datum>]) -> Result<Wanted<'w>> {
    let of = |index: usize| options.get(index).copied().flatten();
    // SAFETY: as the caller promises.
    let text = |index: usize| unsafe { of(index).map(|datum| varlena::text(datum)) };
    let samples = of(3).map(|datum| datum.value() as i32).map(|samples| {
        let samples = usize::try_from(samples).ok().filter(|samples| *samples > 0);
        samples.ok_or_else(|| Error::new(Kind::BadOption, "samples must be 1 or more"))
    });
    let error = of(4).map(|datum| f64::from_bits(datum.value() as u64)).map(|error| {
        let is_error = error.is_finite() && error > 0.0;
        is_error.then_some(error).ok_or_else(|| Error::new(Kind::BadOption, "error must be greater than 0 and finite"))
    });
    Ok(Wanted {
        space: text(0).map_or(Ok(Space::Margin), Space::from_name)?,
        class: text(1),
        method: text(2).map(Method::from_name).transpose()?,
        samples: samples.transpose()?,
        error: error.transpose()?,
    })
}

/// Why a row has its numbers, and what it was explained by.
struct Answer {
    model: Rc<LoadedModel>,
    explanations: Vec<Explanation>,
    /// The features as they were bound: for people, and for JSON.
    shown: Vec<Option<String>>,
    values: Vec<Json>,
}

/// Explains one row; its values are shown where `shows`.
fn answer(
    schema: Schema,
    scorer: &mut Scorer,
    features: Features<'_>,
    wanted: &Wanted<'_>,
    shows: bool,
) -> Result<Answer> {
    scorer.begin();
    scorer.bind(features);
    let (model, batch, row) = scorer.bound(0)?;
    let explanations = model.explain(schema, (batch, row), wanted)?;
    let (mut shown, mut values) = (vec![], vec![]);
    for index in (0..model.interface().features.len()).filter(|_| shows) {
        let (text, number) = value(model, batch, row, index);
        values.push(number.map_or(json!(text), |number| json!(number)));
        shown.push(text);
    }
    Ok(Answer { model: Rc::clone(model), explanations, shown, values })
}

/// The value of a feature as people write it, and as a number where it is one. A missing one is neither.
fn value(model: &LoadedModel, batch: &Batch, row: usize, index: usize) -> (Option<String>, Option<f64>) {
    let feature = &model.interface().features[index];
    let tensor = &batch.tensors()[feature.tensor];
    let at = row * tensor.width + feature.position;
    let shown = || model.binder.shown(batch, row, index);
    match tensor.values.number(at) {
        Some(number) if number.is_nan() => (None, None),
        Some(number) if feature.categories.is_none() => {
            let text = match &tensor.values {
                // As many digits as tell it from others of its type.
                Column::Float32(cells) => Some(cells[at].to_string()),
                _ => shown(),
            };
            let number = text.as_ref().and_then(|text| text.parse().ok()).unwrap_or(number);
            (text, Some(number).filter(|number| number.is_finite()))
        }
        _ => (shown(), None),
    }
}

impl Answer {
    /// The one number that is meant: of several the predicted one.
    fn one(self) -> Result<(Self, Explanation)> {
        let one = predicted(self.model.interface(), &self.explanations);
        let one = one.ok_or_else(|| Error::new(Kind::Internal, "nothing was explained"))?;
        Ok((self, one))
    }

    /// The features by what they add, greatest first, those that add nothing left out; of equal ones the first.
    fn ranked(explanation: &Explanation) -> Vec<usize> {
        explanation.ranked()
    }
}

fn direction(contribution: f64) -> &'static str {
    Direction::of(contribution).name()
}

/// What is said of some features of an answer, in their order.
fn in_words(
    schema: Schema,
    answer: &Answer,
    explanation: &Explanation,
    features: &[usize],
    language: &str,
) -> Result<Vec<String>> {
    let of_model = &answer.model.interface().features;
    let names = features.iter().map(|index| of_model[*index].name.clone()).collect();
    let texts = reason_text::of(schema, &answer.model.name, names, language);
    let said = features.iter().map(|index| {
        let (feature, value) = (of_model[*index].name.as_str(), answer.shown[*index].as_deref());
        texts.of(&Reason { feature, value, contribution: explanation.contributions[*index] })
    });
    said.collect()
}

/// Explains the row of a call at its place in the plan; `None` where model or features are NULL.
///
/// # Safety
/// `fcinfo` must be that of a call with a model, features, and from `first` on the options.
unsafe fn of_call(fcinfo: pg_sys::FunctionCallInfo, first: usize, shows: bool) -> Result<Option<Answer>> {
    // SAFETY: as the caller promises.
    unsafe {
        let (Some(reference), Some(features)) = (argument(fcinfo, 0), argument(fcinfo, 1)) else { return Ok(None) };
        let site: &mut Site = call_site::state(fcinfo);
        let spelling = *site.spelling.get_or_insert_with(|| spelling(fcinfo));
        let _ = site.site.enter(call_site::Place::of_call(fcinfo));
        let (reference, schema) = (varlena::text(reference), Schema::of_call(fcinfo));
        let wanted = wanted_drawn(fcinfo, first, first + 3)?;
        let scorer = site.site.scorer(|| Ok((schema, Preference::current())), reference, ASKED, |_| Ok(()))?;
        interrupt::check();
        answer(schema, scorer, Features::of_datum(spelling, features), &wanted, shows).map(Some)
    }
}

/// The same for a function that gives rows, which has no place of its own to keep anything.
///
/// # Safety
/// As [`of_call`].
unsafe fn of_set(fcinfo: pg_sys::FunctionCallInfo, first: usize) -> Result<Option<Answer>> {
    // SAFETY: as the caller promises.
    unsafe {
        let (Some(reference), Some(features)) = (argument(fcinfo, 0), argument(fcinfo, 1)) else { return Ok(None) };
        let (reference, schema) = (varlena::text(reference), Schema::of_call(fcinfo));
        let wanted = wanted_drawn(fcinfo, first, first + 3)?;
        let (mut scorer, _) = cache::scorer(schema, reference, &[ASKED], Preference::current())?;
        interrupt::check();
        answer(schema, &mut scorer, Features::of_datum(spelling(fcinfo), features), &wanted, true).map(Some)
    }
}

/// How many reasons are asked for.
pub(super) fn at_most(count: i32) -> Result<usize> {
    usize::try_from(count)
        .map_err(|_| Error::new(Kind::BadOption, format!("the number of reasons is {count}, and must not be negative")))
}

/// What is expected of a number when nothing is known of a row. Declared in `sql/explain.sql`.
#[pg_extern(sql = false)]
fn e2i_base_value(fcinfo: pg_sys::FunctionCallInfo) -> f64 {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration.
    let found = sqlstate::keeping(|| unsafe {
        let (wanted, schema) = (wanted(fcinfo, 1)?, Schema::of_call(fcinfo));
        let reference = argument(fcinfo, 0).map_or("", |datum| varlena::text(datum));
        let (scorer, _) = cache::scorer(schema, reference, &[ASKED], Preference::current())?;
        let model = scorer.active();
        model.base_value(schema, &wanted)
    });
    found.or_raise()
}

/// Everything about why a row has its number. Declared in `sql/explain.sql`.
#[pg_extern(sql = false)]
fn e2i_explain(fcinfo: pg_sys::FunctionCallInfo) -> Option<JsonB> {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration.
    let found = sqlstate::keeping(|| unsafe {
        let (wanted, schema) = (wanted(fcinfo, 2)?, Schema::of_call(fcinfo));
        let Some(answer) = of_call(fcinfo, 2, true)? else { return Ok(None) };
        let (answer, one) = answer.one()?;
        let ranked = Answer::ranked(&one);
        let said = in_words(schema, &answer, &one, &ranked, language(fcinfo, 7))?;
        Ok(Some(document(&answer, &one, &wanted, ranked.into_iter().zip(said))))
    });
    found.or_raise().map(JsonB)
}

/// The language that is asked for.
///
/// # Safety
/// `fcinfo` must be that of a call with this argument, which is a text.
unsafe fn language<'l>(fcinfo: pg_sys::FunctionCallInfo, index: usize) -> &'l str {
    // SAFETY: as the caller promises.
    unsafe { argument(fcinfo, index).map_or("en", |datum| varlena::text(datum)) }
}

fn document(
    answer: &Answer,
    explanation: &Explanation,
    wanted: &Wanted<'_>,
    ranked: impl Iterator<Item = (usize, String)>,
) -> Json {
    let features = &answer.model.interface().features;
    let name = |index: usize| features[index].name.clone();
    let added = |index: usize| explanation.contributions[index];
    let contributions: Vec<Json> = (0..features.len())
        .map(|index| {
            let mut one =
                json!({"feature": name(index), "value": answer.values[index], "contribution": number(added(index))});
            if let (Some(errors), Some(one)) = (&explanation.errors, one.as_object_mut()) {
                one.insert("standard_error".into(), number(errors[index]));
            }
            one
        })
        .collect();
    let drivers: Vec<Json> = ranked
        .map(|(index, text)| {
            json!({
                "feature": name(index), "value": answer.values[index],
                "impact": number(added(index)), "direction": direction(added(index)), "text": text,
            })
        })
        .collect();
    let local: Map<String, Json> = (0..features.len()).map(|index| (name(index), number(added(index)))).collect();
    let sum = explanation.base + explanation.contributions.iter().sum::<f64>();
    // SAFETY: the function takes no arguments.
    let id = unsafe { direct_function_call::<pgrx::datum::Uuid>(pg_sys::gen_random_uuid, &[]) };
    json!({
        "explanation_id": id.map(|id| id.to_string()),
        "model": answer.model.name,
        "version": answer.model.version,
        "class": explanation.class(answer.model.interface()),
        "space": wanted.space.name(),
        "method": explanation.method.name(),
        "background": explanation.background.as_ref().map(background_of),
        "base_value": number(explanation.base),
        "output": number(explanation.output),
        "prediction": number(explanation.prediction),
        "samples": (explanation.orders > 0).then_some(explanation.orders),
        "additivity_error": number((explanation.output - sum).abs()),
        "contributions": contributions,
        "key_drivers": drivers,
        "local_shap_values": local,
    })
}

/// What stood for features that are not known.
fn background_of(background: &Description) -> Json {
    json!({
        "source": background.source,
        "rows": background.kept,
        "rows_read": background.read,
        "set_by": background.set_by,
        "set_at": background.set_at.map(|at| at.to_iso_string()),
        "covers_counted": background.counts_covers,
    })
}

/// JSON has no numbers that are not finite.
fn number(value: f64) -> Json {
    if value.is_finite() { json!(value) } else { json!(value.to_string()) }
}

/// The features that add most to the number of a row, one a row. Declared in `sql/explain.sql`.
#[pg_extern(sql = false)]
fn e2i_reasons(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(rank, i32),
        name!(feature, String),
        name!(value, Option<String>),
        name!(contribution, f64),
        name!(direction, String),
        name!(text, String),
    ),
> {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration.
    let rows = sqlstate::keeping(|| unsafe {
        let (Some(answer), Some(count)) = (of_set(fcinfo, 3)?, argument(fcinfo, 2)) else { return Ok(vec![]) };
        let (answer, explanation) = answer.one()?;
        let towards = argument(fcinfo, 9).map(|datum| Direction::from_name(varlena::text(datum))).transpose()?;
        let mut ranked = Answer::ranked(&explanation);
        ranked
            .retain(|index| towards.is_none_or(|towards| towards == Direction::of(explanation.contributions[*index])));
        ranked.truncate(at_most(count.value() as i32)?);
        let said = in_words(Schema::of_call(fcinfo), &answer, &explanation, &ranked, language(fcinfo, 8))?;
        let reasons = ranked.into_iter().zip(said).zip(1..).map(|((index, text), rank)| {
            let (name, value) = (answer.model.interface().features[index].name.clone(), answer.shown[index].clone());
            let contribution = explanation.contributions[index];
            (rank, name, value, contribution, direction(contribution).to_owned(), text)
        });
        Ok(reasons.collect())
    });
    TableIterator::new(rows.or_raise())
}

/// Gives a version rows that stand for what is not known: a relation's or a query's, read with the caller's rights, as many as `most` of
/// them drawn. How many were kept. Declared in `sql/explain.sql`.
#[pg_extern(sql = false)]
fn e2i_set_background(fcinfo: pg_sys::FunctionCallInfo) -> i64 {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration, none of them NULL.
    let (schema, reference, data, most, covers) = unsafe {
        let arguments = (*fcinfo).args.as_slice(4);
        let (reference, data) = (varlena::text(arguments[0].value), varlena::text(arguments[1].value));
        let covers = varlena::text(arguments[3].value);
        (Schema::of_change(fcinfo), reference, data, arguments[2].value.value() as i32, covers)
    };
    let version = cache::resolve(schema, reference).or_raise();
    let counts = counts_covers(schema, reference, covers).or_raise();
    let most = usize::try_from(most).ok().filter(|most| *most > 0);
    let most = most.ok_or_else(|| Error::new(Kind::BadOption, "most must be 1 row or more")).or_raise();
    let rows = drawn(&version, &data::query_of(data).or_raise(), most).or_raise();
    let (read, kept) = (rows.1, i32::try_from(rows.0.rows()).unwrap_or(i32::MAX));
    if kept == 0 {
        let message = format!("the background of model {} has no rows", version.reference());
        Err::<(), Error>(Error::new(Kind::BadOption, message)).or_raise();
    }
    background::set(schema, &version, data, (read, kept), stored::written(&rows.0), counts).or_raise();
    i64::from(kept)
}

/// Whether covers are to be counted, of a version that can have them counted.
fn counts_covers(schema: Schema, reference: &str, covers: &str) -> Result<bool> {
    match covers {
        "file" => return Ok(false),
        "count" => {}
        other => {
            let message = format!("unknown covers {other:?}");
            return Err(Error::new(Kind::BadOption, message).with_hint("One of file, count."));
        }
    }
    let (scorer, _) = cache::scorer(schema, reference, &[ASKED], Preference::current())?;
    let model = scorer.active();
    let why = match model.have_covers(schema)? {
        Some(false) => return Ok(true),
        Some(true) => "its file says how much training data came to each branch of its trees",
        None => "it has no trees that can be looked into",
    };
    let message = format!("covers of model {} are not counted: {why}", model.reference());
    Err(Error::new(Kind::WrongState, message).with_hint("Leave covers out."))
}

/// The rows of a query, bound to a version: all, or as many of them drawn; and how many there are.
pub(super) fn drawn(version: &Version, sql: &str, most: usize) -> Result<(Batch, i64)> {
    // Drawn in the same way each time.
    let mut random = Random(1);
    let binder = Binder::new(Arc::new(version.interface.clone()), version.reference());
    let (mut source, mut rows, mut read) =
        (FeatureSource::default(), Batch::new(&version.interface.inputs, 0), 0_usize);
    let wrong = query::each_of_caller(sql, |row| {
        read += 1;
        let place = if rows.rows() < most { rows.rows() } else { random.below(read) };
        let row = row.filter(|_| place < most)?;
        rows.set_rows(rows.rows().max(place + 1));
        // SAFETY: whole rows, by the form of the query.
        let features = unsafe { Features::of_datum(Spelling::Row, row) };
        source.bind(&binder, features, &mut rows, place).err().map(|error| error.in_row(read))
    });
    match wrong {
        Some(error) => Err(error),
        None => Ok((rows, i64::try_from(read).unwrap_or(i64::MAX))),
    }
}
