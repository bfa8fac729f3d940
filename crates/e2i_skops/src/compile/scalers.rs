//! Columns offset and scaled: each operation of scikit-learn's, in its order, by division where it divides.

use e2i_core::native::ValueId;
use e2i_core::native::operators::{Becomes, BinaryFunction, ColumnFunction, Columnwise, Encode, Encoding, RowFunction};
use e2i_core::{ElementType, Result};

use super::{Compiler, Table, TableColumn, misshapen, unsupported};
use crate::node::Node;

impl Compiler {
    /// `value function attribute`, a number for each column.
    fn with_attribute(
        &mut self,
        function: BinaryFunction,
        value: ValueId,
        node: Node<'_>,
        name: &str,
    ) -> Result<ValueId> {
        let cells = node.get(name)?.numbers()?;
        if cells.len() != self.width_of(value) {
            return Err(misshapen("its columns and what was learned of them"));
        }
        Ok(self.with(function, value, &cells))
    }

    /// A table of the same columns with other numbers.
    fn scaled(table: &Table, value: ValueId) -> Table {
        Table { value, columns: table.columns.iter().map(|column| TableColumn { feature: None, ..*column }).collect() }
    }

    /// A step that moves columns by one list and divides them by another, where its parameters of these names say so.
    fn centred(&mut self, node: Node<'_>, table: &Table, centre: [&str; 2], scale: [&str; 2]) -> Result<Table> {
        let mut value = self.checked(table, true, false)?;
        for (function, [asked, name]) in [(BinaryFunction::Subtract, centre), (BinaryFunction::Divide, scale)] {
            if node.is_true(asked) {
                value = self.with_attribute(function, value, node, name)?;
            }
        }
        Ok(Self::scaled(table, value))
    }

    pub(super) fn standard_scaler(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        self.centred(node, table, ["with_mean", "mean_"], ["with_std", "scale_"])
    }

    pub(super) fn min_max_scaler(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let mut value = self.checked(table, true, false)?;
        value = self.with_attribute(BinaryFunction::Multiply, value, node, "scale_")?;
        value = self.with_attribute(BinaryFunction::Add, value, node, "min_")?;
        if node.is_true("clip") {
            let [low, high] = node.get("feature_range")?.numbers()?[..] else { return Err(misshapen("its range")) };
            value = self.clip(value, low, high);
        }
        Ok(Self::scaled(table, value))
    }

    pub(super) fn max_abs_scaler(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let mut value = self.checked(table, true, false)?;
        value = self.with_attribute(BinaryFunction::Divide, value, node, "scale_")?;
        if node.is_true("clip") {
            value = self.clip(value, -1.0, 1.0);
        }
        Ok(Self::scaled(table, value))
    }

    pub(super) fn robust_scaler(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        self.centred(node, table, ["with_centering", "center_"], ["with_scaling", "scale_"])
    }

    pub(super) fn normalizer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let value = self.checked(table, false, false)?;
        let function = match node.get("norm")?.text()?.as_str() {
            "l1" => RowFunction::ByL1,
            "l2" => RowFunction::ByL2,
            "max" => RowFunction::ByMax,
            other => return Err(unsupported(format!("the norm {other:?} is not known"))),
        };
        let value = self.row(function, value)?;
        Ok(Self::scaled(table, value))
    }

    pub(super) fn binarizer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let value = self.checked(table, false, false)?;
        let above = self.with(BinaryFunction::Greater, value, &[node.get("threshold")?.number()?]);
        let value = self.cast(above, ElementType::Float64);
        Ok(Self::scaled(table, value))
    }

    pub(super) fn discretizer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let value = self.checked(table, false, false)?;
        let is_single = node.some("dtype").is_some_and(|dtype| dtype.class() == "float32");
        let value = if is_single {
            let value = self.checked(table, false, true)?;
            let value = self.cast(value, ElementType::Float32);
            self.cast(value, ElementType::Float64)
        } else {
            value
        };
        let edges = node.get("bin_edges_")?.items()?;
        if edges.len() != table.width() {
            return Err(misshapen("its columns and bins"));
        }
        let mut inner = vec![];
        for edges in edges {
            let edges = edges.numbers()?;
            let own = edges.get(1..edges.len().saturating_sub(1)).unwrap_or(&[]).to_vec();
            if !own.is_sorted() {
                return Err(misshapen("its bins"));
            }
            inner.push(own);
        }
        let operator = Columnwise::new(ColumnFunction::Bin, &inner, self.plan.tables());
        let value = self.step(operator, &[value], Self::double(table.width()));
        if node.option("encode").as_deref() == Some("ordinal") {
            return Ok(Self::scaled(table, value));
        }
        let encoding = |(index, edges): (usize, &Vec<f64>)| Encoding {
            name: format!("{index}"),
            categories: (0..=edges.len()).map(|bin| (bin as f64, Becomes::Place(bin as u32))).collect(),
            missing: Becomes::Refused,
            unknown: Becomes::Refused,
            width: edges.len() + 1,
            cells: vec![],
        };
        let encodings: Vec<Encoding> = inner.iter().enumerate().map(encoding).collect();
        let operator = Encode::new(&encodings, self.plan.tables());
        let width = operator.width();
        let value = self.step(operator, &[value], Self::double(width));
        Ok(Table::computed(value, width))
    }

    pub(super) fn power_transformer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let value = self.checked(table, true, false)?;
        let function = match node.get("method")?.text()?.as_str() {
            "yeo-johnson" => ColumnFunction::YeoJohnson,
            "box-cox" => ColumnFunction::BoxCox,
            other => return Err(unsupported(format!("the method {other:?} is not known"))),
        };
        let powers: Vec<Vec<f64>> = node.get("lambdas_")?.numbers()?.into_iter().map(|power| vec![power]).collect();
        if powers.len() != table.width() {
            return Err(misshapen("its columns and what was learned of them"));
        }
        let operator = Columnwise::new(function, &powers, self.plan.tables());
        let value = self.step(operator, &[value], Self::double(table.width()));
        let table = Self::scaled(table, value);
        match node.some("_scaler").filter(|_| node.is_true("standardize")) {
            Some(scaler) => self.standard_scaler(scaler, &table),
            None => Ok(table),
        }
    }
}
