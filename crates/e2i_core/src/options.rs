//! What the caller states about a model, where its file does not say or says it otherwise.

use crate::class_scores::ClassScores;
use crate::error::{Error, Kind, Result};
use crate::interface::{Classes, Interface, Task};
use crate::reading::class_count_fits;
use crate::signature::Signature;

/// Statements about a model.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Feature names, in the order of the model's columns.
    pub feature_names: Option<Vec<String>>,
    /// Class labels, in the order of the probabilities.
    pub class_labels: Option<Vec<String>>,
    /// What the model is for.
    pub task: Option<Task>,
    /// What the numbers of a classifier are.
    pub class_scores: Option<ClassScores>,
    /// An MLflow signature.
    pub signature: Option<Signature>,
}

impl Options {
    /// Applies names, signature and labels to what was read from a file; `named` is whether that names its features. The
    /// task is the reader's business.
    ///
    /// # Errors
    /// [`Kind::BadOption`] and [`Kind::TypeMismatch`] where a statement contradicts the file.
    pub fn apply(&self, interface: &mut Interface, named: bool) -> Result<()> {
        if let Some(names) = &self.feature_names {
            interface.rename_features(names)?;
        }
        if let Some(signature) = &self.signature {
            signature.complete(interface, named || self.feature_names.is_some())?;
        }
        if let (Some(scores), false) = (self.class_scores, interface.task.is_classification()) {
            return Err(Error::new(
                Kind::BadOption,
                format!("class_scores => '{}' was given, but the model's task is {}", scores.name(), interface.task),
            )
            .with_hint("State the task: task => 'binary_classification'."));
        }
        match &self.class_labels {
            Some(labels) => name_classes(interface, labels),
            None => Ok(()),
        }
    }
}

/// Gives the classes other names, or names where the graph has none.
fn name_classes(interface: &mut Interface, labels: &[String]) -> Result<()> {
    if !interface.task.is_classification() {
        return Err(Error::new(
            Kind::BadOption,
            format!("class_labels were given, but the model's task is {}", interface.task),
        )
        .with_hint("State the task: task => 'binary_classification'."));
    }
    if let Some(twice) = labels.iter().enumerate().find(|(index, label)| labels[..*index].contains(label)) {
        return Err(Error::new(Kind::BadOption, format!("class_labels has {:?} twice", twice.1)));
    }
    let new = Classes::new(labels.to_vec());
    let width = interface.main_output().and_then(|output| output.width);
    let known = interface.classes.as_ref().map(|classes| classes.labels.len());
    if !class_count_fits(&new, interface.task, width) || known.is_some_and(|known| known != labels.len()) {
        let count = known.or(width).unwrap_or_default();
        return Err(Error::new(
            Kind::BadOption,
            format!("class_labels has {} labels, the model has {count} classes", labels.len()),
        ));
    }
    interface.classes = Some(match interface.classes.take() {
        Some(before) if before.labels != labels => {
            Classes { graph_labels: Some(before.graph_labels.unwrap_or(before.labels)), ..new }
        }
        _ => new,
    });
    Ok(())
}
