//! Arguments of aggregates with scoring calls: made columns of the plan below, where they can be scored in batches.
//!
//! An aggregate evaluates its FILTER, then its arguments, for each row below. As a column an argument is evaluated for each row that is
//! handed on, and where there is a FILTER only if that is true. That is the same where all rows are read before a group is handed on;
//! for sorted groups see [`crate::scan::groups`].
//!
//! Window functions keep their arguments: they evaluate them for rows of a frame, again for each frame or never, and each time is a
//! call.

use std::collections::BTreeSet;
use std::rc::Rc;

use pgrx::pg_sys::{self, NodeTag};

use crate::pg::tree::{self, Node};
use crate::scan::ahead::Statement;
use crate::scan::spec;
use crate::scan::split::{Kind, Split};

/// Makes arguments columns of the plan below, which thereby has calls. `last` is the last number of a node.
///
/// # Safety
/// `agg` must be a node of a finished plan.
pub unsafe fn lower(agg: *mut pg_sys::Agg, known: &Rc<Statement>, last: &mut i32) {
    // SAFETY: as the caller promises.
    unsafe {
        let plan = &raw mut (*agg).plan;
        if combines(agg) || !reads_all(agg) || (*plan).lefttree.is_null() {
            return;
        }
        let mut aggregates = vec![];
        for list in [(*plan).targetlist, (*plan).qual] {
            tree::has(list.cast(), &mut |node| {
                aggregates.push(tree::cast::<pg_sys::Aggref, _>(node, NodeTag::T_Aggref)?);
                Some(false)
            });
        }
        let mut columns = Columns::default();
        // In the order in which they are evaluated, so that of two that fail it is the same one.
        aggregates.sort_by_key(|aggregate| (**aggregate).aggtransno);
        let of_arguments = Split::new(Kind::Scan, known.clone());
        let has_calls = |aggregate: &*mut pg_sys::Aggref| {
            of_arguments.has_calls((**aggregate).args) || of_arguments.has_calls((**aggregate).aggfilter)
        };
        if !aggregates.iter().any(has_calls) {
            return;
        }
        for aggregate in aggregates {
            columns.take(aggregate, of_arguments.has_calls((*aggregate).aggfilter));
        }
        // What else is read of the rows below.
        for list in [(*plan).targetlist, (*plan).qual] {
            tree::has(list.cast(), &mut |node| {
                let taken = tree::cast::<pg_sys::Aggref, _>(node, NodeTag::T_Aggref);
                if let Some(aggregate) = taken.filter(|aggregate| columns.has_taken(*aggregate)) {
                    if !columns.has_made((*aggregate).aggfilter.cast()) {
                        columns.read((*aggregate).aggfilter);
                    }
                    columns.read((*aggregate).aggdirectargs);
                    tree::members::<pg_sys::TargetEntry>((*aggregate).args)
                        .filter(|argument| !columns.has_made(column_of(aggregate, (**argument).expr.cast())))
                        .collect::<Vec<_>>()
                        .into_iter()
                        .for_each(|argument| columns.read((*argument).expr));
                    return Some(false);
                }
                columns.read_one(node);
                None
            });
        }
        // Several sets of groups are several readers of the rows: all columns stay where they are.
        if !(*agg).chain.is_null() || !(*agg).groupingSets.is_null() {
            let below = tree::members::<pg_sys::TargetEntry>((*(*plan).lefttree).targetlist);
            columns.kept.extend(below.map(|entry| (*entry).resno));
        }
        let count = usize::try_from((*agg).numCols).unwrap_or_default();
        let groups: &mut [i16] =
            if count == 0 { &mut [] } else { std::slice::from_raw_parts_mut((*agg).grpColIdx, count) };
        columns.kept.extend(groups.iter().copied());
        groups.iter_mut().for_each(|column| *column = columns.number(*column));
        (*plan).lefttree = columns.below((*plan).lefttree, last);
        (*plan).targetlist = columns.above((*plan).targetlist);
        (*plan).qual = columns.above((*plan).qual);
    }
}

/// The columns of the rows below.
#[derive(Default)]
struct Columns {
    /// Aggregates whose arguments become columns.
    taken: Vec<*mut pg_sys::Aggref>,
    /// Those columns.
    made: Vec<Node>,
    /// Columns that are read besides.
    kept: BTreeSet<i16>,
}

