//! What a service says about personal data, and a row as its policy lets it be written down.

use std::collections::HashSet;
use std::io;

use e2i_core::{Batch, Category, Column, Error, Interface, Kind, Result};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::entity::Entity;
use crate::find::{find, redact};

/// What happens to personal data in the text features of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPii {
    /// The row is not scored, and an error names the feature.
    Block,
    /// The row is scored, and its kind is logged in its place.
    RedactLog,
    /// Nothing is looked for.
    Allow,
}

impl OnPii {
    /// All of them, the strictest first.
    pub const ALL: [Self; 3] = [Self::Block, Self::RedactLog, Self::Allow];

    /// The name used in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::RedactLog => "redact_log",
            Self::Allow => "allow",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`Kind::BadOption`] with the names there are.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|choice| choice.as_str() == name).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|choice| choice.as_str()).collect();
            Error::new(Kind::BadOption, format!("unknown value {name:?} of on_pii"))
                .with_hint(format!("One of {}.", known.join(", ")))
        })
    }
}

/// Why the features of a row are not logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omitted {
    /// They would take more bytes than the policy allows.
    PayloadTooLarge,
}

impl Omitted {
    /// The code that is logged instead.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::PayloadTooLarge => "payload_too_large",
        }
    }
}

/// What a service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    redact: HashSet<Box<str>>,
    on_pii: OnPii,
    max_bytes: usize,
}

