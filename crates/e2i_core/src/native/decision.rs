//! What a plan adds up, before it makes predictions of it: the trees or products that decide, how their columns are made of the
//! model's cells, and what becomes of the sums. For explanations, which take sums apart.
//!
//! Followed backwards from the plan's numbers, as far as each step is known to be a function of sums. Nothing is found where a step is
//! not: the numbers themselves are all that there is then.
//!
//! What does not belong here: attributions, and how a model is scored.

use super::classifier::PostTransform;
use super::engine::NativeEngine;
use super::ensemble::{Aggregate, Ensemble};
use super::image::Image;
use super::instruction_set::InstructionSet;
use super::link::Function;
use super::operators::{Binary, BinaryFunction, Constants, Norm, Operator, RowFunction, Trees, UnaryFunction};
use super::plan::{OpenPlan, Step};
use super::value::ValueId;
use crate::engine::Engine;
use crate::error::Result;

/// What becomes of sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum After {
    /// One of a training library's functions.
    Function(Function),
    /// The logistic function of each, divided by the sum of all.
    Shares,
    /// `-2^(-x · times) - offset` of a mean length of paths.
    Isolation {
        /// As above.
        times: f64,
        /// As above.
        offset: f64,
    },
}

/// A cell of the batch: its tensor, and the place in a row.
pub type CellOfBatch = (usize, usize);

/// Trees that decide.
pub struct Deciding {
    /// The trees, without covers, and what each sum is multiplied with.
    pub ensemble: Ensemble,
    /// As above.
    pub times: f64,
    /// Computes the columns that they read.
    pub columns: NativeEngine,
    /// The one cell of the batch that each column is made of.
    pub cells: Vec<CellOfBatch>,
}

/// What decides.
pub enum By {
    /// Trees.
    Trees(Box<Deciding>),
    /// Whatever computes the sums.
    Sums {
        /// Computes them.
        engine: Box<NativeEngine>,
        /// Whether each is a sum of functions of one cell of the batch.
        is_additive: bool,
    },
}

/// What a plan adds up, and what becomes of it.
pub struct Decision {
    /// What computes the sums.
    pub by: By,
    /// What becomes of them.
    pub after: After,
}

impl Decision {
    /// What an engine adds up before it makes predictions of it; `None` where that is not known.
    ///
    /// # Errors
    /// What its trees report.
    pub fn of(engine: &dyn Engine) -> Result<Option<Self>> {
        match engine.as_any().downcast_ref::<NativeEngine>() {
            Some(engine) => of(engine.plan(), engine.set()),
            None => Ok(None),
        }
    }
}

/// What decides in a plan; `None` where that is not known.
fn of(plan: &OpenPlan, set: InstructionSet) -> Result<Option<Decision>> {
    const NOTHING: After = After::Function(Function::Identity);
    let Some(mut value) = plan.main else { return Ok(None) };
    let (mut after, mut pair, mut shares) = (NOTHING, false, false);
    let mut stripped: Option<(usize, Operator)> = None;
    while let Some((index, step)) = wrote(plan, value) {
        if let (Operator::Concat(_), &[rest, positive], true) =
            (&step.operator, step.inputs.as_slice(), after == NOTHING)
            && let Some(of) = complement(plan, rest, positive)
        {
            (value, pair) = (of, true);
            continue;
        }
        let [input] = step.inputs[..] else { break };
        let width = plan.values[value as usize].width;
        match &step.operator {
            Operator::Cast(_) if plan.values[input as usize].element.is_float() => {}
            Operator::WholeRow(row) if after == NOTHING => match row.function {
                RowFunction::Complement if !pair => pair = true,
                RowFunction::Shares { .. } | RowFunction::SharesOrZeros if !pair => shares = true,
                RowFunction::Expit => after = After::Function(Function::Logistic { coefficient: 1.0 }),
                RowFunction::Softmax if !pair => after = After::Function(Function::Softmax),
                RowFunction::SoftmaxPair(scale) if !pair => {
                    after = After::Function(Function::Logistic { coefficient: 2.0 * scale });
                    pair = true;
                }
                RowFunction::Isolation { all, offset } => after = After::Isolation { times: 1.0 / all, offset },
                _ => break,
            },
            Operator::Softmax(softmax) if after == NOTHING && softmax.size == width && !softmax.logarithm => {
                after = After::Function(Function::Softmax);
            }
            Operator::Normalize(normalize) if after == NOTHING && !pair && normalize.norm == Norm::L1 => shares = true,
            Operator::Unary(unary) if after == NOTHING => match function(unary.function) {
                Some(function) => after = After::Function(function),
                None => break,
            },
            Operator::Binary(binary) => match (after, factor(binary, plan.image())) {
                (After::Function(Function::Logistic { coefficient }), Some(times)) if times > 0.0 => {
                    after = After::Function(Function::Logistic { coefficient: coefficient * times });
                }
                _ => break,
            },
            Operator::Network(network) => {
                if value == step.first_output && after == NOTHING {
                    let (bare, last) = network.bare();
                    match last.map(function) {
                        None => {}
                        Some(Some(function)) => after = After::Function(function),
                        Some(None) => break,
                    }
                    stripped = Some((index, bare.into()));
                }
                break;
            }
            _ => break,
        }
        value = input;
    }
    // What adds up to 1 is its own shares.
    if shares && !pair {
        after = match after {
            After::Function(Function::Softmax) => after,
            After::Function(Function::Logistic { coefficient: 1.0 }) => After::Shares,
            // Shares of sums are no function of each.
            _ => return Ok(None),
        };
    }
    if let Some((trees, more)) = trees(plan, value, set)? {
        let after = match (after, more) {
            (after, Function::Identity) => after,
            (NOTHING, more) => After::Function(more),
            _ => return Ok(None),
        };
        let after = match after {
            // Of lengths it is the mean that people know.
            After::Isolation { times, offset } => {
                let count = trees.ensemble.trees.len().max(1) as f64;
                let trees = Box::new(Deciding { times: 1.0 / count, ..trees });
                let after = After::Isolation { times: times * count, offset };
                return Ok(Some(Decision { by: By::Trees(trees), after }));
            }
            after => after,
        };
        return Ok(Some(Decision { by: By::Trees(Box::new(trees)), after }));
    }
    if matches!(after, After::Isolation { .. }) {
        return Ok(None);
    }
    let is_additive = is_additive(plan, value);
    if after == NOTHING && !is_additive {
        return Ok(None);
    }
    let engine = Box::new(NativeEngine::of(plan.without_after(value, stripped), set));
    Ok(Some(Decision { by: By::Sums { engine, is_additive }, after }))
}