impl Columns {
    /// Takes the arguments of an aggregate, unless they are columns, or depend on a condition that is not the same twice.
    unsafe fn take(&mut self, aggregate: *mut pg_sys::Aggref, is_scored: bool) {
        // SAFETY: a node of the plan.
        unsafe {
            let filter = (*aggregate).aggfilter;
            if !filter.is_null() && pg_sys::contain_volatile_functions(filter.cast()) {
                return;
            }
            self.taken.push(aggregate);
            if is_scored {
                // It becomes a column itself, and what is evaluated where it is true stays.
                if !self.has_made(filter.cast()) {
                    self.made.push(filter.cast());
                }
                return;
            }
            for argument in tree::members::<pg_sys::TargetEntry>((*aggregate).args) {
                let made = column_of(aggregate, (*argument).expr.cast());
                if !self.has_made(made) && !is_plain((*argument).expr.cast()) {
                    self.made.push(made);
                }
            }
        }
    }

    fn has_taken(&self, aggregate: *mut pg_sys::Aggref) -> bool {
        self.taken.iter().any(|taken| {
            // SAFETY: nodes of the plan, one perhaps a copy of the other.
            unsafe { pg_sys::equal(taken.cast_const().cast(), aggregate.cast()) }
        })
    }

    unsafe fn has_made(&self, column: Node) -> bool {
        // SAFETY: expressions of the plan.
        unsafe { self.place(column) }.is_some()
    }

    /// The number of a column that was made.
    unsafe fn place(&self, column: Node) -> Option<usize> {
        // SAFETY: expressions of the plan.
        let made = self.made.iter().position(|made| unsafe { pg_sys::equal(made.cast_const().cast(), column.cast()) });
        made.map(|place| self.kept.len() + place + 1)
    }

    /// Expressions read columns, and so do arguments that are columns.
    unsafe fn read<T>(&mut self, node: *mut T) {
        // SAFETY: an expression of the plan or a list.
        unsafe {
            tree::has(node.cast(), &mut |node| {
                self.read_one(node);
                None
            });
        }
    }

    unsafe fn read_one(&mut self, node: Node) {
        // SAFETY: a node of an expression.
        if let Some(column) = unsafe { tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var) } {
            // SAFETY: as above.
            self.kept.insert(unsafe { (*column).varattno });
        }
    }

    /// The new number of a column.
    fn number(&self, column: i16) -> i16 {
        let before = self.kept.range(..column).count();
        i16::try_from(before + 1).unwrap_or(i16::MAX)
    }

    /// The plan below with these columns: the same, or one that has them above it.
    unsafe fn below(&self, plan: *mut pg_sys::Plan, last: &mut i32) -> *mut pg_sys::Plan {
        // SAFETY: a plan of the statement.
        unsafe {
            let target: Vec<*mut pg_sys::TargetEntry> = tree::members((*plan).targetlist).collect();
            let at = |column: i16| target[usize::try_from(column - 1).unwrap_or_default()];
            let is_copied = |column: &i16| is_plain((*at(*column)).expr.cast());
            let can_project = Kind::of(plan).is_some_and(|kind| kind != Kind::Agg);
            let read: BTreeSet<i16> = {
                let mut read = Self::default();
                self.made.iter().for_each(|made| read.read(*made));
                read.kept
            };
            let is_same = can_project && read.iter().all(is_copied);
            let over = |node: Node| match is_same {
                // What stands for a column there.
                true => tree::changed(node, &mut |node| {
                    let column = tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var)?;
                    Some(tree::copy((*at((*column).varattno)).expr).cast())
                }),
                false => tree::copy(node),
            };
            let kept = self.kept.iter().map(|column| {
                let entry = tree::copy(at(*column));
                if !is_same {
                    let place = usize::try_from(*column).unwrap_or_default();
                    (*entry).expr = spec::column(pg_sys::OUTER_VAR, place, (*entry).expr.cast()).cast();
                }
                entry
            });
            let made = self
                .made
                .iter()
                .map(|made| pg_sys::makeTargetEntry(over(*made).cast(), 0, std::ptr::null_mut(), false));
            let columns: Vec<*mut pg_sys::TargetEntry> = kept.chain(made).collect();
            columns.iter().zip(1..).for_each(|(entry, number)| (**entry).resno = number);
            let target = tree::list(columns);
            if is_same {
                (*plan).targetlist = target;
                return plan;
            }
            result(plan, target, last)
        }
    }

    /// Expressions of the aggregation over the rows below as they are then.
    unsafe fn above(&self, list: *mut pg_sys::List) -> *mut pg_sys::List {
        // SAFETY: a list of the plan.
        unsafe {
            tree::changed(list, &mut |node| {
                if let Some(column) = tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var) {
                    let column = tree::copy(column);
                    (*column).varattno = self.number((*column).varattno);
                    return Some(column.cast());
                }
                let aggregate = tree::cast::<pg_sys::Aggref, _>(node, NodeTag::T_Aggref)?;
                if !self.has_taken(aggregate) {
                    return None;
                }
                let other = tree::copy(aggregate);
                for (argument, other) in
                    tree::members::<pg_sys::TargetEntry>((*aggregate).args)
                        .zip(tree::members::<pg_sys::TargetEntry>((*other).args))
                {
                    (*other).expr = match self.place(column_of(aggregate, (*argument).expr.cast())) {
                        Some(place) => spec::column(pg_sys::OUTER_VAR, place, (*argument).expr.cast()).cast(),
                        None => self.renumbered((*argument).expr),
                    };
                }
                (*other).aggfilter = match self.place((*aggregate).aggfilter.cast()) {
                    Some(place) => spec::column(pg_sys::OUTER_VAR, place, (*aggregate).aggfilter.cast()).cast(),
                    None => self.renumbered((*aggregate).aggfilter),
                };
                (*other).aggdirectargs = self.renumbered((*aggregate).aggdirectargs);
                Some(other.cast())
            })
        }
    }

    unsafe fn renumbered<T>(&self, node: *mut T) -> *mut T {
        // SAFETY: an expression of the plan or a list.
        unsafe {
            tree::changed(node, &mut |node| {
                let column = tree::copy(tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var)?);
                (*column).varattno = self.number((*column).varattno);
                Some(column.cast())
            })
        }
    }
}

