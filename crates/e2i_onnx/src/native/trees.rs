//! ONNX's tree operators as data: TreeEnsembleClassifier and TreeEnsembleRegressor (ai.onnx.ml 1 to 3), TreeEnsemble (5).
//!
//! What they mean is what ONNX Runtime 1.31 does with them on one thread. Where that depends on memory that nobody wrote,
//! or is an error while scoring, the node is refused, and the runtime scores it.

use std::collections::HashMap;

use e2i_core::native::operators::Trees as TreesStep;
use e2i_core::native::{Aggregate, Classifier, Finish, Labels, Node, PostTransform, Precision, Seen, Tree, Weight};
use e2i_core::{ElementType, Error, Kind, Result};

use super::attributes::{floats, int, ints, numbers, refused, strings, text};
use super::symbol::RowValue;
use super::tree_operator::{Asked, TARGETS, TreeOperator, Trees, checked, regression, seen};
use super::{Lowered, Lowering, Symbol, tree_ensemble};
use crate::graph::{Model, axes, element_type, tensor_type};
use crate::proto::NodeProto;

/// Reads a node whose input is a matrix of `width` columns.
///
/// # Errors
/// [`Kind::Unsupported`] with the reason why the runtime must score it, [`Kind::BadModel`] when nobody can.
pub(crate) fn read(node: &NodeProto, input: ElementType, width: usize) -> Result<TreeOperator> {
    let precision = match input {
        ElementType::Float32 | ElementType::Int32 | ElementType::Int64 => Precision::Single,
        ElementType::Float64 => Precision::Double,
        ElementType::Bool | ElementType::Text => return Err(refused(node, "its input is not numeric")),
    };
    match node.op_type.as_str() {
        "TreeEnsembleClassifier" => classifier(node, precision, width),
        "TreeEnsembleRegressor" => regressor(node, precision, width),
        "TreeEnsemble" if input.is_float() => tree_ensemble::read(node, precision, width),
        _ => Err(refused(node, "it is no operator of trees, or not for this type")),
    }
}

/// The trees of a graph whose tree operator reads the graph's only input, a matrix of known width.
///
/// # Errors
/// [`Kind::Unsupported`] for any other graph, or with the reason why the runtime must score the trees.
pub fn trees_of(model: &Model) -> Result<TreeOperator> {
    let other = || Error::new(Kind::Unsupported, "the graph does not give its input to trees at once");
    let node = model.graph().nodes.iter().find(|node| node.op_type.starts_with("TreeEnsemble")).ok_or_else(other)?;
    let name = node.inputs.first().ok_or_else(other)?;
    let input = model.inputs().find(|input| input.name == *name).ok_or_else(other)?;
    let tensor = tensor_type(input).ok_or_else(other)?;
    let element = element_type(tensor.element).ok_or_else(other)?;
    let width = axes(tensor).and_then(|axes| axes.get(1).copied().flatten()).ok_or_else(other)?;
    read(node, element, width)
}

impl Lowering<'_, '_> {
    /// A tree operator: labels and numbers of a classifier, numbers of a regressor.
    pub(super) fn trees(&mut self, node: &NodeProto) -> Lowered<Vec<Symbol>> {
        let value = self.rows(node, 0)?;
        if !value.before.is_empty() || value.axes.len() != 1 {
            return Err("its input is not rows of columns".into());
        }
        let failed = |error: Error| error.message().to_owned();
        let operator = read(node, value.element, value.axes[0]).map_err(failed)?;
        let value = match value.element {
            ElementType::Float64 => value,
            _ => self.cast_rows(&value, ElementType::Float32)?,
        };
        let finish = operator.finish;
        let trees =
            TreesStep::compile(&operator.ensemble, finish, operator.output, self.plan.tables()).map_err(failed)?;
        let outputs = trees.outputs();
        let first = self.plan.step(&self.name, trees.into(), &[value.id], &outputs);
        Ok((first..)
            .zip(&outputs)
            .enumerate()
            .map(|(index, (id, output))| {
                let axes = if index + 1 == outputs.len() { vec![output.width] } else { vec![] };
                Symbol::Rows(RowValue { id, element: output.element, before: vec![], axes })
            })
            .collect())
    }
}

fn regressor(node: &NodeProto, precision: Precision, width: usize) -> Result<TreeOperator> {
    let targets = int(node, "n_targets", 0);
    if !(1..=TARGETS).contains(&targets) {
        return Err(refused(node, &format!("it has {targets} targets")));
    }
    let targets = targets as usize;
    let base = listed(node, ["base_values", "base_values_as_tensor"], precision)?;
    let (aggregate, post_transform) = (aggregate(node)?, post_transform(node)?);
    let trees = listed_trees(node, "target", targets, precision)?;
    regression(node, trees, targets, precision, width, (aggregate, post_transform, base), ElementType::Float32)
}

