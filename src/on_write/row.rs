//! The trigger: a row on its way into a table, scored, with what was answered in its columns.
//!
//! It runs with the rights of who writes, as every trigger and every scoring function does: that role must see the model.
//!
//! What a trigger is to do and where its columns are is found once a session; the scorer is found once a statement, where the one
//! before has left it. So a statement of one row pays little more than the row.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use e2i_core::{Answer, Error, Kind, Result, Written};
use e2i_metrics::Function;
use e2i_privacy::refusal;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgMemoryContexts, PgTupleDesc, pg_sys};

use crate::catalog::schema::Schema;
use crate::datum::columns::Columns;
use crate::datum::features::Features;
use crate::datum::row::Reading;
use crate::error::sqlstate;
use crate::explain;
use crate::metrics::clock::Clock;
use crate::metrics::counter;
use crate::on_write::order::{OnError, Order};
use crate::on_write::place::{Place, Value};
use crate::on_write::plain::require_plain;
use crate::pg::{relation, relcache};
use crate::scoring::arm::Asked;
use crate::scoring::engines::Preference;
use crate::scoring::{Lease, cache};
use crate::settings;

/// Triggers of which a session keeps what they do, some kilobytes each.
const MAX_KNOWN: usize = 256;

/// One row in so many is timed, besides the first of a statement.
const ROWS_A_TIMING: u64 = 64;

thread_local! {
    // Never dropped: at the end of a process the server's memory is no longer to be freed.
    static KNOWN: ManuallyDrop<RefCell<HashMap<pg_sys::Oid, Rc<Known>>>> = ManuallyDrop::default();
}

/// What a statement keeps of a trigger.
#[derive(Default)]
pub struct Site {
    known: Option<Rc<Known>>,
    lease: Option<Lease>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    rows: u64,
    /// What the row at hand took, in milliseconds, where that is written.
    took: Option<f64>,
    has_warned: bool,
}

/// What a session keeps of a trigger: its order, and the columns of its table.
struct Known {
    /// Number of relation changes that this session had heard of when it was known to be right.
    changes: Cell<u64>,
    argument: Vec<u8>,
    descriptor: pg_sys::TupleDesc,
    order: Order,
    asked: Vec<Asked>,
    columns: Columns,
    generated: Vec<String>,
    places: Vec<Place>,
    table: String,
}

impl Drop for Known {
    fn drop(&mut self) {
        // SAFETY: a copy, made by `Known::new` and freed once.
        unsafe { pg_sys::FreeTupleDesc(self.descriptor) };
    }
}

/// What is asked of a model to write this; `None` for what is told about an answer.
pub fn asked(written: Written) -> Option<Asked> {
    let function = match written {
        Written::Score => Function::Predict,
        Written::Label => Function::Label,
        Written::Probabilities => Function::Probabilities,
        Written::Vector => Function::Vector,
        _ => return None,
    };
    Some(Asked { question: written.question(), function: Some(function), calibrated: None })
}

/// The row that is written in place of the one that a trigger was called for.
///
/// # Errors
/// What is wrong with the trigger, and, unless its order says otherwise, with the row.
///
/// # Safety
/// `trigger` must be what the server calls a trigger with.
pub unsafe fn score(
    site: &mut Site,
    trigger: &pg_sys::TriggerData,
    schema: impl FnOnce() -> Schema,
) -> Result<pg_sys::HeapTuple> {
    let event = trigger.tg_event;
    let is_update = event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_UPDATE;
    let is_insert = event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_INSERT;
    let is_before = event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_BEFORE;
    if !is_before || event & pg_sys::TRIGGER_EVENT_ROW == 0 || !(is_update || is_insert) {
        return Err(Error::new(
            Kind::WrongState,
            "scores are written by triggers BEFORE INSERT OR UPDATE FOR EACH ROW",
        )
        .with_hint("Such triggers are made by e2i_score_on_write."));
    }
    let tuple = if is_update { trigger.tg_newtuple } else { trigger.tg_trigtuple };
    // SAFETY: the server's own trigger data: relation, trigger and row belong together.
    unsafe {
        let known = match &site.known {
            Some(known) => known.clone(),
            None => site.known.insert(Known::find(trigger)?).clone(),
        };
        let descriptor = (*trigger.tg_relation).rd_att;
        let columns = known.columns.len();
        if site.values.len() < columns {
            site.values.resize(columns, pg_sys::Datum::from(0));
            site.nulls.resize(columns, true);
        }
        pg_sys::heap_deform_tuple(tuple, descriptor, site.values.as_mut_ptr(), site.nulls.as_mut_ptr());
        let answered = site.answer(&known, schema);
        let answered = match answered {
            Err(error) if known.order.on_error == OnError::Error || ends_all(error.kind()) => {
                return Err(told(error, trigger));
            }
            answered => answered,
        };
        if let Err(error) = &answered {
            site.warn(error, trigger);
        }
        write(&known, site, &answered, tuple, descriptor).map_err(|error| told(error, trigger))
    }
}