impl Policy {
    /// A policy: names of features whose values are never logged, what happens to personal data elsewhere, and how many bytes
    /// a row's features may take as JSON text. 10,000 rows a second of 1 kB are 36 GB an hour; the limit is what keeps one
    /// long document from being more.
    #[must_use]
    pub fn new<'n>(redact: impl IntoIterator<Item = &'n str>, on_pii: OnPii, max_bytes: usize) -> Self {
        Self { redact: redact.into_iter().map(Box::from).collect(), on_pii, max_bytes }
    }

    /// What happens to personal data.
    #[must_use]
    pub fn on_pii(&self) -> OnPii {
        self.on_pii
    }

    /// The listed names that are neither features of a model nor vectors, in order: a misspelt one would protect nothing.
    #[must_use]
    pub fn unknown_features(&self, interface: &Interface) -> Vec<&str> {
        let known: HashSet<&str> = (interface.features.iter().map(|feature| feature.name.as_str()))
            .chain(interface.vectors.iter().map(|vector| vector.name.as_str()))
            .collect();
        let mut unknown: Vec<&str> = self.redact.iter().map(Box::as_ref).filter(|name| !known.contains(name)).collect();
        unknown.sort_unstable();
        unknown
    }

    /// The features of a row as a JSON object, in the interface's order, redacted. What is not in a [`Batch`], because the
    /// model does not read it, is not in the log either.
    ///
    /// Numbers are written with the digits of the float64 that they are; NaN and the infinities as null. A missing category
    /// is the empty text that the model sees. Work and memory are bounded by the limit: a text that is longer than the limit
    /// is too large before it is redacted, whatever would be left of it, and nothing behind it is looked at.
    ///
    /// # Errors
    /// The reason why nothing may be logged.
    pub fn record(&self, interface: &Interface, batch: &Batch, row: usize) -> std::result::Result<String, Omitted> {
        let mut out = Bounded { bytes: Vec::new(), limit: self.max_bytes };
        serde_json::to_writer(&mut out, &Row { policy: self, interface, batch, row })
            .map_err(|_| Omitted::PayloadTooLarge)?;
        // JSON text is UTF-8, so the second way is never taken.
        Ok(String::from_utf8(out.bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Whether the record of a row has all its values as they are, so that it can be scored again: nothing is replaced, and no number is
    /// infinite.
    #[must_use]
    pub fn is_whole(&self, interface: &Interface, batch: &Batch, row: usize) -> bool {
        (0..interface.features.len()).all(|feature| match value(interface, batch, row, feature) {
            _ if self.lists(interface, feature) => false,
            Some(Value::Text(text)) => self.on_pii == OnPii::Allow || find(text).next().is_none(),
            Some(Value::Float(float)) => !float.is_infinite(),
            Some(Value::Int(_) | Value::Bool(_)) | None => true,
        })
    }

    /// Whether a row may be scored. Only [`OnPii::Block`] refuses any. Listed features are not looked into: that they hold
    /// personal data is known, and taken care of.
    ///
    /// # Errors
    /// [`Kind::BadValue`] for the first feature that holds personal data, with its kind; what was found is not repeated,
    /// because errors are logged too.
    pub fn guard(&self, model: &str, interface: &Interface, batch: &Batch, row: usize) -> Result<()> {
        if self.on_pii != OnPii::Block || !batch.tensors().iter().any(|tensor| matches!(tensor.values, Column::Text(_)))
        {
            return Ok(());
        }
        for (index, feature) in interface.features.iter().enumerate() {
            let Some(Value::Text(text)) = value(interface, batch, row, index) else { continue };
            if self.lists(interface, index) {
                continue;
            }
            if let Some((_, entity)) = find(text).next() {
                return Err(refused(model, &feature.name, entity));
            }
        }
        Ok(())
    }

    /// Whether a feature is listed, or the vector that it is an element of.
    fn lists(&self, interface: &Interface, feature: usize) -> bool {
        let names = || {
            let own = interface.features.get(feature).map(|feature| feature.name.as_str());
            own.into_iter().chain(interface.vector_of(feature).map(|vector| vector.name.as_str()))
        };
        !self.redact.is_empty() && names().any(|name| self.redact.contains(name))
    }
}

#[cold]
fn refused(model: &str, feature: &str, entity: Entity) -> Error {
    Error::new(Kind::BadValue, format!("feature {feature:?} of model {model} holds personal data ({entity})"))
        .with_detail("The policy of the service refuses such rows before they are scored. The value is not shown here.")
        .with_hint(
            "Take it out of the feature, or let the row be scored and keep it out of the log with on_pii => 'redact_log'.",
        )
}

/// The feature and the kind of personal data that a row was refused for, by the message; `None` for what is said of other rows.
#[must_use]
pub fn refusal(message: &str) -> Option<(&str, &str)> {
    let (feature, rest) = message.strip_prefix("feature \"")?.split_once("\" of model ")?;
    let (_, entity) = rest.rsplit_once(" holds personal data (")?;
    Some((feature, entity.strip_suffix(')')?))
}

/// A cell of a batch.
enum Value<'a> {
    Float(f64),
    Int(i64),
    Bool(bool),
    Text(&'a str),
}

/// The value of a feature; `None` where the batch has none.
fn value<'a>(interface: &'a Interface, batch: &'a Batch, row: usize, feature: usize) -> Option<Value<'a>> {
    let feature = interface.features.get(feature)?;
    let tensor = batch.tensors().get(feature.tensor)?;
    let at = row.checked_mul(tensor.width)?.checked_add(feature.position)?;
    Some(match &tensor.values {
        Column::Text(texts) => Value::Text(texts.get(at)?),
        // As float64 some would be another number.
        Column::Int64(values) => Value::Int(*values.get(at)?),
        Column::Int32(values) => Value::Int(i64::from(*values.get(at)?)),
        Column::Bool(values) => Value::Bool(*values.get(at)?),
        floats @ (Column::Float32(_) | Column::Float64(_)) => {
            let number = floats.number(at)?;
            let category = feature.categories.as_ref().and_then(|categories| categories.of_code(number));
            match category {
                Some(Category::Text(text)) => Value::Text(text),
                Some(Category::Whole(whole)) => Value::Int(*whole),
                Some(Category::Bool(truth)) => Value::Bool(*truth),
                Some(Category::Float(float)) => Value::Float(*float),
                None => Value::Float(number),
            }
        }
    })
}

/// A row on its way into the log.
struct Row<'a> {
    policy: &'a Policy,
    interface: &'a Interface,
    batch: &'a Batch,
    row: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (index, feature) in self.interface.features.iter().enumerate() {
            object.serialize_key(&feature.name)?;
            if self.policy.lists(self.interface, index) {
                object.serialize_value(Entity::Redacted.placeholder())?;
                continue;
            }
            match value(self.interface, self.batch, self.row, index) {
                None => object.serialize_value(&())?,
                Some(Value::Float(float)) => object.serialize_value(&Some(float).filter(|float| float.is_finite()))?,
                Some(Value::Int(whole)) => object.serialize_value(&whole)?,
                Some(Value::Bool(truth)) => object.serialize_value(&truth)?,
                Some(Value::Text(text)) if text.len() > self.policy.max_bytes => {
                    return Err(serde::ser::Error::custom(Omitted::PayloadTooLarge.code()));
                }
                Some(Value::Text(text)) if self.policy.on_pii == OnPii::Allow => object.serialize_value(text)?,
                Some(Value::Text(text)) => object.serialize_value(&redact(text))?,
            }
        }
        object.end()
    }
}