/// The value `p`, where one value is `1 - p` and another `p`, in whatever precision.
fn complement(plan: &OpenPlan, rest: ValueId, positive: ValueId) -> Option<ValueId> {
    let rest = uncast(plan, rest);
    let (_, step) = wrote(plan, rest)?;
    let (Operator::Binary(binary), &[of]) = (&step.operator, step.inputs.as_slice()) else { return None };
    let left = binary.left.as_ref().filter(|_| binary.function == BinaryFunction::Subtract)?;
    let is_one = left.len() == 1 && number(left, plan.image()) == Some(1.0);
    (is_one && uncast(plan, of) == uncast(plan, positive)).then(|| uncast(plan, positive))
}

/// The value of which another is the same in another precision.
fn uncast(plan: &OpenPlan, mut value: ValueId) -> ValueId {
    while let Some((_, step)) = wrote(plan, value)
        && let (Operator::Cast(_), &[input]) = (&step.operator, step.inputs.as_slice())
        && plan.values[input as usize].element.is_float()
    {
        value = input;
    }
    value
}

/// The first of some cells that are numbers.
fn number(cells: &Constants, image: &Image) -> Option<f64> {
    match cells {
        Constants::Float32(cells) => image.slice(*cells).first().map(|cell| f64::from(*cell)),
        Constants::Float64(cells) => image.slice(*cells).first().copied(),
        _ => None,
    }
}

/// The step that wrote a value.
fn wrote(plan: &OpenPlan, value: ValueId) -> Option<(usize, &Step)> {
    let writes = |step: &Step| (step.first_output..step.first_output + step.outputs).contains(&value);
    plan.steps.iter().enumerate().find(|(_, step)| writes(step))
}

fn function(of: UnaryFunction) -> Option<Function> {
    match of {
        UnaryFunction::Logistic => Some(Function::Logistic { coefficient: 1.0 }),
        UnaryFunction::Exponential => Some(Function::Exp),
        UnaryFunction::Softplus => Some(Function::Softplus),
        _ => None,
    }
}

/// What cells are multiplied with, if all are with the same number.
fn factor(binary: &Binary, image: &Image) -> Option<f64> {
    let number = |cells: &Constants| if cells.len() == 1 { number(cells, image) } else { None };
    match (binary.function, &binary.left, &binary.right) {
        (BinaryFunction::Multiply, Some(cells), None) | (BinaryFunction::Multiply, None, Some(cells)) => number(cells),
        (BinaryFunction::Divide, None, Some(cells)) => number(cells).map(|number| 1.0 / number),
        _ => None,
    }
}

