//! Which features of the inputs the columns of each tensor of a graph hold.
//!
//! Nodes are walked once, in the order of the graph. Operators that only pick, cut, join or keep columns say which columns come out;
//! after others that a visitor lets features pass through, it is known which features a tensor may hold and no more. What a node makes of
//! the features that it reads is the visitor's question ([`crate::missing`], [`crate::samples`]).

use std::collections::HashMap;
use std::rc::Rc;

use crate::graph::{Model, attribute, constant_as_labels, constant_length};
use crate::proto::NodeProto;

/// Columns that nodes read or join, of all together, before a graph is given up: joining again and again may double them each time.
const MOST_COLUMNS: usize = 1 << 24;

/// Columns that are picked or cut one by one, with the bytes or numbers of the constants that say which. Beyond, all columns are taken to
/// be kept.
const MOST_PICKED: usize = 1 << 24;

/// The features that a tensor holds, by their number over all inputs.
#[derive(Clone)]
pub(crate) struct Carried {
    pub columns: Rc<[usize]>,
    /// Whether its columns are exactly these, in order; else they may be in any place.
    pub ordered: bool,
}

impl Carried {
    fn somewhere(&self) -> Self {
        Self { columns: self.columns.clone(), ordered: self.columns.len() == 1 && self.ordered }
    }
}

/// Where the features go that a node reads.
pub(crate) enum Way {
    /// To where the operator moves the columns.
    Moved,
    /// Every column to the same place.
    Kept,
    /// No further.
    Ended,
}

/// Who is told of the nodes that features reach.
pub(crate) trait Visitor<'m> {
    /// A node reads features; of each input that holds some, which.
    fn visit(&mut self, node: &'m NodeProto, read: &[&Carried]) -> Way;
}

/// Walks a graph whose inputs, `(name, width)`, hold features numbered one after the other. `None` where it is too large or out of order:
/// then not all nodes were visited.
pub(crate) fn walk<'m>(model: &'m Model, inputs: &[(&str, usize)], visitor: &mut impl Visitor<'m>) -> Option<()> {
    let mut walk = Walk { model, carried: HashMap::new(), left: MOST_COLUMNS, picked: MOST_PICKED };
    let mut first = 0;
    for (name, width) in inputs {
        walk.carried.insert((*name).to_owned(), Carried { columns: (first..first + width).collect(), ordered: true });
        first += width;
    }
    let nodes = &model.graph().nodes;
    let written =
        |(index, node): (usize, &'m NodeProto)| node.outputs.iter().map(move |output| (output.as_str(), index));
    let writers: HashMap<&str, usize> =
        nodes.iter().enumerate().flat_map(written).filter(|(name, _)| !name.is_empty()).collect();
    for (index, node) in nodes.iter().enumerate() {
        if node.inputs.iter().any(|input| writers.get(input.as_str()).is_some_and(|writer| *writer >= index)) {
            return None;
        }
        let read: Vec<Option<Carried>> = node.inputs.iter().map(|input| walk.carried.get(input).cloned()).collect();
        let features: Vec<&Carried> = read.iter().flatten().collect();
        let [first, ..] = features.as_slice() else { continue };
        let made = match visitor.visit(node, &features) {
            Way::Ended => {
                walk.count(&features)?;
                continue;
            }
            Way::Kept => vec![(*first).clone(); node.outputs.len()],
            Way::Moved => walk.moved(node, &read, &features)?,
        };
        let outputs = node.outputs.iter().zip(made).filter(|(output, _)| !output.is_empty());
        walk.carried.extend(outputs.map(|(output, made)| (output.clone(), made)));
    }
    Some(())
}

struct Walk<'m> {
    model: &'m Model,
    carried: HashMap<String, Carried>,
    left: usize,
    picked: usize,
}