/// Bytes up to a limit, and an error for the first that is too many.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2i_core::{ElementType, Feature, InputTensor, Rows, Task};

    fn tensor(name: &str, element: ElementType, width: usize) -> InputTensor {
        InputTensor { name: name.into(), element, shape: vec![width], rows: Rows::Free }
    }

    fn feature(name: &str, tensor: usize, position: usize, element: ElementType) -> Feature {
        let (name, required, takes_missing) = (name.into(), true, true);
        Feature {
            name,
            tensor,
            position,
            element,
            required,
            takes_missing,
            whole: false,
            instant: false,
            categories: None,
            default: None,
        }
    }

    /// Features in another order than their cells, and a row of other values before the one that is looked at.
    fn patients() -> (Interface, Batch) {
        let inputs = vec![
            tensor("numbers", ElementType::Float32, 2),
            tensor("note", ElementType::Text, 2),
            tensor("id", ElementType::Int64, 1),
            tensor("smoker", ElementType::Bool, 1),
        ];
        let features = vec![
            feature("id", 2, 0, ElementType::Int64),
            feature("weight", 0, 1, ElementType::Float32),
            feature("age", 0, 0, ElementType::Float32),
            feature("note", 1, 0, ElementType::Text),
            feature("contact", 1, 1, ElementType::Text),
            feature("smoker", 3, 0, ElementType::Bool),
        ];
        let interface = Interface {
            format: Interface::FORMAT,
            task: Task::Regression,
            classes: None,
            class_scores: e2i_core::class_scores::ClassScores::default(),
            pair: e2i_core::class_scores::Pair::default(),
            inputs,
            features,
            vectors: vec![],
            passed_on: vec![],
            outputs: vec![],
            rows_at_once: 1,
            varies: None,
            is_same_together: false,
            engine_times: None,
            label: None,
            main: None,
        };
        assert!(interface.is_consistent());
        let mut batch = Batch::new(&interface.inputs, 2);
        let tensors = batch.tensors_mut();
        tensors[0].values = Column::Float32(vec![0.0, 0.0, 61.5, f32::NAN]);
        tensors[1].values =
            Column::Text(["a@example.com", "", "said \"hi\"\n", "jane@example.com"].map(String::from).into());
        tensors[2].values = Column::Int64(vec![0, 9_007_199_254_740_993]);
        tensors[3].values = Column::Bool(vec![false, true]);
        (interface, batch)
    }

    fn recorded(policy: &Policy) -> std::result::Result<String, Omitted> {
        let (interface, batch) = patients();
        policy.record(&interface, &batch, 1)
    }

    #[test]
    fn a_category_is_logged_by_its_value() {
        let (mut interface, _) = patients();
        let place = interface.features.iter().position(|feature| feature.element.is_float()).unwrap();
        let values = serde_json::from_str(r#"["Bonn", "Paris"]"#).unwrap();
        interface.features[place].categories = Some(e2i_core::Categories { values, unseen: e2i_core::Unseen::Missing });
        let (tensor, position) = (interface.features[place].tensor, interface.features[place].position);
        let logged = |code: f64| {
            let mut batch = Batch::new(&interface.inputs, 1);
            match &mut batch.tensors_mut()[tensor].values {
                Column::Float32(cells) => cells[position] = code as f32,
                Column::Float64(cells) => cells[position] = code,
                _ => unreachable!(),
            }
            let record = Policy::new([], OnPii::Allow, 10_000).record(&interface, &batch, 0).unwrap();
            let record: serde_json::Value = serde_json::from_str(&record).unwrap();
            record[&interface.features[place].name].clone()
        };
        assert_eq!(logged(1.0), "Paris");
        assert!(logged(f64::NAN).is_null());
    }

    #[test]
    fn a_row_is_an_object_in_the_interfaces_order() {
        let text = recorded(&Policy::new([], OnPii::Allow, 1000)).unwrap();
        assert_eq!(
            text,
            r#"{"id":9007199254740993,"weight":null,"age":61.5,"note":"said \"hi\"\n","contact":"jane@example.com","smoker":true}"#
        );
    }

    #[test]
    fn listed_features_are_replaced_whatever_is_allowed() {
        for on_pii in OnPii::ALL {
            let text = recorded(&Policy::new(["id", "weight", "contact", "smoker"], on_pii, 1000)).unwrap();
            let expected = r#"{"id":"<REDACTED>","weight":"<REDACTED>","age":61.5,"note":"said \"hi\"\n","contact":"<REDACTED>","smoker":"<REDACTED>"}"#;
            assert_eq!(text, expected, "{on_pii:?}");
        }
    }

    #[test]
    fn personal_data_is_replaced_by_its_kind() {
        for on_pii in [OnPii::RedactLog, OnPii::Block] {
            let text = recorded(&Policy::new([], on_pii, 1000)).unwrap();
            assert!(text.contains(r#""contact":"<EMAIL_ADDRESS>""#), "{text}");
            assert!(!text.contains("jane"), "{text}");
        }
    }

    #[test]
    fn the_limit_counts_the_bytes_that_would_be_written() {
        let whole = recorded(&Policy::new([], OnPii::RedactLog, 1000)).unwrap();
        assert_eq!(recorded(&Policy::new([], OnPii::RedactLog, whole.len())), Ok(whole.clone()));
        for limit in 0..whole.len() {
            assert_eq!(recorded(&Policy::new([], OnPii::RedactLog, limit)), Err(Omitted::PayloadTooLarge));
        }
        assert_eq!(Omitted::PayloadTooLarge.code(), "payload_too_large");
    }

    #[test]
    fn a_long_text_is_too_large_before_it_is_redacted_unless_it_is_listed() {
        let (interface, mut batch) = patients();
        if let Column::Text(texts) = &mut batch.tensors_mut()[1].values {
            texts[2] = format!("{}@example.com", "a".repeat(1000));
        }
        let record =
            |listed: &[&str]| Policy::new(listed.iter().copied(), OnPii::RedactLog, 1000).record(&interface, &batch, 1);
        assert_eq!(record(&[]), Err(Omitted::PayloadTooLarge));
        assert!(record(&["note"]).is_ok());
    }

    #[test]
    fn a_blocked_row_is_refused_without_repeating_what_was_found() {
        let (interface, batch) = patients();
        let guard = |listed: &[&str], on_pii, row| {
            Policy::new(listed.iter().copied(), on_pii, 1000).guard("triage:3", &interface, &batch, row)
        };
        let error = guard(&[], OnPii::Block, 1).unwrap_err();
        assert_eq!(error.kind(), Kind::BadValue);
        assert_eq!(error.message(), r#"feature "contact" of model triage:3 holds personal data (EMAIL_ADDRESS)"#);
        assert_eq!(refusal(error.message()), Some(("contact", "EMAIL_ADDRESS")));
        assert_eq!(refusal(r#"feature "contact" of model triage:3 is NULL"#), None);
        assert!(error.hint().unwrap().contains("on_pii => 'redact_log'"));
        assert!(!format!("{error:?}").contains("jane"));
        assert!(guard(&[], OnPii::Block, 0).unwrap_err().message().contains(r#""note""#));
        assert!(guard(&["contact"], OnPii::Block, 1).is_ok());
        assert!(guard(&[], OnPii::RedactLog, 1).is_ok());
        assert!(guard(&[], OnPii::Allow, 1).is_ok());
    }

    #[test]
    fn a_row_that_is_not_there_is_nulls() {
        let (interface, batch) = patients();
        let policy = Policy::new([], OnPii::Block, 1000);
        for row in [2, usize::MAX] {
            assert!(policy.record(&interface, &batch, row).unwrap().starts_with(r#"{"id":null,"weight":null"#));
            assert!(policy.guard("triage:3", &interface, &batch, row).is_ok());
        }
    }

    #[test]
    fn a_vector_is_listed_by_its_name() {
        let (mut interface, batch) = patients();
        let plain: serde_json::Value =
            serde_json::from_str(&Policy::new([], OnPii::Allow, 1000).record(&interface, &batch, 0).unwrap()).unwrap();
        interface.vectors = vec![e2i_core::Vector { name: "both".into(), first: 0, count: 2 }];
        let policy = Policy::new(["both"], OnPii::Allow, 1000);
        assert_eq!(policy.unknown_features(&interface), [""; 0]);
        let record: serde_json::Value = serde_json::from_str(&policy.record(&interface, &batch, 0).unwrap()).unwrap();
        for (index, feature) in interface.features.iter().enumerate() {
            let name = &feature.name;
            assert_eq!(record[name] == plain[name], index >= 2, "{name}");
        }
        assert!(!policy.is_whole(&interface, &batch, 0));
    }

    #[test]
    fn names_that_protect_nothing_are_told() {
        let policy = Policy::new(["note", "Contact", "address"], OnPii::Block, 1000);
        assert_eq!(policy.unknown_features(&patients().0), ["Contact", "address"]);
    }

    #[test]
    fn on_pii_is_read_and_written() {
        for choice in OnPii::ALL {
            assert_eq!(OnPii::parse(choice.as_str()), Ok(choice));
        }
        let error = OnPii::parse("Block").unwrap_err();
        assert_eq!((error.kind(), error.hint()), (Kind::BadOption, Some("One of block, redact_log, allow.")));
    }
}