fn classifier(node: &NodeProto, precision: Precision, width: usize) -> Result<TreeOperator> {
    let labels = labels(node)?;
    let classes = labels.len();
    if classes < 2 || classes > TARGETS as usize {
        return Err(refused(node, &format!("it has {classes} classes")));
    }
    let base = listed(node, ["base_values", "base_values_as_tensor"], precision)?;
    if !(base.is_empty() || base.len() == classes || (classes == 2 && base.len() == 1)) {
        return Err(refused(node, &format!("it has {} base values for {classes} classes", base.len())));
    }
    let ids = ints(node, "class_ids");
    let one_column = classes == 2 && !ids.is_empty() && ids.iter().all(|id| *id == ids[0]);
    let weights = listed(node, ["class_weights", "class_weights_as_tensor"], precision)?;
    let positive = !weights.iter().any(|weight| *weight < 0.0);
    let trees = listed_trees(node, "class", classes, precision)?;
    let mut ensemble = trees.ensemble(classes, precision, width);
    let seen = seen(&mut ensemble, classes);
    let post_transform = post_transform(node)?;
    let sometimes = |class: usize| match &seen {
        Seen::Known(seen) => !seen[class],
        Seen::Counted => true,
    };
    if classes == 2 && sometimes(1) && base.len() < 2 {
        if post_transform == PostTransform::Probit {
            return Err(refused(node, "PROBIT of one score leaves the other unwritten"));
        }
        if base.len() == 1 && !one_column {
            return Err(refused(node, "one base value for two classes leaves a score unwritten"));
        }
    }
    let nobody = |tree: &Tree| tree.nodes.iter().any(|node| matches!(node, Node::Leaf(weights) if weights.is_empty()));
    if classes > 2 && base.is_empty() && (ensemble.trees.is_empty() || ensemble.trees.iter().any(nobody)) {
        return Err(refused(node, "it may choose no class"));
    }
    // Of two classes that both have weights the runtime returns 0 and 1 instead of their labels. Steps behind it see what
    // they see there; an answer never does (`classes::untrue_on_runtime`).
    let labels = match labels {
        Labels::Int64(_) if classes == 2 && !one_column => Labels::Int64(vec![0, 1]),
        labels => labels,
    };
    let classifier = Classifier { labels, base, one_column, positive };
    let finish = Finish { width: classes, seen, post_transform, classifier: Some(classifier) };
    checked(TreeOperator { ensemble, finish, output: ElementType::Float32 })
}

fn labels(node: &NodeProto) -> Result<Labels> {
    let (whole, texts) = (ints(node, "classlabels_int64s"), strings(node, "classlabels_strings"));
    if texts.is_empty() {
        return Ok(Labels::Int64(whole.to_vec()));
    }
    let texts =
        texts.iter().map(|text| String::from_utf8(text.to_vec()).map_err(|_| refused(node, "a label is no text")));
    Ok(Labels::Text(texts.collect::<Result<_>>()?))
}

fn aggregate(node: &NodeProto) -> Result<Aggregate> {
    match text(node, "aggregate_function", "SUM")? {
        "SUM" => Ok(Aggregate::Sum),
        "AVERAGE" => Ok(Aggregate::Average),
        "MIN" => Ok(Aggregate::Min),
        "MAX" => Ok(Aggregate::Max),
        other => Err(refused(node, &format!("it aggregates by {other:?}"))),
    }
}

fn post_transform(node: &NodeProto) -> Result<PostTransform> {
    match text(node, "post_transform", "NONE")? {
        "NONE" => Ok(PostTransform::None),
        "LOGISTIC" => Ok(PostTransform::Logistic),
        "SOFTMAX" => Ok(PostTransform::Softmax),
        "SOFTMAX_ZERO" => Ok(PostTransform::SoftmaxZero),
        "PROBIT" => Ok(PostTransform::Probit),
        other => Err(refused(node, &format!("it transforms by {other:?}"))),
    }
}

/// A list that is written as floats or as a tensor.
fn listed(node: &NodeProto, names: [&str; 2], precision: Precision) -> Result<Vec<f64>> {
    let (singles, tensor) = (floats(node, names[0]), numbers(node, names[1], precision)?);
    if !singles.is_empty() && !tensor.is_empty() {
        return Err(refused(node, &format!("it has {} twice", names[0])));
    }
    Ok(if tensor.is_empty() { singles.iter().copied().map(f64::from).collect() } else { tensor })
}

