//! Expressions: what may be evaluated for rows that nobody may ever ask for.
//!
//! Rows are read ahead of those that are asked for, so whatever is evaluated then must leave no trace where the scalar call would not
//! have come so far: it has no side effect and raises no error, or, where it can be *tried*, one that is kept for its row.

use pgrx::pg_sys::{self, NodeTag};

use crate::pg::tree::{self, Node};
use crate::pg::varlena;

/// The first oid that is not the server's own.
const FIRST_OTHER: u32 = 16_384;

/// Functions of the server's that raise no error but are not marked as leakproof, or only by later versions.
const HARMLESS: [u32; 26] = [
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
    pg_sys::F_CARDINALITY,
    pg_sys::F_ARRAY_LENGTH,
];

/// Types of scalars whose functions look nothing up: not in catalogs, nor in what processes share. (Enums do, and ranges.)
const SCALARS: [pg_sys::Oid; 18] = [
    pg_sys::BOOLOID,
    pg_sys::INT2OID,
    pg_sys::INT4OID,
    pg_sys::INT8OID,
    pg_sys::FLOAT4OID,
    pg_sys::FLOAT8OID,
    pg_sys::NUMERICOID,
    pg_sys::TEXTOID,
    pg_sys::VARCHAROID,
    pg_sys::BPCHAROID,
    pg_sys::UUIDOID,
    pg_sys::JSONOID,
    pg_sys::JSONBOID,
    pg_sys::DATEOID,
    pg_sys::TIMEOID,
    pg_sys::TIMESTAMPOID,
    pg_sys::TIMESTAMPTZOID,
    pg_sys::INTERVALOID,
];

/// Those of them that are times: their functions are STABLE where they read the time zone, and do nothing else then.
const TIMES: [pg_sys::Oid; 5] =
    [pg_sys::DATEOID, pg_sys::TIMEOID, pg_sys::TIMESTAMPOID, pg_sys::TIMESTAMPTZOID, pg_sys::INTERVALOID];

/// Functions of any type, which over scalars are as those of scalars.
const OF_ANY: [u32; 3] = [pg_sys::F_TO_JSONB, pg_sys::F_JSONB_BUILD_OBJECT_ANY, pg_sys::F_JSONB_BUILD_ARRAY_ANY];

/// The entry of pg_language for the server's own functions in C, the same in every database.
const INTERNAL_LANGUAGE: u32 = 12;

/// Whether expressions, one or a list, can be evaluated for rows that are never asked for; `harmful` are parameters whose value
/// must not be asked for, and what `is_there` is known without being evaluated.
///
/// # Safety
/// `node` must be null, an expression of a plan or a list of them.
pub unsafe fn is_harmless<T>(node: *mut T, harmful: &[i32], is_there: &dyn Fn(Node) -> bool) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        !tree::has(node.cast(), &mut |node| if is_there(node) { Some(false) } else { harms(node, harmful, false) })
    }
}

/// Whether an expression can be evaluated for rows that are never asked for if what it raises is kept, as by [`crate::scan::tried`].
///
/// # Safety
/// As [`is_harmless`].
pub unsafe fn may_be_tried(node: Node, harmful: &[i32], is_there: &dyn Fn(Node) -> bool) -> bool {
    // SAFETY: as the caller promises.
    unsafe { !tree::has(node, &mut |node| if is_there(node) { Some(false) } else { harms(node, harmful, true) }) }
}

/// Whether a node does harm; `None` for one that does not, if those below it do not.
///
/// # Safety
/// `node` must be a node of an expression.
unsafe fn harms(node: Node, harmful: &[i32], is_tried: bool) -> Option<bool> {
    // SAFETY: as the caller promises; each node is read as what its tag says.
    let function = unsafe {
        match tree::tag(node) {
            NodeTag::T_Param => {
                let parameter = &*node.cast::<pg_sys::Param>();
                let is_inner = parameter.paramkind == pg_sys::ParamKind::PARAM_EXEC;
                return Some(is_inner && harmful.contains(&parameter.paramid));
            }
            NodeTag::T_ArrayExpr => {
                return ((*node.cast::<pg_sys::ArrayExpr>()).multidims && !is_tried).then_some(true);
            }
            // The function of its elements is below it.
            NodeTag::T_ArrayCoerceExpr if is_tried => return None,
            NodeTag::T_MinMaxExpr if is_tried => {
                return (!is_scalar((*node.cast::<pg_sys::MinMaxExpr>()).minmaxtype)).then_some(true);
            }
            NodeTag::T_CoerceViaIO if is_tried => {
                let cast = &*node.cast::<pg_sys::CoerceViaIO>();
                let is_plain = is_scalar(cast.resulttype) && is_scalar(pg_sys::exprType(cast.arg.cast()));
                return (!is_plain).then_some(true);
            }
            NodeTag::T_SubscriptingRef if is_tried => {
                let reference = &*node.cast::<pg_sys::SubscriptingRef>();
                let is_array = pg_sys::get_element_type(reference.refcontainertype) != pg_sys::Oid::INVALID;
                return (!is_array || !reference.refassgnexpr.is_null()).then_some(true);
            }
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
        if is_tried && is_of_scalars(node, function) {
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

/// Whether a function is the server's own, of scalars, and depends on nothing but them, and perhaps the time zone.
///
/// # Safety
/// `node` must be a node of an expression that calls this function.
unsafe fn is_of_scalars(node: Node, function: pg_sys::Oid) -> bool {
    if function.to_u32() >= FIRST_OTHER {
        return false;
    }
    // SAFETY: rows of pg_proc have this form, and the tuple is released after it was read; as the caller promises.
    unsafe {
        if OF_ANY.contains(&function.to_u32()) {
            let call = tree::cast::<pg_sys::FuncExpr, _>(node, NodeTag::T_FuncExpr);
            return call.is_some_and(|call| {
                !(*call).funcvariadic
                    && tree::members::<pg_sys::Node>((*call).args).all(|argument| is_scalar(pg_sys::exprType(argument)))
            });
        }
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::PROCOID as i32, pg_sys::Datum::from(function));
        if tuple.is_null() {
            return false;
        }
        let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>();
        let count = usize::try_from(form.pronargs).unwrap_or_default();
        let arguments = form.proargtypes.values.as_slice(count);
        let is_lasting = match form.provolatile.cast_unsigned() {
            pg_sys::PROVOLATILE_IMMUTABLE => true,
            pg_sys::PROVOLATILE_STABLE => arguments.iter().any(|argument| TIMES.contains(argument)),
            _ => false,
        };
        let is_plain = is_lasting
            && form.prolang.to_u32() == INTERNAL_LANGUAGE
            && !form.proretset
            && is_scalar(form.prorettype)
            && arguments.iter().all(|argument| is_scalar(*argument));
        pg_sys::ReleaseSysCache(tuple);
        is_plain
    }
}

fn is_scalar(oid: pg_sys::Oid) -> bool {
    SCALARS.contains(&oid)
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
