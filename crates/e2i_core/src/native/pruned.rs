//! A plan for rows of which something is known: its forests without the branches that this decides.
//!
//! What is known of the batch's cells is followed through the steps before a forest by computing them: each cell that a forest reads and
//! that is made of one cell of the batch is computed for the ends of what that can be. A function that does not rise or fall with its
//! argument takes other values between; a forest looks at the rows that it is given, so this costs time and changes no answer.
//!
//! What does not belong here: which branches are decided (`forest`).

use super::forest::Forest;
use super::plan::{OpenPlan, Step};
use super::value::ValueId;
use crate::batch::{Batch, Column, Tensor};
use crate::engine::Outputs;
use crate::error::Result;
use crate::known::{Known, Numbers, Possible};

/// Computes what a plan makes of a batch.
pub(super) type Compute<'c> = dyn Fn(OpenPlan, &Batch) -> Result<Outputs> + 'c;

/// The same plan, faster for rows that are as it is known; `None` where that decides few branches.
pub(super) fn plan(plan: &OpenPlan, known: &Known, compute: &Compute<'_>) -> Result<Option<OpenPlan>> {
    let mut forests: Vec<(usize, Forest)> = vec![];
    for (number, step) in plan.steps.iter().enumerate() {
        let (Some(forest), &[input]) = (step.operator.forest(), step.inputs.as_slice()) else { continue };
        let columns = columns(plan, known, input, compute)?;
        if !columns.is_empty()
            && let Some(pruned) = forest.pruned(&columns)?
        {
            forests.push((number, pruned));
        }
    }
    Ok((!forests.is_empty()).then(|| plan.with_forests(forests)))
}

/// What is known of the columns of a value.
fn columns(plan: &OpenPlan, known: &Known, value: ValueId, compute: &Compute<'_>) -> Result<Vec<(usize, Numbers)>> {
    let made_of = |column: usize| {
        let (tensor, position) = cell(plan, value, column)?;
        known.cells.iter().position(|(of, at, _)| (*of, *at) == (tensor, position))
    };
    let width = plan.values[value as usize].width;
    let made: Vec<(usize, usize)> = (0..width).filter_map(|column| Some((column, made_of(column)?))).collect();
    if (value as usize) < plan.inputs {
        let numbers = |(column, known_as): &(usize, usize)| match &known.cells[*known_as].2 {
            Possible::Numbers(numbers) => Some((*column, numbers.clone())),
            Possible::Texts(_) => None,
        };
        return Ok(made.iter().filter_map(numbers).collect());
    }
    if made.is_empty() {
        return Ok(vec![]);
    }
    let ends: Vec<Ends> = known.cells.iter().map(|(.., possible)| Ends::of(possible)).collect();
    let rows = ends.iter().map(Ends::len).max().unwrap_or_default().max(1);
    let outputs = compute(plan.up_to(value), &batch(plan, known, &ends, rows))?;
    let computed = |(column, known_as): (usize, usize)| {
        let number = |row: usize| outputs.main.number(row * width + column);
        Some((column, ends[known_as].numbers(number)?))
    };
    Ok(made.into_iter().filter_map(computed).collect())
}

/// The one cell of the batch of which a cell of a value is made.
fn cell(plan: &OpenPlan, mut value: ValueId, mut at: usize) -> Option<(usize, usize)> {
    loop {
        if (value as usize) < plan.inputs {
            return Some((value as usize, at));
        }
        let wrote = |step: &&Step| step.first_output == value;
        let step = plan.steps.iter().find(wrote)?;
        let output = plan.values[value as usize];
        let (input, cell) = step.operator.made_of(plan.image(), &plan.inputs_of(step), output, at)?;
        (value, at) = (*step.inputs.get(input)?, cell);
    }
}

/// What is tried of a cell: the ends of ranges in turn, or texts.
enum Ends<'k> {
    Numbers { ends: Vec<f64>, nan: bool },
    Texts(&'k [String]),
}

