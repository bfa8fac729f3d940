//! Operators that make a cell of one or two cells, with stretching, and choices between cells.

use e2i_core::native::operators::{
    Binary, BinaryFunction, Cast, Clip, Constants, Operator, Select, Unary, UnaryFunction,
};
use e2i_core::native::{ValueId, ValueType};
use e2i_core::{Column, ElementType};

use super::constant::Constant;
use super::defaults::{float, int};
use super::folding::fold;
use super::symbol::{RowValue, broadcast, product, stretched};
use super::{Lowered, Lowering, Symbol};
use crate::graph::{attribute, element_type};
use crate::proto::{NodeProto, data_type};

/// A constant beside rows, without the axis of the rows, along which it is the same.
struct Beside {
    constant: Constant,
    /// Its axes before and after those of the rows.
    before: Vec<usize>,
    axes: Vec<usize>,
}

/// Takes the axis of the rows, before `after` axes, from a constant.
fn without_rows(constant: Constant, after: usize) -> Lowered<Beside> {
    let (outer, axes) = constant.dims.split_at(constant.dims.len().saturating_sub(after));
    let before = match outer.split_last() {
        None => &[],
        Some((1, before)) => before,
        Some(_) => return Err("it stretches along the axis of the rows".into()),
    };
    let (before, axes) = (before.to_vec(), axes.to_vec());
    let dims = [before.as_slice(), &axes].concat();
    Ok(Beside { constant: Constant { dims, cells: constant.cells }, before, axes })
}

/// An operand of a cell-by-cell operator.
enum Operand {
    Rows(RowValue),
    Constant(Constant),
}

impl Lowering<'_, '_> {
    /// Operators of one and of two cells.
    pub(super) fn elementwise(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        use BinaryFunction as B;
        use UnaryFunction as U;
        let unary = match node.op_type.as_str() {
            "Neg" => Some(U::Negate),
            "Abs" => Some(U::Absolute),
            "Sqrt" => Some(U::SquareRoot),
            "Exp" => Some(U::Exponential),
            "Log" => Some(U::Logarithm),
            "Relu" => Some(U::Rectify),
            "LeakyRelu" => Some(U::LeakyRectify(float(node, "alpha", 0.01))),
            "Elu" => Some(U::ExponentialLinear(float(node, "alpha", 1.0))),
            "Sigmoid" => Some(U::Logistic),
            "Tanh" => Some(U::HyperbolicTangent),
            "Softplus" => Some(U::Softplus),
            "Reciprocal" => Some(U::Reciprocal),
            "Floor" => Some(U::Floor),
            "Ceil" => Some(U::Ceiling),
            "Round" => Some(U::Round),
            "Sign" => Some(U::Sign),
            "IsNaN" => Some(U::IsNan),
            "IsInf" if int(node, "detect_negative", 1) == 1 && int(node, "detect_positive", 1) == 1 => {
                Some(U::IsInfinite)
            }
            "Not" => Some(U::Not),
            _ => None,
        };
        if let Some(function) = unary {
            let input = self.operand(node, 0)?;
            return self.unary(function, input);
        }
        let function = match node.op_type.as_str() {
            "Add" | "Sum" => B::Add,
            "Sub" => B::Subtract,
            "Mul" => B::Multiply,
            "Div" => B::Divide,
            "Min" => B::Minimum,
            "Max" => B::Maximum,
            "Pow" => B::Power,
            "Less" => B::Less,
            "LessOrEqual" => B::LessOrEqual,
            "Greater" => B::Greater,
            "GreaterOrEqual" => B::GreaterOrEqual,
            "Equal" => B::Equal,
            "And" => B::And,
            "Or" => B::Or,
            "Xor" => B::ExclusiveOr,
            _ => return Err("the native engine does not know this operator".into()),
        };
        if int(node, "broadcast", 0) != 0
            || (self.version < 7 && !matches!(node.op_type.as_str(), "Sum" | "Min" | "Max"))
        {
            return Err("its stretching is that of versions before 7".into());
        }
        let several = matches!(node.op_type.as_str(), "Sum" | "Min" | "Max");
        if !several && node.inputs.len() != 2 {
            return Err("it has not two inputs".into());
        }
        let mut result = self.input(node, 0)?;
        for index in 1..node.inputs.len() {
            let (left, right) = (self.as_operand(result)?, self.operand(node, index)?);
            result = self.binary(function, left, right)?;
        }
        Ok(result)
    }

