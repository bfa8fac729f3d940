//! What a trigger is to do, as its argument says it.

use e2i_core::{Error, Kind, Result, Targets};
use serde_json::{Value, json};

/// What becomes of a row that cannot be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It is not written: the statement fails.
    Error,
    /// It is written without a score.
    Null,
}

impl OnError {
    /// By its name.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for another.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "error" => Ok(Self::Error),
            "null" => Ok(Self::Null),
            other => {
                Err(Error::new(Kind::BadOption, format!("unknown on_error {other:?}")).with_hint("One of error, null."))
            }
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Null => "null",
        }
    }
}

/// Which model scores the rows, what is written, and what becomes of those that it cannot score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The model's reference.
    pub model: String,
    /// What is written into which column.
    pub targets: Targets,
    /// What becomes of a row that cannot be scored.
    pub on_error: OnError,
}

impl Order {
    /// Of a trigger's argument.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for what [`Order::argument`] has not written.
    pub fn parse(argument: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(Kind::BadOption, format!("a trigger's argument is no order to score: {why}"))
                .with_hint("Triggers that score are made by e2i_score_on_write.")
        };
        let document: Value = serde_json::from_str(argument).map_err(|error| bad(&error.to_string()))?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        Ok(Self {
            model: text("model").ok_or_else(|| bad("it names no model"))?.to_owned(),
            targets: Targets::parse(document.get("targets").unwrap_or(&Value::Null))?,
            on_error: text("on_error").map_or(Ok(OnError::Error), OnError::parse)?,
        })
    }

    /// As a trigger's argument.
    pub fn argument(&self) -> String {
        json!({ "model": self.model, "targets": self.targets.document(), "on_error": self.on_error.name() }).to_string()
    }
}