/// The trees that a value is the sums of, and what has been made of the sums.
fn trees(plan: &OpenPlan, mut value: ValueId, set: InstructionSet) -> Result<Option<(Deciding, Function)>> {
    let mut times = 1.0;
    loop {
        let Some((_, step)) = wrote(plan, value) else { return Ok(None) };
        let [input] = step.inputs[..] else { return Ok(None) };
        if matches!(step.operator, Operator::Cast(_)) && plan.values[input as usize].element.is_float() {
            value = input;
            continue;
        }
        let (ensemble, function, times) = match &step.operator {
            Operator::Binary(binary) => match factor(binary, plan.image()) {
                Some(factor) => {
                    times *= factor;
                    value = input;
                    continue;
                }
                None => return Ok(None),
            },
            Operator::Trained(trained) if value == step.first_output => {
                let link = trained.link();
                let divisor = f64::from(link.divisor.unwrap_or(1).max(1));
                (trained.forest().ensemble()?, link.function, times / divisor)
            }
            Operator::Trees(trees) if value == step.first_output + step.outputs - 1 => match sums_of(trees)? {
                Some((ensemble, function)) => (ensemble, function, times),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        if matches!(ensemble.aggregate, Aggregate::Min | Aggregate::Max)
            || times != 1.0 && function != Function::Identity
        {
            return Ok(None);
        }
        let width = plan.values[input as usize].width;
        let cells: Option<Vec<CellOfBatch>> = (0..width).map(|column| cell(plan, input, column)).collect();
        let Some(cells) = cells else { return Ok(None) };
        let columns = NativeEngine::of(plan.up_to(input), set);
        return Ok(Some((Deciding { ensemble, times, columns, cells }, function)));
    }
}

/// The trees of an operator of ONNX with their base values, and what becomes of their sums; of two classes with one sum, that of the second.
fn sums_of(trees: &Trees) -> Result<Option<(Ensemble, Function)>> {
    let finish = trees.rule();
    let super::classifier::Seen::Known(seen) = &finish.seen else { return Ok(None) };
    let mut ensemble = trees.forest().ensemble()?;
    let mut function = match finish.post_transform {
        PostTransform::None => Function::Identity,
        PostTransform::Softmax => Function::Softmax,
        PostTransform::Logistic => Function::Logistic { coefficient: 1.0 },
        PostTransform::SoftmaxZero | PostTransform::Probit => return Ok(None),
    };
    let Some(classifier) = &finish.classifier else {
        if finish.width == 1 {
            function = Function::Identity;
        }
        return Ok((function != Function::Logistic { coefficient: 1.0 }).then_some((ensemble, function)));
    };
    if finish.width == 2 && !seen[1] && classifier.base.len() <= 1 {
        if function == Function::Softmax {
            return Ok(None);
        }
        ensemble.targets = 1;
        ensemble.base = vec![ensemble.base.first().unwrap_or(&0.0) + classifier.base.first().unwrap_or(&0.0)];
        for tree in &mut ensemble.trees {
            for node in &mut tree.nodes {
                if let super::ensemble::Node::Leaf(weights) = node {
                    weights.retain(|weight| weight.target == 0);
                }
            }
        }
        return Ok(Some((ensemble, function)));
    }
    let is_plain = seen.iter().all(|seen| *seen) && (finish.width > 2 || classifier.base.is_empty());
    if !is_plain || matches!(function, Function::Logistic { .. }) {
        return Ok(None);
    }
    ensemble.base.resize(finish.width, 0.0);
    ensemble.base.iter_mut().zip(&classifier.base).for_each(|(base, more)| *base += more);
    Ok(Some((ensemble, function)))
}

/// Whether a value is products of cells that are each made of one cell of the batch.
fn is_additive(plan: &OpenPlan, value: ValueId) -> bool {
    let Some((_, step)) = wrote(plan, value) else { return false };
    let &[input] = step.inputs.as_slice() else { return false };
    let is_product = match &step.operator {
        Operator::Linear(linear) => linear.is_one_product(plan.values[input as usize].width),
        Operator::Network(network) => network.is_one_product(),
        _ => false,
    };
    is_product && (0..plan.values[input as usize].width).all(|column| cell(plan, input, column).is_some())
}

/// The one cell of the batch of which a cell of a value is made.
fn cell(plan: &OpenPlan, mut value: ValueId, mut at: usize) -> Option<CellOfBatch> {
    loop {
        if (value as usize) < plan.inputs {
            return Some((value as usize, at));
        }
        let step = plan.steps.iter().find(|step| step.first_output == value)?;
        let is_each = match &step.operator {
            Operator::Finite(_) => true,
            Operator::WholeRow(row) => matches!(row.function, RowFunction::Each(_)),
            _ => false,
        };
        if is_each {
            value = *step.inputs.first()?;
            continue;
        }
        let output = plan.values[value as usize];
        let (input, cell) = step.operator.made_of(plan.image(), &plan.inputs_of(step), output, at)?;
        (value, at) = (*step.inputs.get(input)?, cell);
    }
}