impl Walk<'_> {
    fn count(&mut self, features: &[&Carried]) -> Option<()> {
        let columns = features.iter().fold(1, |sum: usize, part| sum.saturating_add(part.columns.len()));
        self.left = self.left.checked_sub(columns)?;
        Some(())
    }

    /// Whether so many columns more may be picked.
    fn pick(&mut self, columns: usize) -> Option<()> {
        self.picked = self.picked.checked_sub(columns)?;
        Some(())
    }

    /// What the outputs of a node hold; `None` where too many columns were joined.
    fn moved(&mut self, node: &NodeProto, read: &[Option<Carried>], features: &[&Carried]) -> Option<Vec<Carried>> {
        let each = |carried: Carried| vec![carried; node.outputs.len()];
        let exactly = |columns: Vec<usize>| Carried { columns: columns.into(), ordered: true };
        let operator = node.op_type.as_str();
        let along = operator == "ArrayFeatureExtractor"
            || operator == "FeatureVectorizer"
            || is_of_columns(attribute(node, "axis").map_or(0, |axis| axis.int));
        if features.len() > 1 || matches!(operator, "Concat" | "FeatureVectorizer") {
            self.count(features)?;
        }
        let made = match (operator, features) {
            ("Gather" | "ArrayFeatureExtractor", [data, ..]) => {
                let picked = if along && data.ordered { self.picked(node, &data.columns) } else { None };
                each(picked.map_or_else(|| Carried { ordered: false, ..(*data).clone() }, exactly))
            }
            ("Slice", [data]) if data.ordered => {
                each(self.sliced(node, &data.columns).map_or_else(|| data.somewhere(), exactly))
            }
            ("Split", [data]) if data.ordered && along => match self.split(node, &data.columns) {
                Some(parts) => parts.into_iter().map(exactly).collect(),
                None => each(data.somewhere()),
            },
            ("Concat" | "FeatureVectorizer", _) => {
                let parts: Option<Vec<&Carried>> = read.iter().map(Option::as_ref).collect();
                let parts = parts.filter(|parts| along && parts.iter().all(|part| part.ordered));
                let joined = |parts: Vec<&Carried>| {
                    exactly(parts.iter().flat_map(|part| part.columns.iter().copied()).collect())
                };
                each(parts.map_or_else(|| together(features, false), joined))
            }
            // What has one column has it wherever it stands.
            (_, [only]) if matches!(operator, "Identity" | "Cast" | "Scaler") => each((*only).clone()),
            (_, [only]) => each(only.somewhere()),
            _ => each(together(features, false)),
        };
        Some(made)
    }

    fn picked(&mut self, node: &NodeProto, columns: &[usize]) -> Option<Vec<usize>> {
        let indexes = self.model.constant(node.inputs.get(1)?)?;
        self.pick(constant_length(indexes))?;
        let place = |at: i64| usize::try_from(if at < 0 { at.saturating_add(columns.len() as i64) } else { at }).ok();
        self.numbers(node, 1)?.iter().map(|at| columns.get(place(*at)?).copied()).collect()
    }

    fn sliced(&mut self, node: &NodeProto, columns: &[usize]) -> Option<Vec<usize>> {
        let of = |index: usize, name: &str| {
            self.numbers(node, index).or_else(|| attribute(node, name).map(|given| given.ints.clone()))
        };
        let (from, to, axes) = (of(1, "starts")?, of(2, "ends")?, of(3, "axes")?);
        let ([from], [to], [axis]) = (from.as_slice(), to.as_slice(), axes.as_slice()) else { return None };
        let has_steps = node.inputs.get(4).is_some_and(|steps| !steps.is_empty());
        if !is_of_columns(*axis) || (has_steps && self.numbers(node, 4)? != [1]) {
            return None;
        }
        self.pick(columns.len())?;
        let end = |at: i64| if at < 0 { at.saturating_add(columns.len() as i64) } else { at };
        let clamped = |at: i64| usize::try_from(end(at)).unwrap_or(0).min(columns.len());
        columns.get(clamped(*from)..clamped(*to)).map(<[usize]>::to_vec)
    }

    /// The columns of each output.
    fn split(&mut self, node: &NodeProto, columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let count = node.outputs.len();
        let has_sizes = node.inputs.get(1).is_some_and(|sizes| !sizes.is_empty());
        let given =
            if has_sizes { Some(self.numbers(node, 1)?) } else { attribute(node, "split").map(|it| it.ints.clone()) };
        let equal = || (columns.len().is_multiple_of(count)).then(|| vec![(columns.len() / count) as i64; count]);
        let sizes = given.or_else(equal)?;
        self.pick(columns.len())?;
        let mut rest = columns;
        let mut parts = vec![];
        for size in sizes {
            let (part, after) = rest.split_at_checked(usize::try_from(size).ok()?)?;
            parts.push(part.to_vec());
            rest = after;
        }
        (rest.is_empty() && parts.len() == count).then_some(parts)
    }

    /// The integers of a constant input.
    fn numbers(&self, node: &NodeProto, input: usize) -> Option<Vec<i64>> {
        let texts = constant_as_labels(self.model.constant(node.inputs.get(input)?)?)?;
        texts.iter().map(|text| text.parse().ok()).collect()
    }
}

/// Each feature once, wherever it is.
fn together(features: &[&Carried], ordered: bool) -> Carried {
    let mut columns: Vec<usize> = features.iter().flat_map(|part| part.columns.iter().copied()).collect();
    columns.sort_unstable();
    columns.dedup();
    Carried { columns: columns.into(), ordered }
}

