//! What planner and executor tell each other about a node: nodes of the server's, which it copies, keeps and hands to workers.
//!
//! The node makes a row of columns that are kept of the row below and of *tokens*, one for each model and row of features that is
//! scored. Expressions above are evaluated over that row. A scoring call there has a token in the place of its features, which stand
//! for them in every respect but one: they say where the row waits, and the function asks there.

use pgrx::pg_sys::{self, NodeTag};

use crate::pg::tree::{self, Node};

/// In a token's `varnosyn`, which the server does not use in plans, and in no variable of a user's.
const MARK: u32 = 0x00e2_15c0;

/// Questions that one scorer takes, as it keeps a bit for each.
pub const ASKED: usize = 32;

/// A column of the node's row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// This column of the row below.
    Kept(i16),
    /// Where that row stands in its table.
    Here,
    /// The token of the question of this number.
    Token(usize),
}

/// A model and the features that it scores.
pub struct Question {
    /// The model: a constant or a parameter.
    pub model: Node,
    /// The features, over the row below.
    pub features: Node,
    /// The versions that the calls were planned for; null where they were not.
    pub versions: Node,
    /// Whether a row stands for its JSON.
    pub is_as_json: bool,
    /// Whether no setting changes the answers.
    pub is_pinned: bool,
    /// The functions that ask, one for each call.
    pub asked: Vec<pg_sys::Oid>,
    /// Their options, a constant or a parameter each: null for one that takes none.
    pub options: Vec<*mut pg_sys::List>,
}

/// How many rows are asked for at most: the expressions of a LIMIT, null where there is none.
#[derive(Clone, Copy)]
pub struct Bound {
    /// LIMIT.
    pub count: Node,
    /// OFFSET.
    pub offset: Node,
}

/// What a node does.
#[derive(Default)]
pub struct Spec {
    /// The columns of its row.
    pub entries: Vec<Entry>,
    /// What is scored.
    pub questions: Vec<Question>,
    /// Conditions over the row below: one that does not fulfil them is not scored. They are among those of the node, too, where they
    /// raise what they raise.
    pub before: Vec<Node>,
    /// What stands above.
    pub bound: Option<Bound>,
}

impl Spec {
    /// Writes it into a plan's node, all but the row.
    ///
    /// # Safety
    /// `scan` must be a new node; its nodes become part of the plan.
    pub unsafe fn write(&self, scan: *mut pg_sys::CustomScan) {
        let entries = self.entries.iter().map(|entry| match entry {
            Entry::Kept(column) => i32::from(*column),
            Entry::Here => 0,
            Entry::Token(question) => -1 - i32::try_from(*question).unwrap_or_default(),
        });
        let asked = self.questions.iter().map(|question| {
            let asked = question.asked.iter().map(|function| function.to_u32().cast_signed());
            let flags = i32::from(question.is_as_json) | i32::from(question.is_pinned) << 1;
            tree::list_of_integers(std::iter::once(flags).chain(asked))
        });
        let expressions = self.questions.iter().flat_map(|question| {
            let options = tree::list(question.options.iter().copied()).cast();
            [question.model, question.features, question.versions, options]
        });
        let before = std::iter::once(tree::list(self.before.iter().copied()).cast());
        let bound = self.bound.iter().flat_map(|bound| [bound.count, bound.offset]);
        // SAFETY: as the caller promises.
        unsafe {
            (*scan).custom_private = tree::list(std::iter::once(tree::list_of_integers(entries)).chain(asked));
            (*scan).custom_exprs = tree::list(expressions.chain(before).chain(bound));
        }
    }

    /// Reads what [`Spec::write`] has written.
    ///
    /// # Safety
    /// `scan` must be such a node, or a copy.
    pub unsafe fn read(scan: *const pg_sys::CustomScan) -> Self {
        // SAFETY: as the caller promises.
        unsafe {
            let mut lists = tree::members::<pg_sys::List>((*scan).custom_private);
            let entries = lists.next().map(|list| tree::integers(list).map(entry).collect()).unwrap_or_default();
            let mut expressions = tree::members::<pg_sys::Node>((*scan).custom_exprs);
            let questions = lists
                .map_while(|list| {
                    let mut numbers = tree::integers(list);
                    let flags = numbers.next()?;
                    let (is_as_json, is_pinned) = (flags & 1 != 0, flags & 2 != 0);
                    let asked = numbers.map(|oid| pg_sys::Oid::from(oid.cast_unsigned())).collect();
                    let (model, features, versions) = (expressions.next()?, expressions.next()?, expressions.next()?);
                    let options = tree::members(expressions.next()?.cast()).collect();
                    Some(Question { model, features, versions, is_as_json, is_pinned, asked, options })
                })
                .collect();
            let before = expressions.next().map(|list| tree::members(list.cast()).collect()).unwrap_or_default();
            let bound = expressions.next().zip(expressions.next()).map(|(count, offset)| Bound { count, offset });
            Self { entries, questions, before, bound }
        }
    }
}

fn entry(number: i32) -> Entry {
    match number {
        1.. => Entry::Kept(i16::try_from(number).unwrap_or_default()),
        0 => Entry::Here,
        _ => Entry::Token(usize::try_from(-1 - number).unwrap_or_default()),
    }
}

/// A column of the node's row, as its expressions name it.
///
/// # Safety
/// `like` must be an expression of the column's type.
pub unsafe fn column(varno: i32, place: usize, like: Node) -> *mut pg_sys::Var {
    // SAFETY: as the caller promises.
    unsafe {
        pg_sys::makeVar(
            varno,
            i16::try_from(place).unwrap_or_default(),
            pg_sys::exprType(like),
            pg_sys::exprTypmod(like),
            pg_sys::exprCollation(like),
            0,
        )
    }
}

/// The token in the place of features, in a call of this number among those that ask there.
///
/// # Safety
/// As [`column`], of the features.
pub unsafe fn token(varno: i32, place: usize, features: Node, asked: usize) -> *mut pg_sys::Var {
    // SAFETY: as the caller promises.
    unsafe {
        let token = column(varno, place, features);
        (*token).varnosyn = MARK;
        (*token).varattnosyn = i16::try_from(asked).unwrap_or_default();
        token
    }
}

/// The number of a call among those that ask for a row that waits; `None` for a call with features.
///
/// # Safety
/// `expression` must be null or the expression of a call that is evaluated.
pub unsafe fn asked(expression: Node) -> Option<usize> {
    // SAFETY: as the caller promises; each node is read as what its tag says.
    unsafe {
        let call = tree::cast::<pg_sys::FuncExpr, _>(expression, NodeTag::T_FuncExpr)?;
        let mut features = tree::members::<pg_sys::Node>((*call).args).nth(1)?;
        // That of a node below.
        if let Some(relabel) = tree::cast::<pg_sys::RelabelType, _>(features, NodeTag::T_RelabelType) {
            features = (*relabel).arg.cast();
        }
        let token = tree::cast::<pg_sys::Var, _>(features, NodeTag::T_Var)?;
        let is_token = matches!((*token).varno, pg_sys::INDEX_VAR | pg_sys::OUTER_VAR) && (*token).varnosyn == MARK;
        if is_token { usize::try_from((*token).varattnosyn).ok() } else { None }
    }
}
