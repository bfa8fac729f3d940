//! Finished plans, in which nodes that score batches are put below the expressions with scoring calls.
//!
//! A plan's node that evaluates calls, in what it hands on or in its conditions, is split: below stays the same node, handing on plain
//! columns, and above comes one of ours, which evaluates what that one did. Conditions before the first with a call stay below, so
//! nothing is scored before a row has passed them. Arguments of an aggregate are made columns of what is below it first.
//!
//! Where it cannot be shown that a statement gives the same answers and errors so, the plan stays as it was:
//!
//! - RETURNING, and the actions of MERGE and ON CONFLICT, are evaluated when a row was written or locked, and before the next is. In
//!   batches, rows would be written and triggers fire that come after one whose call fails, or they would fail first.
//! - Window functions evaluate their arguments for rows of a frame, again for each frame or never, and each time is a call.
//! - Aggregations over sets of groups that are sorted in turn, or hashed beside, keep rows for the next set and read one ahead.
//! - A plain cursor of a scan can go back, and any cursor of one can be named by WHERE CURRENT OF, which looks for that scan on top.
//! - The keys of a hash join could be columns of the plans below, as arguments of aggregates are; nobody joins by a score so far.

use std::rc::Rc;

use pgrx::pg_sys::{self, NodeTag};

use crate::pg::tree::{self, Node};
use crate::scan::ahead::{self, Statement};
use crate::scan::spec::{Bound, Spec};
use crate::scan::split::{Kind, Split, is_parameter, is_place_in_table, target_of};
use crate::scan::{arguments, groups};

/// Puts nodes into a finished plan.
///
/// # Safety
/// `statement` must be a plan that the planner has just made with these options.
pub unsafe fn change(
    statement: *mut pg_sys::PlannedStmt,
    cursor_options: i32,
    methods: *const pg_sys::CustomScanMethods,
) {
    // SAFETY: as the caller promises.
    unsafe {
        if !is_changed(statement, cursor_options) {
            return;
        }
        let (mut last, mut is_done) = (0, false);
        let mut look = |plan: *mut pg_sys::Plan| {
            last = last.max((*plan).plan_node_id);
            let scan = tree::cast::<pg_sys::CustomScan, _>(plan, NodeTag::T_CustomScan);
            is_done |= scan.is_some_and(|scan| std::ptr::eq((*scan).methods, methods));
        };
        ahead::each_below((*statement).planTree, &mut look);
        tree::members((*statement).subplans).for_each(|plan| ahead::each_below(plan, &mut look));
        if is_done {
            return;
        }
        let known = Rc::new(Statement::new(statement));
        let mut surgery = Surgery { statement, known, methods, last };
        let top = Place { above: Above::default(), is_restored: false };
        surgery.visit(&raw mut (*statement).planTree, top);
        let subplans = (*statement).subplans;
        for index in 0..tree::members::<pg_sys::Plan>(subplans).len() {
            surgery.visit((*subplans).elements.add(index).cast(), top);
        }
    }
}

/// Whether a statement may read ahead at all: not one whose rows may be asked for backwards, or named by where a cursor stands.
unsafe fn is_changed(statement: *mut pg_sys::PlannedStmt, cursor_options: i32) -> bool {
    let declared = (pg_sys::CURSOR_OPT_FAST_PLAN | pg_sys::CURSOR_OPT_SCROLL).cast_signed();
    // SAFETY: as the caller promises.
    unsafe {
        let mut top = (*statement).planTree;
        if cursor_options & declared == 0 || !(*statement).rowMarks.is_null() {
            return true;
        }
        if matches!(tree::tag(top), NodeTag::T_Sort | NodeTag::T_Material) {
            return true;
        }
        if pg_sys::ExecSupportsBackwardScan(top) {
            return false;
        }
        // CURRENT OF finds the scan of a table below these.
        while matches!(tree::tag(top), NodeTag::T_Result | NodeTag::T_Limit) && !(*top).lefttree.is_null() {
            top = (*top).lefttree;
        }
        !is_scan(top) && !matches!(tree::tag(top), NodeTag::T_Append | NodeTag::T_SubqueryScan)
    }
}

