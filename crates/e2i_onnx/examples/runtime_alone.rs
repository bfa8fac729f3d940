//! The other side of `make bench`: ONNX Runtime's C API alone, over rows that are already in memory as float32.
//!
//! `runtime_alone rows COUNT` writes COUNT rows of 30 numbers as CSV to standard output.
//! `runtime_alone time MODEL ROWS.csv` scores all rows one at a time and 1,024 at a time, and prints nanoseconds a row (of the
//! thread's own time on a processor) and the sum of the scores.

mod alone;

use std::io::{BufWriter, Write};

use alone::{Alone, own_time};
use e2i_core::random::Random;

const FEATURES: usize = 30;
const CLASSES: usize = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["rows", count] => write_rows(count.parse().expect("a number of rows")),
        ["time", model, rows] => time(model, rows),
        _ => panic!("runtime_alone rows COUNT | runtime_alone time MODEL ROWS.csv"),
    }
}

/// Nearly normal numbers with four decimals, from a fixed seed: as measured values come, not as random bits.
fn write_rows(count: usize) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for _ in 0..count {
        let row: Vec<String> =
            (0..FEATURES).map(|_| format!("{:.4}", (0..12).map(|_| random.share()).sum::<f64>() - 6.0)).collect();
        writeln!(out, "{}", row.join(",")).expect("standard output");
    }
}

fn time(model: &str, rows: &str) {
    let session = alone::session(&alone::environment(), &std::fs::read(model).expect("the model"));
    let mut runtime = Alone::new(session, [FEATURES, CLASSES]);
    let text = std::fs::read_to_string(rows).expect("the rows");
    // float64 first and then float32, as the database does it.
    let rows: Vec<f32> = text
        .split([',', '\n'])
        .filter(|cell| !cell.is_empty())
        .map(|cell| cell.parse::<f64>().expect("a number") as f32)
        .collect();
    for batch in [1, 1024] {
        let begun = own_time();
        let mut sum = 0.0;
        for some in rows.chunks(batch * FEATURES) {
            sum += runtime.score(some).iter().skip(1).step_by(CLASSES).map(|score| f64::from(*score)).sum::<f64>();
        }
        let nanoseconds = (own_time() - begun).as_nanos() as f64 / (rows.len() / FEATURES) as f64;
        println!("{batch} {nanoseconds:.1} {sum:.9}");
    }
}
