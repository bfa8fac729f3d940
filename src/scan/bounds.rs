//! What a plan's conditions say of the columns of its rows: what scoring may know before it reads them.
//!
//! Looked for are comparisons of a column with a constant or a parameter, IN, IS NULL and booleans: in the conditions of the plan below a
//! node and of the plans that a column comes through, in constraints of a table that were validated, and in what its partition holds.
//! Nobody relies on it: trees look at each row that they are given. So what is not understood is left out, and what a lossy index, a
//! concurrent change or a rule of another collation makes wrong costs time and no answer.
//!
//! What does not belong here: what a value means to a model, which binding knows (`e2i_core::Said`).

use e2i_core::{ElementType, Given, Said, Scalar};
use pgrx::pg_sys::{self, NodeTag};

use crate::datum::scalar::{Reader, Zone};
use crate::pg::constraints;
use crate::pg::tree::{self, Node};

/// The server's families of operators whose order binding keeps, as `pg_opfamily` numbers them: integer, float, numeric, bool, text,
/// bpchar, datetime.
const FAMILIES: [u32; 7] = [1976, 1970, 1988, 424, 1994, 426, 434];

/// Of these families only equality says anything of a feature.
const TEXTS: [u32; 2] = [1994, 426];

/// Their instants are compared as such only within one type.
const DATETIME: u32 = 434;

/// Values of an IN that are looked at.
const MOST_VALUES: usize = 256;

/// Where a condition stands, and with what a parameter in it is evaluated.
#[derive(Clone, Copy)]
struct Place {
    state: *mut pg_sys::PlanState,
    /// Whether a row with NULL passes, as it passes a CHECK.
    passes_null: bool,
}

/// What the rows of a plan are known by.
pub struct Bounds {
    /// The plan.
    child: *mut pg_sys::PlanState,
    /// Rows that were scored.
    rows: f64,
    is_told: bool,
}

impl Bounds {
    /// Those of a plan below a node.
    pub fn new(child: *mut pg_sys::PlanState) -> Self {
        Self { child, rows: 0.0, is_told: false }
    }

    /// Whether it is time to look, once: as many rows are scored, or expected, as it takes to pay. So many are scored next.
    pub fn is_time(&mut self, rows: u32, pays_from: f64) -> bool {
        self.rows += f64::from(rows);
        if self.is_told || rows < 2 {
            return false;
        }
        // SAFETY: the plan below a node, which stays as long as the node.
        let expected = unsafe { (*(*self.child).plan).plan_rows };
        self.is_told = self.rows.max(expected) >= pays_from;
        self.is_told
    }

    /// What is said of a column, each saying right for all rows; none where nothing is. What is made meanwhile is left in the current
    /// memory context.
    pub fn said(&self, column: usize) -> Vec<Said> {
        // SAFETY: the plan below a node is begun before and ended after it.
        unsafe { said(self.child, column) }
    }
}

/// What is known of a constant.
///
/// # Safety
/// `value` must be one of the type, unless it is NULL.
pub unsafe fn of_constant(type_oid: pg_sys::Oid, value: pg_sys::Datum, is_null: bool) -> Vec<Said> {
    if is_null {
        return vec![Said { ranges: vec![], missing: true }];
    }
    // SAFETY: as the caller promises.
    let given = unsafe { given(Reader::of(type_oid), type_oid, value) };
    match given {
        Some(Given::Float(value)) if value.is_nan() => vec![Said { ranges: vec![], missing: true }],
        other => other.map(|value| Said::one_of([value])).into_iter().collect(),
    }
}

/// See [`Bounds::said`].
unsafe fn said(state: *mut pg_sys::PlanState, column: usize) -> Vec<Said> {
    let mut found = vec![];
    // SAFETY: as the caller promises; each node is read as what its tag says.
    unsafe {
        let (mut state, mut column) = (state, column);
        while let Some((expression, plan)) = entry(state, column) {
            let is_it = |node: Node| is_same(node, expression);
            for list in conditions(plan) {
                each(list, Place { state, passes_null: false }, &is_it, &mut found);
            }
            let Some(variable) = tree::cast::<pg_sys::Var, _>(expression, NodeTag::T_Var) else { break };
            match below(state, plan, &*variable) {
                Some(below) => state = below,
                None => {
                    of_table(state, plan, &*variable, &mut found);
                    break;
                }
            }
            column = usize::try_from((*variable).varattno).unwrap_or_default();
        }
    }
    found
}

