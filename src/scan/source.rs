//! Where the features of rows come from, over the rows of the plan below.

use e2i_core::{Binder, Known};
use pgrx::pg_sys::{self, NodeTag};

use crate::datum::columns::Columns;
use crate::datum::features::{Features, Spelling};
use crate::datum::row::Reading;
use crate::pg::tree;
use crate::scan::bounds::{self, Bounds};
use crate::scan::tried::{self, Tried};

/// Where a row below is, and in which memory expressions over it are evaluated.
#[derive(Clone, Copy)]
pub struct Below {
    /// The row.
    pub slot: *mut pg_sys::TupleTableSlot,
    /// For the expressions.
    pub context: *mut pg_sys::ExprContext,
}

/// Where features come from.
pub enum Source {
    /// So many columns of the row below, as they stand there among others.
    Slot { columns: Columns, reading: Reading, count: usize, width: usize },
    /// Columns of the row below, constants and what is computed of them.
    Columns { columns: Columns, reading: Reading, fields: Vec<Field>, values: Vec<pg_sys::Datum>, nulls: Vec<bool> },
    /// One value.
    Value { state: *mut pg_sys::ExprState, spelling: Spelling },
}

/// A field of a row of columns and what is computed.
pub enum Field {
    /// A column of the row below.
    Column(usize),
    /// A constant, which is there already.
    Constant,
    Computed(*mut pg_sys::ExprState),
}

impl Source {
    /// Where features come from, and the largest column of the row below that is needed.
    ///
    /// # Safety
    /// `features` must be an expression of the plan of `parent`.
    pub unsafe fn new(
        features: *mut pg_sys::Node,
        spelling: Spelling,
        parent: *mut pg_sys::PlanState,
    ) -> (Self, usize) {
        // SAFETY: an expression of the plan; each node is read as what its tag says.
        unsafe {
            let mut needed = 0;
            tree::has(features, &mut |node| {
                if let Some(column) = tree::cast::<pg_sys::Var, _>(node, NodeTag::T_Var) {
                    needed = needed.max(usize::try_from((*column).varattno).unwrap_or_default());
                }
                None
            });
            let row = tree::cast::<pg_sys::RowExpr, _>(features, NodeTag::T_RowExpr)
                .filter(|row| (**row).row_typeid == pg_sys::RECORDOID);
            let reading = match spelling {
                Spelling::Row => Some(Reading::AsRow),
                Spelling::RowAsJson => Some(Reading::AsJson),
                _ => None,
            };
            let Some((row, reading)) = row.zip(reading) else {
                return (Self::Value { state: pg_sys::ExecInitExpr(features.cast(), parent), spelling }, needed);
            };
            let arguments: Vec<*mut pg_sys::Node> = tree::members((*row).args).collect();
            let names: Vec<String> = tree::members::<pg_sys::Node>((*row).colnames).map(|name| text(name)).collect();
            let columns = Columns::new(arguments.iter().enumerate().map(|(index, argument)| {
                Some((names.get(index).map_or("", String::as_str), pg_sys::exprType(*argument)))
            }));
            if let Some(columns) = Self::as_they_stand(&arguments, &names, needed) {
                return (Self::Slot { columns, reading, count: arguments.len(), width: needed }, needed);
            }
            let mut values = vec![pg_sys::Datum::from(0); arguments.len()];
            let mut nulls = vec![false; arguments.len()];
            let fields = arguments.iter().enumerate().map(|(index, argument)| {
                if let Some(column) = tree::cast::<pg_sys::Var, _>(*argument, NodeTag::T_Var) {
                    return Field::Column(usize::try_from((*column).varattno).unwrap_or_default());
                }
                if let Some(constant) = tree::cast::<pg_sys::Const, _>(*argument, NodeTag::T_Const) {
                    values[index] = (*constant).constvalue;
                    nulls[index] = (*constant).constisnull;
                    return Field::Constant;
                }
                Field::Computed(pg_sys::ExecInitExpr(argument.cast(), parent))
            });
            let fields = fields.collect();
            (Self::Columns { columns, reading, fields, values, nulls }, needed)
        }
    }

