//! What is noted of a row: the policy of its service, the draw, and the record.

use std::cell::Cell;
use std::time::Duration;

use e2i_core::random::Random;
use e2i_core::{Answer, Batch, Binder, Error, Result};
use e2i_metrics::RECORD;
use e2i_privacy::{OnPii, Policy};
use serde::Serialize;
use serde_json::Value as Json;

use crate::catalog::log_policy::Wanted;
use crate::error;
use crate::inference_log::pool;
use crate::pg::{role, time};
use crate::settings;

/// Bytes of a record that are not features.
const ENVELOPE: usize = 1200;

/// Bytes of the longest text in it.
const TEXT: usize = 200;

/// The log of one service at one call site.
pub struct Log {
    service: String,
    sample: f64,
    policy: Policy,
    explain: bool,
}

/// In which capacity a version scored a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Capacity {
    /// As the deployed version.
    Active,
    /// With a share of the traffic.
    Canary,
    /// Beside the one that answered.
    Shadow,
}

/// What the scoring of a row came to.
pub struct Outcome<'a> {
    /// What bound the row: it knows the version and its interface.
    pub model: &'a Binder,
    /// In which capacity.
    pub capacity: Capacity,
    /// The bound row; `None` for one that failed, which may be bound only in part.
    pub row: Option<(&'a Batch, usize)>,
    /// What was answered.
    pub answer: std::result::Result<&'a Answer, &'a Error>,
    /// How long it took, where that was measured.
    pub took: Option<Duration>,
}

/// As the worker reads it. Numbers that JSON does not have are texts.
#[derive(Serialize)]
struct Record<'a> {
    request_id: String,
    logged_at: String,
    service_name: &'a str,
    model_name: &'a str,
    model_version: &'a str,
    served_as: Capacity,
    status: &'a str,
    duration_ms: Option<f64>,
    prediction: Option<Json>,
    label: Option<&'a str>,
    probabilities: Option<Vec<Json>>,
    error_code: Option<String>,
    payload_code: Option<&'a str>,
    caller: String,
    trace_id: Option<String>,
    /// Whether who writes it down explains it, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    explain: bool,
}

impl Log {
    /// The log of a service.
    pub fn new(service: &str, wanted: &Wanted) -> Self {
        let redact = wanted.redact.iter().map(String::as_str);
        Self {
            service: service.to_owned(),
            sample: wanted.sample,
            policy: Policy::new(redact, wanted.on_pii, RECORD - ENVELOPE),
            explain: wanted.explain,
        }
    }

    /// Whether the next row is logged.
    #[inline]
    pub fn draw(&self) -> bool {
        self.sample > 0.0 && random() < self.sample
    }

    /// Refuses a row with personal data where the service says so.
    ///
    /// # Errors
    /// Which feature holds what.
    #[inline]
    pub fn guard(&self, model: &Binder, batch: &Batch, row: usize) -> Result<()> {
        match self.policy.on_pii() {
            OnPii::Block => self.policy.guard(model.model(), model.interface(), batch, row),
            OnPii::RedactLog | OnPii::Allow => Ok(()),
        }
    }

    /// Notes a row. `request` is the same for all versions that scored it.
    #[cold]
    pub fn keep(&self, request: u128, outcome: &Outcome<'_>) {
        let Outcome { model, capacity, row, answer, took } = outcome;
        let features = row.map(|(batch, row)| self.policy.record(model.interface(), batch, row));
        let (features, payload_code) = match features {
            Some(Ok(features)) => (Some(features), None),
            Some(Err(omitted)) => (None, Some(omitted.code())),
            None => (None, Some("failed")),
        };
        let (name, version) = model.model().split_once(':').unwrap_or((model.model(), ""));
        let number = |value: f64| if value.is_finite() { value.into() } else { Json::String(value.to_string()) };
        let (mut prediction, mut label, mut probabilities) = (None, None, None);
        match answer {
            Ok(Answer::Number(value)) => prediction = Some(number(*value)),
            Ok(Answer::Label(text)) => label = Some(cut(text)),
            Ok(Answer::Numbers(values)) => probabilities = Some(values.iter().take(40).copied().map(number).collect()),
            Err(_) => {}
        }
        let record = Record {
            request_id: uuid(request),
            logged_at: time::now().to_string(),
            service_name: cut(&self.service),
            model_name: cut(name),
            model_version: cut(version),
            served_as: *capacity,
            status: if answer.is_ok() { "ok" } else { "error" },
            duration_ms: took.map(|took| took.as_secs_f64() * 1e3),
            prediction,
            label,
            probabilities,
            error_code: answer.err().map(|error| error::code(error.kind())),
            payload_code,
            caller: cut(&role::name(role::current())).to_owned(),
            trace_id: settings::trace_id(),
            // What answered nobody has no reasons.
            explain: self.explain
                && answer.is_ok()
                && *capacity != Capacity::Shadow
                && row.is_some_and(|(batch, row)| self.policy.is_whole(model.interface(), batch, row)),
        };
        let Ok(mut text) = serde_json::to_string(&record) else { return };
        if let Some(features) = features.filter(|features| text.len() + features.len() + 13 <= RECORD) {
            text.pop();
            text.push_str(",\"features\":");
            text.push_str(&features);
            text.push('}');
        }
        pool::put(text.as_bytes());
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT)]
}

/// A new number for a request.
pub fn request() -> u128 {
    u128::from(next()) << 64 | u128::from(next())
}

/// A version-4 UUID (RFC 9562, section 5.4) of a random number.
fn uuid(number: u128) -> String {
    let number = number & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{number:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn random() -> f64 {
    (next() >> 11) as f64 / (1u64 << 53) as f64
}

/// For drawing samples and telling requests apart, not for secrets.
fn next() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    let mut random = Random(STATE.get());
    if random.0 == 0 {
        random.0 = time::now().cast_unsigned() ^ u64::from(std::process::id()) << 40;
    }
    let bits = random.bits();
    STATE.set(random.0);
    bits
}
