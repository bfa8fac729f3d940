//! Moving a version from stage to stage, through the gates that stand in `ml_stage_policies`.

use e2i_core::{Error, Facts, Gate, Kind, ModelReference, Result, Selector, Stage, Task};
use pgrx::datum::Uuid;
use pgrx::pg_sys;
use serde_json::{Value, json};

use crate::catalog::event::Event;
use crate::catalog::hold::take;
use crate::catalog::model::{ModelId, Version};
use crate::catalog::schema::Schema;
use crate::datum::document::numbers;
use crate::datum::jsonb::Container;
use crate::pg::query::Query;
use crate::pg::role;

const ENTER: Query = Query::new(
    "UPDATE {ml}.ml_model_registry SET stage = $2, stage_since = now(),
         promoted_at = CASE WHEN $2 = 'production' THEN now() ELSE promoted_at END
     WHERE id = $1",
);
const CURRENT: Query = Query::new(
    "SELECT r.stage, r.task, r.metrics, date_part('epoch', now() - r.stage_since) / 86400, r.promoted_at IS NOT NULL,
         (SELECT s.service_name::text FROM {ml}.ml_bentoml_services s WHERE s.model_id = r.id AND s.status = 'active' LIMIT 1)
     FROM {ml}.ml_model_registry r WHERE r.id = $1",
);
const GATES: Query = Query::new(
    "SELECT p.gate, p.metric, p.at_least, p.at_most FROM {ml}.ml_stage_policies p
     WHERE p.enabled AND p.stage = $1 AND (p.task IS NULL OR p.task = $2 OR p.task = $3) ORDER BY p.id",
);

/// A request to enter a stage.
pub struct Transition<'a> {
    /// Model name.
    pub name: &'a str,
    /// Version.
    pub version: &'a str,
    /// The stage to enter.
    pub stage: Stage,
    /// Who approves.
    pub approver: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
    /// Whether gates are passed over; a superuser's right, recorded.
    pub overrule: bool,
}

struct Current {
    stage: Stage,
    task: Option<Task>,
    metrics: Value,
    days_in_stage: f64,
    was_promoted: bool,
    serving: Option<String>,
}

/// Enters the stage, or says which gates refuse.
///
/// # Errors
/// [`Kind::WrongState`] naming each gate with its limit and the value found; [`Kind::UnknownModel`].
pub fn transition(schema: Schema, wanted: &Transition<'_>) -> Result<()> {
    let reference =
        ModelReference { name: wanted.name.to_owned(), selector: Selector::Version(wanted.version.to_owned()) };
    // Who may not see a version may not move it.
    let Version { id, version, .. } = Version::find(schema, &reference)?;
    let reference = ModelReference { selector: Selector::Version(version.clone()), ..reference };
    let who = role::name(role::current());
    // SAFETY: asks for the rights of the session's current role.
    if wanted.overrule && !unsafe { pg_sys::superuser() } {
        return Err(Error::new(Kind::Privilege, "only a superuser may overrule the gates of a stage"));
    }
    schema.as_owner(|| {
        let current = current(schema, &id, &reference)?;
        let refusals = refusals(schema, &current, wanted, &reference)?;
        if !refusals.is_empty() && !wanted.overrule {
            return Err(Error::new(
                Kind::WrongState,
                format!("model {reference} may not become {}: {}", wanted.stage, refusals.join("; ")),
            )
            .with_hint("The gates are the rows of ml_stage_policies."));
        }
        ENTER.execute(schema, &[Uuid::from_bytes(id).into(), wanted.stage.name().into()]);
        let mut details = serde_json::Map::new();
        if let Some(approver) = wanted.approver {
            details.insert("approver".into(), json!(approver));
        }
        if !refusals.is_empty() {
            details.insert("overruled".into(), json!(refusals));
        }
        Event {
            who: &who,
            action: "stage",
            model: Some(wanted.name),
            version: Some(&version),
            before: Some(current.stage.name()),
            after: Some(wanted.stage.name()),
            reason: wanted.reason,
            details: (!details.is_empty()).then(|| Value::Object(details).to_string()),
            ..Event::default()
        }
        .record(schema);
        Ok(())
    })
}

/// The version as it is, locked against other transitions.
fn current(schema: Schema, id: &ModelId, reference: &ModelReference) -> Result<Current> {
    take(schema, id, &reference.to_string())?;
    let found = CURRENT.select_latest(schema, &[Uuid::from_bytes(*id).into()], |row| {
        let stage = Stage::parse(&row.get::<String>(1)?).ok()?;
        Some(Current {
            stage,
            task: row.get::<String>(2).as_deref().and_then(Task::from_name),
            metrics: row.bytes(3, |metrics| numbers(Container::root(metrics))),
            days_in_stage: row.get::<f64>(4)?,
            was_promoted: row.get::<bool>(5)?,
            serving: row.get::<String>(6),
        })
    });
    found
        .into_iter()
        .flatten()
        .next()
        .ok_or_else(|| Error::new(Kind::UnknownModel, format!("model {reference} was dropped")))
}

fn refusals(
    schema: Schema,
    current: &Current,
    wanted: &Transition<'_>,
    reference: &ModelReference,
) -> Result<Vec<String>> {
    if current.stage == wanted.stage {
        return Err(Error::new(Kind::WrongState, format!("model {reference} is in {} already", wanted.stage)));
    }
    let mut refusals = Vec::new();
    if !current.stage.may_become(wanted.stage) {
        let next = Stage::ALL.get(current.stage as usize + 1).copied().unwrap_or(Stage::Archived);
        refusals.push(format!("after {} comes {next}", current.stage));
    }
    if let (Stage::Archived, Some(service)) = (wanted.stage, &current.serving) {
        refusals.push(format!("it is deployed as \"{service}\""));
    }
    // A step back needs no proof.
    if wanted.stage > current.stage {
        let facts = Facts {
            metrics: &current.metrics,
            days_in_stage: current.days_in_stage,
            days_out_of_production: match current.stage {
                Stage::Production => Some(0.0),
                _ => current.was_promoted.then_some(current.days_in_stage),
            },
            approver: wanted.approver,
        };
        refusals.extend(gates(schema, wanted.stage, current.task).iter().filter_map(|gate| gate.refusal(facts)));
    }
    Ok(refusals)
}

/// The gates before a stage for models of a task.
fn gates(schema: Schema, stage: Stage, task: Option<Task>) -> Vec<Gate> {
    let task =
        task.map(
            |task| if task.is_classification() { ("classification", task.name()) } else { (task.name(), task.name()) },
        );
    let (family, name) = task.unwrap_or(("other", "other"));
    let rows = GATES.select_latest(schema, &[stage.name().into(), family.into(), name.into()], |row| {
        let days = row.get::<f64>(3).unwrap_or_default();
        match row.get::<String>(1)?.as_str() {
            "metric" => Some(Gate::Metric {
                name: row.get::<String>(2)?,
                at_least: row.get::<f64>(3),
                at_most: row.get::<f64>(4),
            }),
            "days_in_stage" => Some(Gate::DaysInStage(days)),
            "days_out_of_production" => Some(Gate::DaysOutOfProduction(days)),
            "approver" => Some(Gate::Approver),
            _ => None,
        }
    });
    rows.into_iter().flatten().collect()
}
