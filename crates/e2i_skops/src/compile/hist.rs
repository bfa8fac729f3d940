//! Gradient boosting over histograms: float64 against float64, missing values and categories by their own ways.
//!
//! From 1.4 on an estimator with categories encodes them itself and moves their columns to the front; nodes count columns in
//! that order. Before, the value of a column is its category's number.

use e2i_core::native::operators::{Becomes, Elementary, Encode, Encoding, RowFunction, UnaryFunction};
use e2i_core::native::{Branch, Node as TreeNode, Precision, Test, Tree, ValueId, Weight};
use e2i_core::{Error, Kind, Result};

use super::answer::{Answer, classes_of};
use super::trees::ensemble;
use super::{Compiler, Table, misshapen, unsupported};
use crate::node::Node;
use crate::npy::{Array, Cells};

/// Numbers that a set of categories can hold.
const CATEGORIES: usize = 256;

fn broken(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::BadModel, format!("one of its trees is broken: {why}"))
}

fn wholes<'a>(nodes: &'a Array, name: &str) -> Result<&'a [i64]> {
    match nodes.field(name) {
        Some(Cells::Whole(cells)) => Ok(cells),
        _ => Err(broken(format!("its nodes have no {name}"))),
    }
}

fn numbers<'a>(nodes: &'a Array, name: &str) -> Result<&'a [f64]> {
    match nodes.field(name) {
        Some(Cells::Double(cells)) => Ok(cells),
        _ => Err(broken(format!("its nodes have no {name}"))),
    }
}

/// One tree, whose leaves add to `target`.
fn tree(predictor: Node<'_>, width: usize, target: u32) -> Result<Tree> {
    let nodes = predictor.get("nodes")?.array()?;
    let bitsets = predictor.get("raw_left_cat_bitsets")?.array()?;
    let (words, rows) = match bitsets.shape[..] {
        [rows, 8] => (bitsets.wholes().unwrap_or_default(), rows),
        _ => return Err(broken("its sets of categories have another size")),
    };
    let (value, threshold) = (numbers(&nodes, "value")?, numbers(&nodes, "num_threshold")?);
    let (feature, missing) = (wholes(&nodes, "feature_idx")?, wholes(&nodes, "missing_go_to_left")?);
    let (left, right) = (wholes(&nodes, "left")?, wholes(&nodes, "right")?);
    let (is_leaf, is_set, set) =
        (wholes(&nodes, "is_leaf")?, wholes(&nodes, "is_categorical")?, wholes(&nodes, "bitset_idx")?);
    let index = |value: i64| u32::try_from(value).map_err(|_| broken(format!("a node leads to {value}")));
    let node = |at: usize| -> Result<TreeNode> {
        if is_leaf[at] != 0 {
            if !value[at].is_finite() {
                return Err(broken(format!("leaf {at} holds {}", value[at])));
            }
            return Ok(TreeNode::Leaf(vec![Weight { target, value: value[at] }]));
        }
        let feature = u32::try_from(feature[at]).ok().filter(|feature| (*feature as usize) < width);
        let feature = feature.ok_or_else(|| broken(format!("node {at} reads a column beyond {width}")))?;
        let test = if is_set[at] == 0 {
            if threshold[at].is_nan() {
                return Err(broken(format!("the threshold of node {at} is NaN")));
            }
            Test::LessEqual(threshold[at])
        } else {
            let row = usize::try_from(set[at]).ok().filter(|row| *row < rows);
            let row = row.ok_or_else(|| broken(format!("node {at} has no set of categories")))?;
            let words = words.get(row * 8..(row + 1) * 8).unwrap_or(&[]);
            let holds = |code: usize| words.get(code / 32).is_some_and(|word| *word >> (code % 32) & 1 == 1);
            // A code is a whole number, so that each is an interval of its own.
            Test::Member((0..CATEGORIES).filter(|code| holds(*code)).map(|code| (code as f64, code as f64)).collect())
        };
        Ok(TreeNode::Branch(Branch {
            feature,
            test,
            missing_yes: missing[at] != 0,
            yes: index(left[at])?,
            no: index(right[at])?,
        }))
    };
    if nodes.len() == 0 {
        return Err(broken("it has no nodes"));
    }
    // How many rows came to each node in training.
    let cover = match nodes.field("count") {
        Some(Cells::Whole(counts)) => counts.iter().map(|count| *count as f64).collect(),
        _ => vec![],
    };
    Ok(Tree { nodes: (0..nodes.len()).map(node).collect::<Result<_>>()?, cover })
}

