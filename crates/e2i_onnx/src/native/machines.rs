//! Support vector machines: the kernel's values as products or distances, and what is made of them.

use e2i_core::native::ValueType;
use e2i_core::native::operators::{
    Binary, BinaryFunction, Constants, DistanceFunction, Distances, Machines, Pick, Select, Unary, UnaryFunction,
};
use e2i_core::{Column, ElementType};

use super::constant::Constant;
use super::defaults::{floats, int, ints, string, strings};
use super::symbol::RowValue;
use super::{Lowered, Lowering, Symbol};
use crate::proto::NodeProto;

impl Lowering<'_, '_> {
    /// Labels, and scores of classes or pairs of them.
    pub(super) fn svm_classifier(&mut self, node: &NodeProto) -> Lowered<Vec<Symbol>> {
        let value = self.rows(node, 0)?;
        let value = self.of_columns(value)?;
        let labels = match (strings(node, "classlabels_strings")?, ints(node, "classlabels_ints")) {
            (Some(labels), _) if !labels.is_empty() => Column::Text(labels),
            (_, Some(labels)) => Column::Int64(labels.to_vec()),
            _ => return Err("it has no labels".into()),
        };
        let supports: Option<Vec<u32>> =
            ints(node, "vectors_per_class").unwrap_or(&[]).iter().map(|count| u32::try_from(*count).ok()).collect();
        let supports = supports.ok_or("a class has a negative number of support vectors")?;
        let classes = supports.len();
        if classes < 2 || labels.len() != classes {
            return Err("it has not as many labels as classes with support vectors".into());
        }
        if string(node, "post_transform", "NONE")? != "NONE" {
            return Err("its scores are transformed".into());
        }
        let count = supports.iter().try_fold(0usize, |sum, count| sum.checked_add(*count as usize));
        let count = count.ok_or("it has too many support vectors")?;
        let coefficients = floats(node, "coefficients").unwrap_or(&[]);
        let pairs = classes.checked_mul(classes - 1).ok_or("it has too many classes")? / 2;
        let first =
            |name: &str| floats(node, name).unwrap_or(&[]).get(..pairs).ok_or(format!("its {name} is too short"));
        let offsets = first("rho")?;
        let platt = match (floats(node, "prob_a").unwrap_or(&[]), floats(node, "prob_b").unwrap_or(&[])) {
            ([], []) => None,
            _ => Some([first("prob_a")?, first("prob_b")?]),
        };
        if count.checked_mul(classes - 1) != Some(coefficients.len()) {
            return Err("its coefficients are not as many as its support vectors".into());
        }
        let kernels = self.kernels(node, &value, count)?;
        self.spend(coefficients.len())?;
        let width = Machines::width(classes, platt.is_some());
        super::symbol::product(&[width])?;
        super::symbol::product(&[classes, classes])?;
        let machines = Machines::new(&supports, coefficients, offsets, platt, self.plan.tables());
        let outputs = [ValueType::new(ElementType::Int64, 1), ValueType::new(ElementType::Float32, width)];
        let elected = self.plan.step(&self.name, machines.into(), &[kernels.id], &outputs);
        let element = labels.element();
        let cells = Constants::write(&labels, self.plan.tables());
        let label = self.step(Pick { cells, width: 1 }, &[elected], element, vec![], vec![])?;
        let scores = RowValue { id: elected + 1, element: ElementType::Float32, before: vec![], axes: vec![width] };
        Ok(vec![Symbol::Rows(label), Symbol::Rows(scores)])
    }