/// Where a plan stands.
#[derive(Clone, Copy)]
struct Place {
    above: Above,
    /// Whether the node above goes back to rows that it has read.
    is_restored: bool,
}

/// What bounds the rows that are asked for.
#[derive(Clone, Copy, Default)]
enum Above {
    /// Nothing.
    #[default]
    Nothing,
    /// A LIMIT directly above.
    Limit(Bound),
    /// A LIMIT further up, or one that is computed.
    Somewhere,
}

struct Surgery {
    statement: *mut pg_sys::PlannedStmt,
    known: Rc<Statement>,
    methods: *const pg_sys::CustomScanMethods,
    /// The last number that a node of the plan has.
    last: i32,
}

impl Surgery {
    /// Changes a plan and those below.
    unsafe fn visit(&mut self, place: *mut *mut pg_sys::Plan, stands: Place) {
        // SAFETY: the place of a plan of the statement.
        unsafe {
            let plan = *place;
            if let Some(agg) = tree::cast::<pg_sys::Agg, _>(plan, NodeTag::T_Agg) {
                arguments::lower(agg, &self.known, &mut self.last);
            }
            for child in ahead::children(plan) {
                let stands = Place {
                    above: below(plan, stands.above),
                    is_restored: is_restored(plan, child, stands.is_restored),
                };
                self.visit(child, stands);
            }
            if let Some(agg) = tree::cast::<pg_sys::Agg, _>(plan, NodeTag::T_Agg) {
                let (known, mut last) = (self.known.clone(), self.last);
                groups::ask(agg, &known, &mut last, &mut |plan, last| {
                    self.last = *last;
                    let split = self.split(plan, Above::Nothing);
                    *last = self.last;
                    split
                });
                self.last = last;
            }
            if !stands.is_restored
                && let Some(other) = self.split(plan, stands.above)
            {
                *place = other;
            }
        }
    }

    /// Splits a plan's node, if it evaluates calls and may be split.
    unsafe fn split(&mut self, plan: *mut pg_sys::Plan, above: Above) -> Option<*mut pg_sys::Plan> {
        // SAFETY: a plan of the statement.
        unsafe {
            let kind = Kind::of(plan)?;
            let is_sorted = || matches!(tree::tag((*plan).lefttree), NodeTag::T_Sort | NodeTag::T_IncrementalSort);
            if kind == Kind::Result && matches!(above, Above::Somewhere) && is_sorted() {
                // The sort would not hear any more how many rows are wanted.
                return None;
            }
            let mut split = Split::new(kind, self.known.clone());
            let conditions = Conditions::of(plan, kind, &split);
            if !conditions.moved.iter().chain([&(*plan).targetlist]).any(|list| split.has_calls(*list)) {
                return None;
            }
            if has_sets((*plan).targetlist) || is_of_index(plan, &conditions, &split) {
                return None;
            }
            let lists = [&conditions.moved[..], &[(*plan).targetlist]].concat();
            let physical = self.physical(plan, kind, &lists);
            split.is_numbered = kind == Kind::Result || physical.is_some();
            if let Some(list) = conditions.moved.first() {
                split.try_before(*list);
            }
            let target = split.over((*plan).targetlist);
            let moved = conditions
                .moved
                .iter()
                .fold(std::ptr::null_mut(), |all, list| pg_sys::list_concat(all, split.over::<pg_sys::List>(*list)));
            let handed = physical.unwrap_or_else(|| target_of(&split.columns));
            let below = self.below(plan, kind, handed, &conditions)?;
            Some(self.node(plan, below, target, moved, split, above))
        }
    }

    /// What stays below: the same node, with plain columns; `None` if rows of it cannot be read ahead.
    unsafe fn below(
        &self,
        plan: *mut pg_sys::Plan,
        kind: Kind,
        handed: *mut pg_sys::List,
        conditions: &Conditions,
    ) -> Option<*mut pg_sys::Plan> {
        // SAFETY: a plan of the statement; what is changed is put back if it is of no use.
        unsafe {
            if kind == Kind::Result {
                return self.known.may_read((*plan).lefttree).then_some((*plan).lefttree);
            }
            let (target, qual) = ((*plan).targetlist, (*plan).qual);
            (*plan).targetlist = handed;
            (*plan).qual = conditions.qual;
            let join = plan.cast::<pg_sys::Join>();
            let joinqual = if kind == Kind::Join { (*join).joinqual } else { std::ptr::null_mut() };
            if kind == Kind::Join {
                (*join).joinqual = conditions.joinqual;
            }
            if self.known.may_read(plan) {
                return Some(plan);
            }
            (*plan).targetlist = target;
            (*plan).qual = qual;
            if kind == Kind::Join {
                (*join).joinqual = joinqual;
            }
            None
        }
    }