    fn operand(&self, node: &NodeProto, index: usize) -> Lowered<Operand> {
        self.as_operand(self.input(node, index)?)
    }

    fn as_operand(&self, symbol: Symbol) -> Lowered<Operand> {
        match symbol {
            Symbol::Rows(value) => Ok(Operand::Rows(value)),
            Symbol::Constant(constant) => Ok(Operand::Constant(constant)),
            Symbol::Dimensions(_) => Err("it computes with the number of rows".into()),
        }
    }

    fn unary(&mut self, function: UnaryFunction, operand: Operand) -> Lowered<Symbol> {
        let undefined = || "it is not defined for the type of its input".to_owned();
        match operand {
            Operand::Rows(value) => {
                let element = function.result(value.element).ok_or_else(undefined)?;
                let step = self.step(Unary { function }, &[value.id], element, value.before, value.axes)?;
                Ok(Symbol::Rows(step))
            }
            Operand::Constant(constant) => {
                let element = function.result(constant.element()).ok_or_else(undefined)?;
                let output = ValueType::new(element, constant.cells.len());
                let cells = fold(|_| Unary { function }.into(), &[constant.cells], output)?;
                Ok(Symbol::Constant(Constant { dims: constant.dims, cells }))
            }
        }
    }

    fn binary(&mut self, function: BinaryFunction, left: Operand, right: Operand) -> Lowered<Symbol> {
        let (left, right) = match function {
            // The exponent may be of another type: it becomes the base's.
            BinaryFunction::Power => {
                let element = left.element();
                (left, self.exponent(right, element)?)
            }
            _ => (left, right),
        };
        if left.element() != right.element() {
            return Err("its inputs are of two types".into());
        }
        let element =
            function.result(left.element()).ok_or_else(|| "it is not defined for the type of its inputs".to_owned())?;
        if let (BinaryFunction::Divide, false) = (function, left.element().is_float()) {
            // The runtime stops the process for a division by 0.
            match &right {
                Operand::Constant(constant) if !constant.integers()?.contains(&0) => {}
                _ => return Err("it may divide an integer by 0".into()),
            }
        }
        let no_constants = matches!(left.element(), ElementType::Bool | ElementType::Text);
        let operator =
            |left: Option<Constants>, right: Option<Constants>| Operator::from(Binary { function, left, right });
        match (left, right) {
            (Operand::Constant(left), Operand::Constant(right)) => {
                let dims = broadcast(&left.dims, &right.dims)?;
                let output = ValueType::new(element, product(&dims)?);
                self.spend(output.width)?;
                let inputs = [left.stretched(&dims)?.cells, right.stretched(&dims)?.cells];
                let cells = fold(|_| operator(None, None), &inputs, output)?;
                Ok(Symbol::Constant(Constant { dims, cells }))
            }
            (Operand::Rows(left), Operand::Rows(right)) => {
                if left.axes.len() != right.axes.len() {
                    return Err("it pairs each row with every other".into());
                }
                let axes = broadcast(&left.axes, &right.axes)?;
                let before = broadcast(&left.before, &right.before)?;
                let (left, right) = (self.stretch(&left, &before, &axes)?, self.stretch(&right, &before, &axes)?);
                Ok(Symbol::Rows(self.step(operator(None, None), &[left, right], element, before, axes)?))
            }
            (Operand::Rows(value), Operand::Constant(constant)) => {
                let (id, constant, before, axes) = self.beside(&value, constant)?;
                if no_constants {
                    let row = self.filled(&constant.stretched(&[before.as_slice(), &axes].concat())?)?.id;
                    return Ok(Symbol::Rows(self.step(operator(None, None), &[id, row], element, before, axes)?));
                }
                let cells = Constants::write(&constant.cells, self.plan.tables());
                let result = self.step(operator(None, Some(cells)), &[id], element, before, axes)?;
                self.added(function, constant, &result)?;
                Ok(Symbol::Rows(result))
            }
            (Operand::Constant(constant), Operand::Rows(value)) => {
                let (id, constant, before, axes) = self.beside(&value, constant)?;
                if no_constants {
                    let row = self.filled(&constant.stretched(&[before.as_slice(), &axes].concat())?)?.id;
                    return Ok(Symbol::Rows(self.step(operator(None, None), &[row, id], element, before, axes)?));
                }
                let cells = Constants::write(&constant.cells, self.plan.tables());
                let result = self.step(operator(Some(cells), None), &[id], element, before, axes)?;
                self.added(function, constant, &result)?;
                Ok(Symbol::Rows(result))
            }
        }
    }

