//! Runtime values and the one call that scores: the raw C API, kept in this file.
//!
//! `ort`'s own `Session::run` allocates names and values for every call, about as long as a small model takes. Here
//! values are made once over the caller's buffers and reused, and outputs are written into values of the call before.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use e2i_core::{Column, ElementType};
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
    static INFO: OnceLock<Info> = OnceLock::new();
    if let Some(info) = INFO.get() {
        return Ok(info.0);
    }
    let mut info = ptr::null_mut();
    // SAFETY: the out pointer is valid; the result lives as long as the process.
    check(unsafe {
        (api().CreateCpuMemoryInfo)(
            sys::OrtAllocatorType::OrtDeviceAllocator,
            sys::OrtMemType::OrtMemTypeDefault,
            &raw mut info,
        )
    })?;
    Ok(INFO.get_or_init(|| Info(info)).0)
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

/// Address and size in bytes of `column[from..to]`; `None` for text.
fn bytes_of(column: &Column, from: usize, to: usize) -> Option<(*mut c_void, usize)> {
    fn of<T>(values: &[T]) -> (*mut c_void, usize) {
        (values.as_ptr().cast_mut().cast(), size_of_val(values))
    }
    Some(match column {
        Column::Float32(values) => of(&values[from..to]),
        Column::Float64(values) => of(&values[from..to]),
        Column::Int32(values) => of(&values[from..to]),
        Column::Int64(values) => of(&values[from..to]),
        Column::Bool(values) => of(&values[from..to]),
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
    /// The value for rows `from..from + rows` of a tensor of `width` values a row.
    ///
    /// A value is made over the caller's memory, without a copy; it is reused when address and size are the same as
    /// before, which they are for every row after the first of a scan. Text is copied, as the runtime requires.
    pub(crate) fn bind(
        kept: Option<Self>,
        column: &Column,
        from: usize,
        rows: usize,
        width: usize,
        axes: &[i64],
    ) -> Result<Self, ort::Error> {
        let (start, end) = (from * width, (from + rows) * width);
        if let Column::Text(texts) = column {
            let value = match kept {
                Some(kept) if kept.rows == rows => kept.value,
                _ => text_value(axes)?,
            };
            fill_text(&value, &texts[start..end])?;
            return Ok(Self { value, address: 0, rows });
        }
        let Some((address, size)) = bytes_of(column, start, end) else {
            return Err(ort::Error::new("text where a number is expected"));
        };
        if let Some(kept) = kept
            && kept.address == address as usize
            && kept.rows == rows
        {
            return Ok(kept);
        }
        let mut value = ptr::null_mut();
        // SAFETY: `address` points to `size` bytes that the caller keeps alive for the run: a bound value is passed to
        // the runtime only while the batch that it was bound to is borrowed, and is bound anew when the address differs.
        check(unsafe {
            (api().CreateTensorWithDataAsOrtValue)(
                cpu_memory()?,
                address,
                size,
                axes.as_ptr(),
                axes.len(),
                data_type(column.element()),
                &raw mut value,
            )
        })?;
        Ok(Self { value: owned(value)?, address: address as usize, rows })
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }
}

fn text_value(axes: &[i64]) -> Result<Value, ort::Error> {
    let (mut allocator, mut value) = (ptr::null_mut(), ptr::null_mut());
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

fn fill_text(value: &Value, texts: &[String]) -> Status {
    let texts: Vec<CString> = texts
        .iter()
        .map(|text| CString::new(text.as_str()).map_err(|_| ort::Error::new("text with a zero byte")))
        .collect::<Result<_, _>>()?;
    let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    // SAFETY: the pointers live until the end of this function; the runtime copies the text.
    check(unsafe { (api().FillStringTensor)(value.0.as_ptr(), pointers.as_ptr(), pointers.len()) })
}

impl Value {
    /// Element type and axes.
    fn element_and_axes(&self) -> Result<(DataType, &[i64]), ort::Error> {
        let mut element = DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
        let (mut axes, mut count) = (ptr::null(), 0);
        // SAFETY: the out pointers are valid; the axes belong to the value and are read before it changes.
        let axes = unsafe {
            check((api().GetTensorElementTypeAndShapeDataReference)(
                self.0.as_ptr(),
                &raw mut element,
                &raw mut axes,
                &raw mut count,
            ))?;
            if count == 0 { &[] } else { std::slice::from_raw_parts(axes, count) }
        };
        Ok((element, axes))
    }

    /// The lengths of its axes.
    pub(crate) fn axes(&self) -> Result<&[i64], ort::Error> {
        self.element_and_axes().map(|(_, axes)| axes)
    }

    /// Appends all elements to `column`, which takes the tensor's type when it is empty.
    pub(crate) fn append_to(&self, column: &mut Column) -> Status {
        let (element, axes) = self.element_and_axes()?;
        let count = axes
            .iter()
            .try_fold(1usize, |product, axis| usize::try_from(*axis).ok().and_then(|axis| product.checked_mul(axis)));
        let count = count.ok_or_else(|| ort::Error::new("the model returned a tensor with impossible axes"))?;
        match element {
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT => self.append(column, count, ElementType::Float32),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE => self.append(column, count, ElementType::Float64),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 => self.append(column, count, ElementType::Int32),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 => self.append(column, count, ElementType::Int64),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL => self.append(column, count, ElementType::Bool),
            DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING => self.append_text(column, count),
            other => Err(ort::Error::new(format!("the model returned a tensor of type {other:?}"))),
        }
    }

    fn append(&self, column: &mut Column, count: usize, element: ElementType) -> Status {
        if column.is_empty() && column.element() != element {
            *column = Column::zeros(element, 0);
        }
        if column.element() != element {
            return Err(ort::Error::new("the model returned an output in another type than before"));
        }
        if count == 0 {
            return Ok(());
        }
        let mut data = ptr::null_mut();
        // SAFETY: the out pointer is valid; the tensor holds `count` elements of the matched type, in CPU memory.
        unsafe {
            check((api().GetTensorMutableData)(self.0.as_ptr(), &raw mut data))?;
            match column {
                Column::Float32(values) => values.extend_from_slice(std::slice::from_raw_parts(data.cast(), count)),
                Column::Float64(values) => values.extend_from_slice(std::slice::from_raw_parts(data.cast(), count)),
                Column::Int32(values) => values.extend_from_slice(std::slice::from_raw_parts(data.cast(), count)),
                Column::Int64(values) => values.extend_from_slice(std::slice::from_raw_parts(data.cast(), count)),
                Column::Bool(values) => {
                    values.extend(std::slice::from_raw_parts(data.cast::<u8>(), count).iter().map(|byte| *byte != 0));
                }
                Column::Text(_) => {}
            }
        }
        Ok(())
    }

    fn append_text(&self, column: &mut Column, count: usize) -> Status {
        if column.is_empty() && column.element() != ElementType::Text {
            *column = Column::Text(Vec::new());
        }
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
        if let Column::Text(texts) = column {
            for (index, start) in offsets.iter().enumerate() {
                let end = offsets.get(index + 1).copied().unwrap_or(size);
                let text = bytes.get(*start..end).unwrap_or_default();
                let text = std::str::from_utf8(text).map_err(|_| {
                    ort::Error::new(format!("the model returned a text that is no UTF-8: \"{}\"", text.escape_ascii()))
                })?;
                texts.push(text.to_owned());
            }
        }
        Ok(())
    }
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