    /// The columns of the row below, if these are some of them in the same order.
    unsafe fn as_they_stand(arguments: &[*mut pg_sys::Node], names: &[String], width: usize) -> Option<Columns> {
        let (mut columns, mut last) = (vec![None; width], 0);
        for (index, argument) in arguments.iter().enumerate() {
            // SAFETY: expressions of the plan.
            let (column, type_oid) = unsafe {
                let column = tree::cast::<pg_sys::Var, _>(*argument, NodeTag::T_Var)?;
                (usize::try_from((*column).varattno).ok()?, (*column).vartype)
            };
            if column <= last {
                return None;
            }
            last = column;
            *columns.get_mut(column - 1)? = Some((names.get(index)?.as_str(), type_oid));
        }
        Some(Columns::new(columns.into_iter()))
    }

    /// What the plan below says of the features of its rows.
    pub fn known(&self, binder: &Binder, bounds: &Bounds) -> Option<Known> {
        match self {
            Self::Slot { columns, .. } => Some(columns.known(binder, |source| bounds.said(source + 1))),
            Self::Columns { columns, fields, values, nulls, .. } => {
                Some(columns.known(binder, |source| match fields[source] {
                    Field::Column(column) => bounds.said(column),
                    // SAFETY: a constant of that type.
                    Field::Constant => unsafe {
                        bounds::of_constant(columns.type_of(source), values[source], nulls[source])
                    },
                    Field::Computed(_) => vec![],
                }))
            }
            Self::Value { .. } => None,
        }
    }

    /// The features of the row below; `None` where they are NULL. Or what they raise.
    ///
    /// # Safety
    /// A valid row below, with all columns that are needed.
    pub unsafe fn features(&mut self, below: Below) -> Tried<Option<Features<'_>>> {
        // SAFETY: as the callers promise.
        unsafe {
            match self {
                Self::Slot { columns, reading, width, .. } => {
                    let values = std::slice::from_raw_parts((*below.slot).tts_values, *width);
                    let nulls = std::slice::from_raw_parts((*below.slot).tts_isnull, *width);
                    Ok(Some(Features::of_columns(columns, *reading, values, nulls)))
                }
                Self::Columns { columns, reading, fields, values, nulls } => {
                    for (index, field) in fields.iter().enumerate() {
                        match field {
                            Field::Column(column) => {
                                values[index] = *(*below.slot).tts_values.add(column - 1);
                                nulls[index] = *(*below.slot).tts_isnull.add(column - 1);
                            }
                            Field::Constant => {}
                            Field::Computed(state) => {
                                let value = tried::evaluate(*state, below.context)?;
                                (values[index], nulls[index]) =
                                    (value.unwrap_or(pg_sys::Datum::null()), value.is_none());
                            }
                        }
                    }
                    Ok(Some(Features::of_columns(columns, *reading, values, nulls)))
                }
                Self::Value { state, spelling } => {
                    let value = tried::evaluate(*state, below.context)?;
                    Ok(value.map(|value| Features::of_datum(*spelling, value)))
                }
            }
        }
    }

    /// How it is shown.
    pub fn described(&self) -> String {
        match self {
            Self::Slot { count, .. } => format!("{count} columns"),
            Self::Columns { fields, .. } => format!("{} columns", fields.len()),
            Self::Value { spelling, .. } => match spelling {
                Spelling::Row | Spelling::RowAsJson => "a row".to_owned(),
                Spelling::Array => "an array".to_owned(),
                Spelling::Jsonb | Spelling::Text => "a document".to_owned(),
            },
        }
    }

    /// Whether the row below has features. Those that raise an error are not NULL.
    ///
    /// # Safety
    /// As [`Source::features`].
    pub unsafe fn is_given(&mut self, below: Below) -> bool {
        match self {
            Self::Slot { .. } | Self::Columns { .. } => true,
            // SAFETY: as the callers promise.
            Self::Value { .. } => !matches!(unsafe { self.features(below) }, Ok(None)),
        }
    }

    /// Whether they are worked out, and may raise an error.
    pub fn is_computed(&self) -> bool {
        match self {
            Self::Slot { .. } => false,
            Self::Columns { fields, .. } => fields.iter().any(|field| matches!(field, Field::Computed(_))),
            Self::Value { .. } => true,
        }
    }
}

/// The text of a node that is a string.
unsafe fn text(node: *mut pg_sys::Node) -> String {
    // SAFETY: names of columns are such nodes, with a C string.
    unsafe { std::ffi::CStr::from_ptr((*node.cast::<pg_sys::String>()).sval).to_string_lossy().into_owned() }
}
