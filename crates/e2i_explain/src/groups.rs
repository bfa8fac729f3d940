//! Leaves that are looked up together: all below a node, as long as what decides between them, and what leads to the node, can be said
//! in one byte.
//!
//! That byte has a bit for each column that is asked on the way to the node, set where the row goes this way there, and one for
//! each question below. Between few leaves and large tables the largest group that fits adds least.
//!
//! What does not belong here: what a group's leaves give.

use std::ops::Range;

use e2i_core::native::{Node, Tree};

use crate::kernels::BITS;
use crate::questions::Turn;

/// What a bit of a pattern says: whether all of these turns are taken.
#[derive(Debug)]
struct Bit {
    turns: Range<usize>,
    /// The column of turns on the way to the group.
    column: Option<u32>,
}

/// Leaves below a node.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) leaves: Range<usize>,
    bits: Range<usize>,
}

/// The groups of one tree, and its questions.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) questions: Range<usize>,
    pub(crate) groups: Range<usize>,
}

/// All groups of an ensemble.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) groups: Vec<Group>,
    pub(crate) trees: Vec<Part>,
    bits: Vec<Bit>,
    turns: Vec<Turn>,
}

/// For each node, questions at it and below, as far as they matter.
pub(crate) fn questions_below(tree: &Tree) -> Vec<usize> {
    let mut below = vec![0; tree.nodes.len()];
    // Trees were checked: nothing is below itself.
    let depths = tree.depths().unwrap_or_default();
    let mut order: Vec<usize> = (0..depths.len()).collect();
    order.sort_by_key(|at| depths[*at]);
    for at in order {
        if let Node::Branch(branch) = &tree.nodes[at] {
            below[at] = (1 + below[branch.yes as usize] + below[branch.no as usize]).min(BITS + 1);
        }
    }
    below
}

impl Groups {
    /// Begins a group at a node with so many questions at it and below, to which these turns lead, each with its column: whether it
    /// fits. `leaf` is the number of its first leaf.
    pub(crate) fn begin(&mut self, mut way: Vec<(u32, Turn)>, below: usize, leaf: usize) -> bool {
        way.sort_by_key(|(column, _)| *column);
        let columns = way.chunk_by(|(a, _), (b, _)| a == b);
        if columns.clone().count() + below > BITS {
            return false;
        }
        self.end(leaf);
        let first = self.bits.len();
        for of_column in columns {
            let from = self.turns.len();
            self.turns.extend(of_column.iter().map(|(_, turn)| *turn));
            self.bits.push(Bit { turns: from..self.turns.len(), column: Some(of_column[0].0) });
        }
        self.groups.push(Group { leaves: leaf..leaf, bits: first..self.bits.len() });
        true
    }

    /// Begins a group of one leaf to which more columns lead.
    pub(crate) fn begin_alone(&mut self, leaf: usize) {
        self.end(leaf);
        self.groups.push(Group { leaves: leaf..leaf, bits: 0..0 });
    }

    /// A question of the group that has begun.
    pub(crate) fn ask(&mut self, question: u32) {
        let Some(group) = self.groups.last_mut() else { return };
        let mut asked = self.bits[group.bits.clone()].iter().filter(|bit| bit.column.is_none());
        // A node with several parents is met several times.
        if asked.any(|bit| self.turns[bit.turns.start].0 == question) {
            return;
        }
        let from = self.turns.len();
        self.turns.push((question, true));
        self.bits.push(Bit { turns: from..from + 1, column: None });
        group.bits.end = self.bits.len();
    }

    fn end(&mut self, leaf: usize) {
        if let Some(group) = self.groups.last_mut() {
            group.leaves.end = leaf;
        }
    }

    /// The tree has no more questions and leaves than so many of the ensemble.
    pub(crate) fn end_tree(&mut self, questions: usize, leaf: usize) {
        self.end(leaf);
        let (asked, grouped) = self.trees.last().map_or((0, 0), |part| (part.questions.end, part.groups.end));
        self.trees.push(Part { questions: asked..questions, groups: grouped..self.groups.len() });
    }

    /// The turns of each bit of a group.
    pub(crate) fn bits(&self, group: &Group) -> impl ExactSizeIterator<Item = &[Turn]> {
        self.bits[group.bits.clone()].iter().map(|bit| &self.turns[bit.turns.clone()])
    }

    /// The bits that say whether a row takes turns of a column, and what they say if it does.
    pub(crate) fn meant(&self, group: &Group, column: u32, turns: &[Turn]) -> (usize, usize) {
        let (mut mask, mut right) = (0, 0);
        for (place, bit) in self.bits[group.bits.clone()].iter().enumerate() {
            let of_question = |(question, _): &&Turn| *question == self.turns[bit.turns.start].0;
            let says = match bit.column {
                Some(of) => (of == column).then_some(true),
                None => turns.iter().find(of_question).map(|(_, yes)| *yes),
            };
            if let Some(says) = says {
                mask |= 1 << place;
                right |= usize::from(says) << place;
            }
        }
        (mask, right)
    }

    /// What they take, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.groups.len() * size_of::<Group>()
            + self.trees.len() * size_of::<Part>()
            + self.bits.len() * size_of::<Bit>()
            + self.turns.len() * size_of::<Turn>()
    }
}
