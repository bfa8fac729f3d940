//! `e2i_contributions`, `e2i_top_reasons`: what features add to the numbers of rows, and nothing besides, so that a statement can ask
//! it of many. Their SQL declarations are in `sql/explain.sql`.
//!
//! A row is bound as it is to be scored, and by the version that would score it; the same rights are asked for.

use std::rc::Rc;

use e2i_core::reading::Question;
use e2i_core::{Batch, Interface, Result};
use pgrx::{pg_guard, pg_sys};

use super::explain::{ASKED, argument, at_most, of_options, spelling};
use crate::catalog::schema::Schema;
use crate::datum::features::{Features, Spelling};
use crate::datum::result;
use crate::error::OrRaise;
use crate::pg::{call_site, interrupt, sqlstate, varlena};
use crate::scan;
use crate::scan::call::{Explain, ScoringFunction};
use crate::scoring::engines::Preference;
use crate::scoring::explained::{Contributions, Wanted, ranked};
use crate::scoring::{CallSite, LoadedModel, Scorer};

/// What one call in a plan keeps.
#[derive(Default)]
enum Site {
    /// It was not called yet.
    #[default]
    New,
    /// Features reach it, spelled so.
    Alone(CallSite, Spelling),
    /// It asks for rows that a node of the plan has read; its number among those that do.
    Asking(usize),
}

/// What a function returns of the row of a call; `None` is NULL.
///
/// # Safety
/// `fcinfo` must be that of a call of the function.
unsafe fn answer(
    fcinfo: pg_sys::FunctionCallInfo,
    (options, explain): (usize, Explain),
) -> Result<Option<pg_sys::Datum>> {
    // SAFETY: as the caller promises.
    unsafe {
        let (Some(reference), Some(features)) = (argument(fcinfo, 0), argument(fcinfo, 1)) else { return Ok(None) };
        let site: &mut Site = call_site::state(fcinfo);
        let place = call_site::Place::of_call(fcinfo);
        if let Site::New = site {
            *site = match scan::asked((*(*fcinfo).flinfo).fn_expr) {
                Some(number) => Site::Asking(number),
                None => Site::Alone(CallSite::default(), spelling(fcinfo)),
            };
        }
        let (site, spelling) = match site {
            Site::Asking(number) => return scan::answer(features, *number, place),
            Site::Alone(site, spelling) => (site, *spelling),
            Site::New => return Ok(None),
        };
        let _ = site.enter(place);
        let schema = Schema::of_call(fcinfo);
        let place = || Ok((schema, Preference::current()));
        let scorer = site.scorer(place, varlena::text(reference), ASKED, |_| Ok(()))?;
        interrupt::check();
        scorer.begin();
        scorer.bind(Features::of_datum(spelling, features));
        let options: Vec<Option<pg_sys::Datum>> = (2..2 + options).map(|index| argument(fcinfo, index)).collect();
        let made = explain(scorer, schema, Some(0), &options)?;
        Ok(made.and_then(|made| made.first().copied()))
    }
}

/// What features add to the numbers of one row, as a function returns it.
type Make<'m> = dyn Fn(&LoadedModel, &Contributions, usize) -> pg_sys::Datum + 'm;

/// Makes what a function returns of a row, or of all that are bound.
fn each(
    scorer: &mut Scorer,
    schema: Schema,
    row: Option<usize>,
    wanted: &Wanted<'_>,
    make: &Make<'_>,
) -> Result<Option<Vec<pg_sys::Datum>>> {
    let Some(row) = row else {
        let Some((model, batch)) = scorer.all_bound() else { return Ok(None) };
        let features = model.interface().features.len();
        // SAFETY: reads a setting.
        let limit = usize::try_from(unsafe { pg_sys::work_mem }).unwrap_or_default().saturating_mul(1024);
        if batch.rows().saturating_mul(features).saturating_mul(size_of::<f64>()) > limit {
            return Ok(None);
        }
        let Some(all) = model.contributions(schema, batch, wanted)? else { return Ok(None) };
        return Ok(Some((0..batch.rows()).map(|row| make(model, &all, row)).collect()));
    };
    let (model, batch, place) = scorer.bound(row)?;
    let (model, picked): (_, Option<Batch>) = (Rc::clone(model), (batch.rows() > 1).then(|| batch.picked(&[place])));
    let one = picked.as_ref().unwrap_or(batch);
    let found = match model.contributions(schema, one, wanted)? {
        Some(found) => found,
        None => {
            let explained = model.explain(schema, (one, 0), wanted)?;
            Contributions {
                meant: explained.iter().map(|explanation| explanation.meant).collect(),
                margins: explained.first().map_or(vec![], |explanation| explanation.numbers.clone()),
                added: explained.into_iter().flat_map(|explanation| explanation.contributions).collect(),
            }
        }
    };
    Ok(Some(vec![make(&model, &found, 0)]))
}

