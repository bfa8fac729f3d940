//! `e2i_predict_interval`, `e2i_predict_set`, `e2i_predict_calibrated`, `e2i_predict_calibrated_proba`: answers with how sure they are. One C
//! function for each spelling of the features, and one that plans call. Their SQL declarations are in `sql/calibration.sql`.

use e2i_calibrate::Purpose;
use e2i_core::reading::Question;
use e2i_core::{Answer, Batch, Error, Kind, Result};
use pgrx::{pg_guard, pg_sys};

use crate::catalog::schema::Schema;
use crate::datum::features::{Features, Spelling};
use crate::datum::result::Float8Rows;
use crate::datum::{result, row};
use crate::error::OrRaise;
use crate::pg::{call_site, sqlstate, varlena};
use crate::scan;
use crate::scan::call::ScoringFunction;
use crate::scoring::calibrated::{Calibrated, labels};
use crate::scoring::{CallSite, LoadedModel, Scorer, planned};

/// What one call in a plan keeps.
#[derive(Default)]
struct Site {
    place: Place,
    /// Of what is given back where that is a row.
    rows: Option<Float8Rows>,
}

/// How it comes by its answers.
#[derive(Default)]
enum Place {
    /// It was not called yet.
    #[default]
    New,
    /// Features reach it.
    Alone(CallSite),
    /// It asks for rows that a node of the plan has read; its number among those that do.
    Asking(usize),
}

/// Scores one row, and says how sure that is; `None` is NULL. The functions are declared STRICT, so all arguments are there.
unsafe fn answer(fcinfo: pg_sys::FunctionCallInfo, function: &ScoringFunction) -> Result<Option<pg_sys::Datum>> {
    // SAFETY: the server passes a valid fcinfo with arguments of the declared types.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(function.arguments());
        let features = arguments[1].value;
        let site: &mut Site = call_site::state(fcinfo);
        let place = call_site::Place::of_call(fcinfo);
        if let Place::New = site.place {
            let asked = scan::asked((*(*fcinfo).flinfo).fn_expr);
            site.place = asked.map_or_else(|| Place::Alone(CallSite::default()), Place::Asking);
            site.rows = function.rows((*(*fcinfo).flinfo).fn_oid);
        }
        let level = match arguments.last() {
            Some(level) if function.takes_level() => f64::from_bits(level.value.value() as u64),
            _ => 0.0,
        };
        let rows = site.rows.as_ref();
        match &mut site.place {
            Place::Asking(number) => scan::answer(features, *number, place),
            Place::Alone(site) => {
                let reference = varlena::text(arguments[0].value);
                let clock = site.enter(place);
                let place = || {
                    let schema = Schema::of_call(fcinfo);
                    Ok((schema, function.preference(schema, reference)?))
                };
                let check = |scorer: &Scorer| match function.is_planned {
                    true => planned::require(scorer, arguments[2].value, |model| row::holds_all(features, model)),
                    false => Ok(()),
                };
                let scorer = site.scorer(place, reference, function.asked(), check)?;
                let spelling = function.spelling(function.is_planned && arguments[3].value.value() != 0);
                let answer = scorer.score_one(Features::of_datum(spelling, features))?;
                if let Some(clock) = clock {
                    scorer.time_row(&clock);
                }
                match function.calibrated {
                    Some((_, made)) => made(scorer, (0, 0), &answer, level, rows),
                    None => Ok(Some(result::answer(&answer))),
                }
            }
            Place::New => Err(Error::new(Kind::Internal, "a call has no place")),
        }
    }
}

/// How sure the version that scored a row is, the version, its batch, and the row's place there.
#[inline]
fn calibrated(scorer: &Scorer, (row, asked): (usize, usize)) -> Result<(&Calibrated, &LoadedModel, (&Batch, usize))> {
    let found = scorer.calibrated(row, asked);
    found.ok_or_else(|| Error::new(Kind::Internal, "a scorer was not asked how sure it is"))
}

fn interval(
    scorer: &Scorer,
    place: (usize, usize),
    answer: &Answer,
    level: f64,
    rows: Option<&Float8Rows>,
) -> Result<Option<pg_sys::Datum>> {
    let (calibrated, model, place) = calibrated(scorer, place)?;
    let sure = calibrated.interval(model, place, answer, level)?;
    let interval = sure.interval;
    Ok(rows.map(|rows| rows.row([interval.prediction, interval.lower, interval.upper, level], sure.coverage)))
}

fn set(
    scorer: &Scorer,
    place: (usize, usize),
    answer: &Answer,
    level: f64,
    _: Option<&Float8Rows>,
) -> Result<Option<pg_sys::Datum>> {
    let (calibrated, model, place) = calibrated(scorer, place)?;
    let classes = calibrated.set(model, place.1, answer, level)?;
    let labels = labels(model.interface());
    let set = classes.into_iter().filter_map(|class| labels.get(class)).map(String::as_str);
    Ok(Some(result::text_array(set)))
}

fn probability(
    scorer: &Scorer,
    place: (usize, usize),
    answer: &Answer,
    _: f64,
    _: Option<&Float8Rows>,
) -> Result<Option<pg_sys::Datum>> {
    let (calibrated, model, place) = calibrated(scorer, place)?;
    match calibrated.probabilities(model, place.1, answer)?.as_deref() {
        Some([_, second]) => Ok(Some(pg_sys::Datum::from(second.to_bits()))),
        Some(_) => {
            let message = format!("model {} has more than two classes", model.reference());
            Err(Error::new(Kind::WrongState, message).with_hint("Use e2i_predict_calibrated_proba."))
        }
        None => Ok(None),
    }
}

