//! Models that keep rows of the training data beside `KNeighbors*`: `LocalOutlierFactor`, `KNNImputer`; and `SplineTransformer`.

use e2i_core::native::operators::{BinaryFunction, Continuation, Donors, Impute, Outliers, Splines, UnaryFunction};
use e2i_core::{ElementType, Error, Kind, Result};

use super::answer::Answer;
use super::kernels::{POINTS_AT_MOST, metric};
use super::{COLUMNS_AT_MOST, Compiler, Table, misshapen, unsupported};
use crate::node::{Matrix, Node};

fn kept_rows(node: Node<'_>, width: usize) -> Result<Matrix> {
    let points = node.get("_fit_X")?.matrix()?;
    if points.cells.len() > POINTS_AT_MOST {
        let message = format!("it keeps {} rows, which are too many to look through for each score", points.rows);
        return Err(Error::new(Kind::Limit, message));
    }
    if points.columns == width && points.rows > 0 { Ok(points) } else { Err(misshapen("its rows and columns")) }
}

impl Compiler {
    pub(super) fn local_outliers(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        if !node.is_true("novelty") {
            return Err(unsupported("a model of known rows alone is not read; fit it with novelty=True"));
        }
        let value = self.checked(table, false, false)?;
        let points = kept_rows(node, table.width())?;
        let count = node.get("n_neighbors_")?.count()?;
        let reach = node.get("_distances_fit_X_")?.matrix()?;
        let densities = node.get("_lrd")?.numbers()?;
        let fits = [reach.rows, densities.len()] == [points.rows; 2] && (1..=reach.columns).contains(&count);
        if !fits || count > points.rows {
            return Err(misshapen("its rows and their neighbours"));
        }
        let reach: Vec<f64> = reach.cells.chunks(reach.columns).map(|row| row[count - 1]).collect();
        let operator = Outliers {
            metric: metric(node)?,
            count,
            points: self.plan.table(&points.cells),
            reach: self.plan.table(&reach),
            densities: self.plan.table(&densities),
        };
        let score = self.step(operator, &[value], Self::double(1));
        let decision = self.with(BinaryFunction::Subtract, score, &[node.get("offset_")?.number()?]);
        Ok(self.anomaly(BinaryFunction::GreaterOrEqual, decision))
    }