/// One array, or one a class or number where several are meant.
fn contributions(
    scorer: &mut Scorer,
    schema: Schema,
    row: Option<usize>,
    options: &[Option<pg_sys::Datum>],
) -> Result<Option<Vec<pg_sys::Datum>>> {
    // SAFETY: the options of the function's declaration.
    let wanted = unsafe { of_options(options)? };
    each(scorer, schema, row, &wanted, &|model, found, row| {
        let features = model.interface().features.len();
        let cells = features * found.meant.len();
        let added = &found.added[row * cells..][..cells];
        match found.meant.len() {
            1 => result::float8_array(added),
            _ => result::float8_rows(&added.chunks(features.max(1)).map(<[f64]>::to_vec).collect::<Vec<_>>()),
        }
    })
}

/// The names of the features that add most to the number that is predicted.
fn top_reasons(
    scorer: &mut Scorer,
    schema: Schema,
    row: Option<usize>,
    options: &[Option<pg_sys::Datum>],
) -> Result<Option<Vec<pg_sys::Datum>>> {
    let Some((count, options)) = options.split_first() else { return Ok(None) };
    // SAFETY: as above.
    let wanted = unsafe { of_options(options)? };
    // A count that is NULL is answered before.
    let count = at_most(count.map_or(0, |count| count.value() as i32))?;
    each(scorer, schema, row, &wanted, &|model, found, row| {
        let interface = model.interface();
        let features = interface.features.len();
        let place = row * found.meant.len() + predicted(interface, found, row);
        let added = &found.added[place * features..][..features];
        let names = ranked(added).into_iter().take(count).map(|index| interface.features[index].name.as_str());
        result::text_array(names)
    })
}

/// Which of the numbers that are meant is the one that is predicted.
fn predicted(interface: &Interface, found: &Contributions, row: usize) -> usize {
    if found.meant.len() == 1 {
        return 0;
    }
    let targets =
        found.margins.len() / (found.added.len() / (found.meant.len() * interface.features.len()).max(1)).max(1);
    let margins = &found.margins[row * targets..][..targets];
    let meant = e2i_explain::predicted(interface, margins);
    found.meant.iter().position(|other| *other == meant).unwrap_or(0)
}

/// Those that are asked of many rows: a row's features are spelled as a row.
const fn of_rows(
    symbol: &'static str,
    address: unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum,
    explains: (usize, Explain),
) -> ScoringFunction {
    ScoringFunction {
        symbol,
        address,
        question: Question::Vector,
        spelling: Spelling::Row,
        is_pinned: false,
        is_planned: false,
        calibrated: None,
        explains: Some(explains),
    }
}

/// Space, class, method, samples, error.
const CONTRIBUTIONS: (usize, Explain) = (5, contributions);

/// How many, and the same.
const TOP_REASONS: (usize, Explain) = (6, top_reasons);

/// All of them.
pub const FUNCTIONS: &[ScoringFunction] = &[
    of_rows("e2i_contributions", e2i_contributions, CONTRIBUTIONS),
    of_rows("e2i_top_reasons", e2i_top_reasons, TOP_REASONS),
];

/// Says which calling convention the function has.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_e2i_contributions() -> &'static pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// What each feature adds to the number of a row: one array, or one a class or number where several are meant.
///
/// # Safety
/// Called by the server only.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn e2i_contributions(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the server calls with a valid fcinfo and the arguments of the declaration.
    unsafe { given(fcinfo, sqlstate::keeping(|| answer(fcinfo, CONTRIBUTIONS)).or_raise()) }
}

/// Says which calling convention the function has.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_e2i_top_reasons() -> &'static pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// The features that add most to the number of a row.
///
/// # Safety
/// Called by the server only.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn e2i_top_reasons(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: as above.
    unsafe {
        let is_asked = argument(fcinfo, 2).is_some();
        let ask = || if is_asked { answer(fcinfo, TOP_REASONS) } else { Ok(None) };
        given(fcinfo, sqlstate::keeping(ask).or_raise())
    }
}

/// What a function returns; `None` is NULL.
///
/// # Safety
/// `fcinfo` must be that of the call.
unsafe fn given(fcinfo: pg_sys::FunctionCallInfo, answer: Option<pg_sys::Datum>) -> pg_sys::Datum {
    // SAFETY: as the caller promises.
    unsafe { (*fcinfo).isnull = answer.is_none() };
    answer.unwrap_or(pg_sys::Datum::from(0))
}
