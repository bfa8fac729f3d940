//! The one error type of the pure half.
//!
//! An error carries everything a person needs to act: what happened, the details, and a hint that can be pasted.
//! The glue maps [`Kind`] to an SQLSTATE in one table; nothing here knows about SQLSTATEs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What sort of thing went wrong; one SQLSTATE each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// No model, version or alias of that name.
    UnknownModel,
    /// A name or version that exists already.
    Duplicate,
    /// An option, a reference or a payload that cannot be understood.
    BadOption,
    /// A value that is not of the expected form, such as text where a number is expected.
    BadValue,
    /// A number too large, too small or not whole for its target.
    OutOfRange,
    /// A missing value where the model takes none.
    MissingValue,
    /// A type that can never fit, whatever the value.
    TypeMismatch,
    /// Something a graph uses that is not supported.
    Unsupported,
    /// Bytes that are not a model.
    BadModel,
    /// A size limit was reached.
    Limit,
    /// The runtime could not get memory.
    Memory,
    /// The runtime library is missing or unusable.
    Library,
    /// Right request, wrong moment.
    WrongState,
    /// Another session created the same thing first.
    TakenMeanwhile,
    /// What this transaction saw has been changed by another one: to be tried again.
    Conflict,
    /// Not allowed for this caller.
    Privilege,
    /// Something that writes, where nothing can be written.
    ReadOnly,
    /// The runtime reported an error while scoring.
    Runtime,
    /// The run was stopped because the caller wants to be interrupted.
    Interrupted,
    /// A bug of this project.
    Internal,
}

/// An error with message, detail and hint. Boxed, so that a `Result` on the scoring path stays one word wide; serialisable,
/// because a model is tried out in a process of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Inner {
    kind: Kind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl Error {
    /// An error of `kind`; `message` is lower case, without a period, and names model and feature where it can.
    #[cold]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), detail: None, hint: None }))
    }

    /// Adds a detail: full sentences.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds a hint: a full sentence with something to type.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says which row of a batch it was, counted from 1.
    #[must_use]
    pub fn in_row(mut self, row: usize) -> Self {
        self.0.message = format!("row {row}: {}", self.0.message);
        self
    }

    /// Says which model it was, where the message speaks of the model or says nothing of it.
    #[must_use]
    pub fn of_model(mut self, reference: &str) -> Self {
        let message = &mut self.0.message;
        *message = match message.split_once("the model") {
            Some((before, after)) => format!("{before}model {reference}{after}"),
            None => format!("model {reference}: {message}"),
        };
        self
    }

    /// Says at which node of the model it was.
    #[must_use]
    pub(crate) fn of_node(mut self, node: &str) -> Self {
        self.0.message = format!("node {node:?} of the model: {}", self.0.message);
        self
    }

    /// What sort of error this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The detail, if any.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The hint, if any.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}
