//! Canary and shadow: `e2i_set_traffic`, `e2i_set_shadow`, and what the view `e2i_shadow_scores` shows.

use e2i_core::traffic::Split;
use e2i_core::{Error, Kind, ModelReference, Result, Selector};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use pgrx::{default, pg_sys};
use serde_json::Value;

use crate::catalog::deploy::Service;
use crate::catalog::model::{ModelId, Version};
use crate::catalog::schema::Schema;
use crate::datum::document::Document;
use crate::error::{OrRaise, given};
use crate::on_write::stale;
use crate::pg::{role, time};
use crate::scoring::{cache, shadow};

/// Splits the traffic of a service between versions: `{"churn:3": 0.9, "churn:4": 0.1}`. The same row always gets the same
/// version: by a hash of the feature `by`, or of all features. NULL ends the split.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_set_traffic(
    service: Option<&str>,
    traffic: Option<Document<'_>>,
    by: default!(Option<&str>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || {
        let service = given(service, "service")?;
        let service_lock = Service::lock(schema, service, role::name(role::current()))?;
        let versions = match traffic {
            Some(traffic) => check_traffic(schema, &service_lock, &traffic.read("traffic")?, by)?,
            None => vec![],
        };
        let by = by.filter(|_| traffic.is_some());
        let reference = ModelReference { name: service.to_owned(), selector: Selector::Deployed };
        stale::watching(schema, &reference, || schema.as_owner(|| service_lock.set_traffic(traffic, by, &versions)))
    };
    run().or_raise();
}

/// Every version loads, and the shares are shares. Returns the versions. What goes wrong with the split that is to be
/// replaced does not matter.
fn check_traffic(
    schema: Schema,
    service: &Service<'_>,
    traffic: &Value,
    by: Option<&str>,
) -> Result<Vec<(ModelId, String)>> {
    let Value::Object(shares) = traffic else {
        return Err(bad("the traffic is not a JSON object".to_owned()));
    };
    if shares.is_empty() {
        return Err(bad("the traffic has no shares".to_owned()));
    }
    let (mut numbers, mut versions) = (Vec::with_capacity(shares.len()), Vec::with_capacity(shares.len()));
    for (reference, share) in shares {
        // As they are stored, they are looked up: the form must be the one that names a version everywhere else.
        let parsed = ModelReference::parse(reference)?;
        if !matches!(parsed.selector, Selector::Version(_)) || parsed.to_string() != *reference {
            return Err(bad(format!("traffic goes to versions, written name:version, got {reference:?}")));
        }
        let found = cache::model(schema, reference)?;
        if found.reference() != *reference {
            return Err(bad(format!(
                "traffic goes to versions by their names: {:?} is {}",
                reference,
                found.reference()
            )));
        }
        numbers.push(share.as_f64().ok_or_else(|| bad(format!("the share of {reference} is no number: {share}")))?);
        versions.push((found.id, reference.clone()));
    }
    let (_, tag) = schema.as_owner(|| service.active_or_unknown())?;
    let active = cache::model(schema, &tag)?;
    Split::new(&numbers, by, active.interface()).map(|_| versions)
}

fn bad(message: String) -> Error {
    Error::new(Kind::BadOption, message).with_hint(r#"Write {"churn:3": 0.9, "churn:4": 0.1}."#)
}

/// Lets a version score a sample of a service's rows beside the active one, whose answers callers get. NULL ends that.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_set_shadow(
    service: Option<&str>,
    model: Option<&str>,
    sample: default!(Option<f64>, "0.01"),
    fcinfo: pg_sys::FunctionCallInfo,
) {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || {
        let sample = given(sample, "sample")?;
        if !(sample > 0.0 && sample <= 1.0) {
            return Err(Error::new(Kind::BadOption, format!("a sample is above 0 and not above 1, got {sample}")));
        }
        let service = Service::lock(schema, given(service, "service")?, role::name(role::current()))?;
        let shadow = model.map(|model| named(schema, model)).transpose()?;
        let shadow = shadow.as_ref().map(|(id, reference)| (id, reference.as_str()));
        schema.as_owner(|| service.set_shadow(shadow, sample))
    };
    run().or_raise();
}

/// The version that a reference means now, which must load.
fn named(schema: Schema, reference: &str) -> Result<(ModelId, String)> {
    cache::model(schema, reference)?;
    let version = Version::find(schema, &ModelReference::parse(reference)?)?;
    Ok((version.id, version.reference()))
}

/// This session's latest rows that a shadow scored too, oldest first. Read through the view `e2i_shadow_scores`.
#[pg_extern(volatile, parallel_restricted)]
fn e2i_shadow_comparisons(
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(service, String),
        name!(version, String),
        name!(shadow, String),
        name!(answer, String),
        name!(shadow_answer, Option<String>),
        name!(difference, Option<f64>),
        name!(error, Option<String>),
        name!(scored_at, TimestampWithTimeZone),
    ),
> {
    // SAFETY: the server passes a valid fcinfo.
    let rows: Vec<_> = shadow::list(unsafe { Schema::of_call(fcinfo) })
        .into_iter()
        .map(|row| {
            let at = time::timestamptz(row.at);
            (row.service, row.version, row.shadow, row.answer, row.shadow_answer, row.difference, row.error, at)
        })
        .collect();
    TableIterator::new(rows)
}
