//! Columns that take what is written: found by name, of a type that fits, and values as datums of that type.

use e2i_core::{Answer, Error, Kind, Result, Targets, Written};
use pgrx::pg_sys;

use crate::datum::result;
use crate::pg::namespace::quoted_name;

/// How a value is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Float8,
    Float4,
    Numeric,
    Text,
    Varchar,
    Numbers,
    Time,
    Bigint,
    Boolean,
    Texts,
}

/// A column that takes part of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// What it takes.
    pub written: Written,
    /// Its number in the table.
    pub number: i32,
    form: Form,
    typmod: i32,
    /// The domain that it is of, if it is of one.
    domain: Option<pg_sys::Oid>,
}

/// A value to be written.
pub enum Value<'v> {
    /// Part of the model's answer.
    Answer(&'v Answer),
    /// A text.
    Text(&'v str),
    /// A time.
    Time(i64),
    /// A hash.
    Hash(i64),
    /// Whether something is so.
    Truth(bool),
    /// A number that is no answer.
    Number(f64),
    /// Texts.
    Texts(Vec<String>),
}

impl Place {
    /// Those of a table.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for a column that is not there or generated, [`Kind::TypeMismatch`] for one of a type that cannot hold it.
    ///
    /// # Safety
    /// `descriptor` must be a table's.
    pub unsafe fn all(descriptor: pg_sys::TupleDesc, table: &str, targets: &Targets) -> Result<Vec<Self>> {
        // SAFETY: as the caller promises.
        targets.iter().map(|(written, column)| unsafe { Self::find(descriptor, table, written, column) }).collect()
    }

    unsafe fn find(descriptor: pg_sys::TupleDesc, table: &str, written: Written, column: &str) -> Result<Self> {
        // SAFETY: as the caller promises; the view frees nothing.
        let attributes = unsafe { pgrx::PgTupleDesc::from_pg_unchecked(descriptor) };
        let found = attributes.iter().find(|attribute| !attribute.attisdropped && attribute.name() == column);
        let Some(attribute) = found else {
            return Err(Error::new(Kind::BadOption, format!("the table {table} has no column {column:?}"))
                .with_detail(format!("It is to take the {} of each row.", written.name()))
                .with_hint(format!("ALTER TABLE {table} ADD COLUMN {} {};", quoted_name(column), usual(written))));
        };
        if attribute.attgenerated != 0 {
            return Err(Error::new(
                Kind::BadOption,
                format!("the column {column:?} of table {table} is generated, and cannot take the {}", written.name()),
            ));
        }
        let mut typmod = attribute.atttypmod;
        // SAFETY: catalog look-ups of the type of a column.
        let (base, shown) = unsafe {
            let base = pg_sys::getBaseTypeAndTypmod(attribute.atttypid, &raw mut typmod);
            let shown = std::ffi::CStr::from_ptr(pg_sys::format_type_be(attribute.atttypid)).to_string_lossy();
            (base, shown)
        };
        let form = match (written, base) {
            (Written::Score, pg_sys::FLOAT8OID) => Form::Float8,
            (Written::Score, pg_sys::FLOAT4OID) => Form::Float4,
            (Written::Score, pg_sys::NUMERICOID) => Form::Numeric,
            (Written::Label | Written::Version | Written::Error, pg_sys::TEXTOID) => Form::Text,
            (Written::Label | Written::Version | Written::Error, pg_sys::VARCHAROID) => Form::Varchar,
            (Written::Probabilities | Written::Vector, pg_sys::FLOAT8ARRAYOID) => Form::Numbers,
            (Written::ScoredAt, pg_sys::TIMESTAMPTZOID) => Form::Time,
            (Written::FeaturesHash, pg_sys::INT8OID) => Form::Bigint,
            (Written::Latency, pg_sys::FLOAT8OID) => Form::Float8,
            (Written::Blocked, pg_sys::BOOLOID) => Form::Boolean,
            (Written::Violations, pg_sys::TEXTARRAYOID) => Form::Texts,
            (Written::Reasons, _) => {
                return Err(Error::new(Kind::Unsupported, "reasons are not written with a row").with_hint(
                    "A scoring job writes them: CALL e2i_score_table(…, targets => '{\"score\": …, \"reasons\": …}')",
                ));
            }
            _ => {
                let message = format!(
                    "the column {column:?} of table {table} is of type {shown}, and the {} is {}",
                    written.name(),
                    usual(written)
                );
                let taken = match written {
                    Written::Score => "double precision, real or numeric",
                    Written::Label | Written::Version | Written::Error => "text or varchar",
                    _ => usual(written),
                };
                return Err(Error::new(Kind::TypeMismatch, message).with_hint(format!("Use a column of type {taken}.")));
            }
        };
        let domain = (base != attribute.atttypid).then_some(attribute.atttypid);
        Ok(Self { written, number: i32::from(attribute.attnum), form, typmod, domain })
    }

    /// A value as it is stored in the column, in the current memory context; `None` for NULL.
    ///
    /// # Errors
    /// None that is expected: the form was found for what is written.
    pub fn datum(&self, value: Option<&Value<'_>>) -> Result<Option<pg_sys::Datum>> {
        let datum = match (self.form, value) {
            (_, None) => None,
            (Form::Float8, Some(Value::Answer(Answer::Number(number)))) => Some(pg_sys::Datum::from(number.to_bits())),
            (Form::Float4, Some(Value::Answer(Answer::Number(number)))) => Some(cast(pg_sys::F_FLOAT4_FLOAT8, *number)),
            (Form::Numeric, Some(Value::Answer(Answer::Number(number)))) => {
                let numeric = cast(pg_sys::F_NUMERIC_FLOAT8, *number);
                // SAFETY: numeric(numeric, integer).
                Some(unsafe {
                    pg_sys::OidFunctionCall2Coll(
                        pg_sys::Oid::from(pg_sys::F_NUMERIC_NUMERIC_INT4),
                        pg_sys::Oid::INVALID,
                        numeric,
                        pg_sys::Datum::from(self.typmod),
                    )
                })
            }
            (Form::Text | Form::Varchar, Some(Value::Answer(Answer::Label(label)))) => Some(self.text(label)),
            (Form::Text | Form::Varchar, Some(Value::Text(text))) => Some(self.text(text)),
            (Form::Numbers, Some(Value::Answer(Answer::Numbers(numbers)))) => Some(result::float8_array(numbers)),
            (Form::Time, Some(Value::Time(time))) => Some(pg_sys::Datum::from(*time)),
            (Form::Bigint, Some(Value::Hash(hash))) => Some(pg_sys::Datum::from(*hash)),
            (Form::Float8, Some(Value::Number(number))) => Some(pg_sys::Datum::from(number.to_bits())),
            (Form::Boolean, Some(Value::Truth(truth))) => Some(pg_sys::Datum::from(*truth)),
            (Form::Texts, Some(Value::Texts(texts))) => Some(result::text_array(texts.iter().map(String::as_str))),
            (form, Some(_)) => {
                return Err(Error::new(
                    Kind::Internal,
                    format!("the {} is not written as {form:?}", self.written.name()),
                ));
            }
        };
        if let Some(domain) = self.domain {
            let (value, is_null) = (datum.unwrap_or(pg_sys::Datum::from(0)), datum.is_none());
            // SAFETY: a value of the domain's base type; nothing is kept from one check to the next.
            unsafe { pg_sys::domain_check(value, is_null, domain, std::ptr::null_mut(), std::ptr::null_mut()) };
        }
        Ok(datum)
    }

    fn text(&self, text: &str) -> pg_sys::Datum {
        let datum = result::text(text);
        if self.form == Form::Text || self.typmod < 0 {
            return datum;
        }
        // SAFETY: varchar(varchar, integer, boolean), not as an explicit cast: what is too long is refused.
        unsafe {
            pg_sys::OidFunctionCall3Coll(
                pg_sys::Oid::from(pg_sys::F_VARCHAR_VARCHAR_INT4_BOOL),
                pg_sys::Oid::INVALID,
                datum,
                pg_sys::Datum::from(self.typmod),
                pg_sys::Datum::from(false),
            )
        }
    }
}

fn cast(function: u32, number: f64) -> pg_sys::Datum {
    // SAFETY: a cast of the server's from float8.
    unsafe {
        pg_sys::OidFunctionCall1Coll(
            pg_sys::Oid::from(function),
            pg_sys::Oid::INVALID,
            pg_sys::Datum::from(number.to_bits()),
        )
    }
}

/// The type in which it is kept usually.
pub fn usual(written: Written) -> &'static str {
    match written {
        Written::Score | Written::Latency => "double precision",
        Written::Blocked => "boolean",
        Written::Violations | Written::Reasons => "text[]",
        Written::Label | Written::Version | Written::Error => "text",
        Written::Probabilities | Written::Vector => "double precision[]",
        Written::ScoredAt => "timestamp with time zone",
        Written::FeaturesHash => "bigint",
    }
}