    /// One number: a weighted sum of the kernel's values, or whether it is positive.
    pub(super) fn svm_regressor(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        if value.element != ElementType::Float32 {
            return Err(format!("its input is {}", value.element));
        }
        let value = self.of_columns(value)?;
        if string(node, "post_transform", "NONE")? != "NONE" {
            return Err("its numbers are transformed".into());
        }
        let coefficients = floats(node, "coefficients").unwrap_or(&[]);
        let &[offset, ..] = floats(node, "rho").unwrap_or(&[]) else { return Err("it has no rho".into()) };
        let count = usize::try_from(int(node, "n_supports", 0)).map_err(|_| "it has no support vectors".to_owned())?;
        let kernels = if count == 0 { value } else { self.kernels(node, &value, count)? };
        if kernels.axes != [coefficients.len()] {
            return Err("its coefficients are not as many as its support vectors".into());
        }
        let weight = |input: usize, _: usize| f64::from(coefficients[input]);
        let sum = self.product(&kernels, 1, weight, &[f64::from(offset)], 1.0)?;
        if int(node, "one_class", 0) == 0 {
            return Ok(Symbol::Rows(sum));
        }
        let zero = Constants::write(&Column::Float32(vec![0.0]), self.plan.tables());
        let greater = Binary { function: BinaryFunction::Greater, left: None, right: Some(zero) };
        let positive = self.step(greater, &[sum.id], ElementType::Bool, vec![], vec![1])?;
        let mut sign = |sign: f32| self.filled(&Constant::list(Column::Float32(vec![sign])));
        let (yes, no) = (sign(1.0)?, sign(-1.0)?);
        let ids = [positive.id, yes.id, no.id];
        Ok(Symbol::Rows(self.step(Select {}, &ids, ElementType::Float32, vec![], vec![1])?))
    }

    /// Rows of columns, as float32.
    fn of_columns(&mut self, value: RowValue) -> Lowered<RowValue> {
        if matches!(value.element, ElementType::Bool | ElementType::Text) {
            return Err(format!("its input is {}", value.element));
        }
        if !value.before.is_empty() || value.axes.len() != 1 {
            return Err("its input is not rows of columns".into());
        }
        self.cast_rows(&value, ElementType::Float32)
    }

    /// The kernel's value of a row and each of `count` support vectors.
    fn kernels(&mut self, node: &NodeProto, value: &RowValue, count: usize) -> Lowered<RowValue> {
        let columns = value.width()?;
        let vectors = floats(node, "support_vectors").unwrap_or(&[]);
        if count == 0 || columns == 0 || count.checked_mul(columns) != Some(vectors.len()) {
            return Err("its support vectors are not as long as a row".into());
        }
        let (gamma, summand, degree) = match *floats(node, "kernel_params").unwrap_or(&[]) {
            [] => (0.0, 0.0, 0.0),
            [gamma, summand, degree, ..] => (gamma, summand, degree),
            _ => return Err("the parameters of its kernel are not three".into()),
        };
        let weight = |input: usize, output: usize| f64::from(vectors[output * columns + input]);
        let added = if summand == 0.0 { vec![] } else { vec![f64::from(summand); count] };
        match string(node, "kernel_type", "LINEAR")?.as_str() {
            "LINEAR" => self.product(value, count, weight, &[], 1.0),
            "RBF" => {
                self.spend(vectors.len().saturating_add(columns.saturating_mul(16)))?;
                let function = DistanceFunction::Gaussian(gamma);
                let distances = Distances::new(vectors, columns, function, self.plan.tables());
                self.step(distances, &[value.id], ElementType::Float32, vec![], vec![count])
            }
            "POLY" => {
                let product = self.product(value, count, weight, &added, f64::from(gamma))?;
                let degree = Constants::write(&Column::Float32(vec![degree]), self.plan.tables());
                let power = Binary { function: BinaryFunction::Power, left: None, right: Some(degree) };
                self.step(power, &[product.id], ElementType::Float32, vec![], vec![count])
            }
            "SIGMOID" => {
                let product = self.product(value, count, weight, &added, f64::from(gamma))?;
                let function = UnaryFunction::HyperbolicTangent;
                self.step(Unary { function }, &[product.id], ElementType::Float32, vec![], vec![count])
            }
            other => Err(format!("its kernel {other} is not known")),
        }
    }
}
