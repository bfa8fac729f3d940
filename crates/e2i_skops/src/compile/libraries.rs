//! XGBoost's and LightGBM's estimators inside a file: the readers of the libraries' own files do the reading.

use e2i_core::formats::{self, Trained as Library};
use e2i_core::native::ValueId;
use e2i_core::native::operators::{Becomes, Binary, BinaryFunction, Constants, Encode, Encoding, Impute, Trained};
use e2i_core::{Category, Column, ElementType, Error, Kind, Result, Unseen};

use super::answer::{Answer, Classified, classes_of};
use super::{Compiler, Table, misshapen, unsupported};
use crate::node::{Node, Simple};

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
        let library = library_of(node)?;
        // Of a data frame it looks at no number: infinite ones are greater than others.
        let value = self.coded(&library, table)?;
        let missing = node.some("missing").map(Node::number).transpose()?.unwrap_or(f64::NAN);
        let value = self.cast(value, ElementType::Float32);
        let value = if missing.is_nan() { value } else { self.without(value, missing)? };
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

    /// The same cells, NaN where one is the number that stands for what is missing.
    fn without(&mut self, value: ValueId, missing: f64) -> Result<ValueId> {
        let width = self.width_of(value);
        // It is compared as float32.
        let missing = self.constants(&[f64::from(missing as f32)]);
        let replacements = self.constants(&vec![f64::NAN; width]);
        let value = self.cast(value, ElementType::Float64);
        let value = self.step(Impute { missing, replacements }, &[value], Self::double(width));
        Ok(self.cast(value, ElementType::Float32))
    }

    pub(super) fn lightgbm(&mut self, node: Node<'_>, table: &Table) -> Result<Answer> {
        let library = library_of(node)?;
        let value = self.coded(&library, table)?;
        let classes = if node.class().ends_with("Classifier") {
            let classes = node.attribute("_classes").or_else(|| node.attribute("classes_"));
            Some(match classes {
                Some(classes) => classes.simples()?.iter().map(super::answer::shown).collect(),
                None => classes_of(node)?,
            })
        } else {
            None
        };
        self.library(&library, value, table, classes)
    }

    /// The columns as the library's trees see them: of categories of a data frame their codes.
    fn coded(&mut self, library: &Library, table: &Table) -> Result<ValueId> {
        let features = &library.interface.features;
        if features.len() != table.width() || features.iter().all(|feature| feature.categories.is_none()) {
            self.take_numbers(table)?;
            return Ok(table.value);
        }
        let mut parts = vec![];
        for (index, feature) in features.iter().enumerate() {
            let part = self.gather(table, &[index])?;
            let Some(known) = feature.categories.as_ref().filter(|known| !known.values.is_empty()) else {
                if feature.categories.is_none() {
                    self.take_numbers(&part)?;
                }
                parts.push(part.value);
                continue;
            };
            let column = part.columns[0];
            let simple = |category: &Category| match category {
                Category::Bool(value) => Simple::Bool(*value),
                Category::Whole(value) => Simple::Whole(*value),
                Category::Float(value) => Simple::Number(*value),
                Category::Text(text) => Simple::Text(text.clone()),
            };
            let values: Vec<Simple> = known.values.iter().map(simple).collect();
            let mut categories = Vec::with_capacity(values.len());
            for (code, value) in (0u32..).zip(&values) {
                categories.push((self.cell(column, value)?, Becomes::Place(code)));
            }
            let missing = Becomes::Place(u32::try_from(values.len()).unwrap_or(u32::MAX));
            let unknown = if known.unseen == Unseen::Refused { Becomes::Refused } else { missing };
            self.note_categories(column, &values, unknown == Becomes::Refused, true);
            let cells = (0..values.len()).map(|code| code as f64).chain([f64::NAN]).collect();
            let name = self.column_name(column, index);
            let encoding = Encoding { name, categories, missing, unknown, width: 1, cells };
            let operator = Encode::new(&[encoding], self.plan.tables());
            parts.push(self.step(operator, &[part.value], Self::double(1)));
        }
        Ok(self.join(&parts))
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
        let trained = Trained::compile(&library.ensemble, library.link.clone(), self.plan.tables())?;
        let outputs = trained.outputs();
        self.trees.push(library.ensemble.clone());
        let node = self.node();
        let first = self.plan.step(&node, trained.into(), &[value], &outputs);
        let Some(classes) = classes else {
            return Ok(Answer::Values(self.cast(first, ElementType::Float64)));
        };
        if outputs.len() < 2 {
            return Err(unsupported("its objective gives no classes"));
        }
        let width = self.width_of(first);
        let probabilities = if width == 1 && classes.len() <= 2 {
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
            // Of one class there is only what is left of 1.
            if classes.len() == 2 { self.join(&[rest, positive]) } else { rest }
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