/// Whether an aggregation combines states: the arguments were evaluated elsewhere.
///
/// # Safety
/// `agg` must be a plan.
pub unsafe fn combines(agg: *const pg_sys::Agg) -> bool {
    // SAFETY: as the caller promises.
    unsafe { (*agg).aggsplit & pg_sys::AGGSPLITOP_COMBINE != 0 }
}

/// Whether all rows are read before a group is handed on: also with several sets of groups, if none is sorted.
unsafe fn reads_all(agg: *const pg_sys::Agg) -> bool {
    use pg_sys::AggStrategy::{AGG_HASHED, AGG_MIXED, AGG_PLAIN};
    // SAFETY: a plan.
    unsafe {
        let mut others = tree::members::<pg_sys::Agg>((*agg).chain);
        matches!((*agg).aggstrategy, AGG_PLAIN | AGG_HASHED | AGG_MIXED)
            && others.all(|other| matches!((*other).aggstrategy, AGG_PLAIN | AGG_HASHED))
    }
}

/// A node that makes these columns of the rows of a plan. `last` is the last number of a node.
///
/// # Safety
/// `plan` must be a plan of the statement, and the columns expressions over its rows.
pub unsafe fn result(plan: *mut pg_sys::Plan, target: *mut pg_sys::List, last: &mut i32) -> *mut pg_sys::Plan {
    // SAFETY: as the caller promises.
    unsafe {
        *last += 1;
        let result = tree::make::<pg_sys::Result>(NodeTag::T_Result);
        let node = &mut (*result).plan;
        let kind = node.type_;
        *node = *plan;
        node.type_ = kind;
        node.parallel_aware = false;
        node.async_capable = false;
        node.plan_node_id = *last;
        node.targetlist = target;
        node.qual = std::ptr::null_mut();
        node.lefttree = plan;
        node.righttree = std::ptr::null_mut();
        node.initPlan = std::ptr::null_mut();
        node.extParam = pg_sys::bms_copy((*plan).extParam);
        node.allParam = pg_sys::bms_copy((*plan).allParam);
        result.cast()
    }
}

/// The column that an argument becomes.
unsafe fn column_of(aggregate: *mut pg_sys::Aggref, argument: Node) -> Node {
    // SAFETY: nodes of the plan.
    unsafe {
        if (*aggregate).aggfilter.is_null() || is_plain(argument) {
            return argument;
        }
        let when = tree::make::<pg_sys::CaseWhen>(NodeTag::T_CaseWhen);
        (*when).expr = (*aggregate).aggfilter;
        (*when).result = argument.cast();
        (*when).location = -1;
        let case = tree::make::<pg_sys::CaseExpr>(NodeTag::T_CaseExpr);
        (*case).casetype = pg_sys::exprType(argument);
        (*case).casecollid = pg_sys::exprCollation(argument);
        (*case).args = tree::list([when]);
        (*case).defresult =
            pg_sys::makeNullConst(pg_sys::exprType(argument), pg_sys::exprTypmod(argument), (*case).casecollid).cast();
        (*case).location = -1;
        case.cast()
    }
}

/// Whether an expression is a column or a constant.
unsafe fn is_plain(node: Node) -> bool {
    // SAFETY: a node of an expression.
    matches!(unsafe { tree::tag(node) }, NodeTag::T_Var | NodeTag::T_Const)
}