/// The trees of versions 1 to 3: lists of nodes that name one another.
fn listed_trees(node: &NodeProto, what: &str, targets: usize, precision: Precision) -> Result<Trees> {
    let list = |name: &str| ints(node, name);
    let (trees, ids, features) = (list("nodes_treeids"), list("nodes_nodeids"), list("nodes_featureids"));
    let (yes, no) = (list("nodes_truenodeids"), list("nodes_falsenodeids"));
    let (modes, missing) = (strings(node, "nodes_modes"), list("nodes_missing_value_tracks_true"));
    let values = listed(node, ["nodes_values", "nodes_values_as_tensor"], precision)?;
    let count = ids.len();
    let broken = |why: String| Error::new(Kind::BadModel, format!("{} of the model is broken: {why}", node.op_type));
    let lengths = [trees.len(), features.len(), yes.len(), no.len(), modes.len(), values.len()];
    if lengths.iter().any(|length| *length != count) || u32::try_from(count).is_err() {
        return Err(broken("its lists of nodes are not of one length".to_owned()));
    }
    let mut places = HashMap::with_capacity(count);
    let mut starts: Vec<usize> = vec![];
    for (place, (tree, id)) in trees.iter().zip(ids).enumerate() {
        if places.insert((*tree, *id), place).is_some() {
            return Err(broken(format!("tree {tree} has two nodes {id}")));
        }
        if place == 0 || trees[place - 1] != *tree {
            starts.push(place);
        }
    }
    let mut names: Vec<i64> = starts.iter().map(|start| trees[*start]).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(refused(node, "the nodes of a tree are not in one place"));
    }
    let weights = leaf_weights(node, what, targets, precision, &places, count)?;
    let cover = cover(node, precision, count);
    let mut read = Trees::default();
    for (number, start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(count);
        let mut nodes = Vec::with_capacity(end - start);
        for place in *start..end {
            let mode = modes[place].as_ref();
            if mode == b"LEAF" {
                let mut weights = weights[place].clone();
                if targets == 1 {
                    // The runtime adds the first weight, or for want of one what stands where branches have thresholds.
                    weights.truncate(1);
                    if weights.is_empty() {
                        weights.push(Weight { target: 0, value: values[place] });
                    }
                }
                nodes.push(Node::Leaf(weights));
                continue;
            }
            let follow = |id: i64| match places.get(&(trees[place], id)) {
                Some(_) if usize::try_from(id).map_or(true, |id| id >= count) => {
                    Err(refused(node, "a node's number is too great"))
                }
                Some(child) => Ok((child - start) as u32),
                None => Err(broken(format!("tree {} has no node {id}, and a branch to it", trees[place]))),
            };
            let tracks = |place: usize| missing.get(place) == Some(&1);
            let tracks_true = tracks(place);
            if mode == b"BRANCH_EQ" && !weights[place].is_empty() {
                // The runtime gives the weight to another node if it makes the branch part of a set.
                return Err(refused(node, "a branch has a weight"));
            }
            if mode == b"BRANCH_EQ"
                && let Some(next) = places.get(&(trees[place], no[place]))
                && modes[*next].as_ref() == mode
                && features[*next] == features[place]
            {
                // The runtime makes one set of the branches that ask for equality one after the other, if what follows
                // looks the same to it, and sends missing values where the first of them does.
                let child = |place: usize, side: &[i64]| places.get(&(trees[place], side[place])).copied();
                let alike = |a: usize, b: usize| {
                    let looks = modes[a] == modes[b] && features[a] == features[b] && values[a] == values[b];
                    let (first, second) = (&weights[a], &weights[b]);
                    let weigh = match (first.first(), second.first()) {
                        (Some(first), Some(second)) => first.value == second.value,
                        _ => true,
                    };
                    let is_leaf = modes[a].as_ref() == b"LEAF";
                    (looks && (!is_leaf || weigh), first == second && tracks(a) == tracks(b))
                };
                let sides = |a: usize| [child(a, yes), child(a, no)];
                let is_leaf = |a: usize| modes[a].as_ref() == b"LEAF";
                let one_set = match (child(place, yes), child(*next, yes)) {
                    (Some(a), Some(b)) if a == b => Some(true),
                    (Some(a), Some(b)) => likeness(a, b, &alike, &sides, &is_leaf),
                    _ => None,
                };
                if one_set.is_some_and(|same| !same || tracks(*next) != tracks_true) {
                    return Err(refused(node, "the runtime takes branches for a set that are none"));
                }
            }
            let feature = read.feature(features[place])?;
            let asked = Asked::from_mode(mode).ok_or_else(|| refused(node, "a node has an unknown mode"))?;
            nodes.push(asked.branch(feature, values[place], tracks_true, (follow(yes[place])?, follow(no[place])?)));
        }
        read.trees.push(Tree { nodes, cover: cover.get(*start..end).unwrap_or(&[]).to_vec() });
    }
    Ok(read)
}

