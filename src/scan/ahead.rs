//! Plans: whether rows may be read of them that nobody asks for.
//!
//! A batch is read before its first row is handed on, and who asks may stop in the middle. What a plan does for the rows that are left
//! must have been harmless. It does so in its *streaming* part: from a node that reads all it has before it hands on the first row, such
//! as a sort, nothing more comes than without batches.

use pgrx::pg_sys::{self, NodeTag};

use crate::pg::tree::{self, Node};
use crate::scan::expression::{is_harmless, may_be_tried};

/// The first oid that is not the server's own.
const FIRST_OTHER: u32 = 16_384;

/// What has to be known of a statement.
pub struct Statement {
    /// The plans of its subqueries; a CTE's is scanned by other plans.
    subplans: *mut pg_sys::List,
    /// Parameters that stand for a subquery whose evaluation is not harmless.
    harmful: Vec<i32>,
}

impl Statement {
    /// # Safety
    /// `statement` must be a finished plan, and stay.
    pub unsafe fn new(statement: *const pg_sys::PlannedStmt) -> Self {
        // SAFETY: as the caller promises.
        unsafe {
            let subplans = (*statement).subplans;
            let mut this = Self { subplans, harmful: vec![] };
            let mut of_initplans = vec![];
            let mut look = |plan: *mut pg_sys::Plan| {
                for subplan in tree::members::<pg_sys::SubPlan>((*plan).initPlan) {
                    of_initplans.push(subplan);
                }
            };
            each(statement.cast_mut(), &mut look);
            // An initplan may use another one's parameter: those come first.
            for subplan in of_initplans {
                let plan = this.subplan((*subplan).plan_id);
                if plan.is_null() || !this.is_harmless_throughout(plan) {
                    this.harmful.extend(tree::integers((*subplan).setParam));
                }
            }
            this
        }
    }

    fn subplan(&self, number: i32) -> *mut pg_sys::Plan {
        let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
        // SAFETY: the list of the statement, which stays.
        unsafe { tree::members(self.subplans).nth(index) }.unwrap_or(std::ptr::null_mut())
    }

    /// Whether expressions may be evaluated for rows that nobody asks for.
    ///
    /// # Safety
    /// As [`is_harmless`].
    pub unsafe fn is_harmless<T>(&self, node: *mut T) -> bool {
        // SAFETY: as the caller promises.
        unsafe { is_harmless(node, &self.harmful, &|_| false) }
    }

    /// The same where some of it is there already.
    ///
    /// # Safety
    /// As [`is_harmless`].
    pub unsafe fn is_harmless_but<T>(&self, node: *mut T, is_there: &dyn Fn(Node) -> bool) -> bool {
        // SAFETY: as the caller promises.
        unsafe { is_harmless(node, &self.harmful, is_there) }
    }

    /// Whether an expression may be evaluated so if what it raises is kept for its row.
    ///
    /// # Safety
    /// As [`is_harmless`].
    pub unsafe fn may_be_tried_but(&self, node: Node, is_there: &dyn Fn(Node) -> bool) -> bool {
        // SAFETY: as the caller promises.
        unsafe { may_be_tried(node, &self.harmful, is_there) }
    }

    unsafe fn is_harmless_throughout(&self, plan: *mut pg_sys::Plan) -> bool {
        let mut is_harmless = true;
        // SAFETY: a plan of the statement.
        unsafe {
            each_below(plan, &mut |plan| {
                is_harmless = is_harmless && self.may_read_own(plan) && tree::tag(plan) != NodeTag::T_ModifyTable;
            });
        }
        is_harmless
    }

