//! Sets of characters, as vectorizers that take texts apart ask for them.

use crate::error::Result;
use crate::native::image::{Image, Section};
use crate::native::value::broken;

/// A set of characters: first and last of each range, ascending.
pub type Ranges = Section<u32>;

/// Whether a character is of a set.
pub(super) fn is_in(ranges: &[u32], character: char) -> bool {
    // As many bounds are passed as is even where the character is between two ranges.
    let passed = ranges.partition_point(|bound| *bound < character as u32);
    passed % 2 == 1 || ranges.get(passed) == Some(&(character as u32))
}

/// Whether a set is one.
pub(super) fn check_ranges(image: &Image, ranges: Ranges) -> Result<()> {
    image.check(ranges)?;
    let bounds = image.slice(ranges);
    if bounds.len().is_multiple_of(2) && bounds.is_sorted() {
        Ok(())
    } else {
        Err(broken("its characters do not ascend"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_found_in_ranges() {
        let ranges = [10, 10, 20, 29];
        let found: Vec<u32> = (0..40).filter(|c| is_in(&ranges, char::from_u32(*c).unwrap())).collect();
        assert_eq!(found, [10, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
    }
}
