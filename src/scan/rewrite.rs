//! A scoring call of a constant model, rewritten so that only the columns that its versions need reach it.
//!
//! `e2i_predict('churn', c)` becomes `e2i_predict_planned('churn', ROW(c.age, c.income), '{churn:3}', false)`: no column that the
//! model does not know is read, fetched from where long values are kept, or carried through a sort, and of `to_jsonb(c)` no JSON is
//! built. The answer and the errors are those of the call as it was written.
//!
//! Within one run of the planner equal calls are rewritten equally, whatever is deployed meanwhile: the planner compares
//! expressions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::rc::Rc;

use pgrx::{IntoDatum, pg_sys};

use crate::catalog::schema::Schema;
use crate::datum::as_json;
use crate::datum::row::Reading;
use crate::pg::tree::{Node, cast, list, make, members, tag};
use crate::pg::{major, role};
use crate::scan::call::{self, Call, ScoringFunction};
use crate::scan::given::{Column, Given};
use crate::scoring::planned::{self, Answering};
use crate::settings;

/// Runs of the planner whose references are kept: one that is under way may call functions whose statements are planned.
const MAX_RUNS: usize = 16;

/// Versions that may answer to a reference; `None` where that is not to be known.
type Versions = Option<Rc<[Rc<Answering>]>>;

/// What one run of the planner has learned.
struct Run {
    /// Where its state is.
    planner: usize,
    references: HashMap<String, Versions>,
}

thread_local! {
    static RUNS: RefCell<Vec<Run>> = RefCell::default();
}

/// The call that takes the place of another, if there is one.
///
/// # Safety
/// `root` must be a planner's, and the call one of its query whose arguments were simplified.
pub unsafe fn rewritten(root: *mut pg_sys::PlannerInfo, call: &Call) -> Option<*mut pg_sys::FuncExpr> {
    let function = call.function;
    if function.is_pinned || function.is_planned || !settings::rewrite_calls() {
        return None;
    }
    // SAFETY: as the caller promises.
    unsafe {
        let reference = call.reference()?;
        if !reads_a_relation(root) {
            return None;
        }
        let given = Given::of(root, function.spelling, call.features())?;
        let schema = call.schema().ok()?;
        let versions = versions(root, schema, &reference)?;
        let mut columns = needed(&given, &versions)?;
        if given.reading == Reading::AsRow && !given.is_whole_row && columns.len() == given.columns.len() {
            return None;
        }
        if given.reading == Reading::AsJson && columns.iter().all(|column| is_at_hand(column.expression)) {
            // All spellings of one object are one expression, of which there may be statistics.
            columns.sort_by_key(|column| as_json::key(&column.name));
        }
        let original = call.expression();
        let planned = of_plans((*original).funcid, function)?;
        let arguments = [
            call.model(),
            row(&columns),
            references(&versions)?,
            pg_sys::makeBoolConst(given.reading == Reading::AsJson, false),
        ];
        let arguments = arguments.into_iter().chain(call.level());
        // What is taken from the function that was written counts from the next statement on.
        pg_sys::record_plan_function_dependency(root, (*original).funcid);
        let made = make::<pg_sys::FuncExpr>(pg_sys::NodeTag::T_FuncExpr);
        (*made).funcid = planned;
        (*made).funcresulttype = (*original).funcresulttype;
        (*made).funcformat = pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
        (*made).funccollid = (*original).funccollid;
        (*made).inputcollid = (*original).inputcollid;
        (*made).args = list(arguments);
        (*made).location = (*original).location;
        Some(made)
    }
}

/// What a row costs in a call, in units of an operator; `None` where nothing is known of the model.
///
/// # Safety
/// As [`rewritten`].
pub unsafe fn cost(root: *mut pg_sys::PlannerInfo, call: &Call) -> Option<f64> {
    // SAFETY: as the caller promises.
    unsafe {
        if !reads_a_relation(root) {
            return None;
        }
        let versions = versions(root, call.schema().ok()?, &call.reference()?)?;
        versions.first()?.cost.map(f64::from)
    }
}

/// Whether the query, or one around it, reads anything. One that does not may be an expression of a PL/pgSQL function, whose plan is
/// run again without a look at what has become of it.
unsafe fn reads_a_relation(root: *mut pg_sys::PlannerInfo) -> bool {
    // SAFETY: as the callers promise.
    unsafe {
        let mut root = root;
        while !root.is_null() {
            let mut entries = members::<pg_sys::RangeTblEntry>((*(*root).parse).rtable);
            // The planner gives a query without FROM an entry of this kind.
            if entries.any(|entry| (*entry).rtekind != pg_sys::RTEKind::RTE_RESULT) {
                return true;
            }
            root = (*root).parent_root;
        }
        false
    }
}

