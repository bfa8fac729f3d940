//! Gaussian processes: a kernel of kernels with the rows of the training data, and what follows of it.

use e2i_core::native::ValueId;
use e2i_core::native::operators::{BinaryFunction, Elementary, Kernel, Kernels, RowFunction, UnaryFunction};
use e2i_core::{Error, Kind, Result};

use super::answer::{Answer, Classified, classes_of};
use super::{Compiler, Table, misshapen, unsupported};
use crate::node::{Matrix, Node};

/// Most numbers of the rows that a kernel looks at, each time a row is scored.
const POINTS_AT_MOST: usize = 4 << 20;

/// Kernels within kernels.
const DEEPEST: usize = 32;

/// What scikit-learn approximates the integral of a logistic function by: error functions of these slopes, times these.
const SLOPES: [f64; 5] = [0.41, 0.4, 0.37, 0.44, 0.39];
const SHARES: [f64; 5] = [-1_854.821_415_1, 3_516.898_936_46, 221.293_467_12, 128.123_238_05, -2_010.494_226_54];

/// A row, or the rows of the training data.
struct Rows<'a> {
    value: ValueId,
    width: usize,
    points: &'a Matrix,
}

/// A hyper-parameter; one number for each column, where it is given so.
fn numbers(node: Node<'_>, name: &str) -> Result<Vec<f64>> {
    let given = node.get(name)?;
    match given.simple() {
        Some(_) => Ok(vec![given.number()?]),
        None => given.numbers(),
    }
}

impl Compiler {
    fn kernel_step(&mut self, kernel: Kernel, value: ValueId, points: &[f64], count: usize) -> ValueId {
        let vectors = self.plan.table(points);
        self.step(Kernels { kernel, vectors }, &[value], Self::double(count))
    }

    /// A kernel of the distance by a length for each column.
    fn by_length(&mut self, node: Node<'_>, rows: &Rows<'_>, kernel: Kernel) -> Result<ValueId> {
        let lengths = numbers(node, "length_scale")?;
        if lengths.len() != 1 && lengths.len() != rows.width {
            return Err(misshapen("its lengths and columns"));
        }
        let scaled = self.with(BinaryFunction::Divide, rows.value, &lengths);
        let cells = rows.points.cells.iter().enumerate();
        let points: Vec<f64> = cells.map(|(at, cell)| cell / lengths[at % rows.width % lengths.len()]).collect();
        Ok(self.kernel_step(kernel, scaled, &points, rows.points.rows))
    }

    /// The kernel of a row with each of the points.
    fn covariances(&mut self, node: Node<'_>, rows: &Rows<'_>, depth: usize) -> Result<ValueId> {
        use BinaryFunction::{Add, Divide, Multiply, Power};
        if depth == 0 {
            return Err(Error::new(Kind::Limit, "its kernel is too deep"));
        }
        let count = rows.points.rows;
        Ok(match node.class() {
            "Sum" | "Product" => {
                let first = self.covariances(node.get("k1")?, rows, depth - 1)?;
                let second = self.covariances(node.get("k2")?, rows, depth - 1)?;
                self.both(if node.class() == "Sum" { Add } else { Multiply }, first, second)
            }
            "Exponentiation" => {
                let inner = self.covariances(node.get("kernel")?, rows, depth - 1)?;
                self.with(Power, inner, &[node.get("exponent")?.number()?])
            }
            "ConstantKernel" => self.fill(&vec![node.get("constant_value")?.number()?; count]),
            // It is noise of the training data alone.
            "WhiteKernel" => self.fill(&vec![0.0; count]),
            "DotProduct" => {
                let product = self.kernel_step(Kernel::Linear, rows.value, &rows.points.cells, count);
                let sigma = node.get("sigma_0")?.number()?;
                self.with(Add, product, &[sigma * sigma])
            }
            "RBF" => self.by_length(node, rows, Kernel::Radial { gamma: 0.5 })?,
            "Matern" => {
                let nu = node.get("nu")?.number()?;
                if nu == f64::INFINITY {
                    return self.by_length(node, rows, Kernel::Radial { gamma: 0.5 });
                }
                let apart = self.by_length(node, rows, Kernel::Distance)?;
                let (root, square) = match nu {
                    0.5 => (1.0, None),
                    1.5 => (3f64.sqrt(), None),
                    2.5 => (5f64.sqrt(), Some(3.0)),
                    _ => return Err(unsupported(format!("a Matern kernel with nu = {nu} is not read"))),
                };
                let apart = self.with(Multiply, apart, &[root]);
                let negative = self.each(UnaryFunction::Negate, apart);
                let falling = self.each(UnaryFunction::Exponential, negative);
                if nu == 0.5 {
                    return Ok(falling);
                }
                let mut factor = self.with(Add, apart, &[1.0]);
                if let Some(divisor) = square {
                    let squared = self.both(Multiply, apart, apart);
                    let part = self.with(Divide, squared, &[divisor]);
                    factor = self.both(Add, factor, part);
                }
                self.both(Multiply, factor, falling)
            }
            "RationalQuadratic" => {
                let (alpha, length) = (node.get("alpha")?.number()?, node.get("length_scale")?.number()?);
                let apart = self.kernel_step(Kernel::SquaredDistance, rows.value, &rows.points.cells, count);
                let scaled = self.with(Divide, apart, &[2.0 * alpha * length * length]);
                let base = self.with(Add, scaled, &[1.0]);
                self.with(Power, base, &[-alpha])
            }
            "ExpSineSquared" => {
                let (period, length) = (node.get("periodicity")?.number()?, node.get("length_scale")?.number()?);
                let apart = self.kernel_step(Kernel::Distance, rows.value, &rows.points.cells, count);
                let angle = self.with(Multiply, apart, &[std::f64::consts::PI / period]);
                let sine = self.row(RowFunction::Each(Elementary::Sine), angle)?;
                let scaled = self.with(Divide, sine, &[length]);
                let squared = self.both(Multiply, scaled, scaled);
                let negative = self.with(Multiply, squared, &[-2.0]);
                self.each(UnaryFunction::Exponential, negative)
            }
            other => return Err(unsupported(format!("the kernel {other} is not read"))),
        })
    }

