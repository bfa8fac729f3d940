//! Runtime values and the one call that scores: the raw C API, kept in this file.
//!
//! `ort`'s own `Session::run` allocates names and values for every call, about as long as a small model takes. Here
//! values are made once over the caller's buffers and reused, and outputs are written into values of the call before.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};

use e2i_core::{Cell, Column, ElementType, Tensor};
use ndarray::{ArrayD, ArrayViewD, Dimension, IxDyn};
use once_cell::sync::OnceCell;
use ort::session::{RunOptions, Session};
use ort::sys::{self, ONNXTensorElementDataType as DataType};
use ort::{AsPointer, api};

/// Result of a runtime call.
pub(crate) type Status = Result<(), ort::Error>;

/// An owned runtime value.
pub(crate) struct Value(NonNull<sys::OrtValue>);

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the runtime and is released once.
        unsafe { (api().ReleaseValue)(self.0.as_ptr()) };
    }
}

fn check(status: sys::OrtStatusPtr) -> Status {
    // SAFETY: every status passed here was just returned by the runtime and is owned by us.
    unsafe { ort::Error::result_from_status(status) }
}

fn owned(value: *mut sys::OrtValue) -> Result<Value, ort::Error> {
    NonNull::new(value).map(Value).ok_or_else(|| ort::Error::new("the runtime returned no value"))
}

/// Description of plain CPU memory, made once a process.
fn cpu_memory() -> Result<*const sys::OrtMemoryInfo, ort::Error> {
    struct Info(*const sys::OrtMemoryInfo);
    // SAFETY: the description is immutable and never released.
    unsafe impl Send for Info {}
    // SAFETY: as above.
    unsafe impl Sync for Info {}
    static INFO: OnceCell<Info> = OnceCell::new();
    let made = INFO.get_or_try_init(|| {
        let mut info = ptr::null_mut();
        // SAFETY: the out pointer is valid; the result lives as long as the process.
        check(unsafe {
            (api().CreateCpuMemoryInfo)(
                sys::OrtAllocatorType::OrtDeviceAllocator,
                sys::OrtMemType::OrtMemTypeDefault,
                &raw mut info,
            )
        })?;
        Ok::<_, ort::Error>(Info(info))
    })?;
    Ok(made.0)
}

fn data_type(element: ElementType) -> DataType {
    match element {
        ElementType::Float32 => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        ElementType::Float64 => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        ElementType::Int32 => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        ElementType::Int64 => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        ElementType::Bool => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        ElementType::Text => DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
    }
}

/// Rows `from..from + rows` of a tensor of the batch.
fn part<T: Cell>(tensor: &Tensor, from: usize, rows: usize) -> &[T] {
    let cells = from.saturating_mul(tensor.width)..from.saturating_add(rows).saturating_mul(tensor.width);
    T::cells(&tensor.values).get(cells).unwrap_or(&[])
}

/// Where the cells of rows `from..from + rows` lie; `None` for text.
fn address_of(tensor: &Tensor, from: usize, rows: usize) -> Option<usize> {
    Some(match &tensor.values {
        Column::Float32(_) => part::<f32>(tensor, from, rows).as_ptr().addr(),
        Column::Float64(_) => part::<f64>(tensor, from, rows).as_ptr().addr(),
        Column::Int32(_) => part::<i32>(tensor, from, rows).as_ptr().addr(),
        Column::Int64(_) => part::<i64>(tensor, from, rows).as_ptr().addr(),
        Column::Bool(_) => part::<bool>(tensor, from, rows).as_ptr().addr(),
        Column::Text(_) => return None,
    })
}

/// An input value that is kept between calls, together with what it stands for.
pub(crate) struct Bound {
    value: Value,
    address: usize,
    rows: usize,
}

impl Bound {
    /// The value for rows `from..from + rows` of a tensor of the batch, under `axes`.
    ///
    /// A value is made over the caller's memory, without a copy; it is reused when address and size are the same as
    /// before, which they are for every row after the first of a scan. Text is copied, as the runtime requires.
    pub(crate) fn bind(
        kept: Option<Self>,
        tensor: &Tensor,
        from: usize,
        rows: usize,
        axes: &IxDyn,
    ) -> Result<Self, ort::Error> {
        let Some(address) = address_of(tensor, from, rows) else {
            let texts = under(axes, part::<String>(tensor, from, rows))?;
            let value = match kept {
                Some(kept) if kept.rows == rows => kept.value,
                _ => text_value(&texts)?,
            };
            fill_text(&value, &texts)?;
            return Ok(Self { value, address: 0, rows });
        };
        if let Some(kept) = kept
            && kept.address == address
            && kept.rows == rows
        {
            return Ok(kept);
        }
        let value = match &tensor.values {
            Column::Float64(_) => over(&under::<f64>(axes, part(tensor, from, rows))?, ElementType::Float64)?,
            Column::Int32(_) => over(&under::<i32>(axes, part(tensor, from, rows))?, ElementType::Int32)?,
            Column::Int64(_) => over(&under::<i64>(axes, part(tensor, from, rows))?, ElementType::Int64)?,
            Column::Bool(_) => over(&under::<bool>(axes, part(tensor, from, rows))?, ElementType::Bool)?,
            _ => over(&under::<f32>(axes, part(tensor, from, rows))?, ElementType::Float32)?,
        };
        Ok(Self { value, address, rows })
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }
}

