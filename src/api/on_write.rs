//! Scores on write and what is stale: `e2i_score_on_write`, `e2i_score_on_write_off`, the trigger `e2i_score_row`, `e2i_features_hash`, and
//! what the view `e2i_scored_on_write` shows. Their SQL declarations are in `sql/on_write.sql`.

use e2i_core::{Error, Kind, ModelReference, Result, Targets};
use pgrx::datum::JsonB;
use pgrx::prelude::*;
use pgrx::{pg_guard, pg_sys};

use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::datum::document::Document;
use crate::datum::features::{Features, Spelling};
use crate::error::{OrRaise, given};
use crate::on_write::{OnError, Order, install, installed, row, stale};
use crate::pg::{call_site, sqlstate, varlena};
use crate::scoring::CallSite;
use crate::scoring::arm::Asked;
use crate::scoring::engines::Preference;

/// Has the rows of a table scored when they are inserted, and when a feature of theirs is updated.
#[pg_extern(sql = false)]
fn e2i_score_on_write(
    table: Option<pg_sys::Oid>,
    model: Option<&str>,
    target: Option<&str>,
    targets: Option<Document<'_>>,
    on_error: Option<&str>,
    on_apply: Option<bool>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> String {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || {
        let (table, model) = (given(table, "table")?, given(model, "model")?);
        let targets = targets.map(|targets| targets.read("targets")).transpose()?;
        let targets = Targets::given(target, targets.as_ref())?;
        let on_error = OnError::parse(given(on_error, "on_error")?)?;
        let order = Order { model: model.to_owned(), targets, on_error };
        install::install(schema, table, &order, given(on_apply, "on_apply")?)
    };
    run().or_raise()
}

/// Ends that, for all triggers of the table or for those of a model or a column, and returns how many there were.
#[pg_extern(sql = false)]
fn e2i_score_on_write_off(
    table: Option<pg_sys::Oid>,
    model: Option<&str>,
    target: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> i32 {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || {
        let mut removed = 0;
        for installed in installed::list(schema, Some(given(table, "table")?)) {
            let order = &installed.order;
            let is_of_model = model.is_none_or(|model| order.model == model);
            let is_of_target = target.is_none_or(|target| order.targets.iter().any(|(_, column)| column == target));
            if is_of_model && is_of_target {
                install::remove(&installed)?;
                removed += 1;
            }
        }
        Ok(removed)
    };
    run().or_raise()
}

/// The triggers that score. Read through the view `e2i_scored_on_write`.
#[pg_extern(sql = false)]
fn e2i_score_triggers(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(table, pg_sys::Oid),
        name!(model, String),
        name!(targets, JsonB),
        name!(on_error, String),
        name!(fires, String),
        name!(trigger, String),
        name!(watched, Vec<String>),
    ),
> {
    // SAFETY: the server passes a valid fcinfo.
    let rows: Vec<_> = installed::list(unsafe { Schema::of_call(fcinfo) }, None)
        .into_iter()
        .map(|installed| {
            let Order { model, targets, on_error } = installed.order;
            let (on_error, fires) = (on_error.name().to_owned(), installed.fires.to_owned());
            (installed.table, model, JsonB(targets.document()), on_error, fires, installed.trigger, installed.watched)
        })
        .collect();
    TableIterator::new(rows)
}

/// The versions that may answer to a reference now, `name:version`; the one that is deployed first, then those that share its traffic.
#[pg_extern(sql = false)]
fn e2i_answering_versions(model: &str, fcinfo: pg_sys::FunctionCallInfo) -> Vec<String> {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_call(fcinfo) };
    let run = || {
        let reference = ModelReference::parse(model)?;
        Ok(stale::answering(schema, &reference)?.iter().map(Version::reference).collect::<Vec<_>>())
    };
    run().or_raise()
}

/// The hash of a row's features. NULL for a row that the model does not take.
unsafe fn features_hash(fcinfo: pg_sys::FunctionCallInfo) -> Result<Option<i64>> {
    // SAFETY: as the callers promise.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(2);
        let site: &mut CallSite = call_site::state(fcinfo);
        site.enter(call_site::Place::of_call(fcinfo));
        let place = || Ok((Schema::of_call(fcinfo), Preference::current()));
        let reference = varlena::text(arguments[0].value);
        let scorer =
            site.scorer(place, reference, Asked { question: None, function: None, calibrated: None }, |_| Ok(()))?;
        scorer.begin();
        scorer.bind(Features::of_datum(Spelling::Row, arguments[1].value));
        Ok(scorer.features_hash(0))
    }
}

/// Scores a row that is written.
unsafe fn score_row(fcinfo: pg_sys::FunctionCallInfo) -> Result<pg_sys::HeapTuple> {
    // SAFETY: as the callers promise; the context is null or a node, and of a trigger's call its data.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            return Err(Error::new(Kind::WrongState, "e2i_score_row is called by triggers")
                .with_hint("Such triggers are made by e2i_score_on_write."));
        }
        let site: &mut row::Site = call_site::state(fcinfo);
        row::score(site, &*context.cast::<pg_sys::TriggerData>(), || Schema::of_call(fcinfo))
    }
}

/// Says which calling convention the function has.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_e2i_score_row() -> &'static pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// See the function of the same name in `sql/on_write.sql`.
///
/// # Safety
/// Called by the server only.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn e2i_score_row(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the server calls with a valid fcinfo.
    let tuple = sqlstate::keeping(|| unsafe { score_row(fcinfo) }).or_raise();
    pg_sys::Datum::from(tuple)
}

/// Says which calling convention the function has.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_e2i_features_hash() -> &'static pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// See the function of the same name in `sql/on_write.sql`.
///
/// # Safety
/// Called by the server only.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn e2i_features_hash(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the server calls with a valid fcinfo, whose result may be NULL.
    unsafe {
        let hash = sqlstate::keeping(|| features_hash(fcinfo)).or_raise();
        (*fcinfo).isnull = hash.is_none();
        pg_sys::Datum::from(hash.unwrap_or_default())
    }
}
