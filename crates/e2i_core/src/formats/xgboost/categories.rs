//! The categories of a data frame, which XGBoost keeps in `cats` of the model since 3.1: for each feature texts as offsets into
//! their bytes, or whole numbers; no texts for one that is no category.
//!
//! `feature_segments` and `sorted_idx` say again what `enc` says, for the library's own search.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

use super::broken;
use crate::categories::{Categories, Category, Unseen};
use crate::error::Result;

#[derive(Default, serde::Deserialize)]
pub(super) struct Container {
    #[serde(default)]
    enc: Vec<EncodedValues>,
}

#[derive(serde::Deserialize)]
struct EncodedValues {
    /// Of texts only.
    #[serde(default)]
    offsets: Option<Vec<i64>>,
    values: Vec<AnyNumber>,
}

/// A number of whichever kind; the bytes of texts are signed.
enum AnyNumber {
    Whole(i64),
    Float(f64),
}

impl<'de> Deserialize<'de> for AnyNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = AnyNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E>(self, value: i64) -> std::result::Result<AnyNumber, E> {
                Ok(AnyNumber::Whole(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> std::result::Result<AnyNumber, E> {
                i64::try_from(value)
                    .map(AnyNumber::Whole)
                    .map_err(|_| E::custom(format!("the category {value} is too large")))
            }

            fn visit_f64<E>(self, value: f64) -> std::result::Result<AnyNumber, E> {
                Ok(AnyNumber::Float(value))
            }
        }
        deserializer.deserialize_any(Either).map_err(D::Error::custom)
    }
}

impl Container {
    /// The categories of each of `width` features, where the file tells them; empty where it has none.
    pub(super) fn read(self, width: usize) -> Result<Vec<Option<Categories>>> {
        if !(self.enc.is_empty() || self.enc.len() == width) {
            return Err(broken(format!("it has categories for {} features of {width}", self.enc.len())));
        }
        let features = self.enc.into_iter().enumerate();
        features
            .map(|(feature, encoding)| encoding.read().map_err(|why| broken(format!("feature {feature}: {why}"))))
            .collect()
    }
}

impl EncodedValues {
    fn read(self) -> std::result::Result<Option<Categories>, String> {
        let values = match &self.offsets {
            Some(offsets) => texts(offsets, &self.values)?,
            None => Some(self.values.iter().map(number).collect::<std::result::Result<_, _>>()?),
        };
        let values = values.filter(|values| !values.is_empty());
        Ok(values.map(|values| Categories { values, unseen: Unseen::Refused }))
    }
}

fn number(value: &AnyNumber) -> std::result::Result<Category, String> {
    match value {
        AnyNumber::Whole(value) => Ok(Category::Whole(*value)),
        AnyNumber::Float(value) if value.is_finite() => Ok(Category::Float(*value)),
        AnyNumber::Float(value) => Err(format!("{value} is no category")),
    }
}

/// The texts between the offsets, which ascend: so all of them together are no longer than the bytes. `None` where the file
/// does not hold them: for texts of a pandas frame XGBoost 3.1 and 3.2 count letters for the offsets where they should count
/// bytes, and write as many bytes as there are letters. What is lost cannot be told from a right list, which Arrow's frames give,
/// unless all letters are ASCII's.
fn texts(offsets: &[i64], bytes: &[AnyNumber]) -> std::result::Result<Option<Vec<Category>>, String> {
    let bytes = bytes.iter().map(|byte| match byte {
        AnyNumber::Whole(byte @ -128..=255) => Ok(*byte as u8),
        _ => Err("its categories have something that is no byte".to_owned()),
    });
    let bytes: Vec<u8> = bytes.collect::<std::result::Result<_, _>>()?;
    let text = |pair: &[i64]| {
        let bounds = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok());
        let text = bounds.and_then(|(start, end)| bytes.get(start..end)).ok_or("its categories are out of bounds")?;
        Ok(text.is_ascii().then(|| Category::Text(String::from_utf8_lossy(text).into_owned())))
    };
    if !offsets.is_sorted() {
        return Err("the offsets of its categories do not ascend".into());
    }
    offsets.windows(2).map(text).collect::<std::result::Result<_, &str>>().map_err(str::to_owned)
}
