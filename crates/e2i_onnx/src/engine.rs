//! [`Engine`] over ONNX Runtime: one graph, or a preprocessor and a model in a row.
//!
//! A tensor lies over the batch's own memory, is made once and reused; outputs go into the tensors of the call before. A batch goes in
//! calls of `rows_at_once` rows.

use std::any::Any;
use std::ffi::{CStr, CString};

use e2i_core::{
    Batch, Cell, Column, ElementType, Engine, Error, InputTensor, Interface, Kind, OutputSet, OutputTensor, Outputs,
    Result, Rows,
};
use ndarray::{ArrayViewD, Dimension, IxDyn};
use ort::ep::CPU;
use ort::error::ErrorCode;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use crate::additions;
use crate::maps;
use crate::rows::rows_first;
use crate::runtime::Runtime;
use crate::value::{self, Bound, Cells, Value};
use crate::watchdog;

/// Resident bytes of a session per byte of its graph, and besides: an estimate on the safe side. A tree ensemble of 100
/// trees of depth 6 was measured at 6.8 times its file (2.4 MB for 0.35 MB), networks take about twice theirs.
const BYTES_PER_BYTE: usize = 7;
const BYTES_PER_SESSION: usize = 64 << 10;

/// The bytes of a version.
#[derive(Debug, Clone, Copy)]
pub struct Artifacts<'a> {
    /// The model graph.
    pub model: &'a [u8],
    /// The graph that is run first, if the version has one.
    pub preprocessor: Option<&'a [u8]>,
}

/// A model on ONNX Runtime.
pub struct RuntimeEngine {
    runtime: &'static Runtime,
    preprocessor: Option<Graph>,
    model: Graph,
    label: Option<Fetched>,
    main: Option<Fetched>,
    rows_per_call: Option<usize>,
    rows_at_once: usize,
    /// Whether each row is scored alone, because its answer would differ beside others.
    one_at_a_time: bool,
    shapes: Vec<InputShape>,
    bound: Vec<Option<Bound>>,
    /// Output values of the call before, written into again when the next call has the same shape.
    kept: Reused,
    memory_bytes: usize,
}

#[derive(Default)]
struct Reused {
    rows: usize,
    wanted: Option<OutputSet>,
    /// The label and the numbers.
    values: [Option<Value>; 2],
}

/// An output that is fetched.
struct Fetched {
    name: CString,
    rows_axis: usize,
    width: Option<usize>,
    /// Whether its value may be written into again. Not when the output is an input of the graph: then the runtime hands
    /// out the input's own memory, which is the caller's, and writes nothing into a value that it is given.
    is_kept: bool,
}

impl Fetched {
    fn new(output: &OutputTensor, graph: &Session) -> Result<Self> {
        Ok(Self {
            name: c_name(&output.tensor)?,
            rows_axis: output.rows_axis,
            width: output.width,
            is_kept: graph.inputs().iter().all(|input| input.name() != output.tensor),
        })
    }

    /// Appends what was given for `rows` rows, row by row, and says how many values a row has. The value stays for the next
    /// call to write into, unless it must not, or is text, which the runtime must allocate anew.
    fn read(&self, value: &mut Option<Value>, rows: usize, into: &mut Column) -> Result<usize> {
        let Some(written) = value else {
            return Err(Error::new(Kind::Runtime, "the model left an output empty"));
        };
        let width = match written.cells().map_err(failed)? {
            Cells::Float32(cells) => self.append(cells, rows, into, ElementType::Float32, |cell| *cell),
            Cells::Float64(cells) => self.append(cells, rows, into, ElementType::Float64, |cell| *cell),
            Cells::Int32(cells) => self.append(cells, rows, into, ElementType::Int32, |cell| *cell),
            Cells::Int64(cells) => self.append(cells, rows, into, ElementType::Int64, |cell| *cell),
            Cells::Bool(cells) => self.append(cells, rows, into, ElementType::Bool, |cell| *cell != 0),
            Cells::Text(cells) => self.append(cells.view(), rows, into, ElementType::Text, String::clone),
        }?;
        if !self.is_kept || matches!(into, Column::Text(_)) {
            *value = None;
        }
        Ok(width)
    }

