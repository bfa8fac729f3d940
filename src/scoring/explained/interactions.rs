//! What pairs of features add together to a number of a row.
//!
//! What does not belong here: what each adds in all, which is [`Explained::explain`]'s.

use std::collections::BTreeMap;

use e2i_core::{Batch, Error, Kind, Result};
use e2i_explain::{Method, Unknown, interactions};

use super::{Explained, Wanted, Way, predicted};
use crate::catalog::schema::Schema;
use crate::pg::interrupt;

/// Two features, by their places in the interface, and what they add together; twice the same for what one adds by itself.
pub type Pair = (usize, usize, f64);

impl Explained {
    /// What each feature adds by itself and each pair of features beyond that to one number of a row, which is what the row has beyond
    /// what is expected of it: of several numbers to the predicted one. What adds most comes first, up or down, of equal
    /// ones the first; what adds nothing is left out.
    ///
    /// # Errors
    /// As [`Explained::explain`]; [`Kind::Unsupported`] without trees, in another space than the margin, and for what is drawn.
    pub fn interactions(
        &self,
        schema: Schema,
        id: &[u8; 16],
        (batch, row): (&Batch, usize),
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Pair>> {
        self.check_pairs(wanted)?;
        let nobody = |_: &Batch| Err(Error::new(Kind::Internal, "trees are asked nothing"));
        let explanations = self.explain(schema, id, (batch, row), wanted, &nobody)?;
        let one = predicted(&self.interface, &explanations);
        let one = one.ok_or_else(|| Error::new(Kind::Internal, "nothing was explained"))?;
        let way = self.way(schema, id, wanted)?;
        let (trees, leaves, others) = match &way {
            Way::Covers(trees) => (*trees, &*trees.leaves, None),
            Way::Counts(trees, background) => (*trees, self.by_counts(trees, background)?.leaves(), None),
            Way::Background(trees, background) => (*trees, &*trees.whole, Some(trees.columns(&background.rows)?)),
            Way::Game(..) => return Err(Error::new(Kind::Internal, "a game has no trees")),
        };
        let unknown = others.as_ref().map_or(Unknown::Covers, |rows| Unknown::Background(rows));
        let values = trees.columns(&batch.picked(&[row]))?;
        let of_columns = loop {
            match interactions(leaves, &values, one.meant.target, unknown, interrupt::pending) {
                // Returns only when the interrupt was withdrawn meanwhile.
                Err(error) if error.kind() == Kind::Interrupted => interrupt::check(),
                found => break found?,
            }
        };
        let sign = if one.meant.opposite { -1.0 } else { 1.0 };
        let mut all: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        let mut alone = one.contributions.clone();
        for (a, b, added) in of_columns {
            let (a, b) = (trees.features[a as usize], trees.features[b as usize]);
            // Columns that are made of one feature are a part of what it adds by itself.
            if a != b {
                *all.entry((a.min(b), a.max(b))).or_insert(0.0) += sign * added;
                alone[a] -= sign * added / 2.0;
                alone[b] -= sign * added / 2.0;
            }
        }
        all.extend(alone.iter().enumerate().map(|(feature, added)| ((feature, feature), *added)));
        let mut all: Vec<Pair> =
            all.into_iter().filter(|(_, added)| *added != 0.0).map(|((a, b), added)| (a, b, added)).collect();
        all.sort_by(|(_, _, one), (_, _, other)| other.abs().total_cmp(&one.abs()));
        Ok(all)
    }

    fn check_pairs(&self, wanted: &Wanted<'_>) -> Result<()> {
        let refused = |what: String| Error::new(Kind::Unsupported, format!("model {} {what}", self.reference));
        if self.decided.trees().is_none() {
            let error = refused("has no trees, and interactions are known of trees alone".to_owned());
            return Err(error.with_hint("What each feature adds is known of any model: e2i_contributions."));
        }
        self.check(wanted)?;
        if !self.decided.link().is_linear_in(wanted.space) {
            let error = refused(format!("has no interactions in space {:?}", wanted.space.name()));
            return Err(error.with_hint("Say space => 'margin'."));
        }
        if wanted.method == Some(Method::Sampled) {
            let error = refused("has exact interactions, which are not drawn".to_owned());
            return Err(error.with_hint("Leave method out, or say path_dependent or interventional."));
        }
        Ok(())
    }
}