/// Whether an error says nothing of the row, so that no row is written without a score for it: the statement is to be tried again,
/// or to end.
fn ends_all(kind: Kind) -> bool {
    matches!(kind, Kind::Interrupted | Kind::Conflict | Kind::Memory | Kind::Internal)
}

impl Site {
    /// The answers for the row at hand, in the order of what is asked.
    fn answer(&mut self, known: &Known, schema: impl FnOnce() -> Schema) -> Result<Vec<Answer>> {
        let is_first = self.lease.is_none();
        self.rows += 1;
        let is_sampled = (is_first || self.rows.is_multiple_of(ROWS_A_TIMING)) && settings::metrics();
        let is_written = known.order.targets.column(Written::Latency).is_some();
        let clock = (is_sampled || is_written || explain::is_timed()).then(|| Clock::start().drawn(!is_first));
        if is_first {
            let lease = known.scorer(schema()).inspect_err(|error| {
                let function = known.asked.first().and_then(|asked| asked.function).unwrap_or(Function::Predict);
                counter::unresolved(function, error.kind());
            })?;
            self.lease.insert(lease).request(None);
        }
        let Some(lease) = &mut self.lease else { return Ok(vec![]) };
        // SAFETY: the values of the row at hand, of these columns.
        let features = unsafe { Features::of_columns(&known.columns, Reading::AsRow, &self.values, &self.nulls) };
        lease.begin();
        if lease.bind(features) {
            lease.score();
        }
        let answers = (0..known.asked.len()).map(|asked| lease.answer(0, asked)).collect();
        if let Some(clock) = clock {
            self.took = is_written.then(|| clock.read().busy.as_secs_f64() * 1e3);
            if is_sampled || explain::is_timed() {
                lease.time_row(&clock);
            }
        }
        answers
    }

    /// Says once a statement that a row is written without a score.
    #[cold]
    fn warn(&mut self, error: &Error, trigger: &pg_sys::TriggerData) {
        if std::mem::replace(&mut self.has_warned, true) {
            return;
        }
        // SAFETY: the server's own trigger data.
        let table = unsafe { relation::shown((*trigger.tg_relation).rd_id) };
        let message = format!("a row of {table} is written without a score: {}", error.message());
        let mut report = ErrorReport::new(sqlstate(error.kind()), message, "");
        report = report.set_detail("Other rows of the statement that cannot be scored are not told of.".to_owned());
        if let Some(hint) = error.hint() {
            report = report.set_hint(hint.to_owned());
        }
        report.report(PgLogLevel::WARNING);
    }
}

/// The row with what was answered.
unsafe fn write(
    known: &Known,
    site: &Site,
    answered: &Result<Vec<Answer>>,
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
) -> Result<pg_sys::HeapTuple> {
    let count = known.places.len();
    let (mut numbers, mut values, mut nulls) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let mut answers = answered.iter().flatten();
    let scored = site.lease.as_ref().filter(|_| answered.is_ok());
    let refused = answered.as_ref().err().and_then(|error| refusal(error.message()));
    for place in &known.places {
        let value = match place.written {
            written if written.is_answer() => answers.next().map(Value::Answer),
            Written::Version => scored.map(|lease| Value::Text(lease.model(0).reference())),
            // SAFETY: the time at which the transaction began, which is under way.
            Written::ScoredAt => scored.map(|_| Value::Time(unsafe { pg_sys::GetCurrentTransactionStartTimestamp() })),
            Written::FeaturesHash => scored.and_then(|lease| lease.features_hash(0)).map(Value::Hash),
            Written::Blocked => Some(Value::Truth(refused.is_some())),
            Written::Violations => {
                Some(Value::Texts(refused.iter().map(|(feature, kind)| format!("{feature}: {kind}")).collect()))
            }
            Written::Latency => scored.and(site.took).map(Value::Number),
            _ => answered.as_ref().err().map(|error| Value::Text(error.message())),
        };
        let datum = place.datum(value.as_ref())?;
        numbers.push(place.number);
        values.push(datum.unwrap_or(pg_sys::Datum::from(0)));
        nulls.push(datum.is_none());
    }
    // SAFETY: a row of this descriptor; columns of it, with values of their types, as many of each.
    Ok(unsafe {
        pg_sys::heap_modify_tuple_by_cols(
            tuple,
            descriptor,
            count as i32,
            numbers.as_mut_ptr(),
            values.as_mut_ptr(),
            nulls.as_mut_ptr(),
        )
    })
}

