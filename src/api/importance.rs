//! What matters to a model over many rows: `e2i_importance`. Its SQL declaration is in `sql/explain.sql`.
//!
//! Rows are read with the caller's rights, all of them or as many as are drawn, and each is explained as alone.

use e2i_core::{Error, Kind, Result};
use pgrx::prelude::*;
use pgrx::{name, pg_sys};

use super::explain::{ASKED, argument, drawn, wanted};
use crate::catalog::schema::Schema;
use crate::error::OrRaise;
use crate::pg::{data, interrupt, sqlstate, varlena};
use crate::scoring::cache;
use crate::scoring::engines::Preference;

/// What one feature adds to rows, up or down.
#[derive(Default, Clone)]
struct Added {
    sum: f64,
    squares: f64,
}

/// A feature's place, name, mean size of what it adds, its share of all, and how far the mean may be from that of all rows.
type Ranked = (i32, String, f64, f64, f64);

fn importance(fcinfo: pg_sys::FunctionCallInfo) -> Result<Vec<Ranked>> {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration.
    let (schema, reference, data, wanted, most) = unsafe {
        let text = |index| argument(fcinfo, index).map(|datum| varlena::text(datum));
        let (Some(reference), Some(data)) = (text(0), text(1)) else { return Ok(vec![]) };
        let most = argument(fcinfo, 5).map_or(0, |most| most.value() as i32);
        (Schema::of_call(fcinfo), reference, data, wanted(fcinfo, 2)?, most)
    };
    let most = usize::try_from(most).ok().filter(|most| *most > 0);
    let most = most.ok_or_else(|| Error::new(Kind::BadOption, "most must be 1 row or more"))?;
    let version = cache::resolve(schema, reference)?;
    let (rows, read) = drawn(&version, &data::query_of(data)?, most)?;
    let count = rows.rows();
    if count == 0 {
        return Err(Error::new(
            Kind::BadOption,
            format!("there are no rows to explain model {} with", version.reference()),
        ));
    }
    let (scorer, _) = cache::scorer(schema, &version.reference(), &[ASKED], Preference::current())?;
    let model = scorer.active();
    let mut added = vec![Added::default(); version.interface.features.len()];
    for row in 0..count {
        interrupt::check();
        let explanations = model.explain(schema, (&rows, row), &wanted)?;
        let numbers = explanations.len().max(1) as f64;
        for (feature, added) in added.iter_mut().enumerate() {
            let sizes = explanations.iter().map(|explanation| explanation.contributions[feature].abs());
            let size = sizes.sum::<f64>() / numbers;
            added.sum += size;
            added.squares += size * size;
        }
    }
    let n = count as f64;
    let all: f64 = added.iter().map(|added| added.sum / n).sum();
    // Of all rows the mean is no estimate.
    let left = (1.0 - n / read as f64).max(0.0);
    let of = |(feature, added): (usize, &Added)| {
        let mean = added.sum / n;
        let variance = (added.squares / n - mean * mean).max(0.0) * n / (n - 1.0).max(1.0);
        let share = if all > 0.0 { mean / all } else { 0.0 };
        (0, version.interface.features[feature].name.clone(), mean, share, (variance / n * left).sqrt())
    };
    let mut ranked: Vec<Ranked> = added.iter().enumerate().map(of).collect();
    // Of equal ones the first, in the model's order.
    ranked.sort_by(|a, b| b.2.total_cmp(&a.2));
    (1..).zip(&mut ranked).for_each(|(rank, one)| one.0 = rank);
    Ok(ranked)
}

/// How much each feature adds on average to the numbers of rows, up or down. Declared in `sql/explain.sql`.
#[pg_extern(sql = false)]
fn e2i_importance(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (name!(rank, i32), name!(feature, String), name!(importance, f64), name!(share, f64), name!(standard_error, f64)),
> {
    TableIterator::new(sqlstate::keeping(|| importance(fcinfo)).or_raise())
}
