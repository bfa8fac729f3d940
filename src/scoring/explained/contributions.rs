//! What features add, of many rows at once, and nothing besides: where trees say so by tables.

use e2i_core::{Batch, Result};
use e2i_explain::{Meant, Space};

use super::{Explained, Wanted, Way};
use crate::catalog::schema::Schema;
use crate::pg::interrupt;
use crate::settings;

/// Rows between two looks for interrupts.
const BETWEEN_LOOKS: usize = 1024;

/// What features add to numbers of rows.
pub struct Contributions {
    /// The numbers that are meant.
    pub meant: Vec<Meant>,
    /// For each row, for each of these, a number a feature.
    pub added: Vec<f64>,
    /// For each row what it adds up, where several numbers are meant, to tell which one is predicted.
    pub margins: Vec<f64>,
}

impl Explained {
    /// What each feature adds to the numbers of rows that are meant; `None` where each row is explained by [`Explained::explain`].
    ///
    /// # Errors
    /// As [`Explained::explain`].
    pub fn contributions(
        &self,
        schema: Schema,
        id: &[u8; 16],
        rows: &Batch,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Contributions>> {
        self.check(wanted)?;
        let way = self.way(schema, id, wanted)?;
        let (trees, attributions) = match &way {
            Way::Game(..) => return Ok(None),
            _ if wanted.space == Space::ProbabilityScaled => return Ok(None),
            Way::Covers(trees) => (*trees, self.by_covers(trees)?),
            Way::Counts(trees, background) => (*trees, self.by_counts(trees, background)?),
            Way::Background(trees, background) => (*trees, self.against(trees, background)?),
        };
        let (width, targets) = (trees.leaves.width(), trees.leaves.targets());
        let meant = self.meant(targets, wanted)?;
        let count = self.interface.features.len();
        let values = trees.columns(rows)?;
        let mut added = vec![0.0; rows.rows() * meant.len() * count];
        let mut work = self.work.take();
        let mut all = vec![];
        let blocks = added.chunks_mut((BETWEEN_LOOKS * meant.len() * count).max(1));
        for (values, added) in values.chunks((BETWEEN_LOOKS * width).max(1)).zip(blocks) {
            interrupt::check();
            attributions.of_rows_with(settings::instruction_set(), values, &mut work, &mut all);
            let of_rows = added.chunks_exact_mut((meant.len() * count).max(1));
            for (added, all) in of_rows.zip(all.chunks_exact((width * targets).max(1))) {
                for (added, meant) in added.chunks_exact_mut(count.max(1)).zip(&meant) {
                    let sign = if meant.opposite { -1.0 } else { 1.0 };
                    let of_columns = all[meant.target * width..][..width].iter().zip(&trees.features);
                    of_columns.for_each(|(number, feature)| added[*feature] += sign * number);
                }
            }
        }
        self.work.replace(work);
        let margins = if meant.len() > 1 { trees.leaves.sums(&values) } else { vec![] };
        Ok(Some(Contributions { meant, added, margins }))
    }
}
