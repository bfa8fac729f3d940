//! `e2i_annotate_model`.

use e2i_core::ModelReference;
use pgrx::prelude::*;
use pgrx::{default, pg_sys};

use crate::catalog::annotate::{Annotation, annotate};
use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::datum::document::Document;
use crate::error::{OrRaise, given};

/// Adds to the metrics and tags of a version, or replaces its description, and returns its reference. NULL leaves what is
/// there.
#[pg_extern(volatile, parallel_unsafe)]
fn e2i_annotate_model(
    model: Option<&str>,
    metrics: default!(Option<Document<'_>>, "NULL"),
    tags: default!(Option<Document<'_>>, "NULL"),
    description: default!(Option<&str>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> String {
    // SAFETY: the server passes a valid fcinfo.
    let schema = unsafe { Schema::of_change(fcinfo) };
    let run = || {
        let reference = ModelReference::parse(given(model, "model")?)?;
        // Who may not see a version may not say anything about it.
        let version = Version::find(schema, &reference)?;
        annotate(schema, &version, &Annotation { metrics, tags, description })?;
        Ok(version.reference())
    };
    run().or_raise()
}
