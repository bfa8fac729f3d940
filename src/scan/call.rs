//! A scoring call in an expression: recognised and taken apart. Nothing is changed.

use std::cell::Cell;

use e2i_calibrate::Purpose;
use e2i_core::reading::Question;
use e2i_core::{Answer, Error, Kind, ModelReference, Result, Selector};
use e2i_metrics::Function;
use pgrx::pg_sys;

use crate::catalog::model;
use crate::catalog::schema::Schema;
use crate::datum::features::Spelling;
use crate::datum::result::Float8Rows;
use crate::pg::tree::{cast, members};
use crate::pg::varlena;
use crate::scoring::Scorer;
use crate::scoring::arm::Asked;
use crate::scoring::engines::Preference;

/// A function of the library that scores one row; its arguments are a model and features.
pub struct ScoringFunction {
    /// Its name in the library.
    pub symbol: &'static str,
    /// Where it is.
    pub address: unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum,
    /// What it asks of a row.
    pub question: Question,
    /// How its features are spelled.
    pub spelling: Spelling,
    /// Whether it takes `name:version` only, and no setting changes its answer.
    pub is_pinned: bool,
    /// Whether it is called by plans: it has two arguments more, for which versions it was planned and whether its row is read as JSON.
    pub is_planned: bool,
    /// What of how sure the version is it asks besides, at a level that is its last argument; and what makes of an answer what it returns.
    pub calibrated: Option<(Purpose, Finish)>,
    /// It says why a row has its score, and asks nothing else: how many options its last arguments are, and what it returns.
    pub explains: Option<(usize, Explain)>,
}

/// Says why a row of the scorer has its score, as what the function returns, with the values of its options, `None` where NULL; for no row in particular why all have, or
/// `None` where that is better left until each is asked for. The memory is that of the caller.
pub type Explain =
    fn(&mut Scorer, Schema, Option<usize>, &[Option<pg_sys::Datum>]) -> Result<Option<Vec<pg_sys::Datum>>>;

/// Makes what a function returns of the answer to a row: `None` is NULL. It is given the scorer, the row's number there and that of the
/// call, the answer, the level, and, for a function that returns one, how a row is made.
pub type Finish = fn(&Scorer, (usize, usize), &Answer, f64, Option<&Float8Rows>) -> Result<Option<pg_sys::Datum>>;

impl ScoringFunction {
    /// How features are spelled in a call whose row stands for its JSON, or does not.
    pub fn spelling(&self, is_as_json: bool) -> Spelling {
        if is_as_json { Spelling::RowAsJson } else { self.spelling }
    }

    /// Whether its last argument is a level.
    pub fn takes_level(&self) -> bool {
        matches!(self.purpose(), Some(Purpose::Interval | Purpose::Set))
    }

    /// What of how sure the version is it asks besides.
    pub fn purpose(&self) -> Option<Purpose> {
        self.calibrated.map(|(purpose, _)| purpose)
    }

    /// How the rows that it returns are made, if it does.
    ///
    /// # Safety
    /// `function` must be this function.
    pub unsafe fn rows(&self, function: pg_sys::Oid) -> Option<Float8Rows> {
        // SAFETY: a catalog look-up; intervals are rows of that type.
        (self.purpose() == Some(Purpose::Interval))
            .then(|| unsafe { Float8Rows::new(pg_sys::get_func_rettype(function), INTERVAL_COLUMNS) })
    }

    /// How many of its last arguments are options of what it explains.
    fn options(&self) -> usize {
        self.explains.map_or(0, |(options, _)| options)
    }

    /// How many arguments it has.
    pub fn arguments(&self) -> usize {
        2 + 2 * usize::from(self.is_planned) + usize::from(self.takes_level()) + self.options()
    }

    /// Which engine answers to a reference. A pinned function refuses what is looser than it takes, and no setting changes its engine.
    ///
    /// # Errors
    /// Such a reference, or none.
    pub fn preference(&self, schema: Schema, reference: &str) -> Result<Preference> {
        if !self.is_pinned {
            return Ok(Preference::current());
        }
        let parsed = ModelReference::parse(reference)?;
        let is_version = matches!(parsed.selector, Selector::Version(_));
        // Of a version that is not called so, `v3` for `3`, another may come that is; what means none at all is an unknown version.
        if !is_version || (!model::is_exact(schema, &parsed) && model::identify(schema, &parsed).is_ok()) {
            return Err(Error::new(
                Kind::BadOption,
                format!("e2i_predict_pinned takes name:version, got {reference:?}"),
            )
            .with_hint("What another reference means can change, and the result of this function must not."));
        }
        Ok(Preference::registered())
    }

    /// What it asks of a row, and as which function's calls that is counted.
    pub fn asked(&self) -> Asked {
        if self.explains.is_some() {
            return Asked::NOTHING;
        }
        let function = match (self.purpose(), self.question) {
            _ if self.is_pinned => Function::Pinned,
            (Some(Purpose::Interval), _) => Function::Interval,
            (Some(Purpose::Set), _) => Function::Set,
            (Some(Purpose::Probability), _) => Function::Calibrated,
            (None, Question::Prediction) => Function::Predict,
            (None, Question::Label) => Function::Label,
            (None, Question::Probabilities) => Function::Probabilities,
            (None, Question::Vector) => Function::Vector,
        };
        Asked { question: Some(self.question), function: Some(function), calibrated: self.purpose() }
    }
}

/// Columns of an interval: prediction, lower, upper, level, coverage.
const INTERVAL_COLUMNS: usize = 5;

/// The entry of pg_language for C, the same in every database.
const C_LANGUAGE: u32 = 13;