impl Compiler {
    /// The columns in the order in which nodes count them, categories as codes; and which of them are categories.
    fn hist_columns(&mut self, node: Node<'_>, table: &Table) -> Result<ValueId> {
        if let Some(preprocessor) = node.some("_preprocessor") {
            return self.preprocessed(preprocessor, table);
        }
        let is_category = match node.some("is_categorical_") {
            Some(flags) => flags.wholes()?,
            None => return self.hist_numbers(table),
        };
        if is_category.len() != table.width() {
            return Err(misshapen("its categories and columns"));
        }
        let bounds = node.get("_bin_mapper")?.get("bin_thresholds_")?.items()?;
        let mut parts = vec![];
        for (column, is_category) in is_category.into_iter().enumerate() {
            let part = self.gather(table, &[column])?;
            if is_category == 0 {
                parts.push(Table::computed(self.hist_numbers(&part)?, 1));
                continue;
            }
            self.take_numbers(&part)?;
            // A value counts by the lowest byte of its whole part; what was not seen, or is negative, is missing.
            let known = bounds.get(column).copied().ok_or_else(|| misshapen("its categories"))?.numbers()?;
            let encoding = Encoding {
                name: self.column_name(part.columns[0], column),
                categories: (0u32..).zip(&known).map(|(place, value)| (value.trunc(), Becomes::Place(place))).collect(),
                missing: Becomes::Place(known.len() as u32),
                unknown: Becomes::Place(known.len() as u32),
                width: 1,
                cells: known.iter().copied().chain([f64::NAN]).collect(),
            };
            let operator = Encode::new(&[encoding], self.plan.tables());
            let whole = self.row(RowFunction::Each(Elementary::Byte), part.value)?;
            let value = self.step(operator, &[whole], Self::double(1));
            parts.push(Table::computed(value, 1));
        }
        Ok(self.beside(&parts).value)
    }

    /// Numbers, infinite or missing ones among them.
    fn hist_numbers(&mut self, table: &Table) -> Result<ValueId> {
        self.take_numbers(table)?;
        Ok(table.value)
    }

    /// What the estimator's own `ColumnTransformer` makes of the columns: codes of categories, then numbers.
    fn preprocessed(&mut self, preprocessor: Node<'_>, table: &Table) -> Result<ValueId> {
        let indices = preprocessor.get("_transformer_to_input_indices")?;
        let mut parts = vec![];
        for transformer in preprocessor.get("transformers_")?.items()? {
            let [name, estimator, _] = transformer.items()?[..] else { return Err(misshapen("its categories")) };
            let name = name.text()?;
            let chosen = indices.entry(&name).ok_or_else(|| misshapen("its categories"))?.wholes()?;
            let chosen: Vec<usize> = chosen.into_iter().map(|at| usize::try_from(at).unwrap_or(usize::MAX)).collect();
            if chosen.is_empty() {
                continue;
            }
            let part = self.gather(table, &chosen)?;
            parts.push(match estimator.class() {
                "OrdinalEncoder" => self.transform(&name, estimator, &part)?,
                // It looks at numbers and lets them pass.
                "FunctionTransformer" => Table::computed(self.hist_numbers(&part)?, chosen.len()),
                other => return Err(unsupported(format!("its own {other} is not read"))),
            });
        }
        Ok(self.beside(&parts).value)
    }

    fn hist_sums(&mut self, node: Node<'_>, table: &Table) -> Result<ValueId> {
        let value = self.hist_columns(node, table)?;
        let width = self.width_of(value);
        let base = node.get("_baseline_prediction")?;
        let base = match base.simple() {
            Some(_) => vec![base.number()?],
            None => base.numbers()?,
        };
        let mut trees = vec![];
        for iteration in node.get("_predictors")?.items()? {
            let predictors = iteration.items()?;
            if predictors.len() != base.len() {
                return Err(misshapen("its classes and trees"));
            }
            for (target, predictor) in (0u32..).zip(predictors) {
                trees.push(tree(predictor, width, target)?);
            }
        }
        let targets = base.len();
        self.sums(value, &ensemble(width, trees, targets, Precision::Double, base))
    }

    pub(super) fn hist_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let sums = self.hist_sums(node, table)?;
        let is_log = matches!(node.option("loss").as_deref(), Some("poisson" | "gamma"));
        Ok(Answer::Values(if is_log { self.each(UnaryFunction::Exponential, sums) } else { sums }))
    }

    pub(super) fn hist_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let sums = self.hist_sums(node, table)?;
        self.boosted_classes(classes_of(node)?, sums, false, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::File;

    #[test]
    fn trees_keep_how_many_rows_came_to_their_nodes() {
        for name in ["hist_2", "old_hist_categories"] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/models/skops/");
            let bytes = std::fs::read(format!("{folder}{name}.skops")).unwrap();
            let file = File::open(&bytes).unwrap();
            let iterations = file.root().get("_predictors").unwrap().items().unwrap();
            let tree = tree(iterations[0].items().unwrap()[0], usize::MAX, 0).unwrap();
            assert!(tree.cover[0] >= 2.0 && tree.cover.len() == tree.nodes.len(), "{name}");
            for (node, cover) in tree.nodes.iter().zip(&tree.cover) {
                let TreeNode::Branch(branch) = node else { continue };
                assert_eq!(tree.cover[branch.yes as usize] + tree.cover[branch.no as usize], *cover, "{name}");
            }
        }
    }
}