fn probabilities(
    scorer: &Scorer,
    place: (usize, usize),
    answer: &Answer,
    _: f64,
    _: Option<&Float8Rows>,
) -> Result<Option<pg_sys::Datum>> {
    let (calibrated, model, place) = calibrated(scorer, place)?;
    Ok(calibrated.probabilities(model, place.1, answer)?.as_deref().map(result::float8_array))
}

/// Defines functions of the server's version-1 calling convention.
macro_rules! calibrated_functions {
    ($($symbol:ident, $info:ident: $gives:ident, $question:ident, $purpose:ident, $spelling:ident, $is_planned:literal;)*) => {
    /// All of them.
    pub const FUNCTIONS: &[ScoringFunction] = &[$(
        ScoringFunction {
            symbol: stringify!($symbol),
            address: $symbol,
            question: Question::$question,
            spelling: Spelling::$spelling,
            is_pinned: false,
            is_planned: $is_planned,
            calibrated: Some((Purpose::$purpose, $gives)),
            explains: None,
        },
    )*];

    $(
        /// Says which calling convention the function has.
        #[unsafe(no_mangle)]
        pub extern "C" fn $info() -> &'static pg_sys::Pg_finfo_record {
            const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &VERSION_1
        }

        /// See the function of the same name in `sql/calibration.sql`.
        ///
        /// # Safety
        /// Called by the server only.
        #[unsafe(no_mangle)]
        #[pg_guard]
        pub unsafe extern "C-unwind" fn $symbol(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            const FUNCTION: ScoringFunction = ScoringFunction {
                symbol: stringify!($symbol),
                address: $symbol,
                question: Question::$question,
                spelling: Spelling::$spelling,
                is_pinned: false,
                is_planned: $is_planned,
                calibrated: Some((Purpose::$purpose, $gives)),
                explains: None,
            };
            // SAFETY: the server calls with a valid fcinfo.
            unsafe {
                match sqlstate::keeping(|| answer(fcinfo, &FUNCTION)).or_raise() {
                    Some(answer) => answer,
                    None => {
                        (*fcinfo).isnull = true;
                        pg_sys::Datum::null()
                    }
                }
            }
        }
    )*};
}

calibrated_functions! {
    e2i_predict_interval_jsonb, pg_finfo_e2i_predict_interval_jsonb: interval, Vector, Interval, Jsonb, false;
    e2i_predict_interval_text, pg_finfo_e2i_predict_interval_text: interval, Vector, Interval, Text, false;
    e2i_predict_interval_row, pg_finfo_e2i_predict_interval_row: interval, Vector, Interval, Row, false;
    e2i_predict_interval_array, pg_finfo_e2i_predict_interval_array: interval, Vector, Interval, Array, false;
    e2i_predict_interval_planned, pg_finfo_e2i_predict_interval_planned: interval, Vector, Interval, Row, true;
    e2i_predict_set_jsonb, pg_finfo_e2i_predict_set_jsonb: set, Probabilities, Set, Jsonb, false;
    e2i_predict_set_text, pg_finfo_e2i_predict_set_text: set, Probabilities, Set, Text, false;
    e2i_predict_set_row, pg_finfo_e2i_predict_set_row: set, Probabilities, Set, Row, false;
    e2i_predict_set_array, pg_finfo_e2i_predict_set_array: set, Probabilities, Set, Array, false;
    e2i_predict_set_planned, pg_finfo_e2i_predict_set_planned: set, Probabilities, Set, Row, true;
    e2i_predict_calibrated_jsonb, pg_finfo_e2i_predict_calibrated_jsonb: probability, Probabilities, Probability, Jsonb, false;
    e2i_predict_calibrated_text, pg_finfo_e2i_predict_calibrated_text: probability, Probabilities, Probability, Text, false;
    e2i_predict_calibrated_row, pg_finfo_e2i_predict_calibrated_row: probability, Probabilities, Probability, Row, false;
    e2i_predict_calibrated_array, pg_finfo_e2i_predict_calibrated_array: probability, Probabilities, Probability, Array, false;
    e2i_predict_calibrated_planned, pg_finfo_e2i_predict_calibrated_planned: probability, Probabilities, Probability, Row, true;
    e2i_predict_calibrated_proba_jsonb, pg_finfo_e2i_predict_calibrated_proba_jsonb: probabilities, Probabilities, Probability, Jsonb, false;
    e2i_predict_calibrated_proba_text, pg_finfo_e2i_predict_calibrated_proba_text: probabilities, Probabilities, Probability, Text, false;
    e2i_predict_calibrated_proba_row, pg_finfo_e2i_predict_calibrated_proba_row: probabilities, Probabilities, Probability, Row, false;
    e2i_predict_calibrated_proba_array, pg_finfo_e2i_predict_calibrated_proba_array: probabilities, Probabilities, Probability, Array, false;
    e2i_predict_calibrated_proba_planned, pg_finfo_e2i_predict_calibrated_proba_planned: probabilities, Probabilities, Probability, Row, true;
}
