//! Aggregates over sorted groups, whose arguments have scoring calls.
//!
//! Such an aggregation reads a row ahead, the first of the next group, and evaluates its arguments only if somebody asks for that group.
//! So they stay where they are, and a node below hands *tokens* of features up as columns: the calls ask there, before the next row is
//! read. Nothing else keeps rows meanwhile; where sets of groups are sorted in turn, or hashed beside, something does, and calls stay
//! alone.

use std::rc::Rc;

use pgrx::pg_sys::{self, NodeTag};

use crate::pg::tree::{self, Node};
use crate::scan::ahead::Statement;
use crate::scan::arguments;
use crate::scan::spec;
use crate::scan::split::{Kind, Split};

/// Puts a node that scores below an aggregation over sorted groups, if it has calls and `split` can make one. `last` is the last number
/// of a node.
///
/// # Safety
/// `agg` must be a node of a finished plan, and `split` give a plan with the same columns for one.
pub unsafe fn ask(
    agg: *mut pg_sys::Agg,
    known: &Rc<Statement>,
    last: &mut i32,
    split: &mut dyn FnMut(*mut pg_sys::Plan, &mut i32) -> Option<*mut pg_sys::Plan>,
) {
    // SAFETY: as the caller promises.
    unsafe {
        let plan = &raw mut (*agg).plan;
        let is_sorted = (*agg).aggstrategy == pg_sys::AggStrategy::AGG_SORTED && (*agg).chain.is_null();
        if !is_sorted || arguments::combines(agg) || (*plan).lefttree.is_null() {
            return;
        }
        let lists = [(*plan).targetlist, (*plan).qual];
        let calls = Calls::of(&lists, Split::new(Kind::Scan, known.clone()));
        if calls.found.is_empty() {
            return;
        }
        let child = (*plan).lefttree;
        let columns: Vec<*mut pg_sys::TargetEntry> = tree::members((*child).targetlist).collect();
        let kept = columns.iter().map(|column| {
            let (entry, place) = (tree::copy(*column), usize::try_from((**column).resno).unwrap_or_default());
            (*entry).expr = spec::column(pg_sys::OUTER_VAR, place, (**column).expr.cast()).cast();
            entry
        });
        let asking = calls.found.iter().zip(columns.len() + 1..).map(|(call, number)| {
            let number = i16::try_from(number).unwrap_or(i16::MAX);
            pg_sys::makeTargetEntry(tree::copy(*call).cast(), number, std::ptr::null_mut(), false)
        });
        let target = tree::list(kept.chain(asking).collect::<Vec<_>>());
        let Some(node) = split(arguments::result(child, target, last), last) else { return };
        let made: Vec<*mut pg_sys::TargetEntry> = tree::members((*node).targetlist).skip(columns.len()).collect();
        let tokens: Vec<Option<Node>> = made.iter().map(|entry| handed_up(*entry)).collect();
        let Some(tokens) = tokens.into_iter().collect::<Option<Vec<_>>>() else { return };
        (*plan).lefttree = node;
        (*plan).targetlist = calls.asking(lists[0], &tokens);
        (*plan).qual = calls.asking(lists[1], &tokens);
    }
}

/// Calls in the arguments of aggregates.
struct Calls {
    split: Split,
    found: Vec<Node>,
}

impl Calls {
    unsafe fn of(lists: &[*mut pg_sys::List], split: Split) -> Self {
        let mut this = Self { split, found: vec![] };
        let mut aggregates = vec![];
        // SAFETY: lists of the plan.
        unsafe {
            for list in lists {
                tree::has(list.cast(), &mut |node| {
                    aggregates.push(tree::cast::<pg_sys::Aggref, _>(node, NodeTag::T_Aggref)?);
                    Some(false)
                });
            }
            for aggregate in aggregates {
                this.find((*aggregate).aggfilter.cast());
                this.find((*aggregate).args.cast());
            }
        }
        this
    }

    unsafe fn find(&mut self, node: Node) {
        // SAFETY: an expression of the plan or a list of them.
        unsafe {
            tree::has(node, &mut |node| {
                self.split.call(node)?;
                if self.place(node).is_none() {
                    self.found.push(node);
                }
                Some(false)
            });
        }
    }

    unsafe fn place(&self, node: Node) -> Option<usize> {
        // SAFETY: expressions of the plan.
        self.found.iter().position(|found| unsafe { pg_sys::equal(found.cast_const().cast(), node.cast()) })
    }

    /// A list with these calls asking by tokens, where they are arguments of aggregates.
    unsafe fn asking(&self, list: *mut pg_sys::List, tokens: &[Node]) -> *mut pg_sys::List {
        // SAFETY: a list of the plan; what is direct is evaluated when the group has ended.
        unsafe {
            tree::changed(list, &mut |node| {
                let aggregate = tree::copy(tree::cast::<pg_sys::Aggref, _>(node, NodeTag::T_Aggref)?);
                let mut asking = |node: Node| {
                    let call = tree::cast::<pg_sys::FuncExpr, _>(node, NodeTag::T_FuncExpr)?;
                    let token = tokens[self.place(node)?];
                    let call = tree::copy(call);
                    tree::replace((*call).args, 1, token);
                    Some(call.cast())
                };
                (*aggregate).args = tree::changed((*aggregate).args, &mut asking);
                (*aggregate).aggfilter = tree::changed((*aggregate).aggfilter, &mut asking);
                Some(aggregate.cast())
            })
        }
    }
}

/// Makes the column of a call that asks one of the token that it asks by; what stands for that in the plan above.
unsafe fn handed_up(entry: *mut pg_sys::TargetEntry) -> Option<Node> {
    // SAFETY: an entry of a node that was made for calls.
    unsafe {
        let call = tree::cast::<pg_sys::FuncExpr, _>((*entry).expr, NodeTag::T_FuncExpr)?;
        spec::asked(call.cast())?;
        let token: Node = tree::members((*call).args).nth(1)?;
        let features = (pg_sys::exprType(token), pg_sys::exprTypmod(token), pg_sys::exprCollation(token));
        // A pointer in a row is a number.
        (*entry).expr = relabelled(token, (pg_sys::INT8OID, -1, pg_sys::Oid::INVALID)).cast();
        let asked = (*token.cast::<pg_sys::Var>()).varattnosyn;
        let place = usize::try_from((*entry).resno).ok()?;
        let above = spec::token(pg_sys::OUTER_VAR, place, (*entry).expr.cast(), usize::try_from(asked).ok()?);
        Some(relabelled(above.cast(), features))
    }
}

/// An expression as one of another type.
unsafe fn relabelled(node: Node, (oid, typmod, collation): (pg_sys::Oid, i32, pg_sys::Oid)) -> Node {
    // SAFETY: a new node of one of the plan.
    unsafe {
        let relabel = tree::make::<pg_sys::RelabelType>(NodeTag::T_RelabelType);
        (*relabel).arg = node.cast();
        (*relabel).resulttype = oid;
        (*relabel).resulttypmod = typmod;
        (*relabel).resultcollid = collation;
        (*relabel).relabelformat = pg_sys::CoercionForm::COERCE_IMPLICIT_CAST;
        (*relabel).location = -1;
        relabel.cast()
    }
}