/// A column of a plan.
unsafe fn entry(state: *mut pg_sys::PlanState, column: usize) -> Option<(Node, *mut pg_sys::Plan)> {
    // SAFETY: as the caller promises.
    unsafe {
        let plan = (*state).plan;
        let entry = tree::members::<pg_sys::TargetEntry>((*plan).targetlist).nth(column.checked_sub(1)?)?;
        Some(((*entry).expr.cast(), plan))
    }
}

/// What holds for the rows that a plan's own node hands on.
unsafe fn conditions(plan: *mut pg_sys::Plan) -> Vec<*mut pg_sys::List> {
    // SAFETY: as the caller promises; each node is read as what its tag says.
    unsafe {
        let more = match tree::tag(plan) {
            NodeTag::T_IndexScan => (*plan.cast::<pg_sys::IndexScan>()).indexqualorig,
            NodeTag::T_IndexOnlyScan => (*plan.cast::<pg_sys::IndexOnlyScan>()).indexqual,
            NodeTag::T_BitmapHeapScan => (*plan.cast::<pg_sys::BitmapHeapScan>()).bitmapqualorig,
            NodeTag::T_NestLoop | NodeTag::T_MergeJoin | NodeTag::T_HashJoin
                if (*plan.cast::<pg_sys::Join>()).jointype == pg_sys::JoinType::JOIN_INNER =>
            {
                (*plan.cast::<pg_sys::Join>()).joinqual
            }
            _ => std::ptr::null_mut(),
        };
        vec![(*plan).qual, more]
    }
}

/// The plan whose column a variable is; `None` for one of a table, and where rows come from several plans or are made up.
unsafe fn below(
    state: *mut pg_sys::PlanState,
    plan: *mut pg_sys::Plan,
    variable: &pg_sys::Var,
) -> Option<*mut pg_sys::PlanState> {
    use pg_sys::JoinType::{JOIN_FULL, JOIN_INNER, JOIN_LEFT, JOIN_RIGHT};
    // SAFETY: as the caller promises; each node is read as what its tag says.
    unsafe {
        let kind = tree::tag(plan);
        if kind == NodeTag::T_SubqueryScan {
            return Some((*state.cast::<pg_sys::SubqueryScanState>()).subplan);
        }
        let is_join = matches!(kind, NodeTag::T_NestLoop | NodeTag::T_MergeJoin | NodeTag::T_HashJoin);
        let join = if is_join { (*plan.cast::<pg_sys::Join>()).jointype } else { JOIN_INNER };
        let child = match variable.varno {
            pg_sys::OUTER_VAR if !matches!(join, JOIN_RIGHT | JOIN_FULL) => (*state).lefttree,
            pg_sys::INNER_VAR if !matches!(join, JOIN_LEFT | JOIN_FULL) => (*state).righttree,
            _ => std::ptr::null_mut(),
        };
        (!child.is_null()).then_some(child)
    }
}

/// What a table says of its own column.
unsafe fn of_table(
    state: *mut pg_sys::PlanState,
    plan: *mut pg_sys::Plan,
    variable: &pg_sys::Var,
    found: &mut Vec<Said>,
) {
    // SAFETY: as the caller promises; states of these kinds begin with that of a scan, and hold its table.
    unsafe {
        let is_scan = matches!(
            tree::tag(plan),
            NodeTag::T_SeqScan
                | NodeTag::T_SampleScan
                | NodeTag::T_IndexScan
                | NodeTag::T_BitmapHeapScan
                | NodeTag::T_TidScan
                | NodeTag::T_TidRangeScan
        );
        let relation = if is_scan { (*state.cast::<pg_sys::ScanState>()).ss_currentRelation } else { return };
        if relation.is_null() || variable.varattno <= 0 {
            return;
        }
        let is_it = |node: Node| {
            tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var)
                .is_some_and(|other| (*other).varno == 1 && (*other).varattno == variable.varattno)
        };
        let is_strict = constraints::is_not_null(relation, variable.varattno);
        let checks = constraints::checks(relation);
        each(checks, Place { state, passes_null: !is_strict }, &is_it, found);
        let bounds = constraints::partition_bounds(relation);
        each(bounds, Place { state, passes_null: !is_strict }, &is_it, found);
    }
}

