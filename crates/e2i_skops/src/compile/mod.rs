//! From the nodes of a file to a plan: what each estimator computes, in float64 as scikit-learn does.
//!
//! A [`Table`] is what passes between steps: columns of float64. A column of texts is one of codes; which text has which code
//! is settled while the steps that know texts are compiled ([`inputs`]). One file for each family of estimators; each reads
//! the attributes that `fit` left, by the rule of the version that wrote them.
//!
//! What does not belong here: the file's container, and how a plan is run.

mod answer;
mod bayes;
mod binary;
mod boosting;
mod chains;
mod columns;
mod decompose;
mod dispatch;
mod encoders;
mod forests;
mod hist;
mod importances;
mod imputer;
mod inputs;
mod interface;
mod kernels;
mod libraries;
mod linear;
mod meta;
mod mixtures;
mod network;
mod others;
mod pattern;
mod processes;
mod rows;
mod scalers;
mod texts;
mod trees;

use e2i_core::native::operators::{
    ArgExtreme, Binary, BinaryFunction, Cast, Clip, Concat, Constants, Fill, Finite, Gather, Linear, Operator,
    RowFunction, Unary, UnaryFunction, WholeRow,
};
use e2i_core::native::{Ensemble, PlanBuilder, ValueId, ValueType};
use e2i_core::{Column, ElementType, Error, Kind, Result};

use self::inputs::Input;
pub(crate) use self::interface::compile;
use crate::node::{Matrix, Node};

/// Most columns that a step may have: what an attribute of a few digits claims is not allocated.
const COLUMNS_AT_MOST: usize = 1 << 20;

/// A column of a table.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TableColumn {
    /// The feature whose cells it holds, unchanged but for missing ones replaced.
    pub(crate) feature: Option<usize>,
    /// The feature that makes it missing where it is missing itself.
    pub(crate) missing_with: Option<usize>,
}

/// What passes between steps.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Its cells; of no meaning without columns.
    pub(crate) value: ValueId,
    pub(crate) columns: Vec<TableColumn>,
}

impl Table {
    fn computed(value: ValueId, width: usize) -> Self {
        Self { value, columns: vec![TableColumn::default(); width] }
    }

    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }
}

/// What is being compiled.
pub(crate) struct Compiler {
    plan: PlanBuilder,
    /// What the model takes, in order.
    inputs: Vec<Input>,
    /// The texts that are made of words.
    texts: Option<ValueId>,
    /// The features as numbers, a column each.
    features: ValueId,
    /// The steps that lead to the one that is compiled.
    path: Vec<String>,
    /// The ensembles of its steps.
    trees: Vec<Ensemble>,
}

/// What `fit` left has another size than it should.
fn misshapen(what: &str) -> Error {
    Error::new(Kind::BadModel, format!("{what} do not fit each other"))
}

fn unsupported(what: impl Into<String>) -> Error {
    Error::new(Kind::Unsupported, what)
}

/// Whether the version of scikit-learn that fitted an estimator is this one or newer. One that does not say is new.
fn is_since(node: Node<'_>, major: u32, minor: u32) -> bool {
    is_since_patch(node, [major, minor, 0])
}

/// Likewise, to the last of its three numbers.
fn is_since_patch(node: Node<'_>, least: [u32; 3]) -> bool {
    let version = node.option("_sklearn_version").unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => [major, minor, parts.next().unwrap_or(0)] >= least,
        _ => true,
    }
}

impl Compiler {
    /// Compiles a part of the model under its name, which errors and steps of the plan carry.
    fn within<T>(&mut self, name: &str, node: Node<'_>, compile: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        /// Levels of estimators in each other.
        const DEEPEST: usize = 64;
        if self.path.len() >= DEEPEST {
            return Err(Error::new(Kind::Limit, format!("the model has estimators more than {DEEPEST} levels deep")));
        }
        self.path.push(name.to_owned());
        let result = compile(self).map_err(|error| self.placed(error, node));
        self.path.pop();
        result
    }

