//! Outputs of a graph: which is the label, which holds the numbers, and what the model is for.

use e2i_core::{Classes, ElementType, Error, Kind, OutputTensor, Result, Task};

use crate::classes;
use crate::graph::{Model, axes, element_type, tensor_type, type_name};
use crate::proto::{MapType, TypeValue, ValueInfo, data_type};
use crate::rows;

/// What a graph gives.
pub(crate) struct OutputsRead {
    pub outputs: Vec<OutputTensor>,
    pub label: Option<usize>,
    pub main: Option<usize>,
    pub task: Task,
    pub classes: Option<Classes>,
}

/// Reads the outputs; `stated` overrides what the graph suggests.
pub(crate) fn read(model: &Model, stated: Option<Task>) -> Result<OutputsRead> {
    let infos = &model.graph().outputs;
    let mut outputs = Vec::with_capacity(infos.len());
    let mut mapped_labels = None;
    for info in infos {
        match read_output(model, info) {
            Some((output, labels)) => {
                mapped_labels = mapped_labels.or(labels);
                outputs.push(output);
            }
            None => continue,
        }
    }
    let label =
        outputs.iter().position(|output| !output.element.is_float() && output.width.is_none_or(|width| width == 1));
    let main = main_output(&outputs);
    if label.is_none() && main.is_none() {
        let found: Vec<String> =
            infos.iter().map(|info| format!("{:?} is {}", info.name, type_name(info.kind.as_ref()))).collect();
        return Err(Error::new(Kind::Unsupported, "the model has no output that can be read")
            .with_detail(format!("Output {}.", found.join(", ")))
            .with_hint("Export it with tensor outputs, for instance with options={'zipmap': False}."));
    }
    let labels =
        mapped_labels.or_else(|| outputs.get(label?).and_then(|output| classes::nearest(model, &output.tensor)));
    let (task, labels) = decide(model, &outputs, label, main, labels, stated);
    check_stated(stated, main.and_then(|main| outputs[main].width))?;
    // A number without a name: an only integer output is as good a main output as a float one.
    let (label, main) = match (label, main) {
        (Some(only), None) if !task.is_classification() && outputs[only].element != ElementType::Text => {
            (None, Some(only))
        }
        other => other,
    };
    Ok(OutputsRead {
        outputs,
        label,
        main,
        task,
        classes: labels.filter(|_| task.is_classification()).map(Classes::new),
    })
}

/// A stated task must be possible with the numbers that the graph gives.
fn check_stated(stated: Option<Task>, width: Option<usize>) -> Result<()> {
    let possible = match (stated, width) {
        (Some(Task::BinaryClassification), Some(width)) => width <= 2,
        (Some(Task::MulticlassClassification), Some(width)) => width >= 2,
        _ => true,
    };
    match (stated, width) {
        (Some(task), Some(width)) if !possible => Err(Error::new(
            Kind::BadOption,
            format!("the task {task} does not fit a model that gives {width} number(s) a row"),
        )),
        _ => Ok(()),
    }
}

/// The output that holds the numbers: what is called a probability, else the first float.
fn main_output(outputs: &[OutputTensor]) -> Option<usize> {
    outputs
        .iter()
        .position(|output| output.element.is_float() && is_probability(&output.name))
        .or_else(|| outputs.iter().position(|output| output.element.is_float()))
}

fn is_probability(name: &str) -> bool {
    name.to_ascii_lowercase().contains("prob")
}

fn read_output(model: &Model, info: &ValueInfo) -> Option<(OutputTensor, Option<Vec<String>>)> {
    if let Some(tensor) = tensor_type(info) {
        let element = element_type(tensor.element)?;
        let (rows_axis, width) = axes(tensor).map_or((0, None), |axes| rows::declared(&axes));
        let (name, tensor) = (info.name.clone(), info.name.clone());
        return Some((OutputTensor { name, tensor, element, width, rows_axis }, None));
    }
    // A sequence of maps is what ZipMap makes of a matrix; the matrix itself is fetched instead.
    is_map_of_floats(info)?;
    let node = model.producer_of(&info.name).filter(|node| node.op_type == "ZipMap")?;
    let labels = classes::from_attributes(node)?;
    let output = OutputTensor {
        name: info.name.clone(),
        tensor: node.inputs.first()?.clone(),
        element: ElementType::Float32,
        width: Some(labels.len()),
        rows_axis: 0,
    };
    Some((output, Some(labels)))
}

fn is_map_of_floats(info: &ValueInfo) -> Option<()> {
    let Some(TypeValue::Sequence(sequence)) = info.kind.as_ref()?.value.as_ref() else { return None };
    let Some(TypeValue::Map(map)) = sequence.element.as_ref()?.value.as_ref() else { return None };
    let MapType { value, .. } = map.as_ref();
    match value.as_ref()?.value.as_ref()? {
        TypeValue::Tensor(tensor) if tensor.element == data_type::FLOAT => Some(()),
        _ => None,
    }
}

/// The task and, for classifiers, the labels. Width and names decide where the graph has no labels.
fn decide(
    model: &Model,
    outputs: &[OutputTensor],
    label: Option<usize>,
    main: Option<usize>,
    labels: Option<Vec<String>>,
    stated: Option<Task>,
) -> (Task, Option<Vec<String>>) {
    let width = main.and_then(|main| outputs[main].width);
    let by_count = |count: usize| if count == 2 { Task::BinaryClassification } else { Task::MulticlassClassification };
    let numbered = |count: usize| Some((0..count).map(|class| class.to_string()).collect::<Vec<_>>());
    let called_probability = main.is_some_and(|main| is_probability(&outputs[main].name));
    let read = match (label, main) {
        (_, _) if labels.is_some() => by_count(labels.as_ref().map_or(0, Vec::len)),
        (Some(_), Some(_)) if called_probability => by_count(width.unwrap_or(0)),
        (Some(_), Some(_)) if width == Some(1) => Task::Anomaly,
        (Some(_), Some(_)) => Task::Clustering,
        (None, Some(main)) => by_last_operator(model, &outputs[main]),
        _ => Task::Other,
    };
    let task = stated.unwrap_or(read);
    let labels = labels.or_else(|| match (task, width) {
        (Task::BinaryClassification, _) => numbered(2),
        (Task::MulticlassClassification, Some(width)) => numbered(width),
        _ => None,
    });
    (task, labels)
}

/// What the last operator before a number says about it.
fn by_last_operator(model: &Model, output: &OutputTensor) -> Task {
    const STEPS: usize = 8;
    let mut tensor = output.tensor.as_str();
    for _ in 0..STEPS {
        let Some(node) = model.producer_of(tensor) else { break };
        match (node.op_type.as_str(), output.width) {
            ("Sigmoid", Some(1)) | ("Softmax", Some(2)) => return Task::BinaryClassification,
            ("Softmax", Some(width)) if width > 2 => return Task::MulticlassClassification,
            ("LinearRegressor" | "TreeEnsembleRegressor" | "SVMRegressor", _) => return Task::Regression,
            ("Identity" | "Cast" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten", _) => {}
            _ => break,
        }
        let Some(before) = node.inputs.first() else { break };
        tensor = before;
    }
    if output.width == Some(1) { Task::Regression } else { Task::Other }
}
