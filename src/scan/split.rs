//! The expressions of a plan's node, on their way above it.

use std::rc::Rc;

use pgrx::pg_sys::{self, NodeTag};

use crate::datum::as_json;
use crate::pg::tree::{self, Node};
use crate::scan::ahead::Statement;
use crate::scan::call::Call;
use crate::scan::spec::{self, Entry, Question};

/// Kinds of nodes that can be split.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A scan of a table, by whichever way.
    Table,
    /// A scan of something else.
    Scan,
    Join,
    /// An aggregation: what it evaluates of its results.
    Agg,
    /// Rows of the plan below with other columns: replaced, not split.
    Result,
}

impl Kind {
    /// Of a plan's node; `None` for one that is not split.
    ///
    /// # Safety
    /// `plan` must be a plan.
    pub unsafe fn of(plan: *mut pg_sys::Plan) -> Option<Self> {
        // SAFETY: a plan; each node is read as what its tag says.
        unsafe {
            Some(match tree::tag(plan) {
                NodeTag::T_SeqScan
                | NodeTag::T_SampleScan
                | NodeTag::T_IndexScan
                | NodeTag::T_BitmapHeapScan
                | NodeTag::T_TidScan
                | NodeTag::T_TidRangeScan => Self::Table,
                NodeTag::T_IndexOnlyScan
                | NodeTag::T_SubqueryScan
                | NodeTag::T_FunctionScan
                | NodeTag::T_ValuesScan
                | NodeTag::T_TableFuncScan
                | NodeTag::T_CteScan
                | NodeTag::T_NamedTuplestoreScan
                | NodeTag::T_WorkTableScan => Self::Scan,
                NodeTag::T_ForeignScan
                    if (*plan.cast::<pg_sys::ForeignScan>()).operation == pg_sys::CmdType::CMD_SELECT =>
                {
                    Self::Scan
                }
                NodeTag::T_NestLoop | NodeTag::T_MergeJoin | NodeTag::T_HashJoin => Self::Join,
                NodeTag::T_Agg => Self::Agg,
                NodeTag::T_Result => {
                    let is_plain = (*plan.cast::<pg_sys::Result>()).resconstantqual.is_null();
                    if !is_plain || (*plan).lefttree.is_null() {
                        return None;
                    }
                    Self::Result
                }
                _ => return None,
            })
        }
    }
}

/// A target list of these columns.
///
/// # Safety
/// They must be expressions of a plan.
pub unsafe fn target_of(columns: &[Node]) -> *mut pg_sys::List {
    tree::list(columns.iter().zip(1..).map(|(column, number)| {
        // SAFETY: expressions of the plan, copied.
        unsafe { pg_sys::makeTargetEntry(tree::copy(*column).cast(), number, std::ptr::null_mut(), false) }
    }))
}

/// Whether a node says where a row stands in its table.
///
/// # Safety
/// `node` must be a node of an expression.
pub unsafe fn is_place_in_table(node: Node) -> bool {
    // SAFETY: a node of an expression.
    unsafe {
        tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var)
            .is_some_and(|column| i32::from((*column).varattno) == pg_sys::SelfItemPointerAttributeNumber)
    }
}

/// Whether a node is a parameter from outside of the statement.
///
/// # Safety
/// `node` must be a node of an expression.
pub unsafe fn is_parameter(node: Node) -> bool {
    // SAFETY: a node of an expression.
    unsafe {
        tree::cast::<pg_sys::Param, _>(node, NodeTag::T_Param)
            .is_some_and(|parameter| (*parameter).paramkind == pg_sys::ParamKind::PARAM_EXTERN)
    }
}

/// The expressions of a node, on their way above it.
pub struct Split {
    kind: Kind,
    /// The columns of what stays below.
    pub columns: Vec<Node>,
    /// Whether a column has its own number there.
    pub is_numbered: bool,
    /// Where a row stands in its table, if that is handed on.
    here: Option<Node>,
    /// The columns of our row.
    pub entries: Vec<Entry>,
    /// What is scored.
    pub questions: Vec<Question>,
    /// Conditions over the row below, which may be tried before it is scored.
    pub before: Vec<Node>,
    /// What is known of the statement.
    pub known: Rc<Statement>,
}

impl Split {
    /// Of a node of this kind.
    pub fn new(kind: Kind, known: Rc<Statement>) -> Self {
        Self {
            known,
            kind,
            columns: vec![],
            is_numbered: false,
            here: None,
            entries: vec![],
            questions: vec![],
            before: vec![],
        }
    }