/// Cells under these axes, of which there must be as many.
fn under<'c, T>(axes: &IxDyn, cells: &'c [T]) -> Result<ArrayViewD<'c, T>, ort::Error> {
    ArrayViewD::from_shape(axes.clone(), cells)
        .map_err(|error| ort::Error::new(format!("a tensor of the batch: {error}")))
}

/// The lengths of axes as the runtime takes them.
fn lengths<T>(cells: &ArrayViewD<'_, T>) -> Vec<i64> {
    cells.shape().iter().map(|length| *length as i64).collect()
}

/// A value over the caller's cells, which are of `element`.
fn over<T>(cells: &ArrayViewD<'_, T>, element: ElementType) -> Result<Value, ort::Error> {
    let (axes, mut value) = (lengths(cells), ptr::null_mut());
    // SAFETY: the pointer is to as many cells, one after the other, that the caller keeps alive for the run: a bound value is
    // passed to the runtime only while the batch that it was bound to is borrowed, and is bound anew when the address differs.
    check(unsafe {
        (api().CreateTensorWithDataAsOrtValue)(
            cpu_memory()?,
            cells.as_ptr().cast_mut().cast::<c_void>(),
            cells.len() * size_of::<T>(),
            axes.as_ptr(),
            axes.len(),
            data_type(element),
            &raw mut value,
        )
    })?;
    owned(value)
}

fn text_value(texts: &ArrayViewD<'_, String>) -> Result<Value, ort::Error> {
    let (mut allocator, mut value, axes) = (ptr::null_mut(), ptr::null_mut(), lengths(texts));
    // SAFETY: out pointers and the axes are valid for the calls.
    unsafe {
        check((api().GetAllocatorWithDefaultOptions)(&raw mut allocator))?;
        check((api().CreateTensorAsOrtValue)(
            allocator,
            axes.as_ptr(),
            axes.len(),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
            &raw mut value,
        ))?;
    }
    owned(value)
}

fn fill_text(value: &Value, texts: &ArrayViewD<'_, String>) -> Status {
    let texts: Vec<CString> = texts
        .iter()
        .map(|text| CString::new(text.as_str()).map_err(|_| ort::Error::new("text with a zero byte")))
        .collect::<Result<_, _>>()?;
    let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    // SAFETY: the pointers live until the end of this function; the runtime copies the text.
    check(unsafe { (api().FillStringTensor)(value.0.as_ptr(), pointers.as_ptr(), pointers.len()) })
}

