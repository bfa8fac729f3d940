//! Whether the answer to a row is that row's alone: what registration tries on the runtime before it lets rows be scored
//! together.
//!
//! Where the rows lie in the outputs is found from calls of different lengths. Then the same rows are scored one by one,
//! together, in another order, and once more. Of a slow model, whose rows are never scored together, only as much is tried
//! as is relied on. What belongs elsewhere: nodes that give the matter away without a call (`suspects.rs`), and who is told
//! of it.

use std::time::{Duration, Instant};

use e2i_core::native::agreement::{differing_rows, nudged};
use e2i_core::{Batch, Engine, Error, Interface, Kind, OutputSet, Outputs, Result, Rows, Task};

use crate::engine::RuntimeEngine;
use crate::rows::axis_of_rows;

/// One row in so many must differ, and two at least, where no node gives the reason away: a sum that is rounded otherwise
/// beside others may take a single row over a threshold.
const ROWS_THAT_MAY_DIFFER: usize = 8;

/// Rows of a call, besides one and all, that are tried for whether they have the bits of a row alone.
const FEW: [usize; 4] = [2, 3, 5, 16];

/// A call of a single row that takes as long is the only kind of call there will be: trying more rows would be felt, and
/// shows nothing that is used. Many times what [`Interface::set_pace`] needs to come to that, so that a machine that stood
/// still for a moment does not.
pub const SLOW: Duration = Duration::from_millis(50);