/// An error with the trigger that met it.
#[cold]
unsafe fn told(error: Error, trigger: &pg_sys::TriggerData) -> Error {
    // SAFETY: the server's own trigger data.
    let (table, name) = unsafe {
        let name = CStr::from_ptr((*trigger.tg_trigger).tgname).to_string_lossy();
        (relation::shown((*trigger.tg_relation).rd_id), name)
    };
    let literal = table.replace('\'', "''");
    let by = format!(
        "Trigger {name} scores the rows of {table} when they are written; SELECT e2i_score_on_write_off('{literal}') ends that."
    );
    let detail = error.detail().map_or_else(|| by.clone(), |detail| format!("{detail} {by}"));
    error.with_detail(detail)
}

impl Known {
    /// What is known of a trigger.
    unsafe fn find(trigger: &pg_sys::TriggerData) -> Result<Rc<Self>> {
        // SAFETY: the server's own trigger data.
        unsafe {
            let (oid, changes) = ((*trigger.tg_trigger).tgoid, relcache::changes());
            let descriptor = (*trigger.tg_relation).rd_att;
            let known = KNOWN.with(|known| known.borrow().get(&oid).cloned());
            if let Some(known) = known {
                if known.changes.get() == changes {
                    return Ok(known);
                }
                if known.argument == argument(trigger)? && pg_sys::equalTupleDescs(known.descriptor, descriptor) {
                    known.changes.set(changes);
                    return Ok(known);
                }
            }
            let known = Rc::new(Self::new(trigger, changes).map_err(|error| told(error, trigger))?);
            KNOWN.with(|kept| {
                let mut kept = kept.borrow_mut();
                if kept.len() >= MAX_KNOWN {
                    kept.clear();
                }
                kept.insert(oid, known.clone());
            });
            Ok(known)
        }
    }

    /// A scorer of what the model means for this statement.
    fn scorer(&self, schema: Schema) -> Result<Lease> {
        let (lease, _) = cache::scorer(schema, &self.order.model, &self.asked, Preference::current())?;
        lease.models().try_for_each(|model| require_plain(&model.binder, &self.generated, &self.table))?;
        Ok(lease)
    }

    unsafe fn new(trigger: &pg_sys::TriggerData, changes: u64) -> Result<Self> {
        // SAFETY: the server's own trigger data.
        unsafe {
            let argument = argument(trigger)?;
            let order = Order::parse(&String::from_utf8_lossy(argument))?;
            let descriptor = (*trigger.tg_relation).rd_att;
            let table = relation::shown((*trigger.tg_relation).rd_id);
            let places = Place::all(descriptor, &table, &order.targets).map_err(|error| {
                let (table, model) = (table.replace('\'', "''"), order.model.replace('\'', "''"));
                let targets = order.targets.document().to_string().replace('\'', "''");
                let hint = format!(
                    "With the columns of now: SELECT e2i_score_on_write('{table}', '{model}', targets => '{targets}');"
                );
                error.with_hint(hint)
            })?;
            let asked = order.targets.iter().filter_map(|(written, _)| asked(written)).collect();
            let (columns, generated) = (columns(descriptor), generated(descriptor));
            let descriptor =
                PgMemoryContexts::TopMemoryContext.switch_to(|_| pg_sys::CreateTupleDescCopyConstr(descriptor));
            let argument = argument.to_vec();
            let changes = Cell::new(changes);
            Ok(Self { changes, argument, descriptor, order, asked, columns, generated, places, table })
        }
    }
}

/// The columns of a table that a row has before it is written: those that are generated get their values after.
unsafe fn columns(descriptor: pg_sys::TupleDesc) -> Columns {
    // SAFETY: as the caller promises; the view frees nothing.
    let attributes = unsafe { PgTupleDesc::from_pg_unchecked(descriptor) };
    Columns::new(attributes.iter().map(|attribute| {
        let is_there = !attribute.attisdropped && attribute.attgenerated == 0;
        is_there.then(|| (attribute.name(), attribute.atttypid))
    }))
}

unsafe fn generated(descriptor: pg_sys::TupleDesc) -> Vec<String> {
    // SAFETY: as above.
    let attributes = unsafe { PgTupleDesc::from_pg_unchecked(descriptor) };
    let generated = attributes.iter().filter(|attribute| !attribute.attisdropped && attribute.attgenerated != 0);
    generated.map(|attribute| attribute.name().to_owned()).collect()
}

/// The argument of a trigger.
unsafe fn argument<'t>(trigger: &pg_sys::TriggerData) -> Result<&'t [u8]> {
    // SAFETY: the server's own trigger data: as many C strings as it says, which live as long as the call.
    unsafe {
        let of = &*trigger.tg_trigger;
        if of.tgnargs != 1 {
            return Err(Error::new(Kind::BadOption, "a trigger that scores has one argument")
                .with_hint("Such triggers are made by e2i_score_on_write."));
        }
        Ok(CStr::from_ptr(*of.tgargs).to_bytes())
    }
}
