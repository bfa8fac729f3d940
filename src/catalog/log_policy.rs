//! What a service wants logged of its rows.

use e2i_core::{Error, Kind, Result};
use e2i_privacy::{OnPii, Policy};
use serde_json::json;

use crate::catalog::deploy::Service;
use crate::catalog::event::Event;
use crate::catalog::schema::Schema;
use crate::inference_log::record::Wanted;
use crate::pg::query::execute;
use crate::pg::role;
use crate::scoring::cache;

/// Sets or ends (`None`) the log of a service, which must be deployed.
///
/// # Errors
/// [`Kind::UnknownModel`] without an active deployment, [`Kind::BadOption`] for a sample that is none or a feature that the
/// deployed version does not have.
pub fn set(schema: Schema, service: &str, wanted: Option<&Wanted>) -> Result<()> {
    let who = role::name(role::current());
    let deployed = Service::lock(schema, service, who.clone())?;
    let (_, version) = schema.as_owner(|| deployed.active_or_unknown())?;
    if let Some(wanted) = wanted {
        if !(0.0..=1.0).contains(&wanted.sample) {
            return Err(Error::new(Kind::BadOption, format!("a sample is from 0 to 1, got {}", wanted.sample))
                .with_hint("0.01 logs one row in a hundred; NULL ends the log."));
        }
        let model = cache::model(schema, &version)?;
        let policy = Policy::new(wanted.redact.iter().map(String::as_str), wanted.on_pii, 0);
        if let Some(unknown) = policy.unknown_features(model.interface()).first() {
            return Err(Error::new(
                Kind::BadOption,
                format!("model {version} has no feature \"{unknown}\" to be redacted"),
            )
            .with_hint(format!("SELECT name FROM e2i_describe_model('{}');", version.replace('\'', "''"))));
        }
    }
    let tables = schema.quoted();
    schema.as_owner(|| {
        execute(
            &format!("DELETE FROM {tables}.ml_inference_log_policies p WHERE p.service_name OPERATOR(pg_catalog.=) $1"),
            &[service.into()],
        );
        if let Some(Wanted { sample, redact, on_pii }) = wanted {
            execute(
                &format!(
                    "INSERT INTO {tables}.ml_inference_log_policies (service_name, sample, redact, on_pii, set_by) \
                     VALUES ($1, $2, $3, $4, $5)"
                ),
                &[service.into(), (*sample).into(), redact.clone().into(), on_pii.as_str().into(), who.as_str().into()],
            );
        }
        let (model, number) = version.split_once(':').unzip();
        Event {
            who: &who,
            action: "inference_log",
            model,
            version: number,
            service: Some(service),
            details: wanted.map(|wanted| {
                json!({ "sample": wanted.sample, "redact": wanted.redact, "on_pii": wanted.on_pii.as_str() })
                    .to_string()
            }),
            ..Event::default()
        }
        .record(&tables);
    });
    Ok(())
}

/// What a row of the table says: sample, features, what to do with personal data. What cannot be read is taken strictly.
pub fn wanted(sample: Option<f64>, redact: Option<Vec<String>>, on_pii: Option<String>) -> Option<Wanted> {
    let on_pii = on_pii.map_or(OnPii::RedactLog, |name| OnPii::parse(&name).unwrap_or(OnPii::Block));
    sample.map(|sample| Wanted { sample, redact: redact.unwrap_or_default(), on_pii })
}