    fn append<T, C: Cell>(
        &self,
        cells: ArrayViewD<'_, T>,
        rows: usize,
        into: &mut Column,
        element: ElementType,
        cell: impl Fn(&T) -> C,
    ) -> Result<usize> {
        if into.is_empty() && into.element() != element {
            *into = Column::zeros(element, 0);
        }
        let Some(appended) = C::list_mut(into) else {
            return Err(Error::new(Kind::Runtime, "the model returned an output in another type than before"));
        };
        let cells = rows_first(cells.view(), rows, self.rows_axis, self.width)
            .ok_or_else(|| self.misshapen(cells.shape(), rows))?;
        match cells.as_slice() {
            Some(cells) => appended.extend(cells.iter().map(cell)),
            None => appended.extend(cells.iter().map(cell)),
        }
        Ok(cells.shape().iter().skip(1).product())
    }

    #[cold]
    fn misshapen(&self, axes: &[usize], rows: usize) -> Error {
        let expected = match self.width {
            Some(width) if rows == 1 => format!("a row has {width} numbers"),
            _ => format!("axis {} holds the rows", self.rows_axis),
        };
        Error::new(
            Kind::Runtime,
            format!(
                "the output {:?} of the model has the shape {axes:?} for {rows} row(s), where {expected}",
                self.name
            ),
        )
    }
}

/// The axes of an input; the first is set to the number of rows of the call, where there is a row axis.
struct InputShape {
    axes: IxDyn,
    has_rows: bool,
}

impl InputShape {
    fn new(tensor: &InputTensor) -> Self {
        let has_rows = tensor.rows != Rows::Single;
        let axes: Vec<usize> = has_rows.then_some(0).into_iter().chain(tensor.shape.iter().copied()).collect();
        Self { axes: IxDyn(&axes), has_rows }
    }
}

/// A session with its names, as the C API wants them.
struct Graph {
    session: Session,
    inputs: Vec<CString>,
    /// What is fetched from it when it is not the last: the inputs of the next.
    passed_on: Vec<CString>,
}

impl RuntimeEngine {
    /// Loads a version into a session.
    ///
    /// # Errors
    /// [`Kind::BadModel`] or [`Kind::Unsupported`] with the runtime's message, [`Kind::Interrupted`].
    pub fn load(
        runtime: &'static Runtime,
        interface: &Interface,
        artifacts: Artifacts<'_>,
        threads: usize,
    ) -> Result<Self> {
        let names = |tensors: Vec<&str>| tensors.into_iter().map(c_name).collect::<Result<Vec<_>>>();
        let fed = names(interface.inputs.iter().map(|tensor| tensor.name.as_str()).collect())?;
        let doubles = interface.inputs.iter().any(|input| input.element == ElementType::Float64);
        let open = |bytes: &[u8]| open(runtime, bytes, threads).map_err(|error| without_kernels(error, doubles));
        let preprocessor = match artifacts.preprocessor {
            None => None,
            Some(bytes) => {
                let session = open(&additions::finding_nan(maps::as_vectors(bytes)))?;
                let passed_on = names(interface.passed_on.iter().map(String::as_str).collect())?;
                Some(Graph { session, inputs: fed.clone(), passed_on })
            }
        };
        let extended = additions::finding_nan(additions::extended(maps::as_vectors(artifacts.model), interface));
        let session = open(&extended)?;
        let inputs = match &preprocessor {
            None => fed,
            Some(_) => names(session.inputs().iter().map(ort::value::Outlet::name).collect())?,
        };
        let fetched = |output: Option<&OutputTensor>| output.map(|output| Fetched::new(output, &session)).transpose();
        let (label, main) = (fetched(interface.label_output())?, fetched(interface.main_output())?);
        let size = artifacts.model.len() + artifacts.preprocessor.map_or(0, <[u8]>::len);
        Ok(Self {
            runtime,
            model: Graph { session, inputs, passed_on: vec![] },
            label,
            main,
            rows_per_call: interface.rows_per_call(),
            rows_at_once: interface.rows_at_once.max(1),
            one_at_a_time: interface.varies.is_some(),
            shapes: interface.inputs.iter().map(InputShape::new).collect(),
            bound: interface.inputs.iter().map(|_| None).collect(),
            kept: Reused::default(),
            memory_bytes: size * BYTES_PER_BYTE + BYTES_PER_SESSION * (1 + usize::from(preprocessor.is_some())),
            preprocessor,
        })
    }

