//! The other side of `make bench`: ONNX Runtime's C API alone, over rows that are already in memory as float32.
//!
//! `runtime_alone rows COUNT` writes COUNT rows of 30 numbers as CSV to standard output.
//! `runtime_alone time MODEL ROWS.csv` scores all rows one at a time and 1,024 at a time, with values made once and reused,
//! one thread and only the probability output, and prints nanoseconds a row and the sum of the scores.

#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::ptr;
use std::time::Instant;

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::sys::{self, ONNXTensorElementDataType as DataType};
use ort::{AsPointer, api};

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
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut uniform = move || {
        // SplitMix64 (Steele, Lea and Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    for _ in 0..count {
        let row: Vec<String> =
            (0..FEATURES).map(|_| format!("{:.4}", (0..12).map(|_| uniform()).sum::<f64>() - 6.0)).collect();
        writeln!(out, "{}", row.join(",")).expect("standard output");
    }
}

fn check(status: sys::OrtStatusPtr) {
    // SAFETY: the status was just returned and is ours.
    unsafe { ort::Error::result_from_status(status) }.expect("the runtime succeeds");
}

fn tensor(values: &mut [f32], width: usize) -> *mut sys::OrtValue {
    let axes = [(values.len() / width) as i64, width as i64];
    let (mut info, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: out pointers are valid; the values outlive the tensor; both live until the process ends.
    unsafe {
        check((api().CreateCpuMemoryInfo)(
            sys::OrtAllocatorType::OrtDeviceAllocator,
            sys::OrtMemType::OrtMemTypeDefault,
            &raw mut info,
        ));
        check((api().CreateTensorWithDataAsOrtValue)(
            info,
            values.as_mut_ptr().cast::<c_void>(),
            size_of_val(values),
            axes.as_ptr(),
            axes.len(),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
            &raw mut value,
        ));
    }
    value
}

fn time(model: &str, rows: &str) {
    let library = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    let environment = ort::init_from(Path::new(&library)).expect("it loads").build().expect("an environment");
    let session = Session::builder(&environment)
        .and_then(|builder| Ok(builder.with_intra_threads(1)?.with_optimization_level(GraphOptimizationLevel::All)?))
        .and_then(|mut builder| builder.commit_from_file(model))
        .expect("a session");
    let text = std::fs::read_to_string(rows).expect("the rows");
    // float64 first and then float32, as the database does it.
    let rows: Vec<f32> = text
        .split([',', '\n'])
        .filter(|cell| !cell.is_empty())
        .map(|cell| cell.parse::<f64>().expect("a number") as f32)
        .collect();
    for batch in [1, 1024] {
        let (nanoseconds, sum) = pass(&session, &rows, batch);
        println!("{batch} {nanoseconds:.1} {sum:.9}");
    }
}

/// One pass over all rows, `batch` at a time; the last, shorter batch is left out of neither time nor sum.
fn pass(session: &Session, rows: &[f32], batch: usize) -> (f64, f64) {
    let count = rows.len() / FEATURES;
    let input_name = CString::new(session.inputs()[0].name()).expect("a name");
    let output_name = CString::new(session.outputs()[1].name()).expect("a name");
    let names = ([input_name.as_ptr()], [output_name.as_ptr()]);
    let mut sum = 0.0;
    let mut input = vec![0f32; batch * FEATURES];
    let mut output = vec![0f32; batch * CLASSES];
    let (mut in_value, mut out_value) = (tensor(&mut input, FEATURES), tensor(&mut output, CLASSES));
    let begun = Instant::now();
    for start in (0..count).step_by(batch) {
        let size = batch.min(count - start);
        if size < batch {
            in_value = tensor(&mut input[..size * FEATURES], FEATURES);
            out_value = tensor(&mut output[..size * CLASSES], CLASSES);
        }
        input[..size * FEATURES].copy_from_slice(&rows[start * FEATURES..(start + size) * FEATURES]);
        // SAFETY: names and values are valid and of the lengths that are passed.
        check(unsafe {
            (api().Run)(
                session.ptr().cast_mut(),
                ptr::null(),
                names.0.as_ptr(),
                [in_value.cast_const()].as_ptr(),
                1,
                names.1.as_ptr(),
                1,
                &raw mut out_value,
            )
        });
        sum += output[..size * CLASSES].iter().skip(1).step_by(CLASSES).map(|score| f64::from(*score)).sum::<f64>();
    }
    (begun.elapsed().as_nanos() as f64 / count as f64, sum)
}