    /// Tells the plan about constants that the step before adds.
    fn added(&mut self, function: BinaryFunction, constant: Constant, result: &RowValue) -> Lowered<()> {
        if function == BinaryFunction::Add {
            let row = constant.stretched(&result.cells())?;
            self.plan.last_step_adds(row.cells);
        }
        Ok(())
    }

    fn exponent(&mut self, operand: Operand, element: ElementType) -> Lowered<Operand> {
        match operand {
            operand if operand.element() == element => Ok(operand),
            Operand::Constant(constant) if Cast::is_possible(constant.element(), element) => {
                let output = ValueType::new(element, constant.cells.len());
                let cells = fold(|_| Cast {}.into(), &[constant.cells], output)?;
                Ok(Operand::Constant(Constant { dims: constant.dims, cells }))
            }
            _ => Err("its inputs are of two types".into()),
        }
    }

    /// A value and a constant, stretched to each other: a constant of one cell stays one.
    fn beside(&mut self, value: &RowValue, constant: Constant) -> Lowered<(ValueId, Constant, Vec<usize>, Vec<usize>)> {
        let constant = without_rows(constant, value.axes.len())?;
        let (before, axes) = (broadcast(&value.before, &constant.before)?, broadcast(&value.axes, &constant.axes)?);
        let cells = [before.as_slice(), &axes].concat();
        let id = self.stretch(value, &before, &axes)?;
        self.spend(product(&cells)?)?;
        let constant = constant.constant;
        let constant = if constant.cells.len() == 1 { constant } else { constant.stretched(&cells)? };
        Ok((id, constant, before, axes))
    }

    /// A value stretched to other axes before and after the rows, of which there are as many after as it has.
    pub(super) fn stretch(&mut self, value: &RowValue, before: &[usize], axes: &[usize]) -> Lowered<ValueId> {
        let to = [before, axes].concat();
        if product(&to)? == value.width()? {
            return Ok(value.id);
        }
        let places = stretched(&value.cells(), &to)?;
        Ok(self.gathered(value, before.len(), &places)?.id)
    }

    pub(super) fn cast(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let to = int(node, "to", 0);
        let to = i32::try_from(to)
            .ok()
            .and_then(element_type)
            .ok_or_else(|| format!("it makes {}", data_type::name(i32::try_from(to).unwrap_or_default())))?;
        self.cast_symbol(self.input(node, 0)?, to)
    }

    pub(super) fn cast_symbol(&mut self, symbol: Symbol, to: ElementType) -> Lowered<Symbol> {
        match symbol {
            Symbol::Rows(value) => self.cast_rows(&value, to).map(Symbol::Rows),
            Symbol::Constant(constant) => {
                if !Cast::is_possible(constant.element(), to) {
                    return Err(format!("it makes {to} of {}", constant.element()));
                }
                let output = ValueType::new(to, constant.cells.len());
                let cells = fold(|_| Cast {}.into(), &[constant.cells], output)?;
                Ok(Symbol::Constant(Constant { dims: constant.dims, cells }))
            }
            other if to == ElementType::Int64 => Ok(other),
            Symbol::Dimensions(_) => Err("it computes with the number of rows".into()),
        }
    }

    /// A value of another type, or the same value if it is of that type.
    pub(super) fn cast_rows(&mut self, value: &RowValue, to: ElementType) -> Lowered<RowValue> {
        if value.element == to {
            return Ok(value.clone());
        }
        if !Cast::is_possible(value.element, to) {
            return Err(format!("it makes {to} of {}", value.element));
        }
        self.step(Cast {}, &[value.id], to, value.before.clone(), value.axes.clone())
    }