    /// Runs `rows` rows from `from` on, which the graph takes in one call, into the kept values.
    fn call(&mut self, batch: &Batch, from: usize, rows: usize, wanted: OutputSet) -> Result<()> {
        for (index, tensor) in batch.tensors().iter().enumerate() {
            let shape = &mut self.shapes[index];
            if shape.has_rows {
                shape.axes[0] = rows;
            }
            let kept = self.bound[index].take();
            self.bound[index] = Some(Bound::bind(kept, tensor, from, rows, &shape.axes).map_err(failed)?);
        }
        if self.kept.rows != rows || self.kept.wanted != Some(wanted) {
            self.kept = Reused { rows, wanted: Some(wanted), values: [None, None] };
        }
        let reused = self.kept.values.iter().any(Option::is_some);
        match self.run(wanted) {
            // The shape of the outputs depended on the data after all: let the runtime make new ones.
            Err(error) if reused && error.kind() == Kind::Runtime => {
                self.kept.values = [None, None];
                self.run(wanted)
            }
            other => other,
        }
    }

    /// Scores `rows` rows from `from` on, which the graph takes in one call, and appends to `outputs`.
    fn score_once(
        &mut self,
        batch: &Batch,
        from: usize,
        rows: usize,
        wanted: OutputSet,
        outputs: &mut Outputs,
    ) -> Result<()> {
        self.call(batch, from, rows, wanted)?;
        let [label_value, main_value] = &mut self.kept.values;
        if let Some(label) = self.label.as_ref().filter(|_| wanted.label) {
            let width = label.read(label_value, rows, &mut outputs.label)?;
            if width != 1 {
                return Err(Error::new(Kind::Runtime, format!("the model gives {width} labels a row")));
            }
        }
        if let Some(main) = self.main.as_ref().filter(|_| wanted.main) {
            let width = main.read(main_value, rows, &mut outputs.main)?;
            if outputs.width != 0 && outputs.width != width {
                let message = format!("the model gives {} numbers for a row and {width} for another", outputs.width);
                return Err(Error::new(Kind::Runtime, message));
            }
            outputs.width = width;
        }
        Ok(())
    }

    /// The axes of the label and of the numbers that the graph gives for a batch in one call.
    ///
    /// # Errors
    /// As [`Engine::score`].
    pub fn shapes(&mut self, batch: &Batch) -> Result<[Option<Vec<usize>>; 2]> {
        self.call(batch, 0, batch.rows(), OutputSet::BOTH)?;
        let kept = std::mem::take(&mut self.kept);
        let mut shapes = [None, None];
        for (shape, value) in shapes.iter_mut().zip(&kept.values) {
            let Some(value) = value else { continue };
            *shape = Some(value.axes().map_err(failed)?.as_array_view().to_vec());
        }
        Ok(shapes)
    }

    /// Reads outputs, and gives rows, as this interface of the same model says; it may leave out an output.
    pub fn follow(&mut self, interface: &Interface) {
        let outputs = [interface.label_output(), interface.main_output()];
        for (fetched, output) in [&mut self.label, &mut self.main].into_iter().zip(outputs) {
            match (&mut *fetched, output) {
                (Some(fetched), Some(output)) => {
                    fetched.rows_axis = output.rows_axis;
                    fetched.width = output.width;
                }
                _ => *fetched = None,
            }
        }
        self.rows_at_once = interface.rows_at_once.max(1);
        self.one_at_a_time = interface.varies.is_some();
    }

