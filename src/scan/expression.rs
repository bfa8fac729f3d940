//! Expressions: what may be evaluated for rows that nobody may ever ask for.
//!
//! Rows are read ahead of those that are asked for, so whatever is evaluated then must leave no trace where the scalar call would not
//! have come so far: it has no side effect and raises no error.

use pgrx::pg_sys::{self, NodeTag};

use crate::pg::tree::{self, Node};
use crate::pg::varlena;

/// The first oid that is not the server's own.
const FIRST_OTHER: u32 = 16_384;

/// Functions of the server's that raise no error but are not marked as leakproof, or only by later versions.
const HARMLESS: [u32; 24] = [
    pg_sys::F_NUMERIC_EQ,
    pg_sys::F_NUMERIC_NE,
    pg_sys::F_NUMERIC_GT,
    pg_sys::F_NUMERIC_GE,
    pg_sys::F_NUMERIC_LT,
    pg_sys::F_NUMERIC_LE,
    pg_sys::F_JSONB_OBJECT_FIELD,
    pg_sys::F_JSONB_OBJECT_FIELD_TEXT,
    pg_sys::F_JSONB_EXISTS,
    pg_sys::F_JSONB_CONTAINS,
    pg_sys::F_FLOAT8_INT2,
    pg_sys::F_FLOAT8_INT4,
    pg_sys::F_FLOAT8_INT8,
    pg_sys::F_FLOAT8_FLOAT4,
    pg_sys::F_FLOAT4_INT2,
    pg_sys::F_FLOAT4_INT4,
    pg_sys::F_FLOAT4_INT8,
    pg_sys::F_INT8_INT4,
    pg_sys::F_NUMERIC_INT2,
    pg_sys::F_NUMERIC_INT4,
    pg_sys::F_NUMERIC_INT8,
    pg_sys::F_LOWER_TEXT,
    pg_sys::F_UPPER_TEXT,
    pg_sys::F_LENGTH_TEXT,
];

/// Whether expressions, one or a list, can be evaluated for rows that are never asked for; `harmful` are parameters whose value
/// must not be asked for, and what `is_there` is known without being evaluated.
///
/// # Safety
/// `node` must be null, an expression of a plan or a list of them.
pub unsafe fn is_harmless<T>(node: *mut T, harmful: &[i32], is_there: &dyn Fn(Node) -> bool) -> bool {
    // SAFETY: as the caller promises.
    unsafe { !tree::has(node.cast(), &mut |node| if is_there(node) { Some(false) } else { harms(node, harmful) }) }
}

/// Whether a node does harm; `None` for one that does not, if those below it do not.
///
/// # Safety
/// `node` must be a node of an expression.
unsafe fn harms(node: Node, harmful: &[i32]) -> Option<bool> {
    // SAFETY: as the caller promises; each node is read as what its tag says.
    let function = unsafe {
        match tree::tag(node) {
            NodeTag::T_Param => {
                let parameter = &*node.cast::<pg_sys::Param>();
                let is_inner = parameter.paramkind == pg_sys::ParamKind::PARAM_EXEC;
                return Some(is_inner && harmful.contains(&parameter.paramid));
            }
            NodeTag::T_ArrayExpr => return (*node.cast::<pg_sys::ArrayExpr>()).multidims.then_some(true),
            NodeTag::T_Var
            | NodeTag::T_Const
            | NodeTag::T_List
            | NodeTag::T_TargetEntry
            | NodeTag::T_RelabelType
            | NodeTag::T_BoolExpr
            | NodeTag::T_NullTest
            | NodeTag::T_BooleanTest
            | NodeTag::T_CaseExpr
            | NodeTag::T_CaseWhen
            | NodeTag::T_CaseTestExpr
            | NodeTag::T_CoalesceExpr
            | NodeTag::T_RowExpr
            | NodeTag::T_FieldSelect
            | NodeTag::T_ConvertRowtypeExpr
            | NodeTag::T_SQLValueFunction => return None,
            NodeTag::T_FuncExpr => (*node.cast::<pg_sys::FuncExpr>()).funcid,
            NodeTag::T_OpExpr | NodeTag::T_DistinctExpr | NodeTag::T_NullIfExpr => {
                of_operator((*node.cast::<pg_sys::OpExpr>()).opfuncid, (*node.cast::<pg_sys::OpExpr>()).opno)
            }
            NodeTag::T_ScalarArrayOpExpr => {
                let expression = &*node.cast::<pg_sys::ScalarArrayOpExpr>();
                of_operator(expression.opfuncid, expression.opno)
            }
            _ => return Some(true),
        }
    };
    // SAFETY: as the caller promises; catalog look-ups.
    unsafe {
        let is_volatile = pg_sys::func_volatile(function) == pg_sys::PROVOLATILE_VOLATILE as std::ffi::c_char;
        if may_fail(node, function) == Some(false) {
            return None;
        }
        if !is_volatile && (HARMLESS.contains(&function.to_u32()) || pg_sys::get_func_leakproof(function)) {
            return None;
        }
        // What depends on no row fails for the first one that is asked for, or for none.
        let is_own = function.to_u32() < FIRST_OTHER;
        let depends = tree::has(node, &mut |node| match tree::tag(node) {
            NodeTag::T_Var | NodeTag::T_Param | NodeTag::T_SubPlan => Some(true),
            NodeTag::T_FuncExpr => ((*node.cast::<pg_sys::FuncExpr>()).funcid.to_u32() >= FIRST_OTHER).then_some(true),
            _ => None,
        });
        Some(!is_own || depends || pg_sys::contain_volatile_functions(node))
    }
}

/// Whether an operator of the server's fails with this constant on its right; `None` for one that is not known.
///
/// # Safety
/// `node` must be a node of an expression that calls this function.
unsafe fn may_fail(node: Node, function: pg_sys::Oid) -> Option<bool> {
    // SAFETY: as the caller promises; a constant that is not NULL is of its type.
    unsafe {
        let operation = tree::cast::<pg_sys::OpExpr, _>(node, NodeTag::T_OpExpr)?;
        let right =
            tree::cast::<pg_sys::Const, pg_sys::Node>(tree::members((*operation).args).nth(1)?, NodeTag::T_Const)?;
        if (*right).constisnull {
            return Some(false);
        }
        match function.to_u32() {
            pg_sys::F_INT2MOD | pg_sys::F_INT4MOD | pg_sys::F_INT8MOD => Some((*right).constvalue.value() == 0),
            pg_sys::F_TEXTLIKE | pg_sys::F_TEXTNLIKE => {
                let ends_escaped = varlena::bytes((*right).constvalue).ends_with(b"\\");
                Some(ends_escaped || !pg_sys::get_collation_isdeterministic((*operation).inputcollid))
            }
            _ => None,
        }
    }
}

/// The function of an operator, which a plan knows already or not.
fn of_operator(function: pg_sys::Oid, operator: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a catalog look-up.
    if function == pg_sys::Oid::INVALID { unsafe { pg_sys::get_opcode(operator) } } else { function }
}
