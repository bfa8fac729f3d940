//! Blocks with what every processor has.

use super::super::classes::READABLE;
use super::super::inputs::{self, BLOCK};
use super::super::number::Number;
use super::{Bytes, Classes, Membership, Op, Quad, Vector};

/// What every processor has; the loops are written so that the compiler finds the vector instructions of the architecture.
pub(in crate::native::forest) struct Portable;

/// Rows that are taken at once: a register of SSE2 or NEON.
const CHUNK: usize = 16;

impl Vector for Portable {
    #[inline(always)]
    unsafe fn ranks<T: Number>(search: (&[T], u32), values: &[T; BLOCK], ranks: &mut [u32; BLOCK]) {
        inputs::ranks(search, values, ranks);
    }

    #[inline(always)]
    unsafe fn sets<const HALVES: usize>(sets: &[Membership], bits: &[u8], classes: &[Classes], out: &mut [Bytes]) {
        for (set, out) in sets.iter().zip(out) {
            let (Some(bits), Some(classes)) =
                (bits[set.start as usize..].first_chunk::<READABLE>(), classes.get(usize::from(set.feature)))
            else {
                continue;
            };
            for row in 0..HALVES * BLOCK / 2 {
                out.0[row] = bits[usize::from(classes.byte.0[row])] & classes.bit.0[row];
            }
        }
    }

    #[inline(always)]
    unsafe fn quads<const HALVES: usize>(quads: &[Quad], codes: &[Bytes], slots: &mut [Bytes]) {
        for quad in quads {
            let [upper, yes, no] = quad.columns.map(|column| &codes[usize::from(column)].0);
            let ([at, at_yes, at_no], [a, b, c, d]) = (quad.thresholds, quad.leaves);
            let out = &mut slots[usize::from(quad.out)].0;
            for row in 0..HALVES * BLOCK / 2 {
                let (yes, no) = (if yes[row] <= at_yes { a } else { b }, if no[row] <= at_no { c } else { d });
                out[row] = if upper[row] <= at { yes } else { no };
            }
        }
    }

    #[inline(always)]
    unsafe fn pairs<const HALVES: usize>(ops: &[Op], codes: &[Bytes], slots: &mut [Bytes]) {
        for op in ops {
            let (code, out) = (&codes[usize::from(op.column)].0, &mut slots[usize::from(op.out)].0);
            let (threshold, yes, no) = (op.threshold as u8, op.yes as u8, op.no as u8);
            for (out, code) in out.iter_mut().zip(code).take(HALVES * BLOCK / 2) {
                *out = if *code <= threshold { yes } else { no };
            }
        }
    }

    #[inline(always)]
    unsafe fn blend<const HALVES: usize>(ops: &[Op], codes: &[Bytes], slots: &mut [Bytes]) {
        for op in ops {
            let threshold = op.threshold as u8;
            for chunk in 0..HALVES * BLOCK / 2 / CHUNK {
                let of = |bytes: &Bytes| -> [u8; CHUNK] { std::array::from_fn(|lane| bytes.0[chunk * CHUNK + lane]) };
                let code = of(&codes[usize::from(op.column)]);
                let (yes, no) = (of(&slots[usize::from(op.yes)]), of(&slots[usize::from(op.no)]));
                let out = &mut slots[usize::from(op.out)].0[chunk * CHUNK..][..CHUNK];
                for lane in 0..CHUNK {
                    out[lane] = if code[lane] <= threshold { yes[lane] } else { no[lane] };
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn add<const HALVES: usize, A: Number>(leaves: &Bytes, weights: &[A], sums: &mut [A; BLOCK]) {
        for (sum, leaf) in sums.iter_mut().zip(&leaves.0).take(HALVES * BLOCK / 2) {
            // A leaf that does not exist cannot be reached: that was checked.
            *sum = *sum + weights.get(usize::from(*leaf)).copied().unwrap_or(A::ZERO);
        }
    }
}
