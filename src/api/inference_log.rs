//! `e2i_set_inference_log`: what of a service's rows is logged.

use e2i_core::{Error, Kind, Result};
use e2i_privacy::{OnPii, Policy};
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::catalog::deploy::Service;
use crate::catalog::log_policy::{self, Wanted};
use crate::catalog::schema::Schema;
use crate::error::{OrRaise, given, without_nulls};
use crate::pg::role;
use crate::scoring::cache;

/// Lets a sample of a service's rows be logged in `ml_inference_log`; a sample of NULL ends that.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_set_inference_log(
    service: Option<&str>,
    sample: default!(Option<f64>, "0.01"),
    redact: default!(Option<Vec<Option<String>>>, "'{}'"),
    on_pii: default!(Option<&str>, "'redact_log'"),
    fcinfo: pg_sys::FunctionCallInfo,
) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let set = || -> Result<()> {
        let wanted = match sample {
            Some(sample) => Some(Wanted {
                sample,
                redact: without_nulls("redact", redact.unwrap_or_default())?,
                on_pii: OnPii::parse(given(on_pii, "on_pii")?)?,
            }),
            None => None,
        };
        let (service, who) = (given(service, "service")?, role::name(role::current()));
        let deployed = Service::lock(schema, service, who.clone())?;
        let (_, version) = schema.as_owner(|| deployed.active_or_unknown())?;
        if let Some(wanted) = &wanted {
            check(schema, &version, wanted)?;
        }
        log_policy::set(schema, service, &who, &version, wanted.as_ref());
        Ok(())
    };
    set().or_raise();
}

/// Whether a version can be logged so.
///
/// # Errors
/// [`Kind::BadOption`] for a sample that is none, or a feature that the version does not have.
fn check(schema: Schema, version: &str, wanted: &Wanted) -> Result<()> {
    if !(0.0..=1.0).contains(&wanted.sample) {
        return Err(Error::new(Kind::BadOption, format!("a sample is from 0 to 1, got {}", wanted.sample))
            .with_hint("0.01 logs one row in a hundred; NULL ends the log."));
    }
    let model = cache::model(schema, version)?;
    let policy = Policy::new(wanted.redact.iter().map(String::as_str), wanted.on_pii, 0);
    match policy.unknown_features(model.interface()).first() {
        None => Ok(()),
        Some(unknown) => {
            let message = format!("model {version} has no feature \"{unknown}\" to be redacted");
            let hint = format!("SELECT name FROM e2i_describe_model('{}');", version.replace('\'', "''"));
            Err(Error::new(Kind::BadOption, message).with_hint(hint))
        }
    }
}