    /// A call that can be answered from a batch.
    ///
    /// # Safety
    /// `node` must be a node of an expression of the plan.
    pub unsafe fn call(&self, node: Node) -> Option<Call> {
        // SAFETY: a node of an expression.
        unsafe {
            let call = Call::of(node)?;
            // A level of a row's own is evaluated with the row.
            let is_one_for_all =
                |option| tree::cast::<pg_sys::Const, _>(option, NodeTag::T_Const).is_some() || is_parameter(option);
            let is_known =
                (call.reference().is_some() || is_parameter(call.model())) && call.options().all(is_one_for_all);
            let is_there = |node: Node| self.is_column(node);
            let is_plain = !call.is_as_json() || is_plain_json(call.features());
            // One that is NULL is not asked, but for errors of the features.
            let may_raise = || call.reference().is_some() && self.known.may_be_tried_but(call.features(), &is_there);
            let is_ahead = || self.known.is_harmless_but(call.features(), &is_there) || may_raise();
            (is_known && is_plain && is_ahead()).then_some(call)
        }
    }

    /// Whether expressions have calls that can be.
    ///
    /// # Safety
    /// `node` must be null, an expression of the plan or a list of them.
    pub unsafe fn has_calls<T>(&self, node: *mut T) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            let mut is_call =
                |node: Node| if self.is_column(node) { Some(false) } else { self.call(node).map(|_| true) };
            tree::has(node.cast(), &mut is_call)
        }
    }

    /// Whether a condition can be evaluated ahead only if what it raises is kept, see [`crate::scan::tried`].
    unsafe fn must_be_tried(&self, node: Node) -> bool {
        // SAFETY: a condition of the plan.
        let is_there = |node: Node| unsafe { self.is_column(node) };
        // SAFETY: as above.
        unsafe { !self.known.is_harmless_but(node, &is_there) && self.known.may_be_tried_but(node, &is_there) }
    }

    /// How many conditions come before the first with a call, if all of them may be tried: rows that they refuse are not scored.
    /// They are added to [`Split::before`], over the row below.
    ///
    /// # Safety
    /// `list` must be a list of the plan's.
    pub unsafe fn try_before(&mut self, list: *mut pg_sys::List) {
        // SAFETY: a list of the plan.
        unsafe {
            for condition in tree::members::<pg_sys::Node>(list) {
                let is_there = |node: Node| self.is_column(node);
                let is_here = |node: Node| is_place_in_table(node).then_some(true);
                if !self.known.may_be_tried_but(condition, &is_there) || tree::has(condition, &mut { is_here }) {
                    return;
                }
                let condition = self.under(condition);
                self.before.push(condition);
            }
        }
    }

    /// A list of conditions up to the first with a call, or that may raise an error, and the others.
    ///
    /// # Safety
    /// `list` must be a list of the plan's.
    pub unsafe fn cut(&self, list: *mut pg_sys::List) -> (*mut pg_sys::List, *mut pg_sys::List) {
        // SAFETY: a list of the plan.
        unsafe {
            let members: Vec<Node> = tree::members(list).collect();
            let moves = |node: &Node| self.has_calls(*node) || self.must_be_tried(*node);
            let first = members.iter().position(moves).unwrap_or(members.len());
            let (stays, moved) = members.split_at(first);
            (tree::list(stays.iter().copied()), tree::list(moved.iter().copied()))
        }
    }

    /// The number of a column below.
    unsafe fn number(&mut self, node: Node) -> usize {
        // SAFETY: nodes of expressions.
        unsafe {
            if self.is_numbered {
                return usize::try_from((*node.cast::<pg_sys::Var>()).varattno).unwrap_or_default();
            }
            let known = self.columns.iter().position(|column| pg_sys::equal((*column).cast(), node.cast()));
            known.unwrap_or_else(|| {
                self.columns.push(node);
                self.columns.len() - 1
            }) + 1
        }
    }

    /// Whether a node is a column of what stays below.
    unsafe fn is_column(&self, node: Node) -> bool {
        // SAFETY: a node of an expression.
        match unsafe { tree::tag(node) } {
            NodeTag::T_Var => true,
            NodeTag::T_Aggref | NodeTag::T_GroupingFunc => self.kind == Kind::Agg,
            _ => false,
        }
    }

    /// Expressions as they are over the row below.
    unsafe fn under<T>(&mut self, node: *mut T) -> *mut T {
        // SAFETY: an expression of the plan; a column is replaced by a variable of its type.
        unsafe {
            tree::changed(node, &mut |node| {
                self.is_column(node).then(|| spec::column(pg_sys::OUTER_VAR, self.number(node), node).cast())
            })
        }
    }

    /// The place of a column of our row.
    fn place(&mut self, entry: Entry) -> usize {
        let known = self.entries.iter().position(|known| *known == entry);
        known.unwrap_or_else(|| {
            self.entries.push(entry);
            self.entries.len() - 1
        }) + 1
    }

    /// Expressions as they are over our row: calls ask there.
    ///
    /// # Safety
    /// As [`Split::has_calls`].
    pub unsafe fn over<T>(&mut self, node: *mut T) -> *mut T {
        // SAFETY: an expression of the plan; a column is replaced by a variable of its type, and so are features.
        unsafe {
            tree::changed(node, &mut |node| {
                if self.is_numbered && is_place_in_table(node) {
                    self.here = Some(node);
                    let place = self.place(Entry::Here);
                    return Some(spec::column(pg_sys::INDEX_VAR, place, node).cast());
                }
                if self.is_column(node) {
                    let number = i16::try_from(self.number(node)).unwrap_or_default();
                    let place = self.place(Entry::Kept(number));
                    return Some(spec::column(pg_sys::INDEX_VAR, place, node).cast());
                }
                let call = self.call(node)?;
                self.asking(&call)
            })
        }
    }

    /// A call that asks for what waits.
    unsafe fn asking(&mut self, call: &Call) -> Option<Node> {
        // SAFETY: nodes of the plan.
        unsafe {
            let features: Node = self.under(call.features());
            let same = |question: &Question| {
                question.asked.len() < spec::ASKED
                    && pg_sys::equal(question.model.cast(), call.model().cast())
                    && pg_sys::equal(question.features.cast(), features.cast())
                    && pg_sys::equal(question.versions.cast(), call.versions().cast())
                    && question.is_as_json == call.is_as_json()
                    && question.is_pinned == call.function.is_pinned
            };
            let number = self.questions.iter().position(same).unwrap_or_else(|| {
                let (model, versions) = (tree::copy(call.model()), tree::copy(call.versions()));
                self.questions.push(Question {
                    model,
                    features,
                    versions,
                    is_as_json: call.is_as_json(),
                    is_pinned: call.function.is_pinned,
                    asked: vec![],
                    options: vec![],
                });
                self.questions.len() - 1
            });
            let function = (*call.expression()).funcid;
            let options = tree::list(call.options().map(|option| tree::copy(option)));
            self.questions[number].options.push(options);
            let asked = &mut self.questions[number].asked;
            asked.push(function);
            let asked = asked.len() - 1;
            let place = self.place(Entry::Token(number));
            let expression = tree::copy(call.expression());
            tree::replace((*expression).args, 1, spec::token(pg_sys::INDEX_VAR, place, features, asked));
            Some(expression.cast())
        }
    }

    /// The columns of our row, over that of the plan below.
    ///
    /// # Safety
    /// The plan below must hand on what [`Split::columns`] says.
    pub unsafe fn row(&self, below: *mut pg_sys::Plan) -> *mut pg_sys::List {
        // SAFETY: expressions of the plan, copied.
        unsafe {
            let target: Vec<*mut pg_sys::TargetEntry> = tree::members((*below).targetlist).collect();
            tree::list(self.entries.iter().zip(1..).map(|(entry, number)| {
                let expression = match entry {
                    Entry::Kept(column) => {
                        let place = usize::try_from(*column).unwrap_or_default();
                        let like = target[place - 1];
                        spec::column(pg_sys::OUTER_VAR, place, (*like).expr.cast()).cast()
                    }
                    Entry::Here => tree::copy(self.here.unwrap_or(std::ptr::null_mut())).cast(),
                    Entry::Token(question) => tree::copy(self.questions[*question].features).cast(),
                };
                pg_sys::makeTargetEntry(expression, number, std::ptr::null_mut(), false)
            }))
        }
    }
}

/// Whether the fields of a row become JSON without anybody's functions, which may raise what is wrong with a row that nobody asks for.
unsafe fn is_plain_json(features: Node) -> bool {
    // SAFETY: a node of an expression.
    unsafe {
        let row = tree::cast::<pg_sys::RowExpr, _>(features, NodeTag::T_RowExpr);
        row.is_some_and(|row| {
            tree::members::<pg_sys::Node>((*row).args).all(|field| as_json::is_plain(pg_sys::exprType(field)))
        })
    }
}
