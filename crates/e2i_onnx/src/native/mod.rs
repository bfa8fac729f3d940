//! From a graph to a plan of the native engine, or to the name of the node that it does not know.
//!
//! Nodes are lowered in the order of the graph. What a tensor is known to be is a [`Symbol`]: constants, a list of axis
//! lengths, or a value of the plan with one axis for the rows. An operator is lowered only if it treats each row alone and
//! if its result is the runtime's (to the bit where IEEE 754 defines it, to a few units in the last place for matrix products
//! and elementary functions); everything else is refused by name, and the graph is left to the runtime. Only nodes that the
//! outputs need are looked at.
//!
//! One file for each family of operators. What does not belong here: how something is computed (`e2i_core::native`).

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt;

use e2i_core::Interface;
use e2i_core::native::operators::Operator;
use e2i_core::native::{PlanBuilder, ValueId, ValueType};
use e2i_core::{ElementType, Rows};

use crate::additions;
use crate::graph::Model;
use crate::proto::NodeProto;

pub(crate) mod attributes;
mod axes;
#[cfg(test)]
mod backend_tests;
mod columns;
mod constant;
mod defaults;
mod elementwise;
mod encoders;
mod folding;
#[cfg(test)]
mod hostile_tests;
mod linear;
#[cfg(test)]
mod machine_tests;
mod machines;
#[cfg(test)]
mod operator_tests;
#[cfg(test)]
mod pipeline_tests;
mod preprocessing;
mod reduce;
#[cfg(test)]
mod reference_tests;
mod repeat;
mod shape;
#[cfg(test)]
mod shape_tests;
#[cfg(test)]
mod size_tests;
mod symbol;
#[cfg(test)]
mod tests;
mod text;
#[cfg(test)]
mod text_tests;
#[cfg(test)]
mod threshold_tests;
mod tree_ensemble;
mod tree_operator;
pub(crate) mod trees;

pub use tree_operator::TreeOperator;
pub use trees::trees_of;

use constant::Constant;
use symbol::{RowValue, Symbol};

/// Most nodes of a graph that is compiled: beyond, a graph is no pipeline and its plan no smaller than its model.
const MAX_NODES: usize = 20_000;

/// Most numbers of all constants together that lowering may read (once a use) or make (expanded, transposed, laid out).
const MAX_CONSTANTS: usize = 1 << 26;

/// Most axes of a tensor.
const MAX_AXES: usize = 64;

/// Why a graph has no native plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The node's name, or that of its first output.
    pub node: String,
    /// Its operator.
    pub operator: String,
    /// What about it is not known.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.operator.is_empty() {
            f.write_str(&self.why)
        } else {
            write!(f, "node {:?} ({}): {}", self.node, self.operator, self.why)
        }
    }
}

impl std::error::Error for Refusal {}

/// What lowering a node gives, or why it cannot be lowered.
type Lowered<T> = Result<T, String>;

/// Compiles a graph, or a preprocessor and a graph, into the image of a plan.
///
/// # Errors
/// The node that the native engine does not know.
pub fn compile(model: &Model, preprocessor: Option<&Model>, interface: &Interface) -> Result<Vec<u8>, Refusal> {
    compile_within(MAX_CONSTANTS, model, preprocessor, interface)
}

/// The same with a limit of one's own for the numbers of all constants together.
fn compile_within(
    constants: usize,
    model: &Model,
    preprocessor: Option<&Model>,
    interface: &Interface,
) -> Result<Vec<u8>, Refusal> {
    let overall = |why: String| Refusal { node: String::new(), operator: String::new(), why };
    let extended = additions::has_nodes(interface)
        .then(|| Model::parse(&additions::extended(model.bytes().into(), interface)))
        .transpose()
        .map_err(|error| overall(error.message().to_owned()))?;
    let model = extended.as_ref().unwrap_or(model);
    let mut plan = PlanBuilder::default();
    let constants_left = Cell::new(constants);
    let mut fed: HashMap<String, Symbol> = HashMap::new();
    let mut fixed_rows = None;
    for tensor in &interface.inputs {
        let width = tensor.width();
        let id = plan.input(ValueType::new(tensor.element, width));
        match tensor.rows {
            Rows::Free => {}
            Rows::Fixed(rows) => fixed_rows = Some(rows),
            Rows::Single => return Err(overall(format!("input {:?} has no axis for rows", tensor.name))),
        }
        if tensor.shape.len() >= MAX_AXES {
            return Err(overall(format!("input {:?} has too many axes", tensor.name)));
        }
        let value = RowValue { id, element: tensor.element, before: vec![], axes: tensor.shape.clone() };
        fed.insert(tensor.name.clone(), Symbol::Rows(value));
    }
    if let Some(first) = preprocessor {
        let symbols = lower(first, fed, &interface.passed_on, fixed_rows, &constants_left, &mut plan)?;
        fed = model.inputs().map(|input| input.name.clone()).zip(symbols).collect();
    }
    let outputs = [interface.label_output(), interface.main_output()];
    let names: Vec<String> = outputs.iter().flatten().map(|output| output.tensor.clone()).collect();
    let mut symbols = lower(model, fed, &names, fixed_rows, &constants_left, &mut plan)?.into_iter();
    let [label, main] = outputs.map(|output| {
        let Some(output) = output else { return Ok(None) };
        match symbols.next() {
            // Cells before and after the rows are those of a row in the same order only if that is where the rows are read.
            Some(Symbol::Rows(value))
                if value.before.iter().all(|length| *length == 1) || value.before.len() == output.rows_axis =>
            {
                Ok(Some(value.id))
            }
            Some(Symbol::Rows(_)) => {
                Err(overall(format!("the rows of output {:?} lie on another axis", output.tensor)))
            }
            _ => Err(overall(format!("output {:?} does not depend on the inputs", output.tensor))),
        }
    });
    let (label, main) = (label?, main?);
    plan.finish(label, main).map_err(|error| overall(error.message().to_owned()))
}