    /// Scores fewer rows than the graph's fixed number by repeating the last one.
    fn score_padded(
        &mut self,
        batch: &Batch,
        from: usize,
        rows: usize,
        wanted: OutputSet,
        outputs: &mut Outputs,
    ) -> Result<()> {
        let fixed = self.rows_per_call.unwrap_or(rows);
        let repeated: Vec<usize> = (0..fixed).map(|row| from + row.min(rows.saturating_sub(1))).collect();
        self.score_once(&batch.picked(&repeated), 0, fixed, wanted, outputs)?;
        let width = outputs.width;
        let surplus = fixed - rows;
        outputs.label.resize(outputs.label.len().saturating_sub(surplus));
        outputs.main.resize(outputs.main.len().saturating_sub(surplus * width));
        Ok(())
    }

    /// Runs the graph, or the two, into the kept values, as far as they are wanted.
    fn run(&mut self, wanted: OutputSet) -> Result<()> {
        let label = self.label.as_ref().filter(|_| wanted.label).map(|label| label.name.as_c_str());
        let main = self.main.as_ref().filter(|_| wanted.main).map(|main| main.name.as_c_str());
        let fetched = usize::from(label.is_none())..1 + usize::from(main.is_some());
        let names = &[label.unwrap_or_default(), main.unwrap_or_default()][fetched.clone()];
        let values = &mut self.kept.values[fetched];
        let inputs = self.bound.iter().flatten().map(Bound::value);
        let _watch = watchdog::watch_run(self.runtime.run_options());
        let status = match &self.preprocessor {
            None => self.model.run(self.runtime, inputs, names, values),
            Some(first) => {
                let passed_on: Vec<&CStr> = first.passed_on.iter().map(CString::as_c_str).collect();
                let mut between: Vec<Option<Value>> = passed_on.iter().map(|_| None).collect();
                first
                    .run(self.runtime, inputs, &passed_on, &mut between)
                    .and_then(|()| self.model.run(self.runtime, between.iter().flatten(), names, values))
            }
        };
        match status {
            Ok(()) => Ok(()),
            Err(_) if watchdog::was_terminated(self.runtime.run_options()) => Err(interrupted()),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Graph {
    fn run<'v>(
        &self,
        runtime: &'static Runtime,
        inputs: impl Iterator<Item = &'v Value>,
        names: &[&CStr],
        values: &mut [Option<Value>],
    ) -> value::Status {
        value::run(&self.session, runtime.run_options(), &self.inputs, inputs, names, values)
    }
}

impl Engine for RuntimeEngine {
    fn name(&self) -> &'static str {
        "onnxruntime"
    }

    fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn score_rows(&mut self, batch: &Batch, wanted: OutputSet, outputs: &mut Outputs) -> Result<()> {
        outputs.refused.clear();
        outputs.label.resize(0);
        outputs.main.resize(0);
        outputs.width = 0;
        let at_once = if self.one_at_a_time { 1 } else { self.rows_per_call.unwrap_or(self.rows_at_once) };
        let mut from = 0;
        while from < batch.rows() {
            let rows = at_once.min(batch.rows() - from);
            if from > 0 && watchdog::interrupted() {
                return Err(interrupted());
            }
            if self.rows_per_call.is_some_and(|fixed| rows < fixed) {
                self.score_padded(batch, from, rows, wanted, outputs)?;
            } else {
                self.score_once(batch, from, rows, wanted, outputs)?;
            }
            from += rows;
        }
        Ok(())
    }
}

/// Opens a session with the settings that suit a database backend: the caller's thread only, unless more are allowed.
fn open(runtime: &'static Runtime, bytes: &[u8], threads: usize) -> Result<Session> {
    let configured = || -> std::result::Result<_, ort::Error> {
        Ok(Session::builder(runtime.environment())?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            // Arena and patterns would hold the memory of the largest batch for the life of the session.
            .with_execution_providers([CPU::default().with_arena_allocator(false).build()])?
            .with_memory_pattern(false)?
            .with_log_level(LogLevel::Fatal)?)
    };
    let mut builder = configured().map_err(failed)?;
    let session = {
        let canceler = builder.canceler();
        let _watch = watchdog::watch_load(canceler);
        // Only a pool makes threads; without one the signals that ask to cancel stay open.
        if threads > 1 {
            watchdog::with_signals_blocked(|| builder.commit_from_memory(bytes))
        } else {
            builder.commit_from_memory(bytes)
        }
    };
    session.map_err(|error| if watchdog::interrupted() { interrupted() } else { rejected(&error) })
}

fn c_name(name: &str) -> Result<CString> {
    CString::new(name).map_err(|_| Error::new(Kind::BadModel, format!("the tensor name {name:?} contains a zero byte")))
}

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "the run was interrupted")
}

