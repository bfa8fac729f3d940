//! One round of `bench/explain`: a model's attributions of the rows of a file with every set of instructions.
//!
//! `explained MODEL ROWS.f32 OUT BACKGROUND` explains all rows (float32) in blocks of 1,024 by the covers of a file of XGBoost or
//! LightGBM, then against as many of the file's first rows as `BACKGROUND` says, and writes both to OUT: for each row a float64 a
//! column, then the same of the other method. It prints `METHOD WHAT SET NUMBER`: nanoseconds a row of every pass (`all`), of making the tables (`build`),
//! of a row alone, the first with its tables (`first`) and later ones (`later`); bytes of tables; the greatest differences from
//! the definition, played over every coalition of each leaf of a few rows (`error`), and between what is added up and
//! the score, of every row of every pass (`additivity`). Time is the thread's own on a processor, so that others on the machine
//! disturb less. Sets of instructions are compared bit by bit.

#![allow(unsafe_code)]

use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

use e2i_core::formats;
use e2i_core::native::{Ensemble, InstructionSet, Node};
use e2i_explain::{Attributions, Leaves, Work, of_game};

const PASSES: usize = 3;
const TOGETHER: usize = 4096;
const ALONE: usize = 300;
const PLAYED: usize = 3;
const TABLES: usize = 64 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, rows, out, background, only) = match arguments.as_slice() {
        [model, rows, out, background] => (model, rows, out, background, None),
        [model, rows, out, background, set] => (model, rows, out, background, Some(set.as_str())),
        _ => panic!("explained MODEL ROWS.f32 OUT BACKGROUND [portable | avx2 | avx512 | avx512vbmi]"),
    };
    let sets: Vec<InstructionSet> =
        InstructionSet::available().filter(|set| only.is_none_or(|only| only == set.name())).collect();
    let trained =
        formats::read(&std::fs::read(model).expect("the model")).expect("a file of a library").expect("sound");
    let rows: Vec<f64> = std::fs::read(rows)
        .expect("the rows")
        .chunks_exact(4)
        .map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().expect("four bytes"))))
        .collect();
    let width = trained.ensemble.width;
    assert_eq!((rows.len() % width, trained.ensemble.targets), (0, 1), "whole rows, and one number");
    let leaves = Rc::new(Leaves::of(&trained.ensemble, trained.link.divisor).expect("leaves"));
    let background = &rows[..background.parse::<usize>().expect("a number") * width];
    let mut bytes = vec![];
    for method in ["covers", "background"] {
        let make = || match method {
            "covers" => Attributions::by_covers(Rc::clone(&leaves), TABLES, || false),
            _ => Attributions::by_background(Rc::clone(&leaves), background, TABLES, || false),
        };
        let report = |what: &str, set: &str, number: f64| println!("{method} {what} {set} {number:.3}");
        for _ in 0..PASSES {
            let (time, made) = timed(|| make().expect("attributions"));
            report("build", "any", nanoseconds(time, 1));
            let (first, _) = timed(|| black_box(made.of_rows(&rows[..width])));
            report("first", "any", nanoseconds(time + first, 1));
        }
        let made = make().expect("attributions");
        report("bytes", "any", made.memory_bytes() as f64);
        let mut expected: Option<Vec<f64>> = None;
        let (mut work, mut all) = (Work::default(), vec![]);
        for pass in 0..=PASSES {
            for set in sets.iter().copied() {
                let (mut added, mut got) = (Duration::ZERO, Vec::with_capacity(rows.len()));
                let mut residual = 0.0_f64;
                for some in rows.chunks(TOGETHER * width) {
                    let (time, ()) = timed(|| made.of_rows_with(set, some, &mut work, &mut all));
                    added += time;
                    for (one, score) in all.chunks_exact(width).zip(leaves.sums(some)) {
                        residual = residual.max((made.base()[0] + one.iter().sum::<f64>() - score).abs());
                    }
                    got.extend_from_slice(&all);
                }
                let (alone, _) = timed(|| {
                    for one in rows.chunks_exact(width).take(ALONE) {
                        made.of_rows_with(set, one, &mut work, &mut all);
                        black_box(&all);
                    }
                });
                // The first pass warms up.
                if pass > 0 {
                    report("all", set.name(), nanoseconds(added, rows.len() / width));
                    report("later", set.name(), nanoseconds(alone, ALONE));
                    println!("{method} additivity {set} {residual:e}");
                }
                let expected = expected.get_or_insert_with(|| got.clone());
                assert!(expected.iter().zip(&got).all(|(a, b)| a.to_bits() == b.to_bits()), "{set} gives other bits");
            }
        }
        let expected = expected.expect("passes");
        let covers = method == "covers";
        let of_background = if covers { &[][..] } else { background };
        let played_rows = if covers { PLAYED } else { 1 };
        let error = rows.chunks_exact(width).zip(expected.chunks_exact(width)).take(played_rows).map(|(row, got)| {
            let right = played(&trained.ensemble, row, of_background);
            right.iter().zip(got).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        });
        println!("{method} error any {:e}", error.fold(0.0, f64::max));
        bytes.extend(expected.iter().flat_map(|number| number.to_le_bytes()));
    }
    std::fs::write(out, bytes).expect("the attributions");
}

