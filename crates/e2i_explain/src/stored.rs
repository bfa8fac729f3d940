//! Rows of a background as bytes: what was bound, column by column, so that they are the same rows for ever.
//!
//! Each tensor follows the one before: numbers little-endian in their own type, texts behind their lengths. The bytes are not trusted.

use e2i_core::{Batch, Column, Error, InputTensor, Kind, Result};

/// The bytes of rows.
#[must_use]
pub fn written(rows: &Batch) -> Vec<u8> {
    let mut bytes = vec![];
    for tensor in rows.tensors() {
        match &tensor.values {
            Column::Float32(cells) => bytes.extend(cells.iter().flat_map(|cell| cell.to_le_bytes())),
            Column::Float64(cells) => bytes.extend(cells.iter().flat_map(|cell| cell.to_le_bytes())),
            Column::Int32(cells) => bytes.extend(cells.iter().flat_map(|cell| cell.to_le_bytes())),
            Column::Int64(cells) => bytes.extend(cells.iter().flat_map(|cell| cell.to_le_bytes())),
            Column::Bool(cells) => bytes.extend(cells.iter().map(|cell| u8::from(*cell))),
            Column::Text(cells) => {
                for cell in cells {
                    bytes.extend((cell.len() as u64).to_le_bytes());
                    bytes.extend(cell.as_bytes());
                }
            }
        }
    }
    bytes
}

/// The rows that bytes hold, as many as are said.
///
/// # Errors
/// [`Kind::WrongState`] for bytes that are no rows of these tensors.
pub fn read(inputs: &[InputTensor], rows: usize, bytes: &[u8]) -> Result<Batch> {
    let broken = || Error::new(Kind::WrongState, "the stored rows of the background cannot be read");
    // Each cell takes a byte at least.
    let cells: usize = inputs.iter().map(InputTensor::width).sum();
    if cells.checked_mul(rows).is_none_or(|cells| cells > bytes.len()) {
        return Err(broken());
    }
    let mut batch = Batch::new(inputs, rows);
    let mut rest = bytes;
    for tensor in batch.tensors_mut() {
        rest = match &mut tensor.values {
            Column::Float32(cells) => fill(cells, rest, f32::from_le_bytes),
            Column::Float64(cells) => fill(cells, rest, f64::from_le_bytes),
            Column::Int32(cells) => fill(cells, rest, i32::from_le_bytes),
            Column::Int64(cells) => fill(cells, rest, i64::from_le_bytes),
            Column::Bool(cells) => fill(cells, rest, |[byte]: [u8; 1]| byte != 0),
            Column::Text(cells) => texts(cells, rest),
        }
        .ok_or_else(broken)?;
    }
    if rest.is_empty() { Ok(batch) } else { Err(broken()) }
}

fn fill<'b, T, const N: usize>(cells: &mut [T], bytes: &'b [u8], read: impl Fn([u8; N]) -> T) -> Option<&'b [u8]> {
    let (these, rest) = bytes.split_at_checked(cells.len() * N)?;
    cells.iter_mut().zip(these.as_chunks::<N>().0).for_each(|(cell, bytes)| *cell = read(*bytes));
    Some(rest)
}

fn texts<'b>(cells: &mut [String], bytes: &'b [u8]) -> Option<&'b [u8]> {
    let mut rest = bytes;
    for cell in cells {
        let (length, after) = rest.split_first_chunk()?;
        let (text, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        *cell = String::from_utf8(text.to_vec()).ok()?;
        rest = after;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2i_core::{ElementType, Rows};

    fn inputs() -> Vec<InputTensor> {
        let types = [
            ElementType::Float32,
            ElementType::Text,
            ElementType::Float64,
            ElementType::Bool,
            ElementType::Int64,
            ElementType::Int32,
        ];
        let tensor =
            |(index, element)| InputTensor { name: format!("t{index}"), element, shape: vec![2], rows: Rows::Free };
        types.into_iter().enumerate().map(tensor).collect()
    }

    fn rows() -> Batch {
        let mut batch = Batch::new(&inputs(), 2);
        for tensor in batch.tensors_mut() {
            tensor.values = match &tensor.values {
                Column::Float32(_) => Column::Float32(vec![0.1, -0.0, f32::INFINITY, 3.0]),
                Column::Float64(_) => Column::Float64(vec![0.1, -0.0, f64::MAX, 3.0]),
                Column::Int32(_) => Column::Int32(vec![1, -2, 3, i32::MIN]),
                Column::Int64(_) => Column::Int64(vec![1, -2, 3, i64::MIN]),
                Column::Bool(_) => Column::Bool(vec![true, false, false, true]),
                Column::Text(_) => Column::Text(["", "a", "é\0", "b"].map(str::to_owned).to_vec()),
            };
        }
        batch
    }

    #[test]
    fn rows_come_back() {
        assert_eq!(read(&inputs(), 2, &written(&rows())).unwrap(), rows());
    }

    #[test]
    fn bytes_of_another_length_are_refused() {
        let bytes = written(&rows());
        for end in 0..bytes.len() {
            assert!(read(&inputs(), 2, &bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(read(&inputs(), usize::MAX, &bytes).is_err());
        assert!(read(&inputs(), 2, &[bytes, vec![0]].concat()).is_err());
    }
}