    /// All columns of a table in their order, in which its scan hands on rows as they are stored; `None` where it would not, or other
    /// columns are wanted. A column then has its own number.
    unsafe fn physical(
        &self,
        plan: *mut pg_sys::Plan,
        kind: Kind,
        lists: &[*mut pg_sys::List],
    ) -> Option<*mut pg_sys::List> {
        if kind != Kind::Table {
            return None;
        }
        // SAFETY: a scan of a table that the statement has locked; its columns are variables.
        unsafe {
            let number = (*plan.cast::<pg_sys::Scan>()).scanrelid;
            let mut is_other = |node: Node| {
                let is_handed_on = tree::cast::<pg_sys::TargetEntry, _>(node, NodeTag::T_TargetEntry)
                    .is_some_and(|entry| is_place_in_table((*entry).expr.cast()));
                if is_handed_on {
                    return Some(false);
                }
                let column = tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var)?;
                Some((*column).varattno <= 0)
            };
            if lists.iter().any(|list| tree::has(list.cast(), &mut is_other)) {
                return None;
            }
            let entry = tree::members::<pg_sys::RangeTblEntry>((*self.statement).rtable).nth(number as usize - 1)?;
            let table = pg_sys::table_open((*entry).relid, pg_sys::NoLock.cast_signed());
            let attributes = pgrx::PgTupleDesc::from_pg_unchecked((*table).rd_att);
            let is_plain = attributes.iter().all(|attribute| !attribute.attisdropped && !attribute.atthasmissing);
            let all: Vec<Node> = attributes
                .iter()
                .map(|attribute| {
                    let (oid, typmod) = (attribute.atttypid, attribute.atttypmod);
                    pg_sys::makeVar(number.cast_signed(), attribute.attnum, oid, typmod, attribute.attcollation, 0)
                        .cast()
                })
                .collect();
            pg_sys::table_close(table, pg_sys::NoLock.cast_signed());
            is_plain.then(|| target_of(&all))
        }
    }

    /// The node above.
    unsafe fn node(
        &mut self,
        plan: *mut pg_sys::Plan,
        below: *mut pg_sys::Plan,
        target: *mut pg_sys::List,
        moved: *mut pg_sys::List,
        split: Split,
        above: Above,
    ) -> *mut pg_sys::Plan {
        self.last += 1;
        // SAFETY: new nodes, of nodes of the statement.
        unsafe {
            let scan = tree::make::<pg_sys::CustomScan>(NodeTag::T_CustomScan);
            let node = &mut (*scan).scan.plan;
            let kind = node.type_;
            *node = *plan;
            node.type_ = kind;
            node.parallel_aware = false;
            node.async_capable = false;
            node.plan_node_id = self.last;
            node.targetlist = target;
            node.qual = moved;
            node.lefttree = below;
            node.righttree = std::ptr::null_mut();
            node.extParam = pg_sys::bms_copy((*plan).extParam);
            node.allParam = pg_sys::bms_copy((*plan).allParam);
            if std::ptr::eq(below, plan) {
                (*plan).initPlan = std::ptr::null_mut();
                (*plan).async_capable = false;
            }
            (*scan).flags = pg_sys::CUSTOMPATH_SUPPORT_PROJECTION;
            (*scan).methods = self.methods;
            (*scan).custom_scan_tlist = split.row(below);
            let bound = match above {
                Above::Limit(bound) if moved.is_null() => Some(bound),
                _ => None,
            };
            let spec = Spec { entries: split.entries, questions: split.questions, before: split.before, bound };
            spec.write(scan);
            scan.cast()
        }
    }
}

