//! What a node hands on where no expression has to be evaluated for it: columns that it keeps, and answers.

use pgrx::pg_sys::{self, NodeTag};

use crate::pg::call_site::Place;
use crate::pg::tree::{self, Node};
use crate::scan::spec::{self, Entry};

/// A column that is handed on.
pub enum Target {
    /// The column of this number among those that are kept.
    Kept(usize),
    /// The answer to a call: of which question, which of those that ask, and where it stands.
    Answer(usize, usize, Place),
}

/// What a node hands on; `None` where expressions are evaluated for it, or the server counts calls of functions, which it does where it
/// calls them.
///
/// # Safety
/// `node` must be the state of a node with these columns of its row, of a plan whose memory is `memory`.
pub unsafe fn of(
    node: *mut pg_sys::CustomScanState,
    entries: &[Entry],
    memory: pg_sys::MemoryContext,
) -> Option<Vec<Target>> {
    // SAFETY: as the caller promises; a target list has entries.
    unsafe {
        let state = &raw mut (*node).ss.ps;
        let are_counted = pg_sys::pgstat_track_functions >= pg_sys::TrackFunctionsLevel::TRACK_FUNC_ALL as i32;
        if are_counted || (*state).ps_ProjInfo.is_null() || !(*state).qual.is_null() {
            return None;
        }
        let list = tree::members::<pg_sys::TargetEntry>((*(*state).plan).targetlist);
        list.zip(1..)
            .map(|(entry, number)| {
                let is_next = (*entry).resno == number;
                target((*entry).expr.cast(), entries, memory).filter(|_| is_next)
            })
            .collect()
    }
}

unsafe fn target(expression: Node, entries: &[Entry], memory: pg_sys::MemoryContext) -> Option<Target> {
    // SAFETY: an expression of the plan; each node is read as what its tag says.
    unsafe {
        let entry = |node: Node| {
            let column = tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var)?;
            let place = usize::try_from((*column).varattno).ok()?.checked_sub(1)?;
            Some((place, *entries.get(place).filter(|_| (*column).varno == pg_sys::INDEX_VAR)?))
        };
        if let Some((place, Entry::Kept(_) | Entry::Here)) = entry(expression) {
            let before = entries[..place].iter().filter(|entry| !matches!(entry, Entry::Token(_)));
            return Some(Target::Kept(before.count()));
        }
        let asked = spec::asked(expression)?;
        let call = expression.cast::<pg_sys::FuncExpr>();
        let mut question = None;
        for (index, argument) in tree::members::<pg_sys::Node>((*call).args).enumerate() {
            if index == 1 {
                question = entry(argument);
            } else if tree::cast::<pg_sys::Const, _>(argument, NodeTag::T_Const)
                .is_none_or(|known| (*known).constisnull)
            {
                // The function is STRICT.
                return None;
            }
        }
        match question? {
            (_, Entry::Token(question)) => Some(Target::Answer(question, asked, Place::in_plan(memory, expression))),
            _ => None,
        }
    }
}