    /// Says in which step something is wrong, unless that was said further in.
    fn placed(&self, error: Error, node: Node<'_>) -> Error {
        const STEP: &str = "step ";
        if error.message().starts_with(STEP) || error.message().starts_with("the skops file") {
            return error;
        }
        let placed =
            Error::new(error.kind(), format!("{STEP}{:?} ({}): {}", self.node(), node.class(), error.message()));
        let placed = match error.detail() {
            Some(detail) => placed.with_detail(detail),
            None => placed,
        };
        match error.hint() {
            Some(hint) => placed.with_hint(hint),
            None => placed,
        }
    }

    /// What the plan calls the current step.
    fn node(&self) -> String {
        self.path.join(".")
    }

    pub(crate) fn step(&mut self, operator: impl Into<Operator>, inputs: &[ValueId], output: ValueType) -> ValueId {
        let node = self.node();
        self.plan.step(&node, operator.into(), inputs, &[output])
    }

    fn width_of(&self, value: ValueId) -> usize {
        self.plan.value(value).width
    }

    fn double(width: usize) -> ValueType {
        ValueType::new(ElementType::Float64, width)
    }

    fn constants(&mut self, cells: &[f64]) -> Constants {
        Constants::write(&Column::Float64(cells.to_vec()), self.plan.tables())
    }

    /// `value function cells`: one cell, or one for each column.
    pub(crate) fn with(&mut self, function: BinaryFunction, value: ValueId, cells: &[f64]) -> ValueId {
        let right = Some(self.constants(cells));
        let from = self.plan.value(value);
        let element = function.result(from.element).unwrap_or(from.element);
        self.step(Binary { function, left: None, right }, &[value], ValueType::new(element, from.width))
    }

    /// `left function right`.
    pub(crate) fn both(&mut self, function: BinaryFunction, left: ValueId, right: ValueId) -> ValueId {
        let output = self.plan.value(left);
        self.step(Binary { function, left: None, right: None }, &[left, right], output)
    }

    pub(crate) fn each(&mut self, function: UnaryFunction, value: ValueId) -> ValueId {
        let from = self.plan.value(value);
        let element = function.result(from.element).unwrap_or(from.element);
        self.step(Unary { function }, &[value], ValueType::new(element, from.width))
    }

    pub(crate) fn clip(&mut self, value: ValueId, low: f64, high: f64) -> ValueId {
        let range = self.constants(&[low, high]);
        let output = self.plan.value(value);
        self.step(Clip { range }, &[value], output)
    }

    pub(crate) fn cast(&mut self, value: ValueId, element: ElementType) -> ValueId {
        let output = ValueType::new(element, self.width_of(value));
        self.step(Cast {}, &[value], output)
    }

    pub(crate) fn row(&mut self, function: RowFunction, value: ValueId) -> Result<ValueId> {
        let width = function.width(self.width_of(value)).ok_or_else(|| misshapen("its classes and scores"))?;
        Ok(self.step(WholeRow { function }, &[value], Self::double(width)))
    }

    /// Columns of a value, by index.
    pub(crate) fn pick(&mut self, value: ValueId, columns: &[usize]) -> ValueId {
        let from = self.plan.value(value);
        if columns.iter().copied().eq(0..from.width) {
            return value;
        }
        let columns: Vec<u32> = columns.iter().map(|column| u32::try_from(*column).unwrap_or(u32::MAX)).collect();
        let columns = self.plan.table(&columns);
        let output = ValueType::new(from.element, columns.len());
        self.step(Gather { columns }, &[value], output)
    }

    /// Columns of a table, by index.
    pub(crate) fn gather(&mut self, table: &Table, columns: &[usize]) -> Result<Table> {
        let kept: Option<Vec<TableColumn>> = columns.iter().map(|column| table.columns.get(*column).copied()).collect();
        let kept = kept.ok_or_else(|| misshapen("its columns and those of the step before"))?;
        if kept.len() > COLUMNS_AT_MOST {
            return Err(Error::new(Kind::Limit, format!("it has more than {COLUMNS_AT_MOST} columns")));
        }
        let value = if kept.is_empty() { 0 } else { self.pick(table.value, columns) };
        Ok(Table { value, columns: kept })
    }