    pub(super) fn clip(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let value = self.rows(node, 0)?;
        let mut bounds = [None, None];
        for (index, (bound, name)) in bounds.iter_mut().zip(["min", "max"]).enumerate() {
            *bound = match attribute(node, name) {
                Some(attribute) => Some(Column::Float32(vec![attribute.float])),
                None => match self.optional_input(node, index + 1)? {
                    None => None,
                    Some(Symbol::Constant(constant)) if constant.cells.len() == 1 => Some(constant.cells),
                    Some(_) => return Err("its range is not constant".into()),
                },
            };
        }
        let range = match (value.element, bounds) {
            (ElementType::Float32, bounds) => {
                let [low, high] = range(bounds, f32::MIN, f32::MAX, |cells| match cells {
                    Column::Float32(cells) => cells.first().copied(),
                    _ => None,
                })?;
                Column::Float32(vec![low, high])
            }
            (ElementType::Float64, bounds) => {
                let [low, high] = range(bounds, f64::MIN, f64::MAX, |cells| match cells {
                    Column::Float64(cells) => cells.first().copied(),
                    _ => None,
                })?;
                Column::Float64(vec![low, high])
            }
            (ElementType::Int64, bounds) => {
                let [low, high] = range(bounds, i64::MIN, i64::MAX, |cells| match cells {
                    Column::Int64(cells) => cells.first().copied(),
                    _ => None,
                })?;
                Column::Int64(vec![low, high])
            }
            (other, _) => return Err(format!("it cuts {other}")),
        };
        let range = Constants::write(&range, self.plan.tables());
        Ok(Symbol::Rows(self.step(Clip { range }, &[value.id], value.element, value.before, value.axes)?))
    }

    /// Where.
    pub(super) fn select(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let operands = [self.operand(node, 0)?, self.operand(node, 1)?, self.operand(node, 2)?];
        let mut rows = operands.iter().filter_map(|operand| match operand {
            Operand::Rows(value) => Some(value),
            Operand::Constant(_) => None,
        });
        let Some(first) = rows.next() else { return Err("all its inputs are constant".into()) };
        let rank = first.axes.len();
        if rows.any(|value| value.axes.len() != rank) {
            return Err("it pairs each row with every other".into());
        }
        let (mut axes, mut before) = (first.axes.clone(), first.before.clone());
        let mut besides = Vec::with_capacity(3);
        for operand in operands {
            let element = operand.element();
            let (value, constant) = match operand {
                Operand::Rows(value) => (Some(value), None),
                Operand::Constant(constant) => (None, Some(without_rows(constant, rank)?)),
            };
            let (own_before, own_axes) = match (&value, &constant) {
                (Some(value), _) => (&value.before, &value.axes),
                (_, Some(constant)) => (&constant.before, &constant.axes),
                _ => continue,
            };
            (before, axes) = (broadcast(&before, own_before)?, broadcast(&axes, own_axes)?);
            besides.push((element, value, constant));
        }
        let elements: Vec<ElementType> = besides.iter().map(|(element, ..)| *element).collect();
        if elements[0] != ElementType::Bool || elements[1] != elements[2] {
            return Err("its inputs are of types that do not fit together".into());
        }
        let cells = [before.as_slice(), &axes].concat();
        let mut ids = Vec::with_capacity(3);
        for beside in besides {
            match beside {
                (_, Some(value), _) => ids.push(self.stretch(&value, &before, &axes)?),
                (_, _, Some(beside)) => {
                    self.spend(product(&cells)?)?;
                    ids.push(self.filled(&beside.constant.stretched(&cells)?)?.id);
                }
                _ => {}
            }
        }
        Ok(Symbol::Rows(self.step(Select {}, &ids, elements[1], before, axes)?))
    }
}

impl Operand {
    fn element(&self) -> ElementType {
        match self {
            Self::Rows(value) => value.element,
            Self::Constant(constant) => constant.element(),
        }
    }
}

fn range<T: Copy>(
    bounds: [Option<Column>; 2],
    low: T,
    high: T,
    read: impl Fn(&Column) -> Option<T>,
) -> Lowered<[T; 2]> {
    let wrong = || "its range is of another type than its input".to_owned();
    let [least, greatest] = bounds;
    let low = least.map_or(Ok(low), |cells| read(&cells).ok_or_else(wrong))?;
    let high = greatest.map_or(Ok(high), |cells| read(&cells).ok_or_else(wrong))?;
    Ok([low, high])
}
