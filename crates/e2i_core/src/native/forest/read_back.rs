//! The ensemble that tables were made of, as far as it decides scores: read back from them.
//!
//! Thresholds are those of the tables, rounded to what no row can tell from the model's; sets are the intervals of their members;
//! a branch whose sides were the same is gone. What covers say is not in the tables.
//!
//! What does not belong here: what is made of it.

use std::collections::HashMap;

use super::codes::Question;
use super::number::{Number, broken};
use super::sinks::Leaves;
use super::topology::{Passed, Topology, WalkNode};
use super::{Forest, LeafTables, TreeTables};
use crate::error::{Error, Kind, Result};
use crate::native::ensemble::{Branch, Ensemble, FeatureUse, Missing, Node, Tree};

impl Forest {
    /// An ensemble with the same sums for every row, to the bit.
    ///
    /// # Errors
    /// [`Kind::Internal`] where the tables were not opened, [`Kind::BadModel`] where they are not those of trees.
    pub fn ensemble(&self) -> Result<Ensemble> {
        let unopened = || Error::new(Kind::Internal, "the tables of trees were not opened");
        let tables = self.tables.as_ref().ok_or_else(unopened)?;
        let (trees, features) = match &tables.leaves {
            LeafTables::Single(leaves) => self.trees_of(&tables.trees, leaves)?,
            LeafTables::Double(leaves) => self.trees_of(&tables.trees, leaves)?,
        };
        let (aggregate, base, base_first) = match &tables.leaves {
            LeafTables::Single(leaves) => leaves.rule(),
            LeafTables::Double(leaves) => leaves.rule(),
        };
        let ensemble = Ensemble {
            width: self.width(),
            features,
            trees,
            targets: self.targets(),
            compared_in: self.compared_in(),
            added_in: self.added_in(),
            aggregate,
            base: base.to_vec(),
            base_first,
        };
        ensemble.check()?;
        Ok(ensemble)
    }

    fn trees_of<A: Number>(&self, tables: &TreeTables, leaves: &Leaves<A>) -> Result<(Vec<Tree>, Vec<FeatureUse>)> {
        match tables {
            TreeTables::Narrow(trees) => read_back(trees, leaves, self.trees()),
            TreeTables::Single(trees) => read_back(trees, leaves, self.trees()),
            TreeTables::Double(trees) => read_back(trees, leaves, self.trees()),
        }
    }
}

fn read_back<S: WalkNode, A: Number>(
    topology: &Topology<S>,
    leaves: &Leaves<A>,
    count: usize,
) -> Result<(Vec<Tree>, Vec<FeatureUse>)> {
    let mut features: Vec<FeatureUse> = vec![];
    let mut numbers: HashMap<(u32, Missing), u32> = HashMap::new();
    let mut trees = Vec::with_capacity(count);
    let codes = topology.codes();
    let mut sets: HashMap<(usize, u32), Question> = HashMap::new();
    for tree in 0..count {
        let mut node = |passed: Passed| {
            let (question, yes, no) = match passed {
                Passed::Leaf(leaf) => return Ok(Node::Leaf(leaves.weights(tree, leaf))),
                Passed::AtMost { column, threshold, left } => (codes.at_most(column, threshold), left, left + 1),
                Passed::Outside { column, set, left } => {
                    let known = match sets.get(&(column, set)) {
                        Some(known) => Some(known.clone()),
                        None => codes.within(column, set).inspect(|question| {
                            sets.insert((column, set), question.clone());
                        }),
                    };
                    (known, left + 1, left)
                }
            };
            let question = question.ok_or_else(|| broken("a branch"))?;
            let key = (question.feature.column, question.feature.missing);
            let feature = *numbers.entry(key).or_insert_with(|| {
                features.push(question.feature);
                features.len() as u32 - 1
            });
            Ok(Node::Branch(Branch { feature, test: question.test, missing_yes: question.missing_yes, yes, no }))
        };
        let nodes = topology.nodes_read_back(tree).into_iter().map(&mut node).collect::<Result<_>>()?;
        trees.push(Tree { nodes, cover: vec![] });
    }
    Ok((trees, features))
}
