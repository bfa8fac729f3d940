//! What pairs of features add together: `e2i_interactions`. Its SQL declarations are in `sql/explain.sql`.

use e2i_core::Result;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::api::explain::{ASKED, argument, spelling, wanted};
use crate::catalog::schema::Schema;
use crate::datum::features::Features;
use crate::error::OrRaise;
use crate::pg::{interrupt, sqlstate, varlena};
use crate::scoring::cache;
use crate::scoring::engines::Preference;

/// Columns of [`e2i_interactions`].
type Line = (String, String, f64);

/// What each feature adds by itself, and each pair beyond that. Declared in `sql/explain.sql`.
#[pg_extern(sql = false)]
fn e2i_interactions(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<'static, (name!(feature_a, String), name!(feature_b, String), name!(interaction, f64))> {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration.
    let lines = sqlstate::keeping(|| unsafe { lines(fcinfo) });
    TableIterator::new(lines.or_raise())
}

/// Nothing where model or features are NULL.
///
/// # Safety
/// `fcinfo` must be that of a call with a model, features and the options.
unsafe fn lines(fcinfo: pg_sys::FunctionCallInfo) -> Result<Vec<Line>> {
    // SAFETY: as the caller promises.
    unsafe {
        let (Some(reference), Some(features)) = (argument(fcinfo, 0), argument(fcinfo, 1)) else { return Ok(vec![]) };
        let (wanted, schema) = (wanted(fcinfo, 2)?, Schema::of_call(fcinfo));
        let (mut scorer, _) = cache::scorer(schema, varlena::text(reference), &[ASKED], Preference::current())?;
        interrupt::check();
        scorer.begin();
        scorer.bind(Features::of_datum(spelling(fcinfo), features));
        let (model, batch, row) = scorer.bound(0)?;
        let pairs = model.interactions(schema, (batch, row), &wanted)?;
        let name = |feature: usize| model.interface().features[feature].name.clone();
        Ok(pairs.into_iter().map(|(a, b, added)| (name(a), name(b), added)).collect())
    }
}