/// Finds out how long a row takes, how many numbers each output really has for `sample`'s first row and where rows lie, and
/// writes it into the interface, which the engine follows from then on. Rows that do not lie on one axis are scored one at a
/// time. Gives how long a row takes.
///
/// # Errors
/// What the runtime reports for a single row; [`Kind::Unsupported`] when the only output is a label and has several values.
pub fn find_rows(engine: &mut RuntimeEngine, interface: &mut Interface, sample: &Batch) -> Result<Duration> {
    let fixed = interface.rows_per_call();
    let copies = |rows: usize| sample.picked(&vec![0; rows]);
    let (single, pace) = single_call(engine, &copies(fixed.unwrap_or(1)))?;
    interface.set_pace(pace);
    let count = |axes: &Option<Vec<usize>>| axes.as_ref().map(|axes| axes.iter().product::<usize>());
    if let Some(labels) = count(&single[0]).map(|count| count / fixed.unwrap_or(1)).filter(|labels| *labels != 1) {
        drop_label(interface, labels)?;
        engine.follow(interface);
    }
    let calls = match fixed {
        None if pace > SLOW => vec![],
        None => vec![3, 2],
        Some(rows) => vec![rows],
    };
    let mut shapes = Vec::with_capacity(calls.len());
    for rows in calls {
        match engine.shapes(&copies(rows)) {
            Ok(found) => shapes.push((found, rows)),
            Err(error) if error.kind() == Kind::Runtime => {
                interface.varies = Some(format!("it does not score several rows in one call: {}", error.message()));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    for (place, output) in [interface.label, interface.main].into_iter().enumerate() {
        let Some(output) = output.and_then(|output| interface.outputs.get_mut(output)) else { continue };
        let found: Option<Vec<(&[usize], usize)>> =
            shapes.iter().map(|(shapes, rows)| Some((shapes[place].as_deref()?, *rows))).collect();
        let (Some(found), None | Some(2..)) =
            (found.filter(|_| interface.varies.is_none() && !shapes.is_empty()), fixed)
        else {
            output.width = count(&single[place]).or(output.width);
            continue;
        };
        let declared = |(axes, rows): &(&[usize], usize)| axes.get(output.rows_axis) == Some(rows);
        let believed = fixed.is_some() && found.iter().all(declared);
        match if believed { Some(output.rows_axis) } else { axis_of_rows(&found) } {
            Some(axis) => {
                output.rows_axis = axis;
                output.width = found.first().map(|(axes, rows)| axes.iter().product::<usize>() / rows);
            }
            None => {
                let shown: Vec<String> = found.iter().map(|(axes, rows)| format!("{axes:?} for {rows}")).collect();
                interface.varies = Some(format!(
                    "no axis of its output {:?} holds the rows: it is {}",
                    output.name,
                    shown.join(" and ")
                ));
                output.width = count(&single[place]);
            }
        }
    }
    if interface.varies.is_some() && fixed.is_some_and(|rows| rows > 1) {
        let message = "the model fixes its number of rows and does not give an answer for each";
        return Err(Error::new(Kind::Unsupported, message)
            .with_detail(interface.varies.take().unwrap_or_default())
            .with_hint("Export it with a free batch dimension."));
    }
    engine.follow(interface);
    Ok(pace)
}

/// The axes of a call of one row, or of as many as the graph fixes, and how long it takes: the best of a few runs.
fn single_call(engine: &mut RuntimeEngine, rows: &Batch) -> Result<([Option<Vec<usize>>; 2], Duration)> {
    const ENOUGH: Duration = Duration::from_millis(5);
    const RUNS: usize = 20;
    let begun = Instant::now();
    let mut shapes = engine.shapes(rows)?;
    let mut best = begun.elapsed();
    // Twice at least: the first call is the slowest.
    for again in 1..RUNS {
        if again > 1 && begun.elapsed() > ENOUGH {
            break;
        }
        let run = Instant::now();
        shapes = engine.shapes(rows)?;
        best = best.min(run.elapsed());
    }
    Ok((shapes, best))
}

/// A label of several values a row is none. What the model was taken for because of it, it is not.
fn drop_label(interface: &mut Interface, labels: usize) -> Result<()> {
    if interface.main.is_none() {
        return Err(Error::new(Kind::Unsupported, format!("the model gives {labels} labels a row and no numbers"))
            .with_hint("Export its probabilities too, or one model for each label."));
    }
    if let Some(output) = interface.label.take().and_then(|label| interface.outputs.get_mut(label)) {
        output.width = Some(labels);
    }
    interface.task = Task::Other;
    interface.classes = None;
    Ok(())
}

/// Scores rows one by one, together, in another order and once more, and writes why they differ, if they do, into the
/// interface, which the engine follows from then on. `suspect` is a node that explains it.
///
/// # Errors
/// What the runtime reports for a row alone is no error: such a row is left out.
pub fn try_alone(
    engine: &mut RuntimeEngine,
    interface: &mut Interface,
    rows: &Batch,
    suspect: Option<String>,
) -> Result<()> {
    interface.is_same_together = false;
    if interface.varies.is_none() {
        match suspect {
            Some(suspect) => interface.varies = Some(suspect),
            None => match difference(engine, interface, rows)? {
                Together::Differs(why) => interface.varies = Some(why),
                Together::Rounds => {}
                Together::Same => interface.is_same_together = true,
            },
        }
    }
    engine.follow(interface);
    Ok(())
}

/// How rows are scored together, beside each alone.
enum Together {
    /// To every bit the same.
    Same,
    /// But for rounding the same, or nobody knows.
    Rounds,
    /// Otherwise, and how.
    Differs(String),
}

fn difference(engine: &mut RuntimeEngine, interface: &Interface, rows: &Batch) -> Result<Together> {
    let mut one_at_a_time = interface.clone();
    one_at_a_time.varies = Some(String::new());
    engine.follow(&one_at_a_time);
    let mut alone = Outputs::default();
    let known = match engine.score(rows, OutputSet::BOTH, &mut alone) {
        Ok(()) => (0..rows.rows()).collect(),
        Err(error) if error.kind() == Kind::Runtime => {
            let known = known_rows(engine, rows)?;
            if known.is_empty() {
                return Ok(Together::Rounds);
            }
            engine.score(&rows.picked(&known), OutputSet::BOTH, &mut alone)?;
            known
        }
        Err(error) => return Err(error),
    };
    let rows = rows.picked(&known);
    // What a row that is moved a little gives: how far rounding reaches. Asked for where answers are not the same.
    let mut moved = None;
    let mut again = Outputs::default();
    engine.score(&rows, OutputSet::BOTH, &mut again)?;
    if again != alone
        && let (1.., Some(first)) = differing_rows(&again, &alone, moved_answers(engine, &rows, &alone, &mut moved))
    {
        return Ok(Together::Differs(format!("scored twice, {first}")));
    }
    let may_be_together = interface.inputs.iter().all(|input| !matches!(input.rows, Rows::Single | Rows::Fixed(1)));
    if !may_be_together || rows.rows() < 2 {
        return Ok(Together::Rounds);
    }
    let mut together = interface.clone();
    together.rows_at_once = rows.rows();
    engine.follow(&together);
    let enough = (rows.rows() / ROWS_THAT_MAY_DIFFER).max(2);
    let (forwards, backwards): (Vec<usize>, Vec<usize>) =
        ((0..rows.rows()).collect(), (0..rows.rows()).rev().collect());
    let mut is_same = again == alone;
    for order in [forwards, backwards] {
        let mut beside = Outputs::default();
        match engine.score(&rows.picked(&order), OutputSet::BOTH, &mut beside) {
            Ok(()) => {}
            Err(error) if error.kind() == Kind::Runtime => {
                return Ok(Together::Differs(format!(
                    "it does not score several rows in one call: {}",
                    error.message()
                )));
            }
            Err(error) => return Err(error),
        }
        let back = in_order(&beside, &order);
        if back == alone {
            continue;
        }
        is_same = false;
        engine.follow(&one_at_a_time);
        let (count, first) = differing_rows(&back, &alone, moved_answers(engine, &rows, &alone, &mut moved));
        if let (true, Some(first)) = (count >= enough, first) {
            return Ok(Together::Differs(format!("alone and beside others, {first}")));
        }
        engine.follow(&together);
    }
    // The runtime has other loops for few rows than for many.
    for few in FEW {
        together.rows_at_once = few;
        engine.follow(&together);
        let mut beside = Outputs::default();
        is_same = is_same && engine.score(&rows, OutputSet::BOTH, &mut beside).is_ok() && beside == alone;
    }
    Ok(if is_same { Together::Same } else { Together::Rounds })
}

/// The rows that the runtime scores when they are alone.
fn known_rows(engine: &mut RuntimeEngine, rows: &Batch) -> Result<Vec<usize>> {
    let mut known = Vec::with_capacity(rows.rows());
    for row in 0..rows.rows() {
        match engine.score(&rows.picked(&[row]), OutputSet::BOTH, &mut Outputs::default()) {
            Ok(()) => known.push(row),
            Err(error) if error.kind() == Kind::Runtime => {}
            Err(error) => return Err(error),
        }
    }
    Ok(known)
}

/// The answers to rows that are moved a little, scored once; to the rows themselves where those are refused.
fn moved_answers<'a>(
    engine: &mut RuntimeEngine,
    rows: &Batch,
    alone: &Outputs,
    moved: &'a mut Option<Outputs>,
) -> &'a Outputs {
    moved.get_or_insert_with(|| {
        let mut outputs = Outputs::default();
        match engine.score(&nudged(rows), OutputSet::BOTH, &mut outputs) {
            Ok(()) => outputs,
            Err(_) => alone.clone(),
        }
    })
}

/// Outputs of rows that were given in `order`, in the order of the rows.
fn in_order(outputs: &Outputs, order: &[usize]) -> Outputs {
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, row)| places[*row] = place);
    Outputs {
        label: if outputs.label.is_empty() { outputs.label.clone() } else { outputs.label.picked(&places, 1) },
        main: if outputs.main.is_empty() { outputs.main.clone() } else { outputs.main.picked(&places, outputs.width) },
        width: outputs.width,
        ..Outputs::default()
    }
}
