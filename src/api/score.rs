//! `e2i_predict`, `e2i_predict_label`, `e2i_predict_proba`, `e2i_predict_vector`: one C function for each spelling of the
//! features. Their SQL declarations are in `sql/scoring.sql`.

use e2i_core::Result;
use e2i_core::reading::{self, Question};
use pgrx::{pg_guard, pg_sys};

use crate::catalog::schema::Schema;
use crate::datum::features::Spelling;
use crate::datum::result;
use crate::error::OrRaise;
use crate::pg::{call_site, varlena};
use crate::session::CallSite;

/// Scores one row. The functions are declared STRICT, so both arguments are there.
unsafe fn answer(fcinfo: pg_sys::FunctionCallInfo, question: Question, spelling: Spelling) -> Result<pg_sys::Datum> {
    // SAFETY: the server passes a valid fcinfo with two arguments of the declared types.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(2);
        let reference = varlena::text(arguments[0].value);
        let site: &mut CallSite = call_site::state(fcinfo);
        let target = site.target(|| Schema::of_call(fcinfo), reference, question)?;
        let binder = &target.model.binder;
        target.source.bind(binder, spelling, arguments[1].value, &mut target.batch, 0)?;
        target.model.score(&target.batch, target.wanted, &mut target.outputs)?;
        let (interface, outputs, model) = (binder.interface(), &target.outputs, binder.model());
        match question {
            Question::Prediction => {
                reading::prediction(interface, outputs, 0, model).map(|number| pg_sys::Datum::from(number.to_bits()))
            }
            Question::Label => reading::label(interface, outputs, 0, model).map(|label| result::text(&label)),
            Question::Probabilities => {
                let mut numbers = Vec::with_capacity(outputs.width.max(2));
                reading::probabilities(interface, outputs, 0, model, &mut numbers)?;
                Ok(result::float8_array(&numbers))
            }
            Question::Vector => {
                let mut numbers = Vec::with_capacity(outputs.width);
                reading::vector(outputs, 0, model, &mut numbers)?;
                Ok(result::float8_array(&numbers))
            }
        }
    }
}

/// Defines a function of the server's version-1 calling convention.
macro_rules! scoring_functions {
    ($($symbol:ident, $info:ident: $question:ident, $spelling:ident;)*) => {$(
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
            // SAFETY: the server calls with a valid fcinfo.
            unsafe { answer(fcinfo, Question::$question, Spelling::$spelling) }.or_raise()
        }
    )*};
}

scoring_functions! {
    e2i_predict_jsonb, pg_finfo_e2i_predict_jsonb: Prediction, Jsonb;
    e2i_predict_text, pg_finfo_e2i_predict_text: Prediction, Text;
    e2i_predict_row, pg_finfo_e2i_predict_row: Prediction, Row;
    e2i_predict_array, pg_finfo_e2i_predict_array: Prediction, Array;
    e2i_predict_label_jsonb, pg_finfo_e2i_predict_label_jsonb: Label, Jsonb;
    e2i_predict_label_text, pg_finfo_e2i_predict_label_text: Label, Text;
    e2i_predict_label_row, pg_finfo_e2i_predict_label_row: Label, Row;
    e2i_predict_label_array, pg_finfo_e2i_predict_label_array: Label, Array;
    e2i_predict_proba_jsonb, pg_finfo_e2i_predict_proba_jsonb: Probabilities, Jsonb;
    e2i_predict_proba_text, pg_finfo_e2i_predict_proba_text: Probabilities, Text;
    e2i_predict_proba_row, pg_finfo_e2i_predict_proba_row: Probabilities, Row;
    e2i_predict_proba_array, pg_finfo_e2i_predict_proba_array: Probabilities, Array;
    e2i_predict_vector_jsonb, pg_finfo_e2i_predict_vector_jsonb: Vector, Jsonb;
    e2i_predict_vector_text, pg_finfo_e2i_predict_vector_text: Vector, Text;
    e2i_predict_vector_row, pg_finfo_e2i_predict_vector_row: Vector, Row;
    e2i_predict_vector_array, pg_finfo_e2i_predict_vector_array: Vector, Array;
}