    /// The kernel of a row with itself.
    fn variance(&mut self, node: Node<'_>, value: ValueId, depth: usize) -> Result<ValueId> {
        use BinaryFunction::{Add, Multiply, Power};
        if depth == 0 {
            return Err(Error::new(Kind::Limit, "its kernel is too deep"));
        }
        Ok(match node.class() {
            "Sum" | "Product" => {
                let first = self.variance(node.get("k1")?, value, depth - 1)?;
                let second = self.variance(node.get("k2")?, value, depth - 1)?;
                self.both(if node.class() == "Sum" { Add } else { Multiply }, first, second)
            }
            "Exponentiation" => {
                let inner = self.variance(node.get("kernel")?, value, depth - 1)?;
                self.with(Power, inner, &[node.get("exponent")?.number()?])
            }
            "ConstantKernel" => self.fill(&[node.get("constant_value")?.number()?]),
            "WhiteKernel" => self.fill(&[node.get("noise_level")?.number()?]),
            "DotProduct" => {
                let squared = self.both(Multiply, value, value);
                let sum = self.row(RowFunction::Sum, squared)?;
                let sigma = node.get("sigma_0")?.number()?;
                self.with(Add, sum, &[sigma * sigma])
            }
            _ => self.fill(&[1.0]),
        })
    }

    fn points(&mut self, node: Node<'_>, table: &Table) -> Result<(ValueId, Matrix)> {
        let value = self.checked(table, false, false)?;
        let points = node.get("X_train_")?.matrix()?;
        if points.columns != table.width() || points.rows == 0 {
            return Err(misshapen("its rows and columns"));
        }
        if points.cells.len() > POINTS_AT_MOST {
            let message = format!("it keeps {} rows, which are too many to look through for each score", points.rows);
            return Err(Error::new(Kind::Limit, message));
        }
        Ok((value, points))
    }

    pub(super) fn gaussian_process_regressor(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let (value, points) = self.points(node, table)?;
        let rows = Rows { value, width: table.width(), points: &points };
        let covariances = self.covariances(node.get("kernel_")?, &rows, DEEPEST)?;
        let alpha = node.get("alpha_")?.array()?;
        let width = if let [_, width] = alpha.shape[..] { width } else { 1 };
        let cells = alpha.numbers().ok_or_else(|| misshapen("its rows and what they weigh"))?;
        if width == 0 || cells.len() != points.rows * width {
            return Err(misshapen("its rows and what they weigh"));
        }
        let weights = Matrix { rows: points.rows, columns: width, cells }.transposed();
        let mean = self.product(covariances, &weights, &[])?;
        let (scale, offset) = (numbers(node, "_y_train_std")?, numbers(node, "_y_train_mean")?);
        if ![scale.len(), offset.len()].iter().all(|count| *count == 1 || *count == width) {
            return Err(misshapen("its targets"));
        }
        let scaled = self.with(BinaryFunction::Multiply, mean, &scale);
        Ok(Answer::Values(self.with(BinaryFunction::Add, scaled, &offset)))
    }

