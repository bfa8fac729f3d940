//! ONNX Runtime's C API and nothing else: what the programs beside this folder hold against the engines. And their clock.
//!
//! One thread, the values of inputs and outputs made once and used again, only the numbers asked for: nobody who calls the
//! runtime can be faster. For models with one float32 input, whose numbers are the last output.

#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::path::Path;
use std::ptr;
use std::time::Duration;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::sys::{self, ONNXTensorElementDataType as DataType};
use ort::{AsPointer, api};

/// The library that `E2I_ONNXRUNTIME` names.
pub fn environment() -> Environment {
    let library = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    ort::init_from(Path::new(&library)).expect("it loads").build().expect("an environment")
}

/// A session of one thread.
pub fn session(environment: &Environment, model: &[u8]) -> Session {
    Session::builder(environment)
        .and_then(|builder| Ok(builder.with_intra_threads(1)?.with_optimization_level(GraphOptimizationLevel::All)?))
        .and_then(|mut builder| builder.commit_from_memory(model))
        .expect("a session")
}

/// A session with its values.
pub struct Alone {
    session: Session,
    names: [CString; 2],
    widths: [usize; 2],
    /// What the values below point into.
    cells: [Vec<f32>; 2],
    values: [*mut sys::OrtValue; 2],
}

impl Alone {
    /// For rows of `widths[0]` numbers that give `widths[1]` numbers.
    pub fn new(session: Session, widths: [usize; 2]) -> Self {
        let output = session.outputs().last().expect("an output").name();
        let names = [session.inputs()[0].name(), output].map(|name| CString::new(name).expect("a name"));
        Self { session, names, widths, cells: [vec![], vec![]], values: [ptr::null_mut(); 2] }
    }

    /// Scores rows. The values are made anew when there are more or fewer than before; the few old ones stay to the end.
    pub fn score(&mut self, rows: &[f32]) -> &[f32] {
        if rows.len() != self.cells[0].len() {
            let count = rows.len() / self.widths[0];
            for side in 0..2 {
                self.cells[side] = vec![0.0; count * self.widths[side]];
                self.values[side] = tensor(&mut self.cells[side], self.widths[side]);
            }
        }
        self.cells[0].copy_from_slice(rows);
        // SAFETY: names and values are valid and of the lengths that are passed; the cells outlive the call.
        check(unsafe {
            (api().Run)(
                self.session.ptr().cast_mut(),
                ptr::null(),
                [self.names[0].as_ptr()].as_ptr(),
                [self.values[0].cast_const()].as_ptr(),
                1,
                [self.names[1].as_ptr()].as_ptr(),
                1,
                &raw mut self.values[1],
            )
        });
        &self.cells[1]
    }
}

/// How long this thread has been on a processor.
pub fn own_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the out pointer is valid.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "the thread has a clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn check(status: sys::OrtStatusPtr) {
    // SAFETY: the status was just returned and is ours.
    unsafe { ort::Error::result_from_status(status) }.expect("the runtime succeeds");
}

fn tensor(cells: &mut [f32], width: usize) -> *mut sys::OrtValue {
    let axes = [(cells.len() / width) as i64, width as i64];
    let (mut info, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: out pointers are valid; whoever calls keeps the cells as long as the value is used.
    unsafe {
        check((api().CreateCpuMemoryInfo)(
            sys::OrtAllocatorType::OrtDeviceAllocator,
            sys::OrtMemType::OrtMemTypeDefault,
            &raw mut info,
        ));
        check((api().CreateTensorWithDataAsOrtValue)(
            info,
            cells.as_mut_ptr().cast::<c_void>(),
            size_of_val(cells),
            axes.as_ptr(),
            axes.len(),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
            &raw mut value,
        ));
    }
    value
}
