//! How much features matter to a model over many rows: `e2i_importance`. Its SQL declaration is in `sql/importance.sql`.

use e2i_core::{Error, Kind, Result};
use e2i_explain::Importance;
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde_json::{Map, Value as Json, json};

use crate::api::explain::{ASKED, argument, drawn, wanted_drawn};
use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::catalog::shap_analysis::{self, Analysis};
use crate::error::{OrRaise, given};
use crate::pg::{data, interrupt, sqlstate, varlena};
use crate::scoring::cache;
use crate::scoring::engines::Preference;
use crate::scoring::explained::{Contributions, Explanation, Wanted};

/// Rows that are explained together.
const ROWS_AT_ONCE: usize = 4096;

/// What was found for one number of the answer.
struct Found {
    /// Of the first row, which says what it is of.
    first: Explanation,
    class: Option<String>,
    importance: Importance,
    /// Rows that there are.
    read: u64,
}

/// Columns of [`e2i_importance`].
type Line = (i32, String, f64, f64, Option<f64>, Option<String>, i64);

/// Explains rows of a version, and adds up what features add to each number that is meant.
fn over_rows(schema: Schema, version: &Version, sql: &str, most: usize, wanted: &Wanted<'_>) -> Result<Vec<Found>> {
    let (rows, read) = drawn(version, sql, most)?;
    let (scorer, _) = cache::scorer(schema, &version.reference(), &[ASKED], Preference::current())?;
    let model = scorer.active();
    let mut all: Vec<Found> = vec![];
    let of_rows: Vec<usize> = (0..rows.rows()).collect();
    for together in of_rows.chunks(ROWS_AT_ONCE) {
        let rows = rows.picked(together);
        if all.is_empty() {
            let explanations = model.explain(schema, (&rows, 0), wanted)?;
            let several = explanations.len() > 1;
            all.extend(explanations.into_iter().map(|first| {
                let number = || several.then(|| (first.meant.target + 1).to_string());
                Found {
                    class: first.class(model.interface()).or_else(number),
                    importance: Importance::new(first.contributions.len()),
                    first,
                    read: read.unsigned_abs(),
                }
            }));
        }
        let count = all.first().map_or(0, |found| found.first.contributions.len()).max(1);
        match model.contributions(schema, &rows, wanted)? {
            Some(Contributions { added, .. }) => {
                let numbers = all.len();
                added
                    .chunks_exact(count)
                    .enumerate()
                    .for_each(|(index, added)| all[index % numbers].importance.add(added));
            }
            None => {
                for row in 0..rows.rows() {
                    interrupt::check();
                    let explanations = model.explain(schema, (&rows, row), wanted)?;
                    let pairs = all.iter_mut().zip(&explanations);
                    pairs.for_each(|(found, explanation)| found.importance.add(&explanation.contributions));
                }
            }
        }
    }
    if all.is_empty() {
        return Err(Error::new(
            Kind::BadOption,
            format!("there are no rows to explain model {} by", version.reference()),
        )
        .with_hint("Name a relation or a query that has rows."));
    }
    Ok(all)
}

/// Keeps what was found.
fn keep(
    schema: Schema,
    version: &Version,
    found: &Found,
    wanted: &Wanted<'_>,
    (source, segment): (&str, Option<&str>),
) {
    let name = |feature: usize| version.interface.features[feature].name.clone();
    let ranked = found.importance.ranked(found.read);
    let importance: Map<String, Json> = ranked.iter().map(|share| (name(share.feature), json!(share.mean))).collect();
    let drivers: Vec<Json> = ranked
        .iter()
        .filter(|share| share.mean > 0.0)
        .map(|share| {
            json!({
                "feature": name(share.feature), "importance": share.mean, "share": share.share, "standard_error": share.error,
            })
        })
        .collect();
    let analysis = Analysis {
        segment,
        class: found.class.clone(),
        space: wanted.space.name(),
        method: found.first.method.name(),
        base: found.first.base,
        importance: Json::Object(importance),
        drivers: Json::Array(drivers),
        rows: rows_of(found),
        source,
        background: found.first.background.as_ref().map(|background| background.id),
    };
    shap_analysis::add(schema, version, analysis);
}

fn rows_of(found: &Found) -> i64 {
    i64::try_from(found.importance.rows()).unwrap_or(i64::MAX)
}

/// How much each feature matters over the rows of a relation. Declared in `sql/importance.sql`.
#[pg_extern(sql = false)]
fn e2i_importance(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(rank, i32),
        name!(feature, String),
        name!(importance, f64),
        name!(share, f64),
        name!(standard_error, Option<f64>),
        name!(class, Option<String>),
        name!(rows, i64),
    ),
> {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration.
    let lines = sqlstate::keeping(|| unsafe {
        let stores = argument(fcinfo, 6).is_some_and(|datum| datum.value() != 0);
        let schema = if stores { Schema::of_change(fcinfo) } else { Schema::of_call(fcinfo) };
        let text = |index| argument(fcinfo, index).map(|datum| varlena::text(datum));
        let (reference, source) = (given(text(0), "model")?, given(text(1), "relation")?);
        let (wanted, segment) = (wanted_drawn(fcinfo, 2, 8)?, text(7));
        let most = given(argument(fcinfo, 5), "most")?.value() as i32;
        let most = usize::try_from(most).ok().filter(|most| *most > 0);
        let most = most.ok_or_else(|| Error::new(Kind::BadOption, "most must be 1 row or more"))?;
        let version = cache::resolve(schema, reference)?;
        let all = over_rows(schema, &version, &data::query_of(source)?, most, &wanted)?;
        if stores {
            all.iter().for_each(|found| keep(schema, &version, found, &wanted, (source, segment)));
        }
        Ok::<_, Error>(all.iter().flat_map(|found| lines(&version, found)).collect::<Vec<_>>())
    });
    TableIterator::new(lines.or_raise())
}

fn lines(version: &Version, found: &Found) -> Vec<Line> {
    let ranked = found.importance.ranked(found.read).into_iter().zip(1..);
    ranked
        .map(|(share, rank)| {
            let name = version.interface.features[share.feature].name.clone();
            (rank, name, share.mean, share.share, share.error, found.class.clone(), rows_of(found))
        })
        .collect()
}