/// Whether two expressions of one plan are the same column or the same expression.
unsafe fn is_same(node: Node, expression: Node) -> bool {
    // SAFETY: nodes of expressions.
    unsafe {
        let variables = tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var)
            .zip(tree::cast::<pg_sys::Var, _>(expression, NodeTag::T_Var));
        match variables {
            Some((a, b)) => (*a).varno == (*b).varno && (*a).varattno == (*b).varattno,
            None => pg_sys::equal(node.cast(), expression.cast()),
        }
    }
}

/// What each of some conditions says.
unsafe fn each(list: *mut pg_sys::List, place: Place, is_it: &dyn Fn(Node) -> bool, found: &mut Vec<Said>) {
    // SAFETY: a list of a plan's conditions, or of a table's.
    unsafe { tree::members::<pg_sys::Node>(list).for_each(|node| of_condition(node, place, is_it, found)) }
}

/// What a condition that is true says.
unsafe fn of_condition(node: Node, place: Place, is_it: &dyn Fn(Node) -> bool, found: &mut Vec<Said>) {
    // SAFETY: a node of a condition; each is read as what its tag says.
    unsafe {
        if let Some(all) = tree::cast::<pg_sys::BoolExpr, _>(node, NodeTag::T_BoolExpr) {
            match (*all).boolop {
                pg_sys::BoolExprType::AND_EXPR => return each((*all).args, place, is_it, found),
                pg_sys::BoolExprType::OR_EXPR => {
                    let each = |node: Node| {
                        let mut of_one = vec![];
                        of_condition(node, place, is_it, &mut of_one);
                        of_one.into_iter().next()
                    };
                    let said: Option<Vec<Said>> = tree::members::<pg_sys::Node>((*all).args).map(each).collect();
                    return found.extend(said.and_then(|said| said.into_iter().reduce(Said::or)));
                }
                _ => {}
            }
        }
        if let Some(said) = of_null_test(node, is_it) {
            return found.push(said);
        }
        let said = of_boolean(node, is_it)
            .or_else(|| of_comparison(node, place, is_it))
            .or_else(|| of_members(node, place, is_it));
        found.extend(said.map(|said| Said { missing: said.missing || place.passes_null, ..said }));
    }
}

/// A boolean column, and one that is not.
unsafe fn of_boolean(node: Node, is_it: &dyn Fn(Node) -> bool) -> Option<Said> {
    // SAFETY: a node of a condition.
    unsafe {
        let is = |value: bool| Some(Said::one_of([Given::Bool(value)]));
        if let Some(not) = tree::cast::<pg_sys::BoolExpr, _>(node, NodeTag::T_BoolExpr) {
            let mut arguments = tree::members::<pg_sys::Node>((*not).args);
            let is_not = (*not).boolop == pg_sys::BoolExprType::NOT_EXPR && arguments.next().is_some_and(is_it);
            return if is_not { is(false) } else { None };
        }
        if let Some(test) = tree::cast::<pg_sys::BooleanTest, _>(node, NodeTag::T_BooleanTest) {
            return match (*test).booltesttype {
                pg_sys::BoolTestType::IS_TRUE if is_it((*test).arg.cast()) => is(true),
                pg_sys::BoolTestType::IS_FALSE if is_it((*test).arg.cast()) => is(false),
                _ => None,
            };
        }
        if is_it(node) && pg_sys::exprType(node) == pg_sys::BOOLOID { is(true) } else { None }
    }
}

unsafe fn of_null_test(node: Node, is_it: &dyn Fn(Node) -> bool) -> Option<Said> {
    // SAFETY: a node of a condition.
    unsafe {
        let test = tree::cast::<pg_sys::NullTest, _>(node, NodeTag::T_NullTest)?;
        if (*test).argisrow || !is_it((*test).arg.cast()) {
            return None;
        }
        Some(match (*test).nulltesttype {
            pg_sys::NullTestType::IS_NULL => Said { ranges: vec![], missing: true },
            _ => Said { ranges: vec![(None, None)], missing: has_nan((*test).arg.cast()) },
        })
    }
}

