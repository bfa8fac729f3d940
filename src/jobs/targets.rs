//! What a job can write of a row, and into which columns.

use e2i_core::reading::Question;
use e2i_core::{Error, Kind, Result};
use pgrx::pg_sys;
use serde_json::{Map, Value};

use crate::jobs::source::{Table, literal, quoted};

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// What `e2i_predict` gives.
    Score,
    /// What `e2i_predict_label` gives.
    Label,
    /// What `e2i_predict_proba` gives.
    Probabilities,
    /// What `e2i_predict_vector` gives.
    Vector,
    /// The version that scored, `churn:3`.
    Version,
    /// When.
    ScoredAt,
    /// Why the row could not be scored; NULL where it was.
    Error,
    /// Whether it was refused for personal data.
    Blocked,
    /// The hash of what the model is given of the row.
    FeaturesHash,
}

/// One thing of a job, and its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What.
    pub what: What,
    /// The column's name.
    pub column: String,
}

/// How a statement writes what it is about.
pub struct Terms<'t> {
    /// The extension's schema, as it is written.
    pub schema: &'t str,
    /// The version, `churn:3`.
    pub version: &'t str,
    /// The row.
    pub row: &'t str,
    /// An expression that says what is wrong with the row, an array; `None` where every row is taken to be scored.
    pub problem: Option<&'t str>,
}

impl What {
    const ALL: [Self; 9] = [
        Self::Score,
        Self::Label,
        Self::Probabilities,
        Self::Vector,
        Self::Version,
        Self::ScoredAt,
        Self::Error,
        Self::Blocked,
        Self::FeaturesHash,
    ];

    /// Its name, a key of `targets`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Label => "label",
            Self::Probabilities => "probabilities",
            Self::Vector => "vector",
            Self::Version => "version",
            Self::ScoredAt => "scored_at",
            Self::Error => "error",
            Self::Blocked => "blocked",
            Self::FeaturesHash => "features_hash",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|what| what.name() == name).ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            Error::new(Kind::BadOption, format!("unknown target {name:?}")).with_hint(format!("One of {all}."))
        })
    }

    /// The type of a column that is made for it.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Score => "double precision",
            Self::Label | Self::Version | Self::Error => "text",
            Self::Probabilities | Self::Vector => "double precision[]",
            Self::ScoredAt => "timestamp with time zone",
            Self::Blocked => "boolean",
            Self::FeaturesHash => "bigint",
        }
    }

    /// What is asked of the model for it.
    pub fn question(self) -> Option<Question> {
        match self {
            Self::Score => Some(Question::Prediction),
            Self::Label => Some(Question::Label),
            Self::Probabilities => Some(Question::Probabilities),
            Self::Vector => Some(Question::Vector),
            _ => None,
        }
    }

    /// What asks for it by its name.
    ///
    /// # Errors
    /// What asks the model nothing.
    pub fn asking(name: &str) -> Result<Question> {
        let asked = Self::parse(name)?.question();
        asked.ok_or_else(|| Error::new(Kind::BadOption, format!("{name:?} asks a model nothing")))
    }

    /// The expression that gives it.
    pub fn expression(self, terms: &Terms<'_>) -> String {
        let Terms { schema, version, row, problem } = terms;
        let function = match self {
            Self::Score => "e2i_predict",
            Self::Label => "e2i_predict_label",
            Self::Probabilities => "e2i_predict_proba",
            Self::Vector => "e2i_predict_vector",
            Self::Version => return format!("{}::text", literal(version)),
            Self::FeaturesHash => return format!("{schema}.e2i_features_hash({}, {row})", literal(version)),
            Self::ScoredAt => return "pg_catalog.now()".to_owned(),
            Self::Error => return problem.map_or("NULL::text".to_owned(), |problem| format!("({problem})[2]")),
            Self::Blocked => {
                return problem
                    .map_or("false".to_owned(), |problem| format!("coalesce(({problem})[4] = 'blocked', false)"));
            }
        };
        let call = format!("{schema}.{function}({}, {row})", literal(version));
        match problem {
            None => call,
            Some(problem) => format!("CASE WHEN {problem} IS NULL THEN {call} END"),
        }
    }

    /// Whether a value of a type may be put there without becoming something else.
    fn fits(self, of_type: pg_sys::Oid) -> bool {
        match self {
            Self::Score => matches!(of_type, pg_sys::FLOAT8OID | pg_sys::FLOAT4OID | pg_sys::NUMERICOID),
            // The server knows, and says so.
            _ => true,
        }
    }
}