    /// Whether rows of a plan may be read that nobody asks for.
    ///
    /// # Safety
    /// `plan` must be null or a plan of the statement.
    pub unsafe fn may_read(&self, plan: *mut pg_sys::Plan) -> bool {
        if plan.is_null() {
            return true;
        }
        // SAFETY: as the caller promises; each node is read as what its tag says.
        unsafe {
            if !self.may_read_own(plan) {
                return false;
            }
            let both = || self.may_read((*plan).lefttree) && self.may_read((*plan).righttree);
            match tree::tag(plan) {
                // All is read, or made, before the first row comes.
                NodeTag::T_Sort
                | NodeTag::T_Hash
                | NodeTag::T_FunctionScan
                | NodeTag::T_TableFuncScan
                | NodeTag::T_BitmapHeapScan
                | NodeTag::T_NamedTuplestoreScan
                | NodeTag::T_WorkTableScan => true,
                NodeTag::T_Agg => is_read_first(plan.cast()) || both(),
                NodeTag::T_CteScan => self.may_read(self.subplan((*plan.cast::<pg_sys::CteScan>()).ctePlanId)),
                NodeTag::T_SubqueryScan => self.may_read((*plan.cast::<pg_sys::SubqueryScan>()).subplan),
                NodeTag::T_Append => {
                    tree::members((*plan.cast::<pg_sys::Append>()).appendplans).all(|child| self.may_read(child))
                }
                NodeTag::T_MergeAppend => {
                    tree::members((*plan.cast::<pg_sys::MergeAppend>()).mergeplans).all(|child| self.may_read(child))
                }
                _ => both(),
            }
        }
    }

    /// Whether what a plan's own node evaluates is harmless.
    unsafe fn may_read_own(&self, plan: *mut pg_sys::Plan) -> bool {
        // SAFETY: as the caller promises; each node is read as what its tag says.
        unsafe {
            let is_harmless = |list: *mut pg_sys::List| self.is_harmless(list);
            let of_join = |join: *mut pg_sys::Join| is_harmless((*join).joinqual);
            let more = match tree::tag(plan) {
                NodeTag::T_SeqScan
                | NodeTag::T_WorkTableScan
                | NodeTag::T_NamedTuplestoreScan
                | NodeTag::T_CteScan
                | NodeTag::T_SubqueryScan
                | NodeTag::T_FunctionScan
                | NodeTag::T_TableFuncScan
                | NodeTag::T_Append
                | NodeTag::T_MergeAppend
                | NodeTag::T_RecursiveUnion
                | NodeTag::T_Sort
                | NodeTag::T_IncrementalSort
                | NodeTag::T_Hash
                | NodeTag::T_Material
                | NodeTag::T_Memoize
                | NodeTag::T_Unique
                | NodeTag::T_SetOp
                | NodeTag::T_Group
                | NodeTag::T_Gather
                | NodeTag::T_GatherMerge
                | NodeTag::T_BitmapAnd
                | NodeTag::T_BitmapOr
                | NodeTag::T_BitmapIndexScan
                | NodeTag::T_Limit => true,
                NodeTag::T_ForeignScan => {
                    (*plan.cast::<pg_sys::ForeignScan>()).operation == pg_sys::CmdType::CMD_SELECT
                }
                NodeTag::T_SampleScan => {
                    let sample = (*plan.cast::<pg_sys::SampleScan>()).tablesample;
                    (*sample).tsmhandler.to_u32() < FIRST_OTHER
                }
                NodeTag::T_IndexScan => {
                    let scan = &*plan.cast::<pg_sys::IndexScan>();
                    is_harmless(scan.indexqualorig) && is_harmless(scan.indexorderbyorig)
                }
                NodeTag::T_IndexOnlyScan => {
                    let scan = &*plan.cast::<pg_sys::IndexOnlyScan>();
                    is_harmless(scan.indexqual) && is_harmless(scan.indexorderby)
                }
                NodeTag::T_BitmapHeapScan => is_harmless((*plan.cast::<pg_sys::BitmapHeapScan>()).bitmapqualorig),
                NodeTag::T_TidScan => is_harmless((*plan.cast::<pg_sys::TidScan>()).tidquals),
                NodeTag::T_TidRangeScan => is_harmless((*plan.cast::<pg_sys::TidRangeScan>()).tidrangequals),
                NodeTag::T_ValuesScan => {
                    let scan = &*plan.cast::<pg_sys::ValuesScan>();
                    tree::members::<pg_sys::List>(scan.values_lists).all(is_harmless)
                }
                NodeTag::T_NestLoop => of_join(plan.cast()),
                NodeTag::T_MergeJoin => {
                    of_join(plan.cast()) && is_harmless((*plan.cast::<pg_sys::MergeJoin>()).mergeclauses)
                }
                NodeTag::T_HashJoin => {
                    of_join(plan.cast()) && is_harmless((*plan.cast::<pg_sys::HashJoin>()).hashclauses)
                }
                NodeTag::T_Result => self.is_harmless((*plan.cast::<pg_sys::Result>()).resconstantqual),
                NodeTag::T_Agg => true,
                // Locks, writes, or calls who knows what.
                _ => false,
            };
            more && [(*plan).targetlist, (*plan).qual].into_iter().all(|list| self.may_read_list(plan, list))
        }
    }

