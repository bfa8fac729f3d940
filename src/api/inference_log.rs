//! `e2i_set_inference_log`: what of a service's rows is logged.

use e2i_core::Result;
use e2i_privacy::OnPii;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::catalog::log_policy;
use crate::catalog::schema::Schema;
use crate::error::{OrRaise, given, without_nulls};
use crate::inference_log::record::Wanted;

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
        log_policy::set(schema, given(service, "service")?, wanted.as_ref())
    };
    set().or_raise();
}
