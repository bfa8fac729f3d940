//! `SelectFromModel`: which columns are important enough, by what a model weighs them.

use e2i_core::native::ValueId;
use e2i_core::native::arithmetic::sklearn::sum;
use e2i_core::{Error, Kind, Result};

use super::forests::estimators;
use super::trees::Saved;
use super::{Compiler, Table, misshapen, unsupported};
use crate::node::Node;

fn sum_to_one(mut cells: Vec<f64>) -> Vec<f64> {
    let all = sum(&cells);
    if all > 0.0 {
        cells.iter_mut().for_each(|cell| *cell /= all);
    }
    cells
}

/// The mean of the importances in some trees, of those that have more than a leaf.
fn of_trees(trees: &[Node<'_>], width: usize, shares: bool) -> Result<Vec<f64>> {
    let mut all = vec![0.0; width];
    let mut count = 0.0;
    for tree in trees {
        let saved = Saved::read(*tree)?;
        if saved.len() < 2 {
            continue;
        }
        let own = saved.importances(width)?;
        let own = if shares { sum_to_one(own) } else { own };
        all.iter_mut().zip(own).for_each(|(all, own)| *all += own);
        count += 1.0;
    }
    if count > 0.0 {
        all.iter_mut().for_each(|all| *all /= count);
    }
    Ok(sum_to_one(all))
}

/// What a fitted model says of each column.
fn importances(node: Node<'_>, getter: Option<&str>, order: f64, width: usize) -> Result<Vec<f64>> {
    let by_coefficients = match getter {
        None | Some("auto") => node.attribute("coef_").is_some() || node.attribute("dual_coef_").is_some(),
        Some(name) => name == "coef_",
    };
    if by_coefficients {
        let matrix = node.get("coef_")?.matrix()?;
        if matrix.columns != width {
            return Err(misshapen("its columns and what was learned of them"));
        }
        let column = |at: usize| matrix.cells.iter().skip(at).step_by(width).map(|cell| cell.abs());
        return Ok((0..width)
            .map(|at| match order {
                _ if matrix.rows == 1 => column(at).sum(),
                1.0 => column(at).sum(),
                2.0 => column(at).map(|cell| cell * cell).sum::<f64>().sqrt(),
                f64::INFINITY => column(at).fold(0.0, f64::max),
                order => column(at).map(|cell| cell.powf(order)).sum::<f64>().powf(1.0 / order),
            })
            .collect());
    }
    match node.class() {
        "DecisionTreeClassifier" | "DecisionTreeRegressor" | "ExtraTreeClassifier" | "ExtraTreeRegressor" => {
            of_trees(&[node], width, true)
        }
        "RandomForestClassifier" | "RandomForestRegressor" | "ExtraTreesClassifier" | "ExtraTreesRegressor" => {
            of_trees(&estimators(node)?, width, true)
        }
        "GradientBoostingClassifier" | "GradientBoostingRegressor" => {
            let rounds = estimators(node)?.into_iter().map(Node::items).collect::<Result<Vec<_>>>()?;
            of_trees(&rounds.concat(), width, false)
        }
        "AdaBoostClassifier" | "AdaBoostRegressor" => {
            let trees = estimators(node)?;
            let weights = node.get("estimator_weights_")?.numbers()?;
            let mut all = vec![0.0; width];
            for (tree, weight) in trees.iter().zip(&weights) {
                let own = of_trees(&[*tree], width, true)?;
                all.iter_mut().zip(own).for_each(|(all, own)| *all += weight * own);
            }
            let total = sum(&weights);
            Ok(all.into_iter().map(|all| all / total).collect())
        }
        other => Err(Error::new(Kind::Unsupported, format!("what a {other} says of its columns is not read"))),
    }
}

fn median(cells: &[f64]) -> f64 {
    let mut sorted = cells.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
}

/// Above what a column is kept.
fn threshold(node: Node<'_>, model: Node<'_>, importances: &[f64]) -> Result<f64> {
    let given = node.some("threshold");
    if let Some(number) = given.and_then(|given| given.number().ok()) {
        return Ok(number);
    }
    let text = match given {
        Some(text) => text.text()?,
        None => {
            let is_one = |name: &str| {
                model.some(name).and_then(|ratio| ratio.number().ok()).is_some_and(|x| (x - 1.0).abs() <= 1e-5)
            };
            let is_sparse = model.option("penalty").as_deref() == Some("l1")
                || model.class().contains("Lasso")
                || matches!(model.class(), "ElasticNet" | "LogisticRegression") && is_one("l1_ratio")
                || model.class() == "ElasticNetCV" && is_one("l1_ratio_");
            if is_sparse {
                return Ok(1e-5);
            }
            "mean".to_owned()
        }
    };
    let (scale, reference) = match text.split_once('*') {
        Some((scale, reference)) => (scale.trim().parse::<f64>().ok(), reference.trim()),
        None => (Some(1.0), text.as_str()),
    };
    let reference = match reference {
        "mean" => sum(importances) / importances.len() as f64,
        "median" => median(importances),
        _ => return Err(unsupported(format!("the threshold {text:?} is not known"))),
    };
    Ok(scale.ok_or_else(|| unsupported(format!("the threshold {text:?} is not known")))? * reference)
}

impl Compiler {
    /// A table as a selector looks at it whose model is this one: not at all where the model takes what is missing.
    pub(super) fn looked_at(&mut self, model: Node<'_>, table: &Table) -> Result<ValueId> {
        let class = model.class();
        let is_tree =
            class.starts_with("DecisionTree") || matches!(class, "ExtraTreeClassifier" | "ExtraTreeRegressor");
        let is_forest = class.starts_with("RandomForest") || class.starts_with("ExtraTrees");
        let tree = model.attribute("estimators_").and_then(|trees| trees.items().ok()?.first().copied());
        let takes_missing = is_tree && Self::trees_take_missing(model)
            || is_forest && tree.is_some_and(|tree| Self::forest_takes_missing(model, tree))
            || class.starts_with("HistGradientBoosting")
            || model.is_of("xgboost")
            || model.is_of("lightgbm");
        if takes_missing && table.width() > 0 {
            self.take_numbers(table)?;
            return Ok(table.value);
        }
        self.checked(table, false, false)
    }

    pub(super) fn select_from_model(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let width = table.width();
        let model = match node.attribute("estimator_") {
            Some(model) => model,
            None => node.get("estimator")?,
        };
        let getter = node.get("importance_getter")?.text();
        let getter = getter.map_err(|_| unsupported("importances by a function are not read"))?;
        if width == 0 {
            return Err(misshapen("its columns"));
        }
        let order = node.get("norm_order")?.number()?;
        let known = importances(model, Some(&getter), order, width)?;
        let threshold = threshold(node, model, &known)?;
        let mut mask = vec![true; width];
        if node.some("max_features").is_some() {
            let most = match node.some("max_features_").or_else(|| node.some("max_features")) {
                Some(most) => most.count()?,
                None => width,
            };
            let mut order: Vec<usize> = (0..width).collect();
            order.sort_by(|a, b| known[*b].total_cmp(&known[*a]));
            order.into_iter().skip(most).for_each(|at| mask[at] = false);
        }
        let kept: Vec<usize> = (0..width).filter(|at| mask[*at] && known[*at] >= threshold).collect();
        let value = self.looked_at(model, table)?;
        self.gather(&Table { value, columns: table.columns.clone() }, &kept)
    }
}