/// Attributions by definition: for each leaf the game of the columns on the way to it, over every coalition.
fn played(of: &Ensemble, row: &[f64], background: &[f64]) -> Vec<f64> {
    let mut all = vec![0.0; of.width];
    for tree in &of.trees {
        // Nodes with, for each column on the way, whether the row holds it, the part of the training data, and what background rows do.
        let mut open = vec![(0_usize, Vec::<(u32, bool, f64, Vec<bool>)>::new())];
        while let Some((at, way)) = open.pop() {
            match &tree.nodes[at] {
                Node::Leaf(weights) => {
                    let value: f64 = weights.iter().map(|weight| weight.value).sum();
                    let count = way.len();
                    let others = background.len() / of.width;
                    let worth = |coalition: usize| -> f64 {
                        let known = |player: usize| coalition >> player & 1 == 1;
                        if others == 0 {
                            let factor = |player: usize| {
                                if known(player) { f64::from(u8::from(way[player].1)) } else { way[player].2 }
                            };
                            return value * (0..count).map(factor).product::<f64>();
                        }
                        let holds = |other: &usize| {
                            (0..count).all(|player| if known(player) { way[player].1 } else { way[player].3[*other] })
                        };
                        value * (0..others).filter(holds).count() as f64 / others as f64
                    };
                    let worth: Vec<f64> = (0..1 << count).map(worth).collect();
                    for ((column, ..), got) in way.iter().zip(of_game(count, &worth)) {
                        all[*column as usize] += got;
                    }
                }
                Node::Branch(branch) => {
                    let feature = of.features[branch.feature as usize];
                    let goes = |row: &[f64]| match of.value(row, feature) {
                        Some(value) => branch.test.holds(value),
                        None => branch.missing_yes,
                    };
                    for (next, side) in [(branch.yes, true), (branch.no, false)] {
                        let mut way = way.clone();
                        let share = tree.cover[next as usize] / tree.cover[at];
                        let of_others = background.chunks_exact(of.width).map(|other| goes(other) == side);
                        match way.iter_mut().find(|(column, ..)| *column == feature.column) {
                            Some((_, holds, part, others)) => {
                                *holds &= goes(row) == side;
                                *part *= share;
                                others.iter_mut().zip(of_others).for_each(|(all, one)| *all &= one);
                            }
                            None => way.push((feature.column, goes(row) == side, share, of_others.collect())),
                        }
                        open.push((next as usize, way));
                    }
                }
            }
        }
    }
    all
}

fn nanoseconds(time: Duration, of: usize) -> f64 {
    time.as_nanos() as f64 / of as f64
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = own_time();
    let made = work();
    (own_time() - begun, made)
}

/// The time of this thread on a processor.
fn own_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: there is room for the time.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