impl<'k> Ends<'k> {
    fn of(possible: &'k Possible) -> Self {
        match possible {
            Possible::Texts(texts) => Self::Texts(texts),
            Possible::Numbers(numbers) => Self::Numbers {
                ends: numbers.ranges.iter().flat_map(|(low, high)| [*low, *high]).collect(),
                nan: numbers.nan,
            },
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbers { ends, nan } => ends.len() + usize::from(*nan),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// Writes one of them; none has any meaning where the cell is of another type.
    fn write(&self, row: usize, column: &mut Column, at: usize) {
        let which = row % self.len().max(1);
        let number = match self {
            Self::Texts(texts) => {
                if let (Column::Text(cells), Some(text)) = (column, texts.get(which)) {
                    cells[at].clone_from(text);
                }
                return;
            }
            Self::Numbers { ends, .. } => ends.get(which).copied().unwrap_or(f64::NAN),
        };
        match column {
            Column::Float32(cells) => cells[at] = number as f32,
            Column::Float64(cells) => cells[at] = number,
            Column::Int32(cells) => cells[at] = number as i32,
            Column::Int64(cells) => cells[at] = number as i64,
            Column::Bool(cells) => cells[at] = number != 0.0,
            Column::Text(_) => {}
        }
    }

    /// What becomes of them, if that is known, from what was computed of each.
    fn numbers(&self, computed: impl Fn(usize) -> Option<f64>) -> Option<Numbers> {
        let all: Vec<f64> = (0..self.len()).map(computed).collect::<Option<_>>()?;
        let (in_pairs, alone) = match self {
            Self::Numbers { ends, .. } => all.split_at(ends.len()),
            Self::Texts(_) => all.split_at(0),
        };
        let mut nan = alone.iter().any(|number| number.is_nan());
        let mut ranges: Vec<(f64, f64)> = alone.iter().map(|number| (*number, *number)).collect();
        for pair in in_pairs.chunks_exact(2) {
            match (pair[0].is_nan(), pair[1].is_nan()) {
                (false, false) => ranges.push((pair[0].min(pair[1]), pair[0].max(pair[1]))),
                (true, true) => nan = true,
                _ => return None,
            }
        }
        Some(Numbers::of(ranges, nan))
    }
}

/// Rows of what is tried; zeros elsewhere.
fn batch(plan: &OpenPlan, known: &Known, ends: &[Ends<'_>], rows: usize) -> Batch {
    let mut tensors: Vec<Tensor> = plan.values[..plan.inputs]
        .iter()
        .map(|value| Tensor { width: value.width, values: Column::zeros(value.element, rows * value.width) })
        .collect();
    for ((tensor, position, _), ends) in known.cells.iter().zip(ends) {
        let Some(tensor) = tensors.get_mut(*tensor).filter(|tensor| *position < tensor.width) else { continue };
        (0..rows).for_each(|row| ends.write(row, &mut tensor.values, row * tensor.width + position));
    }
    Batch::of(rows, tensors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, OutputSet};
    use crate::interface::ElementType;
    use crate::native::engine::NativeEngine;
    use crate::native::ensemble::{
        Aggregate, Branch, Ensemble, FeatureUse, Missing, Node, Precision, Test, Tree, Weight,
    };
    use crate::native::instruction_set::InstructionSet;
    use crate::native::link::{Function, LabelRule, Link};
    use crate::native::operators::{Concat, OneHot, Operator, Scale, Trained, Unknown};
    use crate::native::{PlanBuilder, ValueType};

    /// A tree that asks the column of each number and the next tree.
    fn trees(width: usize, tests: &[(u32, f64)]) -> Ensemble {
        let leaf = |value| Node::Leaf(vec![Weight { target: 0, value }]);
        let tree = |(number, (column, bound)): (usize, &(u32, f64))| {
            let test = Test::LessEqual(*bound);
            let branch = Branch { feature: *column, test, missing_yes: false, yes: 1, no: 2 };
            let value = f64::from(1u32 << number);
            Tree { nodes: vec![Node::Branch(branch), leaf(value), leaf(-value)], cover: vec![] }
        };
        Ensemble {
            width,
            features: (0..width as u32).map(|column| FeatureUse { column, missing: Missing::Nan }).collect(),
            trees: tests.iter().enumerate().map(tree).collect(),
            targets: 1,
            compared_in: Precision::Single,
            added_in: Precision::Single,
            aggregate: Aggregate::Sum,
            base: vec![],
            base_first: true,
        }
    }

    /// A text as zeros and a one, a number scaled by -2, and a number as it is, then trees.
    fn pipeline() -> NativeEngine {
        let mut plan = PlanBuilder::default();
        let (float, text) = (|width| ValueType::new(ElementType::Float32, width), ValueType::new(ElementType::Text, 1));
        let (city, numbers) = (plan.input(text), plan.input(float(2)));
        let cities = Column::Text(["Oslo", "Paris", "Rome"].map(str::to_owned).to_vec());
        let encode = OneHot::new(&cities, Unknown::Zeros, plan.tables());
        let encoded = plan.step("encode", encode.into(), &[city], &[float(3)]);
        let scale = Scale { offset: plan.table(&[10.0, 0.0]), scale: plan.table(&[-2.0, 1.0]) };
        let scaled = plan.step("scale", scale.into(), &[numbers], &[float(2)]);
        let side_by_side = plan.step("concat", Operator::Concat(Concat {}), &[encoded, scaled], &[float(5)]);
        // Of the cities, of the scaled number, of the other.
        let ensemble = trees(5, &[(0, 0.5), (1, 0.5), (2, 0.5), (3, -6.0), (3, 100.0), (4, 1.0)]);
        let trained =
            Trained::compile(&ensemble, Link::new(Function::Identity, LabelRule::None), plan.tables()).unwrap();
        let outputs = trained.outputs();
        let predictions = plan.step("trees", trained.into(), &[side_by_side], &outputs);
        NativeEngine::open(&plan.finish(None, Some(predictions)).unwrap(), InstructionSet::best()).unwrap()
    }

    fn scored(engine: &mut dyn Engine, rows: &[(&str, f32, f32)]) -> Column {
        let tensors = vec![
            Tensor { width: 1, values: Column::Text(rows.iter().map(|row| row.0.to_owned()).collect()) },
            Tensor { width: 2, values: Column::Float32(rows.iter().flat_map(|row| [row.1, row.2]).collect()) },
        ];
        let mut outputs = Outputs::default();
        engine.score(&Batch::of(rows.len(), tensors), OutputSet::MAIN, &mut outputs).unwrap();
        outputs.main
    }

    #[test]
    fn what_is_known_is_followed_through_the_steps_before_the_trees() {
        let mut whole = pipeline();
        assert_eq!(whole.nodes(), Some((6, 6)));
        let numbers = |ranges: &[(f64, f64)]| Possible::Numbers(Numbers::of(ranges.iter().copied(), false));
        let paris = (0, 0, Possible::Texts(vec!["Paris".to_owned()]));
        let rows = [
            ("Paris", 13.0, 0.0),
            ("Paris", 15.0, f32::NAN),
            ("Rome", 14.0, 0.0),
            ("Lima", 1.0, 2.0),
            ("", f32::NAN, 2.0),
        ];
        let expected = scored(&mut whole, &rows);
        for (known, left) in [
            (vec![paris.clone()], 3),
            // From 13 to 15 it is from -6 to -10: at most -6, and not above 100.
            (vec![(1, 0, numbers(&[(13.0, 15.0)]))], 4),
            (vec![paris, (1, 0, numbers(&[(13.0, 15.0)])), (1, 1, numbers(&[(0.0, 0.0)]))], 0),
            (vec![(1, 0, numbers(&[(12.0, 13.0)]))], 5),
            (vec![(0, 0, Possible::Texts(vec!["Lima".to_owned(), "Rome".to_owned()]))], 4),
        ] {
            let mut pruned = whole.pruned(&Known { cells: known.clone() }).unwrap().unwrap();
            assert_eq!(pruned.nodes(), Some((6, left)), "{known:?}");
            assert_eq!(scored(&mut *pruned, &rows), expected);
            for row in &rows {
                assert_eq!(scored(&mut *pruned, &[*row]), scored(&mut whole, &[*row]));
            }
        }
        // Of a number of which nothing is decided, and of cells that are not there.
        for known in [(1, 1, numbers(&[(0.0, 5.0)])), (1, 7, numbers(&[(0.0, 0.0)])), (9, 0, numbers(&[(0.0, 0.0)]))] {
            assert!(whole.pruned(&Known { cells: vec![known] }).unwrap().is_none());
        }
    }
}
