//! Matrix products and linear models.

use e2i_core::native::operators::{
    ArgExtreme, Binary, BinaryFunction, Cast, Constants, Linear, Pick, Softmax, Unary, UnaryFunction,
};
use e2i_core::{Column, ElementType};

use super::constant::Constant;
use super::defaults::{float, floats, int, ints, string, strings};
use super::symbol::{RowValue, product};
use super::{Lowered, Lowering, Symbol};
use crate::proto::NodeProto;

impl Lowering<'_, '_> {
    /// A product along the last axis with a matrix of `inputs × outputs`.
    pub(super) fn product(
        &mut self,
        value: &RowValue,
        outputs: usize,
        weight: impl Fn(usize, usize) -> f64,
        bias: &[f64],
        factor: f64,
    ) -> Lowered<RowValue> {
        let Some((&inputs, outer)) = value.axes.split_last() else {
            return Err("it multiplies along the axis of the rows".into());
        };
        if inputs == 0 || outputs == 0 {
            return Err("its matrix is empty".into());
        }
        let mut axes = outer.to_vec();
        axes.push(outputs);
        product(&axes)?;
        // Lanes are filled up to 16.
        self.spend(inputs.checked_mul(outputs).and_then(|cells| cells.checked_mul(2)).unwrap_or(usize::MAX))?;
        self.spend((inputs + outputs) * 16)?;
        let linear = Linear::new(value.element, (inputs, outputs), weight, bias, factor, self.plan.tables());
        self.step(linear, &[value.id], value.element, value.before.clone(), axes)
    }

    pub(super) fn mat_mul(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let matrix = self.constant_input(node, 1)?;
        let weights = self.weights(&value, &matrix)?;
        let (inputs, outputs, axis_dropped) = match *matrix.dims.as_slice() {
            [inputs] => (inputs, 1, true),
            [inputs, outputs] => (inputs, outputs, false),
            // Several matrices for the same rows: one beside the other, each a cell of an axis before the rows.
            [count, inputs, outputs]
                if value.axes == [inputs] && value.before.len() <= 1 && product(&value.before)? == 1 =>
            {
                let all = product(&[count, outputs])?;
                let weight = |i: usize, o: usize| weights[(o / outputs * inputs + i) * outputs + o % outputs];
                let result = self.product(&value, all, weight, &[], 1.0)?;
                return Ok(Symbol::Rows(RowValue { before: vec![count], axes: vec![outputs], ..result }));
            }
            _ => return Err("its matrix has more than two axes".into()),
        };
        // With an axis of length 1 before the rows and none after, the rows themselves are the columns.
        if value.axes.last() != Some(&inputs) {
            return Err("its matrix is not shaped for its input".into());
        }
        let mut result = self.product(&value, outputs, |i, o| weights[i * outputs + o], &[], 1.0)?;
        if axis_dropped {
            result.axes.pop();
        }
        Ok(Symbol::Rows(result))
    }

    fn weights(&self, value: &RowValue, matrix: &Constant) -> Lowered<Vec<f64>> {
        if value.element != matrix.element() {
            return Err("its inputs are of two types".into());
        }
        matrix.floats()
    }

