//! Outputs of a graph: which is the label, which holds the numbers, and what the model is for.

use e2i_core::{Classes, ElementType, Error, Kind, Options, OutputTensor, Result, Task};

use crate::graph::{Model, axes, element_type, tensor_type, type_name};
use crate::proto::{MapType, NodeProto, TypeValue, ValueInfo, data_type};
use crate::rows;
use crate::{additions, classes, columns_apart};

/// What a graph gives.
pub(crate) struct OutputsRead {
    pub outputs: Vec<OutputTensor>,
    pub label: Option<usize>,
    pub main: Option<usize>,
    pub task: Task,
    pub classes: Option<Classes>,
}

/// Reads the outputs; what `options` state overrides what the graph suggests.
pub(crate) fn read(model: &Model, options: &Options) -> Result<OutputsRead> {
    let infos = &model.graph().outputs;
    let mut outputs = Vec::with_capacity(infos.len());
    let mut mapped_labels = None;
    for info in infos {
        match read_output(model, info)? {
            Some((output, labels)) => {
                mapped_labels = mapped_labels.or(labels);
                outputs.push(output);
            }
            None => continue,
        }
    }
    let mut label = outputs.iter().position(is_label);
    let label_tensor = label.map(|label| outputs[label].tensor.clone());
    let mut labels = mapped_labels;
    let mut are_places = false;
    if let (None, Some(tensor)) = (&labels, &label_tensor)
        && let Some((nearest, beyond)) = classes::nearest(model, tensor)?
    {
        labels = Some(nearest);
        are_places = beyond && label.is_some_and(|label| outputs[label].element != ElementType::Text);
    }
    let apart = put_together(model, &mut outputs, &mut label, &mut labels);
    let untrue = label_tensor.as_deref().and_then(|tensor| classes::untrue_on_runtime(model, tensor));
    if let Some(trees) = untrue.filter(|_| !outputs.iter().any(|output| output.element.is_float())) {
        outputs.push(scores_of(trees)?);
    }
    let main = main_output(&outputs, labels.as_deref(), options.task)?;
    let main = match (label, main) {
        // Where another output cannot be read, the numbers that can are not the answer.
        (None, None) if outputs.len() < infos.len() => return Err(unreadable(model)),
        (None, None) => Some(matrix(&outputs).ok_or_else(|| unreadable(model))?),
        (_, main) => main,
    };
    if let (true, Some(found)) = (are_places, &mut labels) {
        let width = main.and_then(|main| outputs[main].width).filter(|width| *width > 1);
        *found = numbered(width.unwrap_or(found.len()));
    }
    let in_graph = labels.is_some() && !are_places;
    let (task, labels) = decide(model, &outputs, label, main, labels, apart, options.task);
    check_stated(options.task, main.and_then(|main| outputs[main].width))?;
    // A number without a name: an only integer output is as good a main output as a float one.
    let (mut label, main) = match (label, main) {
        (Some(only), None) if !task.is_classification() && outputs[only].element != ElementType::Text => {
            (None, Some(only))
        }
        other => other,
    };
    // Labels by position: where the runtime does not write the classes of the graph, and where names are given to classes
    // that the graph does not tell.
    let named = options.class_labels.is_some() && !in_graph && task.is_classification();
    if main.is_some() && (named || untrue.is_some()) {
        label = None;
    }
    Ok(OutputsRead {
        outputs,
        label,
        main,
        task,
        classes: labels.filter(|_| task.is_classification()).map(Classes::new),
    })
}

/// The numbers of a tree classifier of two classes whose label alone is given.
fn scores_of(trees: &NodeProto) -> Result<OutputTensor> {
    let tensor = trees.outputs.get(1).filter(|tensor| !tensor.is_empty()).ok_or_else(|| {
        Error::new(Kind::Unsupported, "the trees of the model give a label and no numbers to tell it from")
            .with_hint("Export it with its probabilities.")
    })?;
    let (name, element) = (additions::tensor_name(tensor), ElementType::Float32);
    Ok(OutputTensor { name, tensor: tensor.clone(), element, width: Some(2), ..OutputTensor::default() })
}

fn is_label(output: &OutputTensor) -> bool {
    !output.element.is_float() && output.width.is_none_or(|width| width == 1)
}

fn is_number(output: &OutputTensor) -> bool {
    output.element.is_float() && output.width == Some(1)
}

/// The whole numbers of a transformer, as good as other numbers.
fn matrix(outputs: &[OutputTensor]) -> Option<usize> {
    outputs.iter().position(|output| output.element != ElementType::Text)
}

/// Makes one output of several that hold one number each, where they are the columns of one matrix. Whether there were any.
fn put_together(
    model: &Model,
    outputs: &mut Vec<OutputTensor>,
    label: &mut Option<usize>,
    labels: &mut Option<Vec<String>>,
) -> bool {
    let places: Vec<usize> = (0..outputs.len()).filter(|place| is_number(&outputs[*place])).collect();
    let Some((whole, names)) = columns_apart::together(model, outputs, &places, labels.as_deref()) else {
        return false;
    };
    if label.is_some() && labels.is_none() {
        *labels = columns_apart::classes_in_names(&names);
    }
    let label_name = label.map(|label| outputs[label].name.clone());
    let mut place = 0;
    outputs.retain(|_| {
        place += 1;
        !places.contains(&(place - 1))
    });
    if !outputs.iter().any(|output| output.tensor == whole.tensor) {
        outputs.push(whole);
    }
    *label = label_name.and_then(|name| outputs.iter().position(|output| output.name == name));
    true
}

