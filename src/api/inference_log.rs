//! `e2i_set_inference_log`: what of a service's rows is logged.

use e2i_core::{Error, Kind, Result};
use e2i_privacy::{OnPii, Policy};
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::api::explain::argument;
use crate::catalog::deploy::Service;
use crate::catalog::log_policy::{self, Wanted};
use crate::catalog::schema::Schema;
use crate::error::{OrRaise, given, without_nulls};
use crate::pg::{role, varlena};
use crate::scoring::cache;

/// Lets a sample of a service's rows be logged in `ml_inference_log`, and explained if asked; a sample of NULL ends that. Declared in
/// `sql/registry.sql`.
#[pg_extern(sql = false)]
fn e2i_set_inference_log(fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: the server passes a valid fcinfo with the arguments of the declaration, which is known to be this version's.
    let (schema, service, sample, redact, on_pii, explain) = unsafe {
        let schema = Schema::of_change(fcinfo);
        let text = |index| argument(fcinfo, index).map(|datum| varlena::text(datum));
        let sample = argument(fcinfo, 1).map(|datum| f64::from_bits(datum.value() as u64));
        let redact = argument(fcinfo, 2).and_then(|datum| Vec::<Option<String>>::from_datum(datum, false));
        let explain = argument(fcinfo, 4).is_some_and(|datum| datum.value() != 0);
        (schema, text(0), sample, redact, text(3), explain)
    };
    let set = || -> Result<()> {
        let wanted = match sample {
            Some(sample) => Some(Wanted {
                sample,
                redact: without_nulls("redact", redact.unwrap_or_default())?,
                on_pii: OnPii::parse(given(on_pii, "on_pii")?)?,
                explain,
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
    if let Some(redacted) = wanted.redact.first().filter(|_| wanted.explain) {
        let message = format!("rows of model {version} cannot be explained without feature {redacted:?}");
        return Err(Error::new(Kind::BadOption, message)
            .with_detail("What is logged is explained, and features that are redacted are not logged.")
            .with_hint("Leave out explain, or redact."));
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
