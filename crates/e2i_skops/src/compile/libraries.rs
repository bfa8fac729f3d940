//! XGBoost's and LightGBM's estimators inside a file: the readers of the libraries' own files do the reading.

use e2i_core::formats::{self, Trained as Library};
use e2i_core::native::ValueId;
use e2i_core::native::operators::{Binary, BinaryFunction, Constants, Trained};
use e2i_core::{Column, ElementType, Error, Kind, Result};

use super::answer::{Answer, Classified, classes_of};
use super::{Compiler, Table, misshapen, unsupported};
use crate::node::Node;

/// The model of XGBoost's or LightGBM's estimator.
fn library_of(node: Node<'_>) -> Result<Library> {
    let booster = node.get("_Booster")?;
    if node.is_of("xgboost") {
        return formats::read_xgboost_buffer(&booster.get("handle")?.bytes()?);
    }
    let text = booster.get("_handle")?.text()?;
    formats::read(text.as_bytes()).ok_or_else(|| misshapen("its model"))?
}

/// The features of such an estimator, which has no attribute that says it.
pub(super) fn library_features(node: Node<'_>) -> Result<Option<Vec<String>>> {
    if !node.is_of("xgboost") && !node.is_of("lightgbm") {
        return Ok(None);
    }
    let features = library_of(node)?.interface.features;
    Ok(Some(features.into_iter().map(|feature| feature.name).collect()))
}

impl Compiler {
    pub(super) fn xgboost(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        if node.some("missing").is_some_and(|missing| missing.number().is_ok_and(|missing| !missing.is_nan())) {
            return Err(unsupported("a number stands for what is missing, which is not read"));
        }
        let library = library_of(node)?;
        // Of a data frame it looks at no number: infinite ones are greater than others.
        self.take_numbers(table)?;
        let value = self.cast(table.value, ElementType::Float32);
        let classes = if node.class().ends_with("Classifier") {
            let count = node.get("n_classes_")?.count()?;
            if count > 65_536 {
                return Err(misshapen("its classes"));
            }
            Some((0..count).map(|class| class.to_string()).collect())
        } else {
            None
        };
        self.library(&library, value, table, classes)
    }

    pub(super) fn lightgbm(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let library = library_of(node)?;
        self.take_numbers(table)?;
        let classes = if node.class().ends_with("Classifier") {
            let classes = node.attribute("_classes").or_else(|| node.attribute("classes_"));
            Some(match classes {
                Some(classes) => classes.simples()?.iter().map(super::answer::shown).collect(),
                None => classes_of(node)?,
            })
        } else {
            None
        };
        self.library(&library, table.value, table, classes)
    }

    /// What a library's model answers.
    fn library(
        &mut self,
        library: &Library,
        value: ValueId,
        table: &Table,
        classes: Option<Vec<String>>,
    ) -> Result<Answer> {
        if library.ensemble.width != table.width() {
            return Err(Error::new(
                Kind::BadModel,
                format!("it was fitted to {} columns, and is given {}", library.ensemble.width, table.width()),
            ));
        }
        if library.interface.features.iter().any(|feature| feature.categories.is_some()) {
            return Err(unsupported("categories of a data frame are not read inside a skops file")
                .with_hint("Register the library's own file: model.get_booster().save_model('model.json'), or model.booster_.save_model('model.txt')."));
        }
        let trained = Trained::compile(&library.ensemble, library.link.clone(), self.plan.tables())?;
        let outputs = trained.outputs();
        let node = self.node();
        let first = self.plan.step(&node, trained.into(), &[value], &outputs);
        let Some(classes) = classes else {
            return Ok(Answer::Values(self.cast(first, ElementType::Float64)));
        };
        if outputs.len() < 2 {
            return Err(unsupported("its objective gives no classes"));
        }
        let width = self.width_of(first);
        let probabilities = if width == 1 && classes.len() == 2 {
            // In the library's own type.
            let element = self.plan.value(first).element;
            let one = match element {
                ElementType::Float32 => Column::Float32(vec![1.0]),
                _ => Column::Float64(vec![1.0]),
            };
            let left = Some(Constants::write(&one, self.plan.tables()));
            let output = self.plan.value(first);
            let rest = self.step(Binary { function: BinaryFunction::Subtract, left, right: None }, &[first], output);
            let (rest, positive) = (self.cast(rest, ElementType::Float64), self.cast(first, ElementType::Float64));
            self.join(&[rest, positive])
        } else if width == classes.len() {
            self.cast(first, ElementType::Float64)
        } else {
            return Err(misshapen("its classes and trees"));
        };
        Ok(Answer::Classes(Classified {
            classes,
            label: first + 1,
            decision: None,
            probabilities: Some(probabilities),
        }))
    }
}
