//! Analyses of how much features matter that were kept.

use pgrx::datum::{JsonB, Uuid};
use serde_json::Value as Json;

use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::pg::query::Query;
use crate::settings;

const ADD: Query = Query::new(
    "INSERT INTO {ml}.ml_shap_analyses (model_id, model_name, model_version, analysis_type, segment, class, space, base_value, global_importance,
         key_drivers, sample_size, computation_method, source, background_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
);

/// Once for each row and version.
const ADD_LOCAL: Query = Query::new(
    "INSERT INTO {ml}.ml_shap_analyses (model_id, model_name, model_version, analysis_type, class, space, base_value, local_shap_values,
         key_drivers, sample_size, computation_method, source, background_id, request_id)
     SELECT $1, $2, $3, 'local', $4, $5, $6, $7, $8, 1, $9, $10, $11, $12::text::uuid
     WHERE NOT EXISTS (SELECT FROM {ml}.ml_shap_analyses a WHERE a.request_id = $12::text::uuid AND a.model_id = $1)",
);

const FORGET: Query = Query::new(
    "DELETE FROM {ml}.ml_shap_analyses a WHERE a.request_id IS NOT NULL AND a.created_at < now() - make_interval(days => $1)",
);

/// Why a row of the inference log has its number.
pub struct Local<'a> {
    /// The version.
    pub id: [u8; 16],
    /// Its name and number.
    pub model: (&'a str, &'a str),
    /// The row.
    pub request: &'a str,
    /// What was called.
    pub service: &'a str,
    /// The class that was explained, where there are several numbers.
    pub class: Option<String>,
    /// As SQL calls it.
    pub space: &'static str,
    /// As above.
    pub method: &'static str,
    /// What is expected when no feature is known.
    pub base: f64,
    /// For each feature what it adds.
    pub values: Json,
    /// The same in the order of how much they add.
    pub drivers: Json,
    /// What it was compared with.
    pub background: Option<[u8; 16]>,
}

/// Keeps why a row has its number, with the owner's rights: for who may read analyses, without the values of the row.
pub fn add_local(schema: Schema, local: Local<'_>) {
    schema.as_owner(|| {
        ADD_LOCAL.execute(
            schema,
            &[
                Uuid::from_bytes(local.id).into(),
                local.model.0.into(),
                local.model.1.into(),
                local.class.into(),
                local.space.into(),
                local.base.into(),
                JsonB(local.values).into(),
                JsonB(local.drivers).into(),
                local.method.into(),
                local.service.into(),
                local.background.map(Uuid::from_bytes).into(),
                local.request.into(),
            ],
        );
    });
}

/// Deletes analyses of rows of the inference log that are older than `e2i_serve.inference_log_retention`.
pub fn forget(schema: Schema) {
    if let Some(days) = settings::inference_log_retention_days() {
        schema.as_owner(|| FORGET.execute(schema, &[days.into()]));
    }
}

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