/// Lowers what `wanted` tensors need of a graph, and says what they are.
fn lower(
    model: &Model,
    fed: HashMap<String, Symbol>,
    wanted: &[String],
    fixed_rows: Option<usize>,
    constants_left: &Cell<usize>,
    plan: &mut PlanBuilder,
) -> Result<Vec<Symbol>, Refusal> {
    let overall = |why: &str| Refusal { node: String::new(), operator: String::new(), why: why.to_owned() };
    let nodes = &model.graph().nodes;
    if nodes.len() > MAX_NODES {
        return Err(overall("the graph has too many nodes"));
    }
    let needed = needed_tensors(model, wanted);
    let mut lowering = Lowering {
        model,
        symbols: fed,
        words: HashMap::new(),
        fixed_rows,
        constants_left,
        name: String::new(),
        version: model.operator_set(""),
        plan,
    };
    for node in nodes.iter().filter(|node| node.outputs.iter().any(|output| needed.contains(output.as_str()))) {
        lowering.name = name_of(node);
        let refusal = |why: String| Refusal { node: name_of(node), operator: node.op_type.clone(), why };
        let symbols = lowering.node(node).map_err(refusal)?;
        for (name, symbol) in node.outputs.iter().zip(symbols) {
            if symbol.rank() > MAX_AXES {
                return Err(refusal("it makes a tensor of too many axes".to_owned()));
            }
            lowering.symbols.insert(name.clone(), symbol);
        }
    }
    wanted.iter().map(|name| lowering.symbol(name).map_err(|why| overall(&why))).collect()
}

/// What people know a node by.
fn name_of(node: &NodeProto) -> String {
    if node.name.is_empty() { node.outputs.first().cloned().unwrap_or_default() } else { node.name.clone() }
}

/// The tensors that `wanted` ones are made of, themselves included.
fn needed_tensors<'m>(model: &'m Model, wanted: &'m [String]) -> HashSet<&'m str> {
    let mut needed = HashSet::new();
    let mut open: Vec<&str> = wanted.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if needed.insert(name)
            && let Some(node) = model.producer_of(name)
        {
            open.extend(node.inputs.iter().filter(|input| !input.is_empty()).map(String::as_str));
        }
    }
    needed
}

/// One graph on its way into a plan.
struct Lowering<'m, 'p> {
    model: &'m Model,
    symbols: HashMap<String, Symbol>,
    /// Tensors that hold the words of each row, which are no value of a plan: rows have any number of them.
    words: HashMap<String, text::Words>,
    /// The number of rows that the graph's inputs state.
    fixed_rows: Option<usize>,
    constants_left: &'p Cell<usize>,
    /// The node's name, for the steps that are made from it.
    name: String,
    /// Version of the operators of `ai.onnx`.
    version: i64,
    plan: &'p mut PlanBuilder,
}