/// A comparison of the column with a value.
unsafe fn of_comparison(node: Node, place: Place, is_it: &dyn Fn(Node) -> bool) -> Option<Said> {
    // SAFETY: a node of a condition.
    unsafe {
        let comparison = tree::cast::<pg_sys::OpExpr, _>(node, NodeTag::T_OpExpr)?;
        let arguments: Vec<Node> = tree::members((*comparison).args).map(|node| plain(node)).collect();
        let [left, right] = arguments.as_slice() else { return None };
        let (family, strategy) = strategy((*comparison).opno)?;
        let (column, other, strategy) = match (is_it(*left), is_it(*right)) {
            (true, false) => (*left, *right, strategy),
            (false, true) => (*right, *left, 6 - strategy),
            _ => return None,
        };
        let of = Compared { family, collation: (*comparison).inputcollid, column };
        let value = of.value(other, place)?;
        of.said(strategy, value)
    }
}

/// The column is one of some values.
unsafe fn of_members(node: Node, place: Place, is_it: &dyn Fn(Node) -> bool) -> Option<Said> {
    // SAFETY: a node of a condition; the array is one, of a constant or a parameter.
    unsafe {
        let any = tree::cast::<pg_sys::ScalarArrayOpExpr, _>(node, NodeTag::T_ScalarArrayOpExpr)?;
        let arguments: Vec<Node> = tree::members((*any).args).map(|node| plain(node)).collect();
        let [column, array] = arguments.as_slice() else { return None };
        let (family, strategy) = strategy((*any).opno)?;
        if !(*any).useOr || strategy != EQUAL || !is_it(*column) {
            return None;
        }
        let element = pg_sys::get_base_element_type(pg_sys::exprType(*array));
        let array = evaluated(*array, place)?;
        let (mut length, mut by_value, mut align) = (0i16, false, 0 as std::ffi::c_char);
        pg_sys::get_typlenbyvalalign(element, &raw mut length, &raw mut by_value, &raw mut align);
        let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        let array = pg_sys::pg_detoast_datum(array.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        pg_sys::deconstruct_array(
            array,
            element,
            length.into(),
            by_value,
            align,
            &raw mut values,
            &raw mut nulls,
            &raw mut count,
        );
        let count = usize::try_from(count).ok().filter(|count| *count <= MOST_VALUES)?;
        let of = Compared { family, collation: (*any).inputcollid, column: *column };
        let members =
            (0..count).filter(|member| !*nulls.add(*member)).map(|member| of.read(*values.add(member), element));
        // A NaN among them is left to those who look at the rows.
        let members: Option<Vec<Given>> = members.collect();
        members.map(Said::one_of)
    }
}

/// The number of equality among the five strategies of a btree, of which `6 - n` is that of the sides exchanged.
const EQUAL: i32 = 3;

/// The family of an operator, and its strategy there.
unsafe fn strategy(operator: pg_sys::Oid) -> Option<(u32, i32)> {
    FAMILIES.iter().find_map(|family| {
        // SAFETY: a look-up in a catalog.
        let strategy = unsafe { pg_sys::get_op_opfamily_strategy(operator, pg_sys::Oid::from(*family)) };
        (strategy > 0).then_some((*family, strategy))
    })
}

/// An expression without what only names its type.
unsafe fn plain(mut node: Node) -> Node {
    // SAFETY: a node of an expression.
    unsafe {
        while let Some(relabel) = tree::cast::<pg_sys::RelabelType, _>(node, NodeTag::T_RelabelType) {
            node = (*relabel).arg.cast();
        }
    }
    node
}

/// Whether values of an expression may be NaN.
unsafe fn has_nan(node: Node) -> bool {
    // SAFETY: a node of an expression.
    matches!(Reader::of(unsafe { pg_sys::exprType(node) }), Reader::Float4 | Reader::Float8 | Reader::Numeric)
}

/// The value of a constant, or of a parameter of the statement; `None` for anything else, and for NULL.
unsafe fn evaluated(node: Node, place: Place) -> Option<pg_sys::Datum> {
    // SAFETY: a node of an expression of a plan that was begun.
    unsafe {
        if let Some(constant) = tree::cast::<pg_sys::Const, _>(node, NodeTag::T_Const) {
            return (!(*constant).constisnull).then_some((*constant).constvalue);
        }
        let parameter = tree::cast::<pg_sys::Param, _>(node, NodeTag::T_Param)?;
        let context = (*place.state).ps_ExprContext;
        if (*parameter).paramkind != pg_sys::ParamKind::PARAM_EXTERN || context.is_null() {
            return None;
        }
        let (state, mut is_null) = (pg_sys::ExecInitExpr(node.cast(), place.state), false);
        let value = pg_sys::ExecEvalExprSwitchContext(state, context, &raw mut is_null);
        (!is_null).then_some(value)
    }
}

/// A value as it is given; `None` for one of a type that is no feature.
unsafe fn given(reader: Reader, type_oid: pg_sys::Oid, value: pg_sys::Datum) -> Option<Given> {
    // SAFETY: a value of that type, whose reader it is.
    unsafe {
        reader.read_for(ElementType::Float64, Zone::Session, value, type_oid, |scalar| match scalar {
            Scalar::Bool(value) => Some(Given::Bool(value)),
            Scalar::Int(value) => Some(Given::Int(value)),
            Scalar::Float(value) => Some(Given::Float(value)),
            Scalar::Decimal(value) => Some(Given::Float(value.to_f64())),
            Scalar::Text(value) => Some(Given::Text(value.to_owned())),
            Scalar::Instant(value) => Some(Given::Instant(value)),
            Scalar::Missing | Scalar::Other(_) => None,
        })
    }
}

/// A column and what it is compared by.
struct Compared {
    family: u32,
    collation: pg_sys::Oid,
    column: Node,
}

impl Compared {
    /// What it is compared with.
    unsafe fn value(&self, node: Node, place: Place) -> Option<Given> {
        // SAFETY: a node of an expression.
        unsafe { self.read(evaluated(node, place)?, pg_sys::exprType(node)) }
    }

    /// A value as it is given.
    unsafe fn read(&self, value: pg_sys::Datum, type_oid: pg_sys::Oid) -> Option<Given> {
        // SAFETY: a value of that type.
        unsafe {
            let (reader, of_column) = (Reader::of(type_oid), Reader::of(pg_sys::exprType(self.column)));
            let is_other = reader != of_column;
            let is_text = TEXTS.contains(&self.family);
            if (is_text && !is_deterministic(self.collation)) || (self.family == DATETIME && is_other) {
                return None;
            }
            given(reader, type_oid, value)
        }
    }

    /// What a comparison that is true says. To the server NaN equals itself and is greater than any number.
    unsafe fn said(&self, strategy: i32, value: Given) -> Option<Said> {
        if strategy != EQUAL && TEXTS.contains(&self.family) {
            return None;
        }
        // SAFETY: a node of an expression.
        let (has_nan, of_column) = unsafe { (has_nan(self.column), Reader::of(pg_sys::exprType(self.column))) };
        if matches!(value, Given::Float(value) if value.is_nan()) {
            return match strategy {
                1 => Some(Said { ranges: vec![(None, None)], missing: false }),
                2 => Some(Said { ranges: vec![(None, None)], missing: true }),
                _ => Some(Said { ranges: vec![], missing: true }),
            };
        }
        let range = match strategy {
            1 => (None, Some(beside(value, of_column, false))),
            2 => (None, Some(value)),
            EQUAL => (Some(value.clone()), Some(value)),
            4 => (Some(value), None),
            5 => (Some(beside(value, of_column, true)), None),
            _ => return None,
        };
        let missing = has_nan && range.1.is_none();
        Some(Said { ranges: vec![range], missing })
    }
}

/// The column's next value above or below one; that one where it is not known.
fn beside(value: Given, of_column: Reader, is_above: bool) -> Given {
    match (value, of_column) {
        (Given::Int(value), Reader::Int2 | Reader::Int4 | Reader::Int8) => {
            Given::Int(if is_above { value.saturating_add(1) } else { value.saturating_sub(1) })
        }
        (Given::Float(value), Reader::Float8) => {
            Given::Float(if is_above { value.next_up() } else { value.next_down() })
        }
        (Given::Float(value), Reader::Float4) => {
            let near = value as f32;
            let wide = f64::from(near);
            Given::Float(f64::from(match is_above {
                true if wide <= value => near.next_up(),
                false if wide >= value => near.next_down(),
                _ => near,
            }))
        }
        (value, _) => value,
    }
}

unsafe fn is_deterministic(collation: pg_sys::Oid) -> bool {
    // SAFETY: a look-up in a catalog.
    collation == pg_sys::Oid::INVALID || unsafe { pg_sys::get_collation_isdeterministic(collation) }
}
