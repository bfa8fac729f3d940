//! Why rows of the inference log have their numbers: found once they are written down, off the path of those who called, and kept in
//! `ml_shap_analyses`.
//!
//! A row is explained by the version that scored it, from what is logged of it. What cannot be explained costs nobody anything: it is
//! said, and the row has no reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use e2i_core::{Error, Kind, Result};
use e2i_explain::Space;
use pgrx::IntoDatum;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::catalog::schema::Schema;
use crate::catalog::shap_analysis::{self, Local};
use crate::datum::features::{Features, Spelling};
use crate::inference_log::write;
use crate::pg::failure::attempt;
use crate::pg::interrupt;
use crate::scoring::arm::Asked;
use crate::scoring::cache;
use crate::scoring::engines::Preference;
use crate::scoring::explained::{Wanted, predicted};

/// How long the rows of one round may take together, so that the next records do not wait.
const LONGEST: Duration = Duration::from_secs(20);

/// What of a record is needed. Its features stand last, as they were written.
#[derive(Deserialize)]
struct Logged {
    request_id: String,
    service_name: String,
    model_name: String,
    model_version: String,
}

/// Where the features begin: before them there is no quote but around names and texts, in which quotes are escaped.
const FEATURES: &str = ",\"features\":";

/// Explains the records that were written down last; why some were not, each reason once.
pub fn write(schema: Schema) -> Vec<String> {
    let records = write::to_explain();
    let mut versions: BTreeMap<String, Vec<(Logged, &str)>> = BTreeMap::new();
    for record in &records {
        let Ok(logged) = serde_json::from_str::<Logged>(record) else { continue };
        let Some((_, features)) = record.split_once(FEATURES) else { continue };
        let reference = format!("{}:{}", logged.model_name, logged.model_version);
        let features = features.strip_suffix('}').unwrap_or(features);
        versions.entry(reference).or_default().push((logged, features));
    }
    let until = Instant::now() + LONGEST;
    let mut failures = BTreeSet::new();
    for (reference, rows) in versions {
        let why = match attempt(|| explain(schema, &reference, &rows, until)) {
            Ok(Ok(None)) => continue,
            Ok(Ok(Some(error)) | Err(error)) => error.message().to_owned(),
            Err(why) => why.message,
        };
        failures.insert(format!("rows of model {reference} in the inference log are not explained: {why}"));
    }
    failures.into_iter().collect()
}

/// Explains rows of a version; the last error of one, if there was any.
fn explain(schema: Schema, reference: &str, rows: &[(Logged, &str)], until: Instant) -> Result<Option<Error>> {
    let (mut scorer, _) = cache::scorer(schema, reference, &[Asked::NOTHING], Preference::current())?;
    let mut failed = None;
    for (logged, features) in rows {
        interrupt::check();
        if Instant::now() > until {
            return Ok(Some(Error::new(Kind::Limit, format!("it takes longer than {} seconds", LONGEST.as_secs()))));
        }
        scorer.begin();
        let Some(datum) = (*features).into_datum() else { continue };
        // SAFETY: a text that lives as long as the memory context of this task.
        scorer.bind(unsafe { Features::of_datum(Spelling::Text, datum) });
        let kept = scorer.bound(0).and_then(|(model, batch, row)| {
            let wanted = |space| Wanted { space, method: None, class: None, samples: None, error: None };
            let explained = model.explain(schema, (batch, row), &wanted(Space::Margin));
            // What it adds up is not known of every model.
            let (space, all) = match explained {
                Err(error) if error.kind() == Kind::Unsupported => {
                    (Space::Probability, model.explain(schema, (batch, row), &wanted(Space::Probability))?)
                }
                explained => (Space::Margin, explained?),
            };
            let Some(one) = predicted(model.interface(), &all) else { return Ok(()) };
            let name = |index: usize| model.interface().features[index].name.clone();
            let values: Map<String, Json> =
                one.contributions.iter().enumerate().map(|(index, added)| (name(index), json!(added))).collect();
            let driver = |index: usize| {
                let added = one.contributions[index];
                json!({"feature": name(index), "impact": added, "direction": if added > 0.0 { "up" } else { "down" }})
            };
            let local = Local {
                id: model.id,
                model: (&model.name, &model.version),
                request: &logged.request_id,
                service: &logged.service_name,
                class: one.class(model.interface()),
                space: space.name(),
                method: one.method.name(),
                base: one.base,
                values: Json::Object(values),
                drivers: one.ranked().into_iter().map(driver).collect(),
                background: one.background.as_ref().map(|background| background.id),
            };
            shap_analysis::add_local(schema, local);
            Ok(())
        });
        failed = kept.err().or(failed);
    }
    Ok(failed)
}
