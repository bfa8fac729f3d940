//! Support vector machines and nearest neighbours: models that keep rows of the training data.

use e2i_core::native::ValueId;
use e2i_core::native::operators::{BinaryFunction, Kernel, Kernels, Metric, Neighbours, Pairing, Pairs, UnaryFunction};
use e2i_core::{Error, Kind, Result};

use super::answer::{Answer, Classified, classes_of, several_classes};
use super::{Compiler, Table, misshapen, unsupported};
use crate::node::{Matrix, Node};

/// Most numbers of the points that nearest ones are looked for in, each time a row is scored.
pub(super) const POINTS_AT_MOST: usize = 4 << 20;

fn kernel(node: Node<'_>) -> Result<Kernel> {
    let name = node.get("kernel")?.text().map_err(|_| unsupported("a kernel that is a function is not read"))?;
    let gamma = node.get("_gamma")?.number()?;
    let coef0 = node.get("coef0")?.number()?;
    Ok(match name.as_str() {
        "linear" => Kernel::Linear,
        "rbf" => Kernel::Radial { gamma },
        "sigmoid" => Kernel::Sigmoid { gamma, coef0 },
        "poly" => {
            let degree = u32::try_from(node.get("degree")?.count()?).map_err(|_| misshapen("its degree"))?;
            Kernel::Polynomial { gamma, coef0, degree }
        }
        other => return Err(unsupported(format!("the kernel {other:?} is not read"))),
    })
}

/// How far apart rows are.
pub(super) fn metric(node: Node<'_>) -> Result<Metric> {
    let metric = match node.get("effective_metric_")?.text()?.as_str() {
        "euclidean" | "l2" => Metric::Euclidean,
        "manhattan" | "cityblock" | "l1" => Metric::Manhattan,
        "chebyshev" => Metric::Chebyshev,
        "cosine" => Metric::Cosine,
        "sqeuclidean" => Metric::SquaredEuclidean,
        "canberra" => Metric::Canberra,
        "braycurtis" => Metric::BrayCurtis,
        "hamming" => Metric::Hamming,
        "minkowski" => Metric::Minkowski(node.get("p")?.number()?),
        other => return Err(unsupported(format!("the metric {other:?} is not read"))),
    };
    if node.some("effective_metric_params_").is_some_and(|more| more.entry("w").is_some_and(|w| !w.is_none())) {
        return Err(unsupported("weights of columns in a metric are not read"));
    }
    Ok(metric)
}

/// How far apart rows are, after their columns were multiplied by factors.
fn scaled_metric(node: Node<'_>, width: usize) -> Result<(Metric, Option<Vec<f64>>)> {
    let parameter = |name: &str| -> Result<Option<Vec<f64>>> {
        let parameters = node.some("effective_metric_params_");
        let own = parameters.and_then(|parameters| parameters.entry(name)).filter(|own| !own.is_none());
        let own = own.map(Node::numbers).transpose()?;
        match own {
            Some(own) if own.len() != width => Err(misshapen("its columns and their weights")),
            own => Ok(own),
        }
    };
    let name = node.get("effective_metric_")?.text()?;
    if name == "seuclidean" {
        let variances = parameter("V")?.ok_or_else(|| misshapen("its columns and their variances"))?;
        return Ok((Metric::Euclidean, Some(variances.into_iter().map(|variance| 1.0 / variance.sqrt()).collect())));
    }
    let Some(weights) = parameter("w")? else { return Ok((metric(node)?, None)) };
    let (metric, power) = match name.as_str() {
        "euclidean" => (Metric::Euclidean, 2.0),
        "manhattan" => (Metric::Manhattan, 1.0),
        "minkowski" => match node.get("p")?.number()? {
            2.0 => (Metric::Euclidean, 2.0),
            power => (Metric::Minkowski(power), power),
        },
        other => return Err(unsupported(format!("weights of columns in the metric {other:?} are not read"))),
    };
    Ok((metric, Some(weights.into_iter().map(|weight| weight.powf(1.0 / power)).collect())))
}

impl Compiler {
    /// The kernels of a row with the support vectors.
    fn kernels(&mut self, node: Node<'_>, table: &Table) -> Result<(ValueId, usize)> {
        let value = self.checked(table, false, false)?;
        let vectors = node.get("support_vectors_")?.matrix()?;
        if vectors.columns != table.width() || vectors.rows == 0 {
            return Err(misshapen("its support vectors and columns"));
        }
        let count = vectors.rows;
        let operator = Kernels { kernel: kernel(node)?, vectors: self.plan.table(&vectors.cells) };
        Ok((self.step(operator, &[value], Self::double(count)), count))
    }

