//! What a service wants logged of its rows.

use e2i_privacy::OnPii;
use serde_json::json;

use crate::catalog::event::Event;
use crate::catalog::schema::Schema;
use crate::pg::query::Query;

const END: Query = Query::new("DELETE FROM {ml}.ml_inference_log_policies p WHERE p.service_name = $1");
const SET: Query = Query::new(
    "INSERT INTO {ml}.ml_inference_log_policies (service_name, sample, redact, on_pii, set_by, explain)
     VALUES ($1, $2, $3, $4, $5, $6)",
);

/// What a service wants logged, as it stands in `ml_inference_log_policies`.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The share of rows.
    pub sample: f64,
    /// Features that are never written.
    pub redact: Vec<String>,
    /// What happens to personal data.
    pub on_pii: OnPii,
    /// Whether rows that are logged are explained.
    pub explain: bool,
}

impl Wanted {
    /// Nothing logged, and personal data refused.
    pub fn guard() -> Self {
        Self { sample: 0.0, redact: vec![], on_pii: OnPii::Block, explain: false }
    }
}

/// Sets or ends (`None`) the log of a service whose deployed version is `version`. The caller holds the lock of the service.
pub fn set(schema: Schema, service: &str, who: &str, version: &str, wanted: Option<&Wanted>) {
    schema.as_owner(|| {
        END.execute(schema, &[service.into()]);
        if let Some(Wanted { sample, redact, on_pii, explain }) = wanted {
            SET.execute(
                schema,
                &[
                    service.into(),
                    (*sample).into(),
                    redact.clone().into(),
                    on_pii.as_str().into(),
                    who.into(),
                    (*explain).into(),
                ],
            );
        }
        let (model, number) = version.split_once(':').unzip();
        Event {
            who,
            action: "inference_log",
            model,
            version: number,
            service: Some(service),
            details: wanted.map(|wanted| {
                let mut details =
                    json!({ "sample": wanted.sample, "redact": wanted.redact, "on_pii": wanted.on_pii.as_str() });
                if wanted.explain {
                    details["explain"] = json!(true);
                }
                details.to_string()
            }),
            ..Event::default()
        }
        .record(schema);
    });
}

/// What a row of the table says: sample, features, what to do with personal data, whether rows are explained. What cannot be read is
/// taken strictly.
pub fn wanted(
    sample: Option<f64>,
    redact: Option<Vec<String>>,
    on_pii: Option<String>,
    explain: Option<bool>,
) -> Option<Wanted> {
    let on_pii = on_pii.map_or(OnPii::RedactLog, |name| OnPii::parse(&name).unwrap_or(OnPii::Block));
    let explain = explain.unwrap_or(false);
    sample.map(|sample| Wanted { sample, redact: redact.unwrap_or_default(), on_pii, explain })
}