thread_local! {
    static FUNCTIONS: Cell<&'static [&'static [ScoringFunction]]> = const { Cell::new(&[]) };
}

/// Says which functions score.
pub fn know(functions: &'static [&'static [ScoringFunction]]) {
    FUNCTIONS.set(functions);
}

/// A call of a scoring function, a node of an expression.
#[derive(Clone, Copy)]
pub struct Call {
    expression: *mut pg_sys::FuncExpr,
    /// What is called.
    pub function: &'static ScoringFunction,
}

impl Call {
    /// The call that a node is, if it is one. What is called must be the library's own code: a function of its name in another
    /// library is none, nor is one that runs as another role or with settings of its own.
    ///
    /// # Safety
    /// `node` must be null or a node of an expression, and outlive the call.
    pub unsafe fn of(node: *mut pg_sys::Node) -> Option<Self> {
        // SAFETY: as the caller promises; a node says what it is.
        unsafe {
            let expression = cast::<pg_sys::FuncExpr, _>(node, pg_sys::NodeTag::T_FuncExpr)?;
            let function = function((*expression).funcid)?;
            let arguments = function.arguments();
            (members::<pg_sys::Node>((*expression).args).len() == arguments).then_some(Self { expression, function })
        }
    }

    /// The node.
    pub fn expression(&self) -> *mut pg_sys::FuncExpr {
        self.expression
    }

    /// The argument that names the model.
    pub fn model(&self) -> *mut pg_sys::Node {
        self.argument(0)
    }

    /// The features.
    pub fn features(&self) -> *mut pg_sys::Node {
        self.argument(1)
    }

    /// Whether the row stands for its JSON.
    pub fn is_as_json(&self) -> bool {
        // SAFETY: a node of the expression.
        self.function.is_planned
            && unsafe {
                cast::<pg_sys::Const, _>(self.argument(3), pg_sys::NodeTag::T_Const)
                    .is_some_and(|constant| !(*constant).constisnull && (*constant).constvalue.value() != 0)
            }
    }

    /// The versions that it was planned for; null for none.
    pub fn versions(&self) -> *mut pg_sys::Node {
        if self.function.is_planned { self.argument(2) } else { std::ptr::null_mut() }
    }

    /// The level, where it takes one.
    pub fn level(&self) -> Option<*mut pg_sys::Node> {
        self.function.takes_level().then(|| self.argument(self.function.arguments() - 1))
    }

    /// The level, or the options of what is explained.
    pub fn options(&self) -> impl Iterator<Item = *mut pg_sys::Node> {
        let options = self.function.options() + usize::from(self.function.takes_level());
        (self.function.arguments() - options..self.function.arguments()).map(|index| self.argument(index))
    }

    /// An argument.
    fn argument(&self, index: usize) -> *mut pg_sys::Node {
        // SAFETY: the expression outlives this, and has two arguments or more.
        unsafe { (*(*(*self.expression).args).elements.add(index)).ptr_value.cast() }
    }

    /// The model, where it is a constant other than NULL.
    pub fn reference(&self) -> Option<String> {
        // SAFETY: a node of the expression; the value of a constant is of its type.
        unsafe {
            let constant = cast::<pg_sys::Const, _>(self.model(), pg_sys::NodeTag::T_Const)?;
            let is_text = !(*constant).constisnull && (*constant).consttype == pg_sys::TEXTOID;
            is_text.then(|| varlena::text((*constant).constvalue).to_owned())
        }
    }

    /// The schema of the extension.
    ///
    /// # Errors
    /// An extension of another version than the library.
    pub fn schema(&self) -> Result<Schema> {
        // SAFETY: the expression outlives this.
        Schema::of_function(unsafe { (*self.expression).funcid })
    }
}

/// The scoring function behind an entry of pg_proc.
pub fn function(oid: pg_sys::Oid) -> Option<&'static ScoringFunction> {
    // SAFETY: the tuple is released after it was read; rows of pg_proc have this form. What is looked up below is the library's own
    // function or one that is called by the same name in a library that is there.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::PROCOID as i32, pg_sys::Datum::from(oid));
        if tuple.is_null() {
            return None;
        }
        let entry = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>();
        let named = if (*entry).prolang.to_u32() == C_LANGUAGE { named(tuple) } else { None };
        // One for all spellings is known by the row's.
        let is_of_rows = (*entry).pronargs > 1 && (*entry).proargtypes.values.as_slice(2)[1] == pg_sys::RECORDOID;
        let named = named.filter(|named| named.explains.is_none() || is_of_rows);
        pg_sys::ReleaseSysCache(tuple);
        let named = named?;
        let mut called = pg_sys::FmgrInfo::default();
        pg_sys::fmgr_info(oid, &raw mut called);
        called.fn_addr.is_some_and(|address| std::ptr::fn_addr_eq(address, named.address)).then_some(named)
    }
}

/// The scoring function of the name that an entry of pg_proc gives.
///
/// # Safety
/// `tuple` must be a row of pg_proc.
unsafe fn named(tuple: pg_sys::HeapTuple) -> Option<&'static ScoringFunction> {
    let mut is_null = false;
    // SAFETY: as the caller promises; the text is read while the tuple is held.
    unsafe {
        let (cache, column) = (pg_sys::SysCacheIdentifier::PROCOID as i32, pg_sys::Anum_pg_proc_prosrc as i16);
        let source = pg_sys::SysCacheGetAttr(cache, tuple, column, &raw mut is_null);
        let symbol = if is_null { "" } else { varlena::text(source) };
        FUNCTIONS.get().iter().copied().flatten().find(|function| function.symbol == symbol)
    }
}