    pub(super) fn neighbours_imputer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let mark = node.some("missing_values").map(Node::number).transpose()?.unwrap_or(f64::NAN);
        if node.option("metric").is_some_and(|metric| metric != "nan_euclidean") {
            return Err(unsupported("its metric is not read"));
        }
        let by_distance = match node.get("weights")?.text().as_deref() {
            Ok("distance") => true,
            Ok("uniform") => false,
            _ => return Err(unsupported("weights by a function are not read")),
        };
        let width = table.width();
        let mut value = self.checked(table, mark.is_nan(), false)?;
        if !mark.is_nan() {
            let (missing, nothing) = (self.constants(&[mark]), self.constants(&vec![f64::NAN; width]));
            value = self.step(Impute { missing, replacements: nothing }, &[value], Self::double(width));
        }
        let mut points = kept_rows(node, width)?;
        let (missing, valid) = (node.get("_mask_fit_X")?.matrix()?, node.get("_valid_mask")?.numbers()?);
        let count = node.get("n_neighbors")?.count()?;
        if [missing.rows, missing.columns, valid.len()] != [points.rows, width, width] || count == 0 {
            return Err(misshapen("its rows and columns"));
        }
        points
            .cells
            .iter_mut()
            .zip(&missing.cells)
            .filter(|(_, missing)| **missing != 0.0)
            .for_each(|(cell, _)| *cell = f64::NAN);
        let mean = |column: usize| {
            let own = points.cells.iter().skip(column).step_by(width).filter(|cell| !cell.is_nan());
            let (sum, count) = own.fold((0.0, 0u32), |(sum, count), cell| (sum + cell, count + 1));
            if count == 0 { 0.0 } else { sum / f64::from(count) }
        };
        let means: Vec<f64> = (0..width).map(mean).collect();
        let (points, means) = (self.plan.table(&points.cells), self.plan.table(&means));
        let mut value = self.step(Donors { count, by_distance, points, means }, &[value], Self::double(width));
        let keeps_all = node.is_true("keep_empty_features");
        if keeps_all {
            // What was never there is 0, whatever it is now.
            let (factors, zero): (Vec<f64>, f64) = (valid.clone(), 0.0);
            value = self.zeroed(value, &factors, zero);
        }
        let kept: Vec<usize> = (0..width).filter(|column| keeps_all || valid[*column] != 0.0).collect();
        let columns = table.columns.iter().map(|column| super::TableColumn { missing_with: None, ..*column }).collect();
        let part = self.gather(&Table { value, columns }, &kept)?;
        match node.some("indicator_") {
            None => Ok(part),
            Some(indicator) => {
                let indicator = self.indicator(indicator, table)?;
                Ok(self.beside(&[part, indicator]))
            }
        }
    }

    /// A column each, or a number in its place where it does not count.
    fn zeroed(&mut self, value: e2i_core::native::ValueId, counts: &[f64], instead: f64) -> e2i_core::native::ValueId {
        let parts: Vec<e2i_core::native::ValueId> = (0..counts.len())
            .map(|column| if counts[column] == 0.0 { self.fill(&[instead]) } else { self.pick(value, &[column]) })
            .collect();
        self.join(&parts)
    }

    pub(super) fn spline_transformer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let zeros = match node.option("handle_missing").as_deref() {
            None | Some("error") => false,
            Some("zeros") => true,
            Some(other) => return Err(unsupported(format!("handle_missing {other:?} is not known"))),
        };
        // Where it takes missing values it looks at none.
        let mut value = table.value;
        if zeros && table.width() > 0 {
            self.take_numbers(table)?;
        } else {
            value = self.checked(table, false, false)?;
        }
        let missing = zeros.then(|| self.each(UnaryFunction::IsNan, value));
        let splines = node.get("bsplines_")?.items()?;
        if splines.len() != table.width() {
            return Err(misshapen("its splines and columns"));
        }
        let lacks = || misshapen("its splines");
        let (mut knots, mut cells, mut shape) = (vec![], vec![], None);
        for spline in splines {
            let own = spline.attribute("_t").or_else(|| spline.attribute("t")).ok_or_else(lacks)?.numbers()?;
            let matrix = spline.attribute("_c").or_else(|| spline.attribute("c")).ok_or_else(lacks)?.matrix()?;
            let degree = spline.get("k")?.count()?;
            let one = (degree, matrix.columns, own.len());
            if *shape.get_or_insert(one) != one || matrix.rows + degree + 1 != own.len() {
                return Err(misshapen("its splines"));
            }
            knots.extend(own);
            cells.extend(matrix.cells);
        }
        let Some((degree, count, _)) = shape else { return Err(misshapen("its splines")) };
        let beyond = match node.get("extrapolation")?.text()?.as_str() {
            "error" => Continuation::Refused,
            "constant" => Continuation::Constant,
            "linear" => Continuation::Linear,
            "continue" => Continuation::Polynomial,
            "periodic" => Continuation::Periodic,
            other => return Err(unsupported(format!("the extrapolation {other:?} is not known"))),
        };
        let leaves_last = !node.get("include_bias")?.boolean()?;
        let width = count.saturating_sub(usize::from(leaves_last)).saturating_mul(table.width());
        if width == 0 || width > COLUMNS_AT_MOST {
            return Err(misshapen("its splines"));
        }
        if zeros {
            // Any place within the knots will do.
            let own = knots.len() / table.width().max(1);
            let places: Vec<f64> = knots.chunks(own.max(1)).filter_map(|knots| knots.get(degree)).copied().collect();
            let (marks, places) = (self.constants(&[f64::NAN]), self.constants(&places));
            value = self.step(Impute { missing: marks, replacements: places }, &[value], Self::double(table.width()));
        }
        let (knots, cells) = (self.plan.table(&knots), self.plan.table(&cells));
        let mut value =
            self.step(Splines { degree, beyond, count, leaves_last, knots, cells }, &[value], Self::double(width));
        if let Some(missing) = missing {
            let there = self.each(UnaryFunction::Not, missing);
            let there = self.cast(there, ElementType::Float64);
            let each = width / table.width();
            let there = self.pick(there, &(0..width).map(|at| at / each).collect::<Vec<_>>());
            value = self.both(BinaryFunction::Multiply, value, there);
        }
        Ok(Table::computed(value, width))
    }
}