    /// Tables side by side.
    pub(crate) fn beside(&mut self, tables: &[Table]) -> Table {
        let tables: Vec<&Table> = tables.iter().filter(|table| !table.columns.is_empty()).collect();
        let columns: Vec<TableColumn> = tables.iter().flat_map(|table| table.columns.iter().copied()).collect();
        let value = match tables.as_slice() {
            [] => 0,
            [one] => one.value,
            many => {
                let values: Vec<ValueId> = many.iter().map(|table| table.value).collect();
                self.join(&values)
            }
        };
        Table { value, columns }
    }

    /// Values side by side.
    pub(crate) fn join(&mut self, values: &[ValueId]) -> ValueId {
        if let [one] = values {
            return *one;
        }
        let width = values.iter().map(|value| self.width_of(*value)).sum();
        self.step(Concat {}, values, Self::double(width))
    }

    /// The same numbers in every row.
    pub(crate) fn fill(&mut self, cells: &[f64]) -> ValueId {
        let constants = self.constants(cells);
        self.step(Fill { cells: constants }, &[], Self::double(cells.len()))
    }

    /// `value weightsᵀ + bias`: a row of weights for each number that comes out.
    pub(crate) fn product(&mut self, value: ValueId, weights: &Matrix, bias: &[f64]) -> Result<ValueId> {
        let inputs = self.width_of(value);
        let fits = weights.columns == inputs
            && weights.rows > 0
            && inputs > 0
            && (bias.is_empty() || bias.len() == weights.rows);
        if !fits {
            return Err(misshapen("its coefficients and columns"));
        }
        let weight =
            |input: usize, output: usize| weights.cells.get(output * inputs + input).copied().unwrap_or(f64::NAN);
        let linear = Linear::new(ElementType::Float64, (inputs, weights.rows), weight, bias, 1.0, self.plan.tables());
        Ok(self.step(linear, &[value], Self::double(weights.rows)))
    }

    /// The index of the first greatest cell.
    pub(crate) fn greatest(&mut self, value: ValueId) -> ValueId {
        let size = self.width_of(value);
        let operator = ArgExtreme { greatest: true, last: false, size, inner: 1 };
        self.step(operator, &[value], ValueType::new(ElementType::Int64, 1))
    }

    /// The index of the first least cell.
    pub(crate) fn least(&mut self, value: ValueId) -> ValueId {
        let size = self.width_of(value);
        let operator = ArgExtreme { greatest: false, last: false, size, inner: 1 };
        self.step(operator, &[value], ValueType::new(ElementType::Int64, 1))
    }

    /// 1 where the one cell is above a border, else 0.
    pub(crate) fn above(&mut self, value: ValueId, border: f64) -> ValueId {
        let is_above = self.with(BinaryFunction::Greater, value, &[border]);
        self.cast(is_above, ElementType::Int64)
    }

    /// 1 where the one cell is at a border or above, else 0.
    pub(crate) fn at_least(&mut self, value: ValueId, border: f64) -> ValueId {
        let is_above = self.with(BinaryFunction::GreaterOrEqual, value, &[border]);
        self.cast(is_above, ElementType::Int64)
    }

    /// A table of numbers as an estimator looks at it before it does anything: so many columns, no infinities, NaN or not.
    pub(crate) fn checked(&mut self, table: &Table, takes_nan: bool, single: bool) -> Result<ValueId> {
        self.take_numbers(table)?;
        if table.columns.is_empty() {
            return Err(misshapen("its columns and those of the step before"));
        }
        if !takes_nan {
            for column in &table.columns {
                if let Some(input) = column.missing_with.and_then(|feature| self.inputs.get_mut(feature)) {
                    input.takes_missing = false;
                }
            }
        }
        let name = |column: &TableColumn| self.inputs.get(column.feature?).map(|input| input.name.clone());
        let names: Option<Vec<String>> = table.columns.iter().map(name).collect();
        let finite = Finite { takes_nan, single, names: names.unwrap_or_default() };
        Ok(self.step(finite, &[table.value], Self::double(table.width())))
    }
}

/// Whether a step was fitted to as many columns as it is given.
fn check_width(node: Node<'_>, table: &Table) -> Result<()> {
    match node.attribute("n_features_in_").map(Node::count).transpose()? {
        Some(fitted) if fitted != table.width() => Err(Error::new(
            Kind::BadModel,
            format!("it was fitted to {fitted} columns, and is given {}", table.width()),
        )),
        _ => Ok(()),
    }
}
