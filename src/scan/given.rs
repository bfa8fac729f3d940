//! What the features argument of a call gives: its columns, each with an expression, where the expression shows them.
//!
//! A row of a table or of what stands in FROM; `ROW(…)`; JSON that is made of such a row, or of keys and values.

use std::ffi::CStr;

use pgrx::{PgTupleDesc, pg_sys};

use crate::datum::features::Spelling;
use crate::datum::row::Reading;
use crate::pg::major;
use crate::pg::tree::{Node, cast, members, tag};
use crate::pg::varlena;

/// `row_to_json(record)`; the server's list of names has it twice, for another function of that name.
const ROW_TO_JSON: u32 = 3155;

/// The columns that an argument gives.
pub struct Given {
    /// How their values are read.
    pub reading: Reading,
    /// By name; two may have the same.
    pub columns: Vec<Column>,
    /// Whether the expression is a row of some relation, which has them all whether they are needed or not.
    pub is_whole_row: bool,
}

/// A column.
pub struct Column {
    /// Its name, or its key.
    pub name: String,
    /// What it is.
    pub expression: Node,
}

impl Given {
    /// What an argument of this spelling gives; `None` if that cannot be seen, or if it may be NULL.
    ///
    /// # Safety
    /// `root` must be a planner's, and `features` an expression of its query that was simplified.
    pub unsafe fn of(root: *mut pg_sys::PlannerInfo, spelling: Spelling, features: Node) -> Option<Self> {
        // SAFETY: as the caller promises.
        unsafe {
            match spelling {
                Spelling::Row => row(root, features),
                Spelling::Jsonb | Spelling::Text => json(root, features),
                Spelling::Array | Spelling::RowAsJson => None,
            }
        }
    }
}

/// A row.
unsafe fn row(root: *mut pg_sys::PlannerInfo, node: Node) -> Option<Given> {
    // SAFETY: as the callers promise.
    unsafe {
        let (columns, is_whole_row) = match tag(node) {
            pg_sys::NodeTag::T_Var => (whole_row(root, node.cast())?, true),
            pg_sys::NodeTag::T_RowExpr => (fields(node.cast())?, false),
            _ => return None,
        };
        Some(Given { reading: Reading::AsRow, columns, is_whole_row })
    }
}

/// JSON that is made of a row, or of keys and values.
unsafe fn json(root: *mut pg_sys::PlannerInfo, node: Node) -> Option<Given> {
    // SAFETY: as the callers promise.
    unsafe {
        // From json to jsonb, or back.
        if let Some(cast) = cast::<pg_sys::CoerceViaIO, _>(node, pg_sys::NodeTag::T_CoerceViaIO) {
            let is_json = |of| matches!(of, pg_sys::JSONOID | pg_sys::JSONBOID);
            let inner = (*cast).arg.cast::<pg_sys::Node>();
            let stays = is_json((*cast).resulttype) && is_json(pg_sys::exprType(inner));
            return if stays { json(root, inner) } else { None };
        }
        let call = cast::<pg_sys::FuncExpr, _>(node, pg_sys::NodeTag::T_FuncExpr)?;
        if (*call).funcvariadic || !is_for_all((*call).funcid) {
            return None;
        }
        let arguments: Vec<Node> = members((*call).args).collect();
        let given = match ((*call).funcid.to_u32(), arguments.as_slice()) {
            (pg_sys::F_TO_JSONB | pg_sys::F_TO_JSON | ROW_TO_JSON, [of]) => row(root, *of)?,
            (pg_sys::F_ROW_TO_JSON_RECORD_BOOL, [of, pretty]) if is_constant(*pretty) => row(root, *of)?,
            (pg_sys::F_JSONB_BUILD_OBJECT_ANY | pg_sys::F_JSON_BUILD_OBJECT_ANY, arguments) => {
                Given { reading: Reading::AsJson, columns: pairs(arguments)?, is_whole_row: false }
            }
            _ => return None,
        };
        Some(Given { reading: Reading::AsJson, ..given })
    }
}

/// The columns of a row of what stands in FROM, unless it may be missing there, which is NULL.
unsafe fn whole_row(root: *mut pg_sys::PlannerInfo, var: *mut pg_sys::Var) -> Option<Vec<Column>> {
    // SAFETY: as the callers promise; a variable's query is the planner's own or one around it, and has what it names.
    unsafe {
        if (*var).varattno != 0 || !major::is_of_current_row(&*var) {
            return None;
        }
        let mut root = root;
        for _ in 0..(*var).varlevelsup {
            root = (*root).parent_root;
            if root.is_null() {
                return None;
            }
        }
        let query = (*root).parse;
        // With several sets of groups a row that is grouped by is NULL in some, and its columns are not.
        if may_be_missing(&*var, query) || !(*query).groupingSets.is_null() {
            return None;
        }
        let entry: *mut pg_sys::RangeTblEntry =
            members((*query).rtable).nth(usize::try_from((*var).varno).ok()?.checked_sub(1)?)?;
        use pg_sys::RTEKind::{RTE_CTE, RTE_RELATION, RTE_SUBQUERY, RTE_VALUES};
        if !matches!((*entry).rtekind, RTE_RELATION | RTE_SUBQUERY | RTE_VALUES | RTE_CTE) {
            return None;
        }
        let (names, variables) = major::columns_of_entry(entry, &*var);
        let names = members::<pg_sys::String>(names).map(|name| text((*name).sval));
        let columns = names.zip(members(variables)).map(|(name, expression)| Column { name, expression });
        Some(columns.collect())
    }
}