impl Lowering<'_, '_> {
    fn node(&mut self, node: &NodeProto) -> Lowered<Vec<Symbol>> {
        if self.model.defines_operators_of(&node.domain) {
            return Err("the model defines operators of its own".into());
        }
        let one = |symbol: Lowered<Symbol>| symbol.map(|symbol| vec![symbol]);
        match (node.domain.as_str(), node.op_type.as_str()) {
            ("ai.onnx.ml", operator) => match operator {
                "TreeEnsembleClassifier" | "TreeEnsembleRegressor" | "TreeEnsemble" => self.trees(node),
                "LinearClassifier" => self.linear_classifier(node),
                "LinearRegressor" => one(self.linear_regressor(node)),
                "SVMClassifier" => self.svm_classifier(node),
                "SVMRegressor" => one(self.svm_regressor(node)),
                "Scaler" => one(self.scaler(node)),
                "Normalizer" => one(self.normalizer(node)),
                "Imputer" => one(self.imputer(node)),
                "Binarizer" => one(self.binarizer(node)),
                "OneHotEncoder" => one(self.one_hot_encoder(node)),
                "LabelEncoder" => one(self.label_encoder(node)),
                "CategoryMapper" => one(self.category_mapper(node)),
                "FeatureVectorizer" => one(self.feature_vectorizer(node)),
                "ArrayFeatureExtractor" => one(self.array_feature_extractor(node)),
                _ => Err("the native engine does not know this operator".into()),
            },
            ("" | "ai.onnx", operator) => match operator {
                "Constant" => one(self.constant(node)),
                "Identity" | "Dropout" => one(self.identity(node)),
                "Reshape" => one(self.reshape(node)),
                "Flatten" if self.is_of_words(node) => self.flatten_words(node),
                "Flatten" => one(self.flatten(node)),
                "Squeeze" => one(self.squeeze(node)),
                "Unsqueeze" => one(self.unsqueeze(node)),
                "Transpose" => one(self.transpose(node)),
                "Shape" => one(self.shape(node)),
                "Concat" => one(self.concat(node)),
                "Gather" => one(self.gather(node)),
                "Slice" => one(self.slice(node)),
                "Split" => self.split(node),
                "MatMul" => one(self.mat_mul(node)),
                "Gemm" => one(self.gemm(node)),
                "Cast" => one(self.cast(node)),
                "CastLike" => one(self.cast_like(node)),
                "ConstantOfShape" => one(self.constant_of_shape(node)),
                "Tile" => one(self.tile(node)),
                "Expand" => one(self.expand(node)),
                "LpNormalization" => one(self.lp_normalization(node)),
                "Clip" => one(self.clip(node)),
                "Where" => one(self.select(node)),
                "StringNormalizer" => one(self.string_normalizer(node)),
                "TfIdfVectorizer" => one(self.word_counts(node)),
                "Softmax" | "LogSoftmax" => one(self.softmax(node)),
                "ArgMax" | "ArgMin" => one(self.arg_extreme(node)),
                _ if operator.starts_with("Reduce") => one(self.reduce(node)),
                _ => one(self.elementwise(node)),
            },
            ("com.microsoft", "Tokenizer") => self.tokenizer(node),
            _ => Err("the native engine does not know this operator".into()),
        }
    }

    /// What a tensor is known to be. Each use of a constant is a copy, which is accounted for.
    fn symbol(&self, name: &str) -> Lowered<Symbol> {
        if let Some(symbol) = self.symbols.get(name) {
            self.spend(symbol.size())?;
            return Ok(symbol.clone());
        }
        match self.model.constant(name) {
            Some(tensor) => {
                self.spend(Constant::size_of(tensor))?;
                Ok(Symbol::Constant(Constant::read(tensor)?))
            }
            None => Err(format!("tensor {name:?} is not known")),
        }
    }

    /// What an input of a node is known to be.
    fn input(&self, node: &NodeProto, index: usize) -> Lowered<Symbol> {
        match self.optional_input(node, index)? {
            Some(symbol) => Ok(symbol),
            None => Err(format!("input {index} is missing")),
        }
    }

    fn optional_input(&self, node: &NodeProto, index: usize) -> Lowered<Option<Symbol>> {
        node.inputs.get(index).filter(|name| !name.is_empty()).map(|name| self.symbol(name)).transpose()
    }

    /// An input that has rows.
    fn rows(&self, node: &NodeProto, index: usize) -> Lowered<RowValue> {
        match self.input(node, index)? {
            Symbol::Rows(value) => Ok(value),
            _ => Err(format!("input {index} is constant")),
        }
    }

    /// An input that is constant.
    fn constant_input(&self, node: &NodeProto, index: usize) -> Lowered<Constant> {
        match self.input(node, index)? {
            Symbol::Constant(constant) => Ok(constant),
            _ => Err(format!("input {index} is not constant")),
        }
    }

    /// Adds a step with one output.
    fn step(
        &mut self,
        operator: impl Into<Operator>,
        inputs: &[ValueId],
        element: ElementType,
        before: Vec<usize>,
        axes: Vec<usize>,
    ) -> Lowered<RowValue> {
        let width = symbol::product(&[before.as_slice(), &axes].concat())?;
        let id = self.plan.step(&self.name, operator.into(), inputs, &[ValueType::new(element, width)]);
        Ok(RowValue { id, element, before, axes })
    }

    /// Accounts for constants that are made from others.
    fn spend(&self, numbers: usize) -> Lowered<()> {
        match self.constants_left.get().checked_sub(numbers) {
            Some(left) => {
                self.constants_left.set(left);
                Ok(())
            }
            None => Err("its constants are too large".into()),
        }
    }
}
