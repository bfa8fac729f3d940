//! What a model takes: its features, and which are texts, numbers or both to be refused.
//!
//! A step that knows categories or fills in texts says what a column holds. The code of a text is the order in which the
//! compiler met it; what no step mentions is a category apart, or is refused where every step refuses it.

use std::collections::HashMap;

use e2i_core::Result;
use e2i_core::native::ValueId;

use super::{Compiler, Table, TableColumn, unsupported};
use crate::node::Simple;

/// What the values of a feature are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// No step said.
    Anything,
    Numbers,
    /// Categories that are texts.
    Texts,
    /// Texts that are made of words.
    Words,
}

impl Holds {
    fn shown(self) -> &'static str {
        match self {
            Self::Anything => "anything",
            Self::Numbers => "numbers",
            Self::Texts => "categories",
            Self::Words => "words",
        }
    }
}

/// A feature of the model.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) takes_missing: bool,
    pub(crate) holds: Holds,
    /// Texts in the order of their codes.
    pub(crate) texts: Vec<String>,
    codes: HashMap<String, u32>,
    /// Whether all steps refuse what they do not know; `None` where none has categories.
    pub(crate) refuses_unseen: Option<bool>,
    /// Numbers that are categories of a step that refuses others.
    pub(crate) numbers: Vec<f64>,
    /// Whether None is one of its categories, which is not what an imputer of NaN replaces: a row's NULL is None then.
    pub(crate) null_is_none: bool,
    /// Its place among the features that are texts made of words.
    pub(crate) place: Option<usize>,
}

impl Input {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            takes_missing: true,
            holds: Holds::Anything,
            texts: vec![],
            codes: HashMap::new(),
            refuses_unseen: None,
            numbers: vec![],
            null_is_none: false,
            place: None,
        }
    }

    fn code(&mut self, text: &str) -> f64 {
        let next = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let code = *self.codes.entry(text.to_owned()).or_insert(next);
        if code == next {
            self.texts.push(text.to_owned());
        }
        f64::from(code)
    }
}

impl Compiler {
    /// What messages call a column.
    pub(crate) fn column_name(&self, column: TableColumn, index: usize) -> String {
        let input = column.feature.and_then(|feature| self.inputs.get(feature));
        input.map_or_else(|| format!("{index}"), |input| input.name.clone())
    }

    /// What is known of a column's values.
    pub(crate) fn holds(&self, column: TableColumn) -> Holds {
        column.feature.and_then(|feature| self.inputs.get(feature)).map_or(Holds::Numbers, |input| input.holds)
    }

    fn hold(&mut self, column: TableColumn, holds: Holds) -> Result<()> {
        let Some(input) = column.feature.and_then(|feature| self.inputs.get_mut(feature)) else { return Ok(()) };
        if input.holds != Holds::Anything && input.holds != holds {
            return Err(unsupported(format!(
                "column {:?} is read as {} by one step and as {} by another",
                input.name,
                input.holds.shown(),
                holds.shown()
            )));
        }
        input.holds = holds;
        Ok(())
    }

    /// Says that all columns are numbers.
    pub(crate) fn take_numbers(&mut self, table: &Table) -> Result<()> {
        table.columns.iter().try_for_each(|column| self.hold(*column, Holds::Numbers))
    }

    /// The texts of a column that are made of words. `sampled` are some that occur.
    pub(crate) fn words(&mut self, column: TableColumn, sampled: Vec<String>) -> Result<ValueId> {
        self.hold(column, Holds::Words)?;
        let input = column.feature.and_then(|feature| self.inputs.get_mut(feature));
        let (Some(input), Some(texts)) = (input, self.texts) else {
            return Err(unsupported("words of texts that another step computed are not read"));
        };
        input.takes_missing = false;
        input.texts.extend(sampled);
        let place = input.place.ok_or_else(|| unsupported("words of texts that another step computed are not read"))?;
        Ok(self.pick(texts, &[place]))
    }

    /// What stands for a value of a column: a number itself, a text its code; NaN for what is missing.
    pub(crate) fn cell(&mut self, column: TableColumn, value: &Simple) -> Result<f64> {
        match value {
            Simple::Text(text) => {
                self.hold(column, Holds::Texts)?;
                match column.feature.and_then(|feature| self.inputs.get_mut(feature)) {
                    Some(input) => Ok(input.code(text)),
                    None => Err(unsupported("texts that another step computed are not read")),
                }
            }
            Simple::None => Ok(f64::NAN),
            other => {
                let number = other.number().unwrap_or(f64::NAN);
                if !number.is_nan() {
                    self.hold(column, Holds::Numbers)?;
                }
                Ok(number)
            }
        }
    }

    /// Says that a column may hold any text, if nothing is known of it.
    pub(crate) fn take_any_text(&mut self, column: TableColumn) {
        let input = column.feature.and_then(|feature| self.inputs.get_mut(feature));
        if let Some(input) = input.filter(|input| input.holds == Holds::Anything) {
            input.holds = Holds::Texts;
            input.refuses_unseen = Some(false);
            // Without a category that has a code, others would have none either.
            input.code("");
        }
    }

    /// Notes that None is a category of a column.
    pub(crate) fn note_none(&mut self, column: TableColumn) {
        if let Some(input) = column.feature.and_then(|feature| self.inputs.get_mut(feature)) {
            input.null_is_none = true;
        }
    }

    /// Whether NULL in a column is None, and not what `missing` stands for.
    pub(crate) fn stays_none(&self, column: TableColumn, missing: &Simple) -> bool {
        let input = column.missing_with.and_then(|feature| self.inputs.get(feature));
        *missing != Simple::None && missing.is_missing() && input.is_some_and(|input| input.null_is_none)
    }

    /// Notes the categories of a column, and whether a step refuses others and takes missing values.
    pub(crate) fn note_categories(
        &mut self,
        column: TableColumn,
        categories: &[Simple],
        refuses: bool,
        takes_missing: bool,
    ) {
        let Some(input) = column.feature.and_then(|feature| self.inputs.get_mut(feature)) else { return };
        input.refuses_unseen = Some(input.refuses_unseen.unwrap_or(true) && refuses);
        if !takes_missing && column.missing_with.is_some() {
            input.takes_missing = false;
        }
        if input.holds == Holds::Anything {
            // Of nothing but missing values nobody knows what they would have been.
            input.holds = Holds::Numbers;
        }
        if input.holds == Holds::Numbers {
            let numbers = categories.iter().filter_map(Simple::number).filter(|number| number.is_finite());
            input.numbers.extend(numbers);
        }
    }
}
