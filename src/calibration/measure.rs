//! Whether the truth is as often within intervals and sets as they say.

use std::collections::BTreeMap;

use e2i_calibrate::{Level, Purpose, band};
use e2i_core::Result;

use crate::calibration::make::question;
use crate::calibration::rows::{self, Beside, Truth};
use crate::catalog::calibration::Checked;
use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::scoring::arm::Asked;

/// How often the truth was within.
#[derive(Debug, Clone, Copy, Default)]
pub struct Coverage {
    /// Rows.
    pub n: u64,
    /// Those of them whose truth was within.
    pub covered: u64,
    /// The sum of the widths of intervals, or of the numbers of classes in sets.
    widths: f64,
}

impl Coverage {
    fn add(&mut self, is_within: bool, width: f64) {
        self.n += 1;
        self.covered += u64::from(is_within);
        self.widths += width;
    }

    /// The share of rows; `None` without any.
    pub fn share(&self) -> Option<f64> {
        (self.n > 0).then(|| self.covered as f64 / self.n as f64)
    }

    /// The mean width; `None` without rows.
    pub fn width(&self) -> Option<f64> {
        (self.n > 0).then(|| self.widths / self.n as f64)
    }

    /// The least and the greatest share that chance explains.
    ///
    /// # Errors
    /// What is no level.
    pub fn band(&self, level: f64) -> Result<(f64, f64)> {
        let (lowest, highest) = band::band(self.n, level)?;
        let n = self.n.max(1) as f64;
        Ok((lowest as f64 / n, highest as f64 / n))
    }
}

/// Coverage of all rows, and of each group.
pub struct Measured {
    /// What it was: of intervals or of sets.
    pub purpose: Purpose,
    /// Of all.
    pub all: Coverage,
    /// By the groups that were asked for, or that the version was calibrated by.
    pub groups: Vec<(Option<String>, Coverage)>,
    /// By the numbers of the groups that the version was calibrated by.
    pub checked: Vec<(usize, Checked)>,
    /// Rows whose target is NULL.
    pub left_out: i64,
}

/// Measures the coverage of a version at a level. Rows are told apart by the column that is asked for, else by that of the calibration.
///
/// # Errors
/// Versions without a calibration, what is no level, and what [`rows::each`] reports.
pub fn measure(
    schema: Schema,
    version: &Version,
    source: &str,
    target: &str,
    level: f64,
    by: Option<&str>,
) -> Result<Measured> {
    Level::new(level)?;
    let purpose = if version.interface.task.is_classification() { Purpose::Set } else { Purpose::Interval };
    let asked = Asked { question: Some(question(purpose)), function: None, calibrated: Some(purpose) };
    let beside = Beside { target, by, weights: None };
    let mut all = Coverage::default();
    let mut groups = BTreeMap::<Option<String>, Coverage>::new();
    let mut numbers = BTreeMap::<usize, Coverage>::new();
    let left_out = rows::each(schema, version, source, &beside, asked, |known, scored| {
        let Some((calibrated, model, place)) = scored.scorer.calibrated(scored.row, 0) else { return Ok(()) };
        let (is_within, width) = match known.truth {
            Truth::Number(truth) => {
                let interval = calibrated.interval(model, place, scored.answer, level)?.interval;
                (interval.lower <= truth && truth <= interval.upper, interval.upper - interval.lower)
            }
            Truth::Class(class) => {
                let set = calibrated.set(model, place.1, scored.answer, level)?;
                (set.contains(&class), set.len() as f64)
            }
        };
        all.add(is_within, width);
        let number = calibrated.group(place.1);
        if let Some(number) = number {
            numbers.entry(number).or_default().add(is_within, width);
        }
        let calibration = calibrated.required(model)?;
        let group = match by {
            Some(_) => Some(known.group.clone()),
            None if calibration.grouped_by.is_none() => None,
            None => Some(calibrated.group_name(place.1)),
        };
        if let Some(group) = group {
            groups.entry(group).or_default().add(is_within, width);
        }
        Ok(())
    })?;
    let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    let checked = numbers
        .into_iter()
        .map(|(number, found)| (number, Checked { level, n: count(found.n), covered: count(found.covered) }));
    Ok(Measured { purpose, all, groups: groups.into_iter().collect(), checked: checked.collect(), left_out })
}