/// The targets that were asked for: a column for the score, or a document of what → column.
///
/// # Errors
/// Neither, both, what is no target, a column that is named twice.
pub fn parse(column: Option<&str>, document: Option<&Value>, is_into: bool) -> Result<Vec<Target>> {
    const HINT: &str = r#"CALL e2i_score_table('churn', 'customers', 'churn_score'); or targets => '{"score": "churn_score", "version": "churn_version"}'"#;
    let object = match (column, document) {
        (Some(_), Some(_)) => {
            return Err(Error::new(Kind::BadOption, "both target and targets are given").with_hint(HINT));
        }
        (Some(column), None) => Map::from_iter([("score".to_owned(), Value::from(column))]),
        (None, Some(Value::Object(object))) => object.clone(),
        (None, Some(_)) => return Err(Error::new(Kind::BadOption, "targets is not a JSON object").with_hint(HINT)),
        (None, None) if is_into => {
            ["score", "version", "scored_at"].map(|name| (name.to_owned(), Value::from(name))).into_iter().collect()
        }
        (None, None) => return Err(Error::new(Kind::BadOption, "no target is given").with_hint(HINT)),
    };
    let mut targets: Vec<Target> = Vec::with_capacity(object.len());
    for (name, column) in &object {
        let what = What::parse(name)?;
        let Some(column) = column.as_str() else {
            return Err(
                Error::new(Kind::BadOption, format!("target {name:?} names no column, but {column}")).with_hint(HINT)
            );
        };
        if targets.iter().any(|known| known.column == column) {
            return Err(Error::new(Kind::BadOption, format!("two targets name column {column:?}")));
        }
        targets.push(Target { what, column: column.to_owned() });
    }
    if !targets.iter().any(|target| target.what.question().is_some()) {
        return Err(Error::new(Kind::BadOption, "targets ask for no answer of the model")
            .with_hint("At least one of score, label, probabilities, vector."));
    }
    Ok(targets)
}

/// As they are stored.
pub fn document(targets: &[Target]) -> Value {
    targets.iter().map(|target| (target.what.name().to_owned(), Value::from(target.column.as_str()))).collect()
}

/// Whether a table has the columns, and they can hold what is to be written.
///
/// # Errors
/// A column that is not there, is computed by the server, or would hold something else than the score.
pub fn check(targets: &[Target], table: &Table) -> Result<()> {
    for Target { what, column } in targets {
        let Some(found) = table.column(column) else {
            return Err(table.unknown(column).with_hint(format!(
                "ALTER TABLE {} ADD COLUMN {} {};",
                table.name,
                quoted(column),
                what.type_name()
            )));
        };
        if found.is_generated {
            return Err(Error::new(
                Kind::BadOption,
                format!("column {column:?} of {} is generated by the server", table.name),
            ));
        }
        if !what.fits(found.of_type) {
            let message =
                format!("column {column:?} of {} is {}, which does not hold a score", table.name, found.type_name);
            return Err(Error::new(Kind::TypeMismatch, message).with_hint(format!(
                "ALTER TABLE {} ALTER COLUMN {} TYPE {};",
                table.name,
                quoted(column),
                what.type_name()
            )));
        }
    }
    Ok(())
}