/// How often each node was met in training; nothing where converters write the same for all of them for want of it.
fn cover(node: &NodeProto, precision: Precision, count: usize) -> Vec<f64> {
    // No score depends on it, so nothing is refused for it.
    let rates = listed(node, ["nodes_hitrates", "nodes_hitrates_as_tensor"], precision).unwrap_or_default();
    let says = rates.len() == count
        && rates.iter().all(|rate| rate.is_finite() && *rate >= 0.0)
        && rates.windows(2).any(|pair| pair[0] != pair[1]);
    if says { rates } else { vec![] }
}

/// Whether the nodes below two places look the same to the runtime, which does not look at everything, and if they do,
/// whether they are.
fn likeness(
    a: usize,
    b: usize,
    alike: &impl Fn(usize, usize) -> (bool, bool),
    sides: &impl Fn(usize) -> [Option<usize>; 2],
    is_leaf: &impl Fn(usize) -> bool,
) -> Option<bool> {
    /// More are taken to look the same without being so.
    const PAIRS: usize = 4096;
    let (mut left, mut pairs, mut same) = (vec![(a, b)], 0, true);
    while let Some((a, b)) = left.pop() {
        pairs += 1;
        if pairs > PAIRS {
            return Some(false);
        }
        if a == b {
            continue;
        }
        let (looks, is) = alike(a, b);
        if !looks {
            return None;
        }
        same &= is;
        if !is_leaf(a) {
            for (a, b) in sides(a).into_iter().zip(sides(b)) {
                left.push((a?, b?));
            }
        }
    }
    Some(same)
}

/// The weights of each node, in the order in which they are listed.
fn leaf_weights(
    node: &NodeProto,
    what: &str,
    targets: usize,
    precision: Precision,
    places: &HashMap<(i64, i64), usize>,
    count: usize,
) -> Result<Vec<Vec<Weight>>> {
    let list = |name: &str| ints(node, &format!("{what}_{name}"));
    let (trees, ids, of) = (list("treeids"), list("nodeids"), list("ids"));
    let values = listed(node, [&format!("{what}_weights"), &format!("{what}_weights_as_tensor")], precision)?;
    let broken = |why: String| Error::new(Kind::BadModel, format!("{} of the model is broken: {why}", node.op_type));
    if [trees.len(), of.len(), values.len()].iter().any(|length| *length != ids.len()) {
        return Err(broken("its lists of weights are not of one length".to_owned()));
    }
    let mut weights = vec![vec![]; count];
    for (index, value) in values.iter().enumerate() {
        let target = u32::try_from(of[index]).ok().filter(|target| (*target as usize) < targets);
        let target = target.ok_or_else(|| broken(format!("a weight is for target {} of {targets}", of[index])))?;
        let place = places.get(&(trees[index], ids[index]));
        let place =
            place.ok_or_else(|| broken(format!("a weight is for node {}, which does not exist", ids[index])))?;
        weights[*place].push(Weight { target, value: *value });
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Attribute;

    /// A stump whose nodes have these rates.
    fn cover_with(rates: &[f32]) -> Vec<f64> {
        let named = |name: &str| Attribute { name: name.into(), ..Attribute::default() };
        let ints = |name: &str, ints: &[i64]| Attribute { ints: ints.to_vec(), kind: 7, ..named(name) };
        let floats = |name: &str, floats: &[f32]| Attribute { floats: floats.to_vec(), kind: 6, ..named(name) };
        let modes = ["BRANCH_LEQ", "LEAF", "LEAF"].map(|mode| mode.as_bytes().to_vec().into()).to_vec();
        let node = NodeProto {
            op_type: "TreeEnsembleRegressor".into(),
            attributes: vec![
                Attribute { int: 1, kind: 2, ..named("n_targets") },
                ints("nodes_treeids", &[0; 3]),
                ints("nodes_nodeids", &[0, 1, 2]),
                ints("nodes_featureids", &[0; 3]),
                ints("nodes_truenodeids", &[1, 0, 0]),
                ints("nodes_falsenodeids", &[2, 0, 0]),
                Attribute { strings: modes, kind: 8, ..named("nodes_modes") },
                floats("nodes_values", &[0.5, 0.0, 0.0]),
                floats("nodes_hitrates", rates),
                ints("target_treeids", &[0; 2]),
                ints("target_nodeids", &[1, 2]),
                ints("target_ids", &[0; 2]),
                floats("target_weights", &[1.0, 2.0]),
            ],
            ..NodeProto::default()
        };
        read(&node, ElementType::Float32, 1).unwrap().ensemble.trees[0].cover.clone()
    }

    #[test]
    fn rates_are_the_cover_unless_they_say_nothing() {
        assert_eq!(cover_with(&[30.0, 20.0, 10.0]), [30.0, 20.0, 10.0]);
        for nothing in [&[][..], &[1.0; 3], &[3.0, 2.0], &[3.0, f32::NAN, 1.0], &[3.0, 4.0, -1.0]] {
            assert!(cover_with(nothing).is_empty(), "{nothing:?}");
        }
    }
}
