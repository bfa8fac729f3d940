//! From a graph, or a preprocessor and a graph, to the [`Interface`] of a version.

use std::collections::HashMap;

use e2i_core::{Error, InputTensor, Interface, Kind, Options, Result, Rows};

use crate::features;
use crate::graph::{Model, axes, element_type, tensor_type};
use crate::outputs;

/// Reads the interface of a version off its graph, or off two graphs in a row.
///
/// # Errors
/// [`Kind::Unsupported`] for inputs or outputs of types that cannot be read, [`Kind::BadOption`] and
/// [`Kind::TypeMismatch`] where an option contradicts the graph.
pub fn describe(model: &Model, preprocessor: Option<&Model>, options: &Options) -> Result<Interface> {
    let first = preprocessor.unwrap_or(model);
    let wanted = options.feature_names.as_ref().map(Vec::len);
    let features::Inputs { tensors, features, named } = features::read(first, wanted)?;
    let read = outputs::read(model, options)?;
    let mut interface = Interface {
        format: Interface::FORMAT,
        task: read.task,
        classes: read.classes,
        class_scores: e2i_core::class_scores::ClassScores::default(),
        pair: e2i_core::class_scores::Pair::default(),
        inputs: tensors,
        features,
        vectors: vec![],
        passed_on: match preprocessor {
            Some(preprocessor) => wire(preprocessor, model)?,
            None => vec![],
        },
        outputs: read.outputs,
        rows_at_once: Interface::ROWS_AT_ONCE,
        varies: None,
        is_same_together: false,
        engine_times: None,
        label: read.label,
        main: read.main,
    };
    if preprocessor.is_some() {
        limit_rows(&mut interface.inputs, model);
    }
    options.apply(&mut interface, named)?;
    Ok(interface)
}

/// Which outputs of the preprocessor feed the model's inputs: by name where all names agree, else in order.
fn wire(preprocessor: &Model, model: &Model) -> Result<Vec<String>> {
    let given = &preprocessor.graph().outputs;
    let taken = features::element_types(model);
    let named: HashMap<&str, usize> =
        given.iter().enumerate().rev().map(|(place, output)| (output.name.as_str(), place)).collect();
    let by_name = taken.iter().all(|(name, _)| named.contains_key(name.as_str()));
    if !by_name && given.len() != taken.len() {
        return Err(Error::new(
            Kind::BadOption,
            format!(
                "the preprocessor gives {} outputs, the model takes {} inputs, and their names differ",
                given.len(),
                taken.len()
            ),
        )
        .with_hint("Name the preprocessor's outputs after the model's inputs."));
    }
    taken
        .iter()
        .enumerate()
        .map(|(position, (name, element))| {
            let output = &given[named.get(name.as_str()).copied().filter(|_| by_name).unwrap_or(position)];
            let gives = tensor_type(output).and_then(|tensor| element_type(tensor.element));
            if gives != *element {
                let shown = |element: Option<e2i_core::ElementType>| {
                    element.map_or("another type", e2i_core::ElementType::name)
                };
                return Err(Error::new(
                    Kind::TypeMismatch,
                    format!(
                        "output {:?} of the preprocessor is {}, input {name:?} of the model is {}",
                        output.name,
                        shown(gives),
                        shown(*element)
                    ),
                ));
            }
            Ok(output.name.clone())
        })
        .collect()
}

/// A model graph with a fixed number of rows fixes it for the preprocessor, too.
fn limit_rows(inputs: &mut [InputTensor], model: &Model) {
    let fixed = model.inputs().filter_map(|info| axes(tensor_type(info)?)?.first().copied().flatten()).min();
    if let Some(fixed) = fixed.filter(|fixed| *fixed > 0) {
        for tensor in inputs.iter_mut().filter(|tensor| tensor.rows == Rows::Free) {
            tensor.rows = Rows::Fixed(fixed);
        }
    }
}
