//! Where scores are written: which column takes which part of the answer for a row.
//!
//! `{"score": "churn_score", "version": "churn_version"}`, the same for all that writes scores into tables. Whether a table has such
//! columns, and of which types, is not known here.

use serde_json::{Map, Value};

use crate::error::{Error, Kind, Result};
use crate::reading::Question;

/// What of a row's answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The prediction, a number.
    Score,
    /// The predicted class.
    Label,
    /// One probability a class.
    Probabilities,
    /// Every number of the main output.
    Vector,
    /// The version that answered, `name:version`.
    Version,
    /// When the transaction that wrote it began.
    ScoredAt,
    /// The hash of the features that were scored.
    FeaturesHash,
    /// Why there is no answer.
    Error,
    /// Whether the row was refused for personal data.
    Blocked,
    /// What it was refused for, `feature: kind` each; nothing for a row that was not.
    Violations,
    /// How long it takes to score the row alone, in milliseconds.
    Latency,
    /// The features that add most to the prediction.
    Reasons,
}

impl Written {
    const ALL: [(Self, &'static str); 12] = [
        (Self::Score, "score"),
        (Self::Label, "label"),
        (Self::Probabilities, "probabilities"),
        (Self::Vector, "vector"),
        (Self::Version, "version"),
        (Self::ScoredAt, "scored_at"),
        (Self::FeaturesHash, "features_hash"),
        (Self::Error, "error"),
        (Self::Blocked, "blocked"),
        (Self::Violations, "violations"),
        (Self::Latency, "latency"),
        (Self::Reasons, "reasons"),
    ];

    /// As it is called in a document of targets.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(written, _)| *written == self).map_or("", |(_, name)| *name)
    }

    /// By its name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(written, _)| *written)
    }

    /// What is asked of the model to write it; `None` for what is told about an answer.
    #[must_use]
    pub fn question(self) -> Option<Question> {
        match self {
            Self::Score => Some(Question::Prediction),
            Self::Label => Some(Question::Label),
            Self::Probabilities => Some(Question::Probabilities),
            Self::Vector => Some(Question::Vector),
            _ => None,
        }
    }

    /// Whether it is an answer of the model, and not told about one.
    #[must_use]
    pub fn is_answer(self) -> bool {
        self.question().is_some()
    }
}

/// What is written into which column; at least one answer, no column twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets(Vec<(Written, String)>);

impl Targets {
    /// The prediction into one column.
    #[must_use]
    pub fn score(column: &str) -> Self {
        Self(vec![(Written::Score, column.to_owned())])
    }

    /// What a call names: one column for the prediction, or a document.
    ///
    /// # Errors
    /// Both or neither; then those of [`Targets::parse`].
    pub fn given(column: Option<&str>, document: Option<&Value>) -> Result<Self> {
        match (column, document) {
            (Some(column), None) => Ok(Self::score(column)),
            (None, Some(document)) => Self::parse(document),
            (Some(_), Some(_)) => Err(bad("both target and targets say where scores are written".to_owned())),
            (None, None) => Err(bad("neither target nor targets says where scores are written".to_owned())),
        }
    }

    /// What a table takes that is there for scores alone: the prediction, its version and when.
    #[must_use]
    pub fn usual() -> Self {
        Self([Written::Score, Written::Version, Written::ScoredAt].map(|it| (it, it.name().to_owned())).to_vec())
    }

    /// Reasons, each a row of its own.
    #[must_use]
    pub fn of_reasons() -> Self {
        Self(vec![(Written::Reasons, "feature".to_owned())])
    }

    /// Those of a document.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for what is no object of column names, for what cannot be written, without an answer among it, and for a
    /// column that is named twice.
    pub fn parse(document: &Value) -> Result<Self> {
        let Value::Object(members) = document else {
            return Err(bad("targets must be a JSON object".to_owned()));
        };
        let mut targets: Vec<(Written, String)> = Vec::with_capacity(members.len());
        for (name, column) in members {
            let Some(written) = Written::of_name(name) else {
                let known: Vec<&str> = Written::ALL.iter().map(|(_, name)| *name).collect();
                return Err(Error::new(Kind::BadOption, format!("unknown target {name:?}"))
                    .with_hint(format!("One of {}.", known.join(", "))));
            };
            let Value::String(column) = column else {
                return Err(bad(format!("the target {name} is not the name of a column: {column}")));
            };
            if targets.iter().any(|(_, other)| other == column) {
                return Err(bad(format!("the column {column:?} is named twice in targets")));
            }
            targets.push((written, column.clone()));
        }
        if !targets.iter().any(|(written, _)| written.is_answer()) {
            return Err(bad("targets name no column for score, label, probabilities or vector".to_owned()));
        }
        Ok(Self(targets))
    }

    /// What is written into which column.
    pub fn iter(&self) -> impl Iterator<Item = (Written, &str)> {
        self.0.iter().map(|(written, column)| (*written, column.as_str()))
    }

    /// The column that takes this.
    #[must_use]
    pub fn column(&self, wanted: Written) -> Option<&str> {
        self.iter().find(|(written, _)| *written == wanted).map(|(_, column)| column)
    }

    /// As a document.
    #[must_use]
    pub fn document(&self) -> Value {
        let members = self.iter().map(|(written, column)| (written.name().to_owned(), Value::from(column)));
        Value::Object(members.collect::<Map<_, _>>())
    }
}

fn bad(message: String) -> Error {
    Error::new(Kind::BadOption, message)
        .with_hint(r#"target => 'churn_score', or targets => '{"score": "churn_score", "version": "churn_version"}'"#)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_names_a_column_for_each_part_and_is_read_back() {
        let document = json!({"score": "s", "version": "v", "features_hash": "h"});
        let targets = Targets::parse(&document).unwrap();
        assert_eq!(targets.column(Written::Version), Some("v"));
        assert_eq!(targets.column(Written::Label), None);
        assert_eq!(targets.document(), document);
        assert_eq!(Targets::score("s").document(), json!({"score": "s"}));
    }

    #[test]
    fn a_call_names_one_column_or_a_document() {
        let document = json!({"score": "s", "blocked": "b", "violations": "v", "latency": "l", "reasons": "r"});
        assert_eq!(Targets::given(Some("s"), None).unwrap(), Targets::score("s"));
        assert_eq!(Targets::given(None, Some(&document)).unwrap().document(), document);
        assert!(Targets::given(None, None).unwrap_err().message().starts_with("neither"));
        assert!(Targets::given(Some("s"), Some(&document)).unwrap_err().message().starts_with("both"));
        assert_eq!(
            Targets::usual().document(),
            json!({"score": "score", "version": "version", "scored_at": "scored_at"})
        );
    }

    #[test]
    fn what_cannot_be_written_is_refused_with_what_can() {
        for (document, why) in [
            (json!(["score"]), "must be a JSON object"),
            (json!({"scores": "s"}), "unknown target \"scores\""),
            (json!({"score": 1}), "not the name of a column: 1"),
            (json!({"score": "s", "label": "s"}), "\"s\" is named twice"),
            (json!({"version": "v"}), "no column for score"),
            (json!({}), "no column for score"),
        ] {
            let error = Targets::parse(&document).unwrap_err();
            assert!(error.message().contains(why), "{document}: {}", error.message());
            assert!(error.hint().is_some());
        }
    }
}