    pub(super) fn gemm(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let matrix = self.constant_input(node, 1)?;
        if int(node, "transA", 0) != 0 || !value.before.is_empty() || value.axes.len() != 1 {
            return Err("its first input is not rows of columns".into());
        }
        let weights = self.weights(&value, &matrix)?;
        let transposed = int(node, "transB", 0) != 0;
        let (inputs, outputs) = match (matrix.dims.as_slice(), transposed) {
            (&[inputs, outputs], false) | (&[outputs, inputs], true) => (inputs, outputs),
            _ => return Err("its matrix has not two axes".into()),
        };
        if value.axes != [inputs] {
            return Err("its matrix is not shaped for its input".into());
        }
        let weight = |i: usize, o: usize| weights[if transposed { o * inputs + i } else { i * outputs + o }];
        let (alpha, beta) = (float(node, "alpha", 1.0), float(node, "beta", 1.0));
        let scaled = |bias: f64| match value.element {
            ElementType::Float32 => f64::from(bias as f32 * beta),
            _ => bias * f64::from(beta),
        };
        let bias = match self.optional_input(node, 2)? {
            None => None,
            Some(_) if beta == 0.0 => None,
            Some(symbol) => Some(symbol),
        };
        match bias {
            None => Ok(Symbol::Rows(self.product(&value, outputs, weight, &[], f64::from(alpha))?)),
            Some(Symbol::Constant(bias)) => {
                if bias.element() != value.element {
                    return Err("its inputs are of two types".into());
                }
                let cells: Vec<f64> = bias.floats()?.into_iter().map(scaled).collect();
                let cells = match (bias.dims.as_slice(), cells.as_slice()) {
                    ([] | [1] | [1, 1], [one]) => vec![*one; outputs],
                    ([count] | [1, count], _) if *count == outputs => cells,
                    _ => return Err("what it adds is not the same for every row".into()),
                };
                Ok(Symbol::Rows(self.product(&value, outputs, weight, &cells, f64::from(alpha))?))
            }
            Some(Symbol::Rows(added)) if beta == 1.0 && added.before.is_empty() && added.axes.len() == 1 => {
                let result = self.product(&value, outputs, weight, &[], f64::from(alpha))?;
                if added.element != result.element || !(added.axes == [1] || added.axes == [outputs]) {
                    return Err("what it adds does not fit".into());
                }
                let added = self.stretch(&added, &[], &[outputs])?;
                let add = Binary { function: BinaryFunction::Add, left: None, right: None };
                Ok(Symbol::Rows(self.step(add, &[result.id, added], result.element, vec![], vec![outputs])?))
            }
            Some(_) => Err("what it adds is not known".into()),
        }
    }

    /// The input of a model of `ai.onnx.ml`: one row of columns, in float32.
    fn ml_input(&mut self, node: &NodeProto) -> Lowered<RowValue> {
        let value = self.rows(node, 0)?;
        if value.element == ElementType::Float64 {
            return Err("its input is float64, its numbers are float32".into());
        }
        let value = self.cast_rows(&value, ElementType::Float32)?;
        if !value.before.is_empty() || value.axes.len() != 1 {
            return Err("its input is not rows of columns".into());
        }
        Ok(value)
    }

    fn transformed(&mut self, value: RowValue, post_transform: &str) -> Lowered<RowValue> {
        let axes = value.axes.clone();
        match post_transform {
            "NONE" => Ok(value),
            "LOGISTIC" => {
                let logistic = Unary { function: UnaryFunction::Logistic };
                self.step(logistic, &[value.id], value.element, value.before, axes)
            }
            "SOFTMAX" => {
                let softmax = Softmax { size: value.width()?, logarithm: false };
                self.step(softmax, &[value.id], value.element, value.before, axes)
            }
            other => Err(format!("its transformation {other} is not known")),
        }
    }

    pub(super) fn linear_regressor(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.ml_input(node)?;
        let (inputs, targets) = (value.width()?, int(node, "targets", 1));
        let targets = usize::try_from(targets).ok().filter(|targets| *targets > 0).ok_or("it has no targets")?;
        let weights = floats(node, "coefficients").unwrap_or(&[]);
        let bias = floats(node, "intercepts").unwrap_or(&[]);
        if inputs.checked_mul(targets) != Some(weights.len()) || !(bias.is_empty() || bias.len() == targets) {
            return Err("its coefficients are not as many as its columns".into());
        }
        let transform = string(node, "post_transform", "NONE")?;
        if targets == 1 && transform != "NONE" {
            return Err(format!("its transformation {transform} of one number is not known"));
        }
        let bias: Vec<f64> = bias.iter().map(|bias| f64::from(*bias)).collect();
        let scores = self.product(&value, targets, |i, o| f64::from(weights[o * inputs + i]), &bias, 1.0)?;
        self.transformed(scores, &transform).map(Symbol::Rows)
    }