    pub(super) fn gaussian_process_classifier(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let classes = classes_of(node)?;
        let inner = self.answer("base_estimator_", node.get("base_estimator_")?, table)?.classes()?;
        if inner.classes.len() != classes.len() {
            return Err(misshapen("its classes"));
        }
        Ok(Answer::Classes(Classified { classes, ..inner }))
    }

    /// Two classes, by Laplace's approximation.
    pub(super) fn binary_process(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        use BinaryFunction::{Add, Divide, Multiply, Subtract};
        let classes = classes_of(node)?;
        let (value, points) = self.points(node, table)?;
        let count = points.rows;
        let (targets, shares) = (node.get("y_train_")?.numbers()?, node.get("pi_")?.numbers()?);
        let (roots, lower) = (node.get("W_sr_")?.numbers()?, node.get("L_")?.matrix()?);
        let fits = [targets.len(), shares.len(), roots.len(), lower.rows, lower.columns] == [count; 5];
        if !fits || classes.len() != 2 || count.saturating_mul(count) > POINTS_AT_MOST {
            return Err(misshapen("its rows and classes"));
        }
        let kernel = node.get("kernel_")?;
        let rows = Rows { value, width: table.width(), points: &points };
        let covariances = self.covariances(kernel, &rows, DEEPEST)?;
        let weights = targets.iter().zip(&shares).map(|(target, share)| target - share).collect();
        let mean = self.product(covariances, &Matrix { rows: 1, columns: count, cells: weights }, &[])?;
        // The lower triangle's inverse times the roots is the same for all rows.
        let inverse = inverse_of(&lower, &roots).ok_or_else(|| misshapen("its rows and classes"))?;
        let explained = self.product(covariances, &inverse, &[])?;
        let squared = self.both(Multiply, explained, explained);
        let explained = self.row(RowFunction::Sum, squared)?;
        let own = self.variance(kernel, value, DEEPEST)?;
        let variance = self.both(Subtract, own, explained);
        let doubled = self.with(Multiply, variance, &[2.0]);
        let alpha = self.each(UnaryFunction::Reciprocal, doubled);
        let squares = SLOPES.map(|slope| slope * slope);
        let five = |compiler: &mut Self, value| compiler.pick(value, &[0; 5]);
        let (alphas, means) = (five(self, alpha), five(self, mean));
        let gammas = self.with(Multiply, means, &SLOPES);
        let sums = self.with(Add, alphas, &squares);
        let ratios = self.both(Divide, alphas, sums);
        let roots = self.each(UnaryFunction::SquareRoot, ratios);
        let places = self.both(Multiply, gammas, roots);
        let errors = self.row(RowFunction::Each(Elementary::Erf), places)?;
        // sqrt(pi / alpha) / (2 sqrt(2 pi variance)), as it is written there.
        let inverse_alpha = self.each(UnaryFunction::Reciprocal, alpha);
        let above = self.with(Multiply, inverse_alpha, &[std::f64::consts::PI]);
        let above = self.each(UnaryFunction::SquareRoot, above);
        let below = self.with(Multiply, variance, &[2.0 * std::f64::consts::PI]);
        let below = self.each(UnaryFunction::SquareRoot, below);
        let below = self.with(Multiply, below, &[2.0]);
        let (above, below) = (five(self, above), five(self, below));
        let integrals = self.both(Multiply, above, errors);
        let integrals = self.both(Divide, integrals, below);
        let weighed = self.with(Multiply, integrals, &SHARES);
        let sum = self.row(RowFunction::Sum, weighed)?;
        let positive = self.with(Add, sum, &[0.5 * SHARES.iter().sum::<f64>()]);
        let label = self.above(mean, 0.0);
        let probabilities = Some(self.pair(positive)?);
        Ok(Answer::Classes(Classified { classes, label, decision: None, probabilities }))
    }
}

/// The inverse of a lower triangle, times a number for each of its columns.
fn inverse_of(lower: &Matrix, factors: &[f64]) -> Option<Matrix> {
    let count = lower.rows;
    let mut cells = vec![0.0; count * count];
    for column in 0..count {
        for row in column..count {
            let known = (column..row).map(|at| lower.cells[row * count + at] * cells[at * count + column]).sum::<f64>();
            let own = if row == column { factors[column] } else { 0.0 };
            let diagonal = lower.cells[row * count + row];
            cells[row * count + column] = (own - known) / diagonal;
        }
    }
    cells.iter().all(|cell| cell.is_finite()).then_some(Matrix { rows: count, columns: count, cells })
}