    /// Whether a list of a plan's expressions is harmless. Of the server's own aggregates only the arguments are looked at, and only
    /// where they are not read all before the first row.
    unsafe fn may_read_list(&self, plan: *mut pg_sys::Plan, list: *mut pg_sys::List) -> bool {
        // SAFETY: a list of a plan.
        unsafe {
            let agg = match tree::cast::<pg_sys::Agg, _>(plan, NodeTag::T_Agg) {
                None => return self.is_harmless(list),
                Some(agg) => agg,
            };
            let mut without = vec![];
            let rest = tree::changed(list, &mut |node: Node| match tree::tag(node) {
                NodeTag::T_Aggref => {
                    let aggregate = &*node.cast::<pg_sys::Aggref>();
                    if aggregate.aggfnoid.to_u32() >= FIRST_OTHER {
                        return None;
                    }
                    without.push(aggregate.args.cast::<pg_sys::Node>());
                    without.push(aggregate.aggfilter.cast());
                    without.push(aggregate.aggdirectargs.cast());
                    Some(pg_sys::makeBoolConst(true, false))
                }
                _ => None,
            });
            self.is_harmless(rest) && (is_read_first(agg) || without.into_iter().all(|node| self.is_harmless(node)))
        }
    }
}

/// Whether an aggregation reads all that is below it before it hands on its first row.
unsafe fn is_read_first(agg: *const pg_sys::Agg) -> bool {
    // SAFETY: as the caller promises.
    matches!(unsafe { (*agg).aggstrategy }, pg_sys::AggStrategy::AGG_PLAIN | pg_sys::AggStrategy::AGG_HASHED)
}

/// Shows every node of a statement's plans.
unsafe fn each(statement: *mut pg_sys::PlannedStmt, look: &mut dyn FnMut(*mut pg_sys::Plan)) {
    // SAFETY: as the caller promises.
    unsafe {
        each_below((*statement).planTree, look);
        tree::members((*statement).subplans).for_each(|plan| each_below(plan, look));
    }
}

/// Shows a plan and those below.
///
/// # Safety
/// `plan` must be null or a plan.
pub unsafe fn each_below(plan: *mut pg_sys::Plan, look: &mut dyn FnMut(*mut pg_sys::Plan)) {
    if plan.is_null() {
        return;
    }
    look(plan);
    // SAFETY: as the caller promises.
    unsafe {
        for place in children(plan) {
            each_below(*place, look);
        }
    }
}

/// Where the plans directly below a plan stand.
///
/// # Safety
/// `plan` must be a plan; the places are good as long as its lists are not changed.
pub unsafe fn children(plan: *mut pg_sys::Plan) -> Vec<*mut *mut pg_sys::Plan> {
    // SAFETY: as the caller promises; each node is read as what its tag says.
    unsafe {
        let mut places = vec![&raw mut (*plan).lefttree, &raw mut (*plan).righttree];
        let list = match tree::tag(plan) {
            NodeTag::T_Append => (*plan.cast::<pg_sys::Append>()).appendplans,
            NodeTag::T_MergeAppend => (*plan.cast::<pg_sys::MergeAppend>()).mergeplans,
            NodeTag::T_CustomScan => (*plan.cast::<pg_sys::CustomScan>()).custom_plans,
            _ => std::ptr::null_mut(),
        };
        if !list.is_null() {
            let length = usize::try_from((*list).length).unwrap_or_default();
            places.extend((0..length).map(|index| (*list).elements.add(index).cast()));
        }
        if let Some(scan) = tree::cast::<pg_sys::SubqueryScan, _>(plan, NodeTag::T_SubqueryScan) {
            places.push(&raw mut (*scan).subplan);
        }
        places.retain(|place| !(**place).is_null());
        places
    }
}