    /// Scores, the label of the greatest (or of a positive only one), and a transformation of the scores.
    pub(super) fn linear_classifier(&mut self, node: &NodeProto) -> Lowered<Vec<Symbol>> {
        let value = self.ml_input(node)?;
        let inputs = value.width()?;
        let weights = floats(node, "coefficients").unwrap_or(&[]);
        let bias = floats(node, "intercepts").unwrap_or(&[]);
        let labels = match (strings(node, "classlabels_strings")?, ints(node, "classlabels_ints")) {
            (Some(labels), _) if !labels.is_empty() => Column::Text(labels),
            (_, Some(labels)) => Column::Int64(labels.to_vec()),
            _ => return Err("it has no labels".into()),
        };
        let classes = weights.len().checked_div(inputs).unwrap_or(0);
        if classes == 0 || classes * inputs != weights.len() || !(bias.is_empty() || bias.len() == classes) {
            return Err("its coefficients are not as many as its columns".into());
        }
        let expected = if classes == 1 { 2 } else { classes };
        if labels.len() != expected {
            return Err("its labels are not as many as its classes".into());
        }
        let element = labels.element();
        let transform = string(node, "post_transform", "NONE")?;
        let bias: Vec<f64> = bias.iter().map(|bias| f64::from(*bias)).collect();
        let cells = Constants::write(&labels, self.plan.tables());
        if classes > 1 {
            let scores = self.product(&value, classes, |i, o| f64::from(weights[o * inputs + i]), &bias, 1.0)?;
            let greatest = ArgExtreme { greatest: true, last: false, size: classes, inner: 1 };
            let index = self.step(greatest, &[scores.id], ElementType::Int64, vec![], vec![])?;
            let label = self.step(Pick { cells, width: 1 }, &[index.id], element, vec![], vec![])?;
            let scores = self.transformed(scores, &transform)?;
            return Ok(vec![Symbol::Rows(label), Symbol::Rows(scores)]);
        }
        // One score: the second class is that it is positive.
        let score = self.product(&value, 1, |i, _| f64::from(weights[i]), &bias, 1.0)?;
        let zero = Constants::write(&Column::Float32(vec![0.0]), self.plan.tables());
        let greater = Binary { function: BinaryFunction::Greater, left: None, right: Some(zero) };
        let positive = self.step(greater, &[score.id], ElementType::Bool, vec![], vec![])?;
        let index = self.step(Cast {}, &[positive.id], ElementType::Int64, vec![], vec![])?;
        let label = self.step(Pick { cells, width: 1 }, &[index.id], element, vec![], vec![])?;
        let scores = match transform.as_str() {
            // Both signs of the score; a sum of negated products is the negated sum, to the bit.
            "LOGISTIC" => {
                let sign = |output: usize| if output == 0 { -1.0 } else { 1.0 };
                let bias: Vec<f64> = bias.iter().flat_map(|bias| [-bias, *bias]).collect();
                let scores = self.product(&value, 2, |i, o| sign(o) * f64::from(weights[i]), &bias, 1.0)?;
                self.transformed(scores, &transform)?
            }
            "NONE" | "SOFTMAX" | "SOFTMAX_ZERO" => {
                let one = Constants::write(&Column::Float32(vec![1.0]), self.plan.tables());
                let subtract = Binary { function: BinaryFunction::Subtract, left: Some(one), right: None };
                let rest = self.step(subtract, &[score.id], ElementType::Float32, vec![], vec![1])?;
                let concat = e2i_core::native::operators::Concat {};
                self.step(concat, &[rest.id, score.id], ElementType::Float32, vec![], vec![2])?
            }
            other => return Err(format!("its transformation {other} is not known")),
        };
        Ok(vec![Symbol::Rows(label), Symbol::Rows(scores)])
    }
}