/// Whether an axis is that of the columns; tensors of features have two axes.
fn is_of_columns(axis: i64) -> bool {
    matches!(axis, 1 | -1)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::{Attribute, GraphProto, ModelProto, TensorProto, ValueInfo, data_type};

    /// What the node called `end` reads of an input of five columns that went through these nodes.
    fn read_at_end(nodes: Vec<NodeProto>, constants: &[(&str, &[i64])]) -> Vec<(Vec<usize>, bool)> {
        struct End(Vec<(Vec<usize>, bool)>);
        impl<'m> Visitor<'m> for End {
            fn visit(&mut self, node: &'m NodeProto, read: &[&Carried]) -> Way {
                match node.op_type.as_str() {
                    "End" => {
                        self.0 = read.iter().map(|part| (part.columns.to_vec(), part.ordered)).collect();
                        Way::Ended
                    }
                    "Reshape" => Way::Kept,
                    _ => Way::Moved,
                }
            }
        }
        let constant = |(name, cells): &(&str, &[i64])| TensorProto {
            dims: vec![cells.len() as i64],
            data_type: data_type::INT64,
            int64_data: cells.to_vec(),
            name: (*name).to_owned(),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            nodes,
            initializers: constants.iter().map(constant).collect(),
            inputs: vec![ValueInfo { name: "x".to_owned(), kind: None }],
            outputs: vec![ValueInfo { name: "y".to_owned(), kind: None }],
            ..GraphProto::default()
        };
        let model = ModelProto { ir_version: 8, graph: Some(graph), ..ModelProto::default() };
        let model = Model::parse(&model.encode_to_vec()).unwrap();
        let mut end = End(vec![]);
        walk(&model, &[("x", 5)], &mut end);
        end.0
    }

    fn node(operator: &str, inputs: &[&str], outputs: &[&str], axis: Option<i64>) -> NodeProto {
        let axis = axis.map(|int| Attribute { name: "axis".to_owned(), int, kind: 2, ..Attribute::default() });
        NodeProto {
            inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
            outputs: outputs.iter().map(|name| (*name).to_owned()).collect(),
            op_type: operator.to_owned(),
            attributes: axis.into_iter().collect(),
            ..NodeProto::default()
        }
    }

    #[test]
    fn columns_are_picked_cut_and_joined() {
        let parts = [("two", &[2, 3][..])];
        let split = node("Split", &["x", "two"], &["a", "b"], Some(-1));
        let end = |inputs: &[&str]| node("End", inputs, &["y"], None);
        let exactly = |columns: &[usize]| (columns.to_vec(), true);
        assert_eq!(read_at_end(vec![split.clone(), end(&["b", "a"])], &parts), [exactly(&[2, 3, 4]), exactly(&[0, 1])]);
        let joined = node("Concat", &["b", "a"], &["c"], Some(1));
        assert_eq!(read_at_end(vec![split, joined, end(&["c"])], &parts), [exactly(&[2, 3, 4, 0, 1])]);
        let picked = node("Gather", &["x", "at"], &["a"], Some(1));
        assert_eq!(read_at_end(vec![picked.clone(), end(&["a"])], &[("at", &[-1, 0, 0])]), [exactly(&[4, 0, 0])]);
        let cut = [("from", &[1][..]), ("to", &[i64::MAX][..]), ("axes", &[1][..])];
        let slice = node("Slice", &["x", "from", "to", "axes"], &["a"], None);
        assert_eq!(read_at_end(vec![slice, end(&["a"])], &cut), [exactly(&[1, 2, 3, 4])]);
    }

    #[test]
    fn what_cannot_be_told_may_be_anywhere() {
        let end = node("End", &["a"], &["y"], None);
        let anywhere = [(vec![0, 1, 2, 3, 4], false)];
        let scattered = [
            // Along the rows, by parts that are not whole, beyond the columns, by steps, by what is no constant.
            (node("Gather", &["x", "at"], &["a"], Some(0)), vec![("at", &[0][..])]),
            (node("Split", &["x", "at"], &["a", "b"], Some(1)), vec![("at", &[2, 2][..])]),
            (node("Split", &["x"], &["a", "b"], Some(1)), vec![]),
            (node("Gather", &["x", "at"], &["a"], Some(1)), vec![("at", &[5][..])]),
            (
                node("Slice", &["x", "from", "to", "axes", "steps"], &["a"], None),
                vec![("from", &[0][..]), ("to", &[5][..]), ("axes", &[1][..]), ("steps", &[2][..])],
            ),
            (
                node("Slice", &["x", "from", "to", "from", "q"], &["a"], None),
                vec![("from", &[1][..]), ("to", &[5][..])],
            ),
            (node("Add", &["x", "x"], &["a"], None), vec![]),
            (node("Transpose", &["x"], &["a"], None), vec![]),
        ];
        for (moved, constants) in scattered {
            let what = moved.op_type.clone();
            assert_eq!(read_at_end(vec![moved, end.clone()], &constants), anywhere, "{what}");
        }
        // Kept by who says so, and not read before it is written.
        let kept = node("Reshape", &["x"], &["a"], None);
        assert_eq!(read_at_end(vec![kept.clone(), end.clone()], &[]), [(vec![0, 1, 2, 3, 4], true)]);
        assert!(read_at_end(vec![end, kept], &[]).is_empty());
    }
}