/// An error of a run.
fn failed(error: ort::Error) -> Error {
    let message = error.message();
    let kind = if is_out_of_memory(message) { Kind::Memory } else { Kind::Runtime };
    Error::new(kind, format!("ONNX Runtime: {}", message.trim()))
}

/// An error of loading a graph.
fn rejected(error: &ort::Error) -> Error {
    let message = error.message().trim();
    if let Some(rest) = message.split("Failed to construct locale with name:").nth(1) {
        let locale = rest.split(':').next().unwrap_or_default();
        return Error::new(Kind::WrongState, format!("the model needs the operating-system locale {locale:?}, which this server lacks"))
            .with_detail(format!("ONNX Runtime: {message}"))
            .with_hint(format!(
                "Add it on the server (Debian: apt-get install locales, then localedef -i {} -f UTF-8 {locale}), or export the \
                 model with the locale \"C\".",
                locale.split('.').next().unwrap_or_default()
            ));
    }
    if let Some(error) = too_new(message) {
        return error;
    }
    let kind = match error.code() {
        _ if is_out_of_memory(message) => Kind::Memory,
        ErrorCode::NotImplemented => Kind::Unsupported,
        _ if message.contains("is not a registered function/op") || message.contains("No Op registered for") => {
            Kind::Unsupported
        }
        _ => Kind::BadModel,
    };
    Error::new(kind, format!("ONNX Runtime does not load the model: {message}"))
}

/// What to do where the runtime has no operators for float64, or exporters mixed it with float32.
fn without_kernels(error: Error, doubles: bool) -> Error {
    const SIGNS: [&str; 3] = ["Could not find an implementation", "bound to different types", "Type Error"];
    if doubles && error.hint().is_none() && SIGNS.iter().any(|sign| error.message().contains(sign)) {
        return error.with_hint(
            "ONNX Runtime knows many operators for float32 only: export the model with float inputs, for instance \
             to_onnx(model, X.astype(numpy.float32)).",
        );
    }
    error
}

/// What the runtime says of a model that was written for a newer one, in short.
fn too_new(message: &str) -> Option<Error> {
    let number = |after: &str| {
        let rest = message.split(after).nth(1)?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some(rest[..end].to_owned()).filter(|digits| !digits.is_empty())
    };
    let what = if let (Some(has), Some(most)) =
        (number("Unsupported model IR version: "), number("max supported IR version: "))
    {
        format!("the model has the IR version {has}, ONNX Runtime reads up to {most}")
    } else {
        let (has, most) = (number(" Opset ")?, number(" is till opset ")?);
        let domain = message.split("official support for domain ").nth(1)?.split(' ').next()?;
        format!("the model uses version {has} of the operators of {domain:?}, ONNX Runtime knows up to {most}")
    };
    Some(
        Error::new(Kind::Unsupported, what)
            .with_hint("Export it for an older version, for instance with target_opset."),
    )
}

fn is_out_of_memory(message: &str) -> bool {
    ["bad_alloc", "bad allocation", "Failed to allocate memory"].iter().any(|text| message.contains(text))
}
