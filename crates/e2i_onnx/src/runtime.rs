//! The runtime library: found, checked, loaded once a process.

use std::io::Read;
use std::path::{Path, PathBuf};

use e2i_core::{Error, Kind, Result};
use once_cell::sync::OnceCell;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::RunOptions;

use crate::watchdog;

/// The loaded library with its environment; there is one a process, and it is never unloaded.
pub struct Runtime {
    environment: Environment,
    run_options: RunOptions,
    path: PathBuf,
}

static RUNTIME: OnceCell<Runtime> = OnceCell::new();

impl Runtime {
    /// The runtime, loaded from `path` when this is the first call of the process.
    ///
    /// Takes about 20 ms the first time. Must not be called in a process whose children go on to load models of their own
    /// accord; one that forks to try a model out may.
    ///
    /// # Errors
    /// [`Kind::Library`] when the file is missing, no shared library, not ONNX Runtime or too old;
    /// [`Kind::WrongState`] when another file was loaded before.
    pub fn load(path: &Path) -> Result<&'static Self> {
        RUNTIME.get_or_try_init(|| Self::open(path))?.same(path)
    }

    fn same(&'static self, path: &Path) -> Result<&'static Self> {
        if self.path == path {
            return Ok(self);
        }
        Err(Error::new(
            Kind::WrongState,
            format!(
                "ONNX Runtime is loaded from {:?} and cannot be exchanged for {path:?} in a running session",
                self.path
            ),
        )
        .with_hint("Begin a new session for the setting to take effect."))
    }

    fn open(path: &Path) -> Result<Self> {
        check_file(path)?;
        keep_quiet();
        let environment = watchdog::with_signals_blocked(|| {
            let builder = ort::init_from(path).map_err(|error| unusable(path, &error.to_string()))?;
            builder
                .with_name("e2i_serve")
                .with_telemetry(false)
                .build()
                .map_err(|error| unusable(path, error.message()))
        })?;
        // What goes wrong is returned as an error; the library need not also print it to the server's log.
        environment.set_log_level(LogLevel::Fatal);
        let run_options = RunOptions::new().map_err(|error| unusable(path, error.message()))?;
        Ok(Self { environment, run_options, path: path.to_owned() })
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The options of every run of this process; one scoring thread a process makes that enough.
    pub(crate) fn run_options(&'static self) -> &'static RunOptions {
        &self.run_options
    }
}

/// Tells the library, before it is loaded, that it shall report nothing to its makers: since 1.29 it would otherwise begin as it
/// is loaded, with files below the user's home, a thread, and the title of the process. [`Environment`]'s own switch acts later.
#[allow(unsafe_code)]
fn keep_quiet() {
    // SAFETY: while RUNTIME is made, by one thread alone, and in a process that has no thread of ours yet; whoever else sets
    // the environment of a server process does so while it starts.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

const WAY_OUT: &str = "Run make install, which puts the library beside the extension, or set \
    e2i_serve.onnxruntime_library to the path of libonnxruntime.so 1.24 or newer.";

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(Kind::Library, format!("cannot use {path:?} as ONNX Runtime"))
        .with_detail(format!("{why}."))
        .with_hint(WAY_OUT)
}

/// Checks that need no loading: the loader would accept the name of any library on its search path instead.
fn check_file(path: &Path) -> Result<()> {
    if !path.is_absolute() {
        return Err(unusable(path, "The path is not absolute"));
    }
    let mut file = std::fs::File::open(path).map_err(|error| {
        Error::new(Kind::Library, format!("cannot open ONNX Runtime at {path:?}: {error}")).with_hint(WAY_OUT)
    })?;
    let mut magic = [0u8; 4];
    let is_library =
        file.read_exact(&mut magic).is_ok() && matches!(&magic, b"\x7fELF" | b"\xcf\xfa\xed\xfe" | b"\xca\xfe\xba\xbe");
    if is_library { Ok(()) } else { Err(unusable(path, "The file is not a shared library")) }
}