/// The versions that may answer to a reference, the same through a run of the planner; what is planned depends on them, and on who
/// may see them.
unsafe fn versions(root: *mut pg_sys::PlannerInfo, schema: Schema, reference: &str) -> Versions {
    let registry = schema.registry();
    // SAFETY: as the callers promise; a run of the planner has one state, and the registry's relation is added to it here only, or
    // at its end.
    unsafe {
        let state = (*root).glob;
        let planner = state as usize;
        let is_first = !pg_sys::list_member_oid((*state).relationOids, registry);
        let known = RUNS.with_borrow_mut(|runs| {
            if is_first {
                runs.retain(|run| run.planner != planner);
            }
            runs.iter().find(|run| run.planner == planner).and_then(|run| run.references.get(reference).cloned())
        });
        if let Some(known) = known {
            return known;
        }
        let versions: Versions = planned::versions(schema, reference).map(Rc::from);
        if is_first {
            (*state).relationOids = pg_sys::lappend_oid((*state).relationOids, registry);
            (*state).dependsOnRole = true;
        }
        RUNS.with_borrow_mut(|runs| {
            if !runs.iter().any(|run| run.planner == planner) {
                runs.truncate(MAX_RUNS - 1);
                runs.insert(0, Run { planner, references: HashMap::new() });
            }
            let run = runs.iter_mut().find(|run| run.planner == planner);
            run.map(|run| run.references.insert(reference.to_owned(), versions.clone()));
        });
        versions
    }
}

/// The columns that any of the versions needs, and those whose values are worked out, which may fail. `None` where a column is
/// missing that must be there: the message lists all that were given.
unsafe fn needed<'g>(given: &'g Given, versions: &[Rc<Answering>]) -> Option<Vec<&'g Column>> {
    let mut is_needed = vec![false; given.columns.len()];
    for version in versions {
        let layout = version.binder.layout_by_name(given.columns.iter().map(|column| column.name.as_str())).ok()?;
        for source in layout.sources().iter().flatten() {
            is_needed[*source as usize] = true;
        }
        for (column, is_needed) in given.columns.iter().zip(&mut is_needed) {
            *is_needed |= version.grouped_by.contains(&column.name);
        }
    }
    let columns = given.columns.iter().zip(is_needed);
    // SAFETY: as the callers promise.
    let kept = columns.filter(|(column, is_needed)| *is_needed || !unsafe { is_at_hand(column.expression) });
    Some(kept.map(|(column, _)| column).collect())
}

/// Whether an expression is there without being worked out.
unsafe fn is_at_hand(expression: Node) -> bool {
    use pg_sys::NodeTag::{T_Const, T_Param, T_RelabelType, T_Var};
    // SAFETY: as the callers promise.
    unsafe {
        match tag(expression) {
            T_Var | T_Const | T_Param => true,
            T_RelabelType => cast::<pg_sys::RelabelType, _>(expression, T_RelabelType)
                .is_some_and(|relabel| is_at_hand((*relabel).arg.cast())),
            _ => false,
        }
    }
}

/// A row of these columns.
unsafe fn row(columns: &[&Column]) -> Node {
    // SAFETY: all is made here, but for the expressions, which have no other place any more.
    unsafe {
        let row = make::<pg_sys::RowExpr>(pg_sys::NodeTag::T_RowExpr);
        (*row).args = list(columns.iter().map(|column| column.expression));
        (*row).row_typeid = pg_sys::RECORDOID;
        (*row).row_format = pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
        (*row).colnames = list(columns.iter().map(|column| {
            let name = &column.name;
            pg_sys::makeString(pg_sys::pnstrdup(name.as_ptr().cast(), name.len() as _))
        }));
        (*row).location = -1;
        row.cast()
    }
}

/// The references of the versions, an array of texts.
unsafe fn references(versions: &[Rc<Answering>]) -> Option<Node> {
    let references: Vec<&str> = versions.iter().map(|version| version.binder.model()).collect();
    let collation = pg_sys::DEFAULT_COLLATION_OID;
    // SAFETY: the value is an array of texts.
    unsafe {
        let constant =
            pg_sys::makeConst(pg_sys::TEXTARRAYOID, -1, collation, -1, references.into_datum()?, false, false);
        Some(constant.cast())
    }
}

/// The function that plans call for a question, beside one that users call. Whoever may not call both is left to be told so.
unsafe fn of_plans(function: pg_sys::Oid, asking: &ScoringFunction) -> Option<pg_sys::Oid> {
    // What plans call is named after what users call.
    // SAFETY: the name is null, or a palloc'd C string.
    let name = unsafe {
        let name = pg_sys::get_func_name(function);
        if name.is_null() {
            return None;
        }
        CString::new([CStr::from_ptr(name).to_bytes(), b"_planned"].concat()).ok()?
    };
    let types = [pg_sys::TEXTOID, pg_sys::RECORDOID, pg_sys::TEXTARRAYOID, pg_sys::BOOLOID, pg_sys::FLOAT8OID];
    let types = &types[..4 + usize::from(asking.takes_level())];
    // SAFETY: catalog look-ups.
    unsafe {
        let found = pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            pg_sys::Anum_pg_proc_oid as i16,
            pg_sys::Datum::from(name.as_ptr()),
            pg_sys::Datum::from(pg_sys::buildoidvector(types.as_ptr(), types.len() as i32)),
            pg_sys::Datum::from(pg_sys::get_func_namespace(function)),
            pg_sys::Datum::from(0),
        );
        let is_ours = call::function(found).is_some_and(|found| found.is_planned && found.asked() == asking.asked());
        (is_ours && may_call(function) && may_call(found)).then_some(found)
    }
}

/// Whether the current role may call a function.
fn may_call(function: pg_sys::Oid) -> bool {
    major::may_call(function, role::current())
}
