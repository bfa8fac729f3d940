//! What a damaged image does.

use super::random::{STYLES, Style, cases, ensemble, rows};
use super::{Asks, answers};
use crate::native::forest::{Forest, Rows};
use crate::native::image::{Image, ImageWriter};
use crate::native::instruction_set::InstructionSet;
use crate::random::Random;

/// A damaged image is refused or scores something, but never reads what is not there.
#[test]
fn damaged_images_do_no_harm() {
    let mut refused = 0;
    for case in 0..cases(45) {
        let mut random = Random(1000 + case as u64);
        let of = ensemble(&mut random, Style { trees: 4, leaves: 12, ..STYLES[case % STYLES.len()] });
        let input = rows(&mut random, &of, 130);
        let mut writer = ImageWriter::default();
        let forest = Forest::compile(&of, &mut writer).unwrap();
        let whole = writer.finish(&forest).unwrap();
        for _ in 0..40 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            let Ok((image, mut forest)) = Image::open::<Forest>(&bytes) else { continue };
            if forest.open(&image).is_err() {
                refused += 1;
                continue;
            }
            for set in InstructionSet::available() {
                if forest.width() != of.width || forest.targets() != of.targets {
                    continue;
                }
                for (_, forest, blend) in forest.kernels(set) {
                    for rows in [1, 130] {
                        let blended = if blend { rows } else { 0 };
                        let asks = random.pick(&[Asks::Sums, Asks::EachTree, Asks::LeafIndexes]);
                        answers(&forest, asks, set, Rows::Double(&input[..rows * of.width]), (rows, blended));
                    }
                }
            }
        }
    }
    assert!(refused > 50, "only {refused} were refused");
}

/// A forest of sets, whose tables are overwritten one at a time with what leads out of them.
#[test]
fn tables_of_sets_that_lead_elsewhere_are_refused() {
    for style in [10, 11, 14].map(|style| STYLES[style]) {
        let of = ensemble(&mut Random(17), style);
        let mut writer = ImageWriter::default();
        let forest = Forest::compile(&of, &mut writer).unwrap();
        let head = serde_json::to_value(&forest).unwrap();
        let whole = writer.finish(&forest).unwrap();
        let place = |path: &str| {
            let section = head.pointer(path)?.as_array()?;
            let (start, count) = (section[0].as_u64()? as usize, section[1].as_u64()?);
            let length = u32::from_le_bytes(whole[8..12].try_into().ok()?) as usize;
            (count > 0).then_some((16 + length).next_multiple_of(64) + start)
        };
        let mut tried = 0;
        for path in [
            "/codes/classes/features",
            "/codes/classes/class_of",
            "/codes/classes/bits",
            "/codes/classes/starts",
            "/topology/blend/sets",
            "/topology/answered/firsts",
            "/topology/coded/sets",
            "/topology/coded/small_sets",
            "/topology/coded/large_sets",
        ] {
            let Some(place) = place(path) else { continue };
            let mut bytes = whole.clone();
            bytes[place..place + 4].fill(0xff);
            let (image, mut forest) = Image::open::<Forest>(&bytes).unwrap();
            assert!(forest.open(&image).is_err(), "{style:?}: {path}");
            tried += 1;
        }
        assert!(tried >= 4, "{style:?}: {tried}");
    }
}