    pub(super) fn support_vector_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let (kernels, _) = self.kernels(node, table)?;
        let (weights, bias) = (node.get("_dual_coef_")?.matrix()?, node.get("_intercept_")?.numbers()?);
        Ok(Answer::Values(self.product(kernels, &weights, &bias)?))
    }

    pub(super) fn one_class(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let score = self.support_vector_regressor(node, table)?.values()?;
        Ok(self.anomaly(BinaryFunction::Greater, score))
    }

    pub(super) fn support_vector_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classes = classes_of(node)?;
        let (kernels, vectors) = self.kernels(node, table)?;
        let (coefficients, bias) = (node.get("_dual_coef_")?.matrix()?, node.get("_intercept_")?.numbers()?);
        let of_class: Vec<usize> = node
            .get("_n_support")?
            .wholes()?
            .into_iter()
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
            .collect();
        let count = classes.len();
        let all = of_class.iter().try_fold(0usize, |sum, count| sum.checked_add(*count));
        let fits = count >= 2
            && of_class.len() == count
            && all == Some(vectors)
            && (coefficients.rows, coefficients.columns) == (count - 1, vectors)
            && bias.len() == count * (count - 1) / 2;
        if !fits {
            return Err(misshapen("its classes and support vectors"));
        }
        let begins: Vec<usize> = (0..count).map(|class| of_class[..class].iter().sum()).collect();
        let mut cells = vec![];
        for (first, second) in (0..count).flat_map(|first| (first + 1..count).map(move |second| (first, second))) {
            let mut row = vec![0.0; vectors];
            for (class, other) in [(first, second - 1), (second, first)] {
                let own = begins[class]..begins[class] + of_class[class];
                row[own.clone()].copy_from_slice(&coefficients.cells[other * vectors..][own]);
            }
            cells.extend(row);
        }
        // Above 0 the first class of a pair is meant.
        let pairs = self.product(kernels, &Matrix { rows: bias.len(), columns: vectors, cells }, &bias)?;
        let votes = self.paired(pairs, count, Pairing::Votes);
        let mut label = self.greatest(votes);
        let is_rest = node.option("decision_function_shape").as_deref() != Some("ovo");
        let decision = if count == 2 {
            self.each(UnaryFunction::Negate, pairs)
        } else if !is_rest {
            pairs
        } else {
            self.paired(pairs, count, Pairing::Decisions)
        };
        if node.is_true("break_ties") && is_rest && count > 2 {
            label = self.greatest(decision);
        }
        let slopes = node.attribute("_probA").map(Node::numbers).transpose()?.unwrap_or_default();
        let offsets = node.attribute("_probB").map(Node::numbers).transpose()?.unwrap_or_default();
        let probabilities = if slopes.is_empty() {
            None
        } else if [slopes.len(), offsets.len()] == [bias.len(); 2] {
            let pairing =
                Pairing::Probabilities { slopes: self.plan.table(&slopes), offsets: self.plan.table(&offsets) };
            Some(self.paired(pairs, count, pairing))
        } else {
            return Err(misshapen("its classes and probabilities"));
        };
        Ok(Answer::Classes(Classified { classes, label, decision: Some(decision), probabilities }))
    }

    fn paired(&mut self, pairs: ValueId, classes: usize, pairing: Pairing) -> ValueId {
        self.step(Pairs { classes, pairing }, &[pairs], Self::double(classes))
    }

    /// The mean of what the nearest rows of the training data stand for.
    fn nearest(&mut self, node: Node<'_>, table: &Table, targets: &[f64], width: usize) -> Result<ValueId> {
        let value = self.checked(table, false, false)?;
        let points = node.get("_fit_X")?.matrix()?;
        if points.cells.len() > POINTS_AT_MOST {
            let message = format!("it keeps {} rows, which are too many to look through for each score", points.rows);
            return Err(Error::new(Kind::Limit, message));
        }
        let (metric, factors) = scaled_metric(node, table.width())?;
        let by_distance = match node.get("weights")?.text().as_deref() {
            Ok("distance") => true,
            Ok("uniform") => false,
            _ => return Err(unsupported("weights by a function are not read")),
        };
        let count = node.get("n_neighbors")?.count()?;
        if points.columns != table.width()
            || points.rows * width != targets.len()
            || !(1..=points.rows).contains(&count)
        {
            return Err(misshapen("its rows and what they stand for"));
        }
        let (value, points) = match factors {
            None => (value, points.cells),
            Some(factors) => {
                let scaled = points.cells.iter().enumerate().map(|(at, cell)| cell * factors[at % factors.len()]);
                (self.with(BinaryFunction::Multiply, value, &factors), scaled.collect())
            }
        };
        let (points, targets) = (self.plan.table(&points), self.plan.table(targets));
        let operator = Neighbours { metric, count, by_distance, points, targets };
        Ok(self.step(operator, &[value], Self::double(width)))
    }

    pub(super) fn neighbours_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        if let Some(counts) = several_classes(node)? {
            let known = node.get("_y")?.wholes()?;
            let (outputs, all) = (counts.len(), counts.iter().sum::<usize>());
            let rows = known.len() / outputs.max(1);
            let mut targets = vec![0.0; all.saturating_mul(rows)];
            for (row, known) in known.chunks(outputs.max(1)).enumerate() {
                let mut begin = row * all;
                for (class, count) in known.iter().zip(&counts) {
                    let place = usize::try_from(*class).ok().filter(|class| class < count);
                    targets[begin + place.ok_or_else(|| misshapen("its classes"))?] = 1.0;
                    begin += count;
                }
            }
            let probabilities = self.nearest(node, table, &targets, all)?;
            let probabilities = self.checked(&Table::computed(probabilities, all), false, false)?;
            return Ok(Answer::Table(Table::computed(probabilities, all)));
        }
        let classes = classes_of(node)?;
        let known = node.get("_y")?.wholes()?;
        let count = classes.len();
        let place = |class: i64| usize::try_from(class).ok().filter(|class| *class < count);
        let places: Option<Vec<usize>> = known.into_iter().map(place).collect();
        let places = places.ok_or_else(|| misshapen("its classes"))?;
        let one = |class: usize| (0..count).map(move |at| f64::from(u8::from(at == class)));
        let targets: Vec<f64> = places.into_iter().flat_map(one).collect();
        let probabilities = self.nearest(node, table, &targets, count)?;
        // Where no neighbour has any weight there is no answer.
        let probabilities = self.checked(&Table::computed(probabilities, count), false, false)?;
        self.by_probability(classes, probabilities)
    }

    pub(super) fn neighbours_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let known = node.get("_y")?.array()?;
        let width = if let [_, width] = known.shape[..] { width } else { 1 };
        let targets = known.numbers().ok_or_else(|| misshapen("its rows and what they stand for"))?;
        Ok(Answer::Values(self.nearest(node, table, &targets, width.max(1))?))
    }
}