/// The cells of a value under its axes, where the runtime keeps them. Booleans are bytes; texts are copies.
pub(crate) enum Cells<'v> {
    Float32(ArrayViewD<'v, f32>),
    Float64(ArrayViewD<'v, f64>),
    Int32(ArrayViewD<'v, i32>),
    Int64(ArrayViewD<'v, i64>),
    Bool(ArrayViewD<'v, u8>),
    Text(ArrayD<String>),
}

impl Value {
    /// Element type and axes.
    fn element_and_axes(&self) -> Result<(DataType, IxDyn), ort::Error> {
        let mut element = DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
        let (mut axes, mut count) = (ptr::null(), 0);
        // SAFETY: the out pointers are valid; the axes belong to the value and are read before it changes.
        let axes: &[i64] = unsafe {
            check((api().GetTensorElementTypeAndShapeDataReference)(
                self.0.as_ptr(),
                &raw mut element,
                &raw mut axes,
                &raw mut count,
            ))?;
            if count == 0 { &[] } else { std::slice::from_raw_parts(axes, count) }
        };
        let mut lengths = IxDyn::zeros(axes.len());
        for (index, length) in axes.iter().enumerate() {
            lengths[index] = usize::try_from(*length).map_err(|_| impossible())?;
        }
        Ok((element, lengths))
    }

    /// The lengths of its axes.
    pub(crate) fn axes(&self) -> Result<IxDyn, ort::Error> {
        self.element_and_axes().map(|(_, axes)| axes)
    }

    /// All its cells.
    pub(crate) fn cells(&self) -> Result<Cells<'_>, ort::Error> {
        let (element, axes) = self.element_and_axes()?;
        Ok(match element {
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT => Cells::Float32(self.view(axes)?),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE => Cells::Float64(self.view(axes)?),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 => Cells::Int32(self.view(axes)?),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 => Cells::Int64(self.view(axes)?),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL => Cells::Bool(self.view(axes)?),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING => Cells::Text(self.texts(axes)?),
            other => return Err(ort::Error::new(format!("the model returned a tensor of type {other:?}"))),
        })
    }

    /// The cells of a tensor of numbers, whose type in the runtime must be `T`.
    fn view<T>(&self, axes: IxDyn) -> Result<ArrayViewD<'_, T>, ort::Error> {
        let count = axes.size_checked().ok_or_else(impossible)?;
        let mut data = ptr::null_mut();
        // SAFETY: the out pointer is valid; the tensor holds `count` elements of the matched type, in CPU memory, which stay
        // as they are while the value is borrowed.
        let cells = unsafe {
            if count == 0 {
                &[]
            } else {
                check((api().GetTensorMutableData)(self.0.as_ptr(), &raw mut data))?;
                std::slice::from_raw_parts(data.cast_const().cast::<T>(), count)
            }
        };
        ArrayViewD::from_shape(axes, cells).map_err(|_| impossible())
    }

    fn texts(&self, axes: IxDyn) -> Result<ArrayD<String>, ort::Error> {
        let count = axes.size_checked().ok_or_else(impossible)?;
        let mut size = 0;
        // SAFETY: the out pointer is valid and this is a text tensor.
        check(unsafe { (api().GetStringTensorDataLength)(self.0.as_ptr(), &raw mut size) })?;
        let mut bytes = vec![0u8; size];
        let mut offsets = vec![0usize; count];
        // SAFETY: both buffers have the sizes that are passed.
        check(unsafe {
            (api().GetStringTensorContent)(
                self.0.as_ptr(),
                bytes.as_mut_ptr().cast(),
                size,
                offsets.as_mut_ptr(),
                count,
            )
        })?;
        let ends = offsets.iter().skip(1).copied().chain([size]);
        let texts = offsets.iter().zip(ends).map(|(start, end)| {
            let text = bytes.get(*start..end).unwrap_or_default();
            let text = std::str::from_utf8(text).map_err(|_| {
                ort::Error::new(format!("the model returned a text that is no UTF-8: \"{}\"", text.escape_ascii()))
            })?;
            Ok(text.to_owned())
        });
        ArrayD::from_shape_vec(axes, texts.collect::<Result<_, ort::Error>>()?).map_err(|_| impossible())
    }
}

#[cold]
fn impossible() -> ort::Error {
    ort::Error::new("the model returned a tensor with impossible axes")
}

/// Runs a session. `outputs` holds values to write into, or `None` where the runtime shall make one; afterwards all are set.
pub(crate) fn run<'v>(
    session: &Session,
    options: &RunOptions,
    input_names: &[CString],
    inputs: impl Iterator<Item = &'v Value>,
    output_names: &[&CStr],
    outputs: &mut [Option<Value>],
) -> Status {
    // On the stack for all but the widest models, which take longer than an allocation anyway.
    let mut names = Pointers::<c_char>::new();
    let mut values = Pointers::<sys::OrtValue>::new();
    for (name, value) in input_names.iter().zip(inputs) {
        names.push(name.as_ptr());
        values.push(value.0.as_ptr().cast_const());
    }
    let mut wanted = Pointers::<c_char>::new();
    output_names.iter().for_each(|name| wanted.push(name.as_ptr()));
    let mut written = Pointers::<sys::OrtValue>::new();
    outputs
        .iter()
        .for_each(|value| written.push(value.as_ref().map_or(ptr::null(), |value| value.0.as_ptr().cast_const())));
    // SAFETY: all arrays have the lengths that are passed, and names, values and options outlive the call. The runtime
    // does not modify the session; `ort` holds it for us.
    let status = check(unsafe {
        (api().Run)(
            session.ptr().cast_mut(),
            options.ptr(),
            names.as_slice().as_ptr(),
            values.as_slice().as_ptr(),
            values.as_slice().len(),
            wanted.as_slice().as_ptr(),
            wanted.as_slice().len(),
            written.as_mut_slice().as_mut_ptr().cast(),
        )
    });
    for (output, pointer) in outputs.iter_mut().zip(written.as_slice()) {
        if output.is_none() {
            *output = NonNull::new(pointer.cast_mut()).map(Value);
        }
    }
    status
}

/// How many pointers a call keeps on the stack.
const FEW: usize = 16;

/// Pointers in a row, the first few without an allocation.
struct Pointers<T> {
    few: [*const T; FEW],
    many: Vec<*const T>,
    count: usize,
}

impl<T> Pointers<T> {
    fn new() -> Self {
        Self { few: [ptr::null(); FEW], many: Vec::new(), count: 0 }
    }

    fn push(&mut self, pointer: *const T) {
        if self.many.is_empty() && self.count < FEW {
            self.few[self.count] = pointer;
            self.count += 1;
            return;
        }
        if self.many.is_empty() {
            self.many.extend_from_slice(&self.few[..self.count]);
        }
        self.many.push(pointer);
        self.count = self.many.len();
    }

    fn as_slice(&self) -> &[*const T] {
        if self.many.is_empty() { &self.few[..self.count] } else { &self.many }
    }

    fn as_mut_slice(&mut self) -> &mut [*const T] {
        if self.many.is_empty() { &mut self.few[..self.count] } else { &mut self.many }
    }
}