/// Why no output can be read, and what to do.
fn unreadable(model: &Model) -> Error {
    let infos = &model.graph().outputs;
    let found: Vec<String> =
        infos.iter().map(|info| format!("{:?} is {}", info.name, type_name(info.kind.as_ref()))).collect();
    let any = |of: fn(&TypeValue) -> bool| {
        infos.iter().any(|info| info.kind.as_ref().and_then(|kind| kind.value.as_ref()).is_some_and(of))
    };
    let hint = if infos.iter().any(|info| is_map_of_floats(info).is_some()) {
        "Export it with tensor outputs, for instance with options={'zipmap': False}."
    } else if any(|kind| matches!(kind, TypeValue::Sequence(_))) {
        "A model that answers several targets at once writes a list of tensors: export one model a target (of a \
         MultiOutputClassifier each of its estimators_), and register each."
    } else if any(|kind| matches!(kind, TypeValue::Tensor(tensor) if tensor.element == data_type::STRING)) {
        "Texts of several columns have no form here: export the transformer together with the model that reads them, or \
         each column as an output of its own model, which e2i_predict_label answers."
    } else {
        "Export it with outputs that are tensors of numbers, or of one text a row."
    };
    Error::new(Kind::Unsupported, "the model has no output that can be read")
        .with_detail(format!("Output {}.", found.join(", ")))
        .with_hint(hint)
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

/// The output that holds the numbers. Of several it is the one that is called a probability; of a classifier's else the
/// only one with a number a class; of other models the first.
fn main_output(outputs: &[OutputTensor], labels: Option<&[String]>, stated: Option<Task>) -> Result<Option<usize>> {
    let floats: Vec<usize> = (0..outputs.len()).filter(|place| outputs[*place].element.is_float()).collect();
    let only = |of: &dyn Fn(&OutputTensor) -> bool| match floats
        .iter()
        .filter(|place| of(&outputs[**place]))
        .collect::<Vec<_>>()[..]
    {
        [place] => Some(*place),
        _ => None,
    };
    if let Some(place) = only(&|_| true).or_else(|| only(&|output| is_probability(&output.name))) {
        return Ok(Some(place));
    }
    let is_classifier = stated.map_or(labels.is_some(), Task::is_classification);
    if floats.is_empty() || !is_classifier {
        return Ok(floats.first().copied());
    }
    let classes = labels.map(<[String]>::len);
    if let Some(place) = only(&|output| output.width.is_some() && output.width == classes) {
        return Ok(Some(place));
    }
    let shown: Vec<String> = floats
        .iter()
        .map(|place| {
            let width = outputs[*place].width.map_or_else(|| "?".to_owned(), |width| width.to_string());
            format!("{:?} [N,{width}]", outputs[*place].name)
        })
        .collect();
    Err(Error::new(
        Kind::Unsupported,
        "the classifier has several outputs of numbers, and none is known to hold its classes",
    )
    .with_detail(format!("Outputs {}.", shown.join(", ")))
    .with_hint("Keep the label and one matrix of probabilities, for instance with options={'zipmap': False}."))
}

fn is_probability(name: &str) -> bool {
    name.to_ascii_lowercase().contains("prob")
}

fn read_output(model: &Model, info: &ValueInfo) -> Result<Option<(OutputTensor, Option<Vec<String>>)>> {
    if let Some(tensor) = tensor_type(info) {
        let widened = additions::widened(tensor.element);
        let Some(element) = element_type(tensor.element).or(widened) else { return Ok(None) };
        let (rows_axis, width) = axes(tensor).map_or((0, None), |axes| rows::declared(&axes));
        let name = info.name.clone();
        let widened = widened.is_some();
        let tensor = if widened { additions::tensor_name(&name) } else { name.clone() };
        return Ok(Some((OutputTensor { name, tensor, element, width, rows_axis, columns: vec![], widened }, None)));
    }
    // A sequence of maps is what ZipMap makes of a matrix; the matrix itself is fetched instead.
    let zip_map = is_map_of_floats(info).and_then(|()| model.producer_of(&info.name));
    let Some(node) = zip_map.filter(|node| node.op_type == "ZipMap") else { return Ok(None) };
    let (Some(labels), Some(tensor)) = (classes::from_attributes(node)?, node.inputs.first()) else { return Ok(None) };
    let output = OutputTensor {
        name: info.name.clone(),
        tensor: tensor.clone(),
        element: ElementType::Float32,
        width: Some(labels.len()),
        ..OutputTensor::default()
    };
    Ok(Some((output, Some(labels))))
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
    apart: bool,
    stated: Option<Task>,
) -> (Task, Option<Vec<String>>) {
    let width = main.and_then(|main| outputs[main].width);
    let by_count = |count: usize| if count == 2 { Task::BinaryClassification } else { Task::MulticlassClassification };
    let called_probability = apart || main.is_some_and(|main| is_probability(&outputs[main].name));
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
        (Task::BinaryClassification, _) => Some(numbered(2)),
        (Task::MulticlassClassification, Some(width)) => Some(numbered(width)),
        _ => None,
    });
    (task, labels)
}

/// Classes that are called by their places.
fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
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
