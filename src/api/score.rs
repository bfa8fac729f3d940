//! `e2i_predict`, `e2i_predict_label`, `e2i_predict_proba`, `e2i_predict_vector`, `e2i_predict_pinned`: one C function for each spelling of the
//! features. Their SQL declarations are in `sql/scoring.sql`. Those that plans call take a row, the versions that they were planned
//! for, and whether the row stands for its JSON.

use e2i_core::reading::Question;
use e2i_core::{Error, Kind, Result};
use pgrx::{pg_guard, pg_sys};

use crate::catalog::schema::Schema;
use crate::datum::features::{Features, Spelling};
use crate::datum::{result, row};
use crate::error::OrRaise;
use crate::pg::{call_site, sqlstate, varlena};
use crate::scan;
use crate::scan::call::ScoringFunction;
use crate::scoring::{CallSite, Scorer, planned};

/// What one call in a plan keeps.
#[derive(Default)]
enum Site {
    /// It was not called yet.
    #[default]
    New,
    /// Features reach it.
    Alone(CallSite),
    /// It asks for rows that a node of the plan has read; its number among those that do.
    Asking(usize),
}

/// Scores one row. The functions are declared STRICT, so all arguments are there.
unsafe fn answer(fcinfo: pg_sys::FunctionCallInfo, function: &ScoringFunction) -> Result<pg_sys::Datum> {
    // SAFETY: the server passes a valid fcinfo with arguments of the declared types.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(if function.is_planned { 4 } else { 2 });
        let features = arguments[1].value;
        let site: &mut Site = call_site::state(fcinfo);
        let place = call_site::Place::of_call(fcinfo);
        if let Site::New = site {
            *site =
                scan::asked((*(*fcinfo).flinfo).fn_expr).map_or_else(|| Site::Alone(CallSite::default()), Site::Asking);
        }
        let answer = match site {
            Site::Asking(number) => {
                let answer = scan::answer(features, *number, place)?;
                return answer.ok_or_else(|| Error::new(Kind::Internal, "a score is NULL"));
            }
            Site::Alone(site) => {
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
                answer
            }
            Site::New => return Err(Error::new(Kind::Internal, "a call has no place")),
        };
        Ok(result::answer(&answer))
    }
}

/// Defines functions of the server's version-1 calling convention.
macro_rules! scoring_functions {
    ($($symbol:ident, $info:ident: $question:ident, $spelling:ident, $is_pinned:literal, $is_planned:literal;)*) => {
    /// All of them.
    pub const FUNCTIONS: &[ScoringFunction] = &[$(
        ScoringFunction {
            symbol: stringify!($symbol),
            address: $symbol,
            question: Question::$question,
            spelling: Spelling::$spelling,
            is_pinned: $is_pinned,
            is_planned: $is_planned,
            calibrated: None,
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

        /// See the function of the same name in `sql/scoring.sql`.
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
                is_pinned: $is_pinned,
                is_planned: $is_planned,
                calibrated: None,
                explains: None,
            };
            // SAFETY: the server calls with a valid fcinfo.
            sqlstate::keeping(|| unsafe { answer(fcinfo, &FUNCTION) }).or_raise()
        }
    )*};
}

scoring_functions! {
    e2i_predict_jsonb, pg_finfo_e2i_predict_jsonb: Prediction, Jsonb, false, false;
    e2i_predict_text, pg_finfo_e2i_predict_text: Prediction, Text, false, false;
    e2i_predict_row, pg_finfo_e2i_predict_row: Prediction, Row, false, false;
    e2i_predict_array, pg_finfo_e2i_predict_array: Prediction, Array, false, false;
    e2i_predict_planned, pg_finfo_e2i_predict_planned: Prediction, Row, false, true;
    e2i_predict_label_jsonb, pg_finfo_e2i_predict_label_jsonb: Label, Jsonb, false, false;
    e2i_predict_label_text, pg_finfo_e2i_predict_label_text: Label, Text, false, false;
    e2i_predict_label_row, pg_finfo_e2i_predict_label_row: Label, Row, false, false;
    e2i_predict_label_array, pg_finfo_e2i_predict_label_array: Label, Array, false, false;
    e2i_predict_label_planned, pg_finfo_e2i_predict_label_planned: Label, Row, false, true;
    e2i_predict_proba_jsonb, pg_finfo_e2i_predict_proba_jsonb: Probabilities, Jsonb, false, false;
    e2i_predict_proba_text, pg_finfo_e2i_predict_proba_text: Probabilities, Text, false, false;
    e2i_predict_proba_row, pg_finfo_e2i_predict_proba_row: Probabilities, Row, false, false;
    e2i_predict_proba_array, pg_finfo_e2i_predict_proba_array: Probabilities, Array, false, false;
    e2i_predict_proba_planned, pg_finfo_e2i_predict_proba_planned: Probabilities, Row, false, true;
    e2i_predict_vector_jsonb, pg_finfo_e2i_predict_vector_jsonb: Vector, Jsonb, false, false;
    e2i_predict_vector_text, pg_finfo_e2i_predict_vector_text: Vector, Text, false, false;
    e2i_predict_vector_row, pg_finfo_e2i_predict_vector_row: Vector, Row, false, false;
    e2i_predict_vector_array, pg_finfo_e2i_predict_vector_array: Vector, Array, false, false;
    e2i_predict_vector_planned, pg_finfo_e2i_predict_vector_planned: Vector, Row, false, true;
    e2i_predict_pinned_jsonb, pg_finfo_e2i_predict_pinned_jsonb: Prediction, Jsonb, true, false;
    e2i_predict_pinned_text, pg_finfo_e2i_predict_pinned_text: Prediction, Text, true, false;
    e2i_predict_pinned_row, pg_finfo_e2i_predict_pinned_row: Prediction, Row, true, false;
    e2i_predict_pinned_array, pg_finfo_e2i_predict_pinned_array: Prediction, Array, true, false;
}