/// Whether an outer join may make a row NULL, wherever it is used.
///
/// # Safety
/// The query must be the variable's.
unsafe fn may_be_missing(var: &pg_sys::Var, query: *const pg_sys::Query) -> bool {
    // SAFETY: as the caller promises.
    major::may_be_missing(var)
        .unwrap_or_else(|| unsafe { is_outer((*query).jointree.cast(), var.varno, false) != Some(false) })
}

/// Whether an entry of FROM is on a side of an outer join that may be missing; `None` if it is not below this node.
///
/// # Safety
/// `node` must be null or of a query's tree of joins.
unsafe fn is_outer(node: Node, entry: i32, is_missing: bool) -> Option<bool> {
    use pg_sys::JoinType::{JOIN_FULL, JOIN_LEFT, JOIN_RIGHT};
    // SAFETY: as the caller promises; a node says what it is.
    unsafe {
        if let Some(reference) = cast::<pg_sys::RangeTblRef, _>(node, pg_sys::NodeTag::T_RangeTblRef) {
            return ((*reference).rtindex == entry).then_some(is_missing);
        }
        if let Some(from) = cast::<pg_sys::FromExpr, _>(node, pg_sys::NodeTag::T_FromExpr) {
            return members((*from).fromlist).find_map(|item| is_outer(item, entry, is_missing));
        }
        let join = cast::<pg_sys::JoinExpr, _>(node, pg_sys::NodeTag::T_JoinExpr)?;
        let kind = (*join).jointype;
        is_outer((*join).larg, entry, is_missing || matches!(kind, JOIN_RIGHT | JOIN_FULL))
            .or_else(|| is_outer((*join).rarg, entry, is_missing || matches!(kind, JOIN_LEFT | JOIN_FULL)))
    }
}

/// The columns of `ROW(…)`, or of a row of a sub-select that was put in place of its name.
unsafe fn fields(row: *mut pg_sys::RowExpr) -> Option<Vec<Column>> {
    // SAFETY: as the callers promise; a row of a named type has its columns, or the first of them.
    unsafe {
        let expressions = members((*row).args);
        if (*row).row_typeid == pg_sys::RECORDOID {
            let names = members::<pg_sys::String>((*row).colnames).map(|name| text((*name).sval));
            let columns = names.zip(expressions).map(|(name, expression)| Column { name, expression });
            return Some(columns.collect());
        }
        let descriptor = pg_sys::lookup_rowtype_tupdesc_noerror((*row).row_typeid, -1, true);
        if descriptor.is_null() {
            return None;
        }
        // Counts the reference down when it goes.
        let descriptor = PgTupleDesc::from_pg(descriptor);
        let is_as_long = expressions.len() == descriptor.len();
        let attributes = descriptor.iter().zip(expressions).filter(|(attribute, _)| !attribute.attisdropped);
        let columns =
            attributes.map(|(attribute, expression)| Column { name: attribute.name().to_owned(), expression });
        is_as_long.then(|| columns.collect())
    }
}

/// Keys and values, of which the keys are constants.
unsafe fn pairs(arguments: &[Node]) -> Option<Vec<Column>> {
    let (pairs, rest) = arguments.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    // SAFETY: as the callers promise.
    let pairs = pairs.iter().map(|[key, value]| unsafe {
        let name = constant_text(*key)?;
        // A literal of no type is a text.
        let expression = match pg_sys::exprType(*value) {
            pg_sys::UNKNOWNOID => as_text(*value)?,
            _ => *value,
        };
        Some(Column { name, expression })
    });
    pairs.collect()
}

/// A constant that is a text, or a literal of no type.
unsafe fn constant_text(node: Node) -> Option<String> {
    // SAFETY: as the callers promise; the value is of the constant's type.
    unsafe {
        let constant = cast::<pg_sys::Const, _>(node, pg_sys::NodeTag::T_Const)?;
        if (*constant).constisnull {
            return None;
        }
        match (*constant).consttype {
            pg_sys::TEXTOID => Some(varlena::text((*constant).constvalue).to_owned()),
            pg_sys::UNKNOWNOID => Some(text((*constant).constvalue.cast_mut_ptr())),
            _ => None,
        }
    }
}

/// A literal of no type as a text.
unsafe fn as_text(node: Node) -> Option<Node> {
    // SAFETY: as the callers promise; the value is copied.
    unsafe {
        let constant = cast::<pg_sys::Const, _>(node, pg_sys::NodeTag::T_Const)?;
        let is_null = (*constant).constisnull;
        let value = match is_null {
            true => pg_sys::Datum::from(0),
            false => pg_sys::Datum::from(pg_sys::cstring_to_text((*constant).constvalue.cast_mut_ptr())),
        };
        let collation = pg_sys::DEFAULT_COLLATION_OID;
        Some(pg_sys::makeConst(pg_sys::TEXTOID, -1, collation, -1, value, is_null, false).cast())
    }
}

unsafe fn is_constant(node: Node) -> bool {
    // SAFETY: as the callers promise. NULL would make all of it NULL.
    unsafe { cast::<pg_sys::Const, _>(node, pg_sys::NodeTag::T_Const).is_some_and(|constant| !(*constant).constisnull) }
}

/// Whether nobody has been denied a function: who may not call it must be told so.
fn is_for_all(function: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up; the tuple is released after it was read.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::PROCOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(function));
        if tuple.is_null() {
            return false;
        }
        let mut is_default = false;
        pg_sys::SysCacheGetAttr(cache, tuple, pg_sys::Anum_pg_proc_proacl as i16, &raw mut is_default);
        pg_sys::ReleaseSysCache(tuple);
        is_default
    }
}

unsafe fn text(text: *const std::ffi::c_char) -> String {
    // SAFETY: a C string of the tree.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
