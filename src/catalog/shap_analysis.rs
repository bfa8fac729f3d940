//! Analyses of how much features matter that were kept.

use pgrx::datum::{JsonB, Uuid};
use serde_json::Value as Json;

use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::pg::query::Query;

const ADD: Query = Query::new(
    "INSERT INTO {ml}.ml_shap_analyses (model_id, model_name, model_version, analysis_type, segment, class, space, base_value, global_importance,
         key_drivers, sample_size, computation_method, source, background_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
);

/// What was found of a version over rows.
pub struct Analysis<'a> {
    /// The name of the part that the rows are; `None` where they are all.
    pub segment: Option<&'a str>,
    /// The class that was explained, where there are several numbers.
    pub class: Option<String>,
    /// As SQL calls it.
    pub space: &'static str,
    /// As above.
    pub method: &'static str,
    /// What is expected when no feature is known.
    pub base: f64,
    /// For each feature the mean size of what it adds.
    pub importance: Json,
    /// The same as an array in the order of how much they matter, with shares and errors.
    pub drivers: Json,
    /// Rows that were explained.
    pub rows: i64,
    /// Where they came from, as was said.
    pub source: &'a str,
    /// What they were compared with.
    pub background: Option<[u8; 16]>,
}

/// Keeps an analysis, with the rights of the caller, who may have none to write here.
pub fn add(schema: Schema, version: &Version, analysis: Analysis<'_>) {
    ADD.execute(
        schema,
        &[
            Uuid::from_bytes(version.id).into(),
            version.name.as_str().into(),
            version.version.as_str().into(),
            if analysis.segment.is_some() { "segment" } else { "global" }.into(),
            analysis.segment.into(),
            analysis.class.into(),
            analysis.space.into(),
            analysis.base.into(),
            JsonB(analysis.importance).into(),
            JsonB(analysis.drivers).into(),
            analysis.rows.into(),
            analysis.method.into(),
            analysis.source.into(),
            analysis.background.map(Uuid::from_bytes).into(),
        ],
    );
}