unsafe fn is_scan(plan: *mut pg_sys::Plan) -> bool {
    // SAFETY: a plan.
    matches!(unsafe { Kind::of(plan) }, Some(Kind::Table | Kind::Scan))
}

/// What stands above the plans below a plan.
unsafe fn below(plan: *mut pg_sys::Plan, above: Above) -> Above {
    // SAFETY: a plan; each node is read as what its tag says.
    unsafe {
        match tree::tag(plan) {
            NodeTag::T_Limit => {
                let limit = &*plan.cast::<pg_sys::Limit>();
                let is_known =
                    |node: Node| node.is_null() || matches!(tree::tag(node), NodeTag::T_Const) || is_parameter(node);
                let is_plain = limit.limitOption == pg_sys::LimitOption::LIMIT_OPTION_COUNT;
                match is_plain && is_known(limit.limitCount) && is_known(limit.limitOffset) {
                    true => Above::Limit(Bound { count: limit.limitCount, offset: limit.limitOffset }),
                    false => Above::Somewhere,
                }
            }
            NodeTag::T_Gather
            | NodeTag::T_GatherMerge
            | NodeTag::T_Append
            | NodeTag::T_MergeAppend
            | NodeTag::T_SubqueryScan
            | NodeTag::T_Result => match above {
                Above::Nothing => Above::Nothing,
                _ => Above::Somewhere,
            },
            _ => Above::Nothing,
        }
    }
}

/// Whether a plan goes back to rows of the one below that it has read, or has it done so by the one above.
unsafe fn is_restored(plan: *mut pg_sys::Plan, child: *mut *mut pg_sys::Plan, above: bool) -> bool {
    // SAFETY: a plan, and a place below it.
    unsafe {
        match tree::tag(plan) {
            NodeTag::T_MergeJoin => {
                std::ptr::eq(child, &raw mut (*plan).righttree)
                    && !(*plan.cast::<pg_sys::MergeJoin>()).skip_mark_restore
            }
            NodeTag::T_Result => above,
            _ => false,
        }
    }
}

/// Whether calls stand only for an order that an index has, from which nobody asks for them any more.
unsafe fn is_of_index(plan: *mut pg_sys::Plan, conditions: &Conditions, split: &Split) -> bool {
    // SAFETY: a plan of the statement.
    unsafe {
        let is_alone = |node: Node| split.call(node).map(|call| !call.function.is_pinned);
        let is_order = |entry: *mut pg_sys::TargetEntry| {
            !split.has_calls(entry) || ((*entry).resjunk && !tree::has(entry.cast(), &mut { is_alone }))
        };
        tree::tag(plan) == NodeTag::T_IndexScan
            && !conditions.moved.iter().any(|list| split.has_calls(*list))
            && tree::members((*plan).targetlist).all(is_order)
    }
}

unsafe fn has_sets(list: *mut pg_sys::List) -> bool {
    // SAFETY: a list of a plan.
    unsafe { pg_sys::expression_returns_set(list.cast()) }
}

/// The conditions of a node: those that stay, and those that are evaluated above, in their order.
struct Conditions {
    qual: *mut pg_sys::List,
    joinqual: *mut pg_sys::List,
    moved: Vec<*mut pg_sys::List>,
}

impl Conditions {
    unsafe fn of(plan: *mut pg_sys::Plan, kind: Kind, split: &Split) -> Self {
        // SAFETY: a plan, which is read as what its kind says.
        unsafe {
            let mut this = Self { qual: (*plan).qual, joinqual: std::ptr::null_mut(), moved: vec![] };
            if kind == Kind::Join {
                let join = plan.cast::<pg_sys::Join>();
                this.joinqual = (*join).joinqual;
                // Of other joins it says which rows have a match, not which are handed on.
                if (*join).jointype == pg_sys::JoinType::JOIN_INNER && !(*join).inner_unique {
                    let (stays, moved) = split.cut((*join).joinqual);
                    if !moved.is_null() {
                        this.joinqual = stays;
                        this.qual = std::ptr::null_mut();
                        this.moved = vec![moved, (*plan).qual];
                        return this;
                    }
                }
            }
            let (stays, moved) = split.cut((*plan).qual);
            this.qual = stays;
            this.moved = vec![moved];
            this
        }
    }
}
