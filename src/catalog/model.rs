//! Finding the version that a reference means, and reading what was stored of it.
//!
//! Where a reference leads (services, aliases) is looked up with the owner's rights; the version's row itself with the
//! caller's, so that GRANT and row-level security on `ml_model_registry` alone decide who may score with it. Artifact
//! bytes are read with the owner's rights and need never be granted.
//!
//! What a version is cannot change: a trigger refuses it. Upon that rests `e2i_predict_pinned`, the only IMMUTABLE function.

use e2i_core::{Error, Interface, Kind, KnownVersion, ModelReference, Newest, Result, Selector, Stage};
use pgrx::datum::Uuid;

use crate::catalog::artifact::{Address, read};
use crate::catalog::invalidation;
use crate::catalog::log_policy::{Wanted, wanted};
use crate::catalog::schema::Schema;
use crate::pg::query::{Query, Row};
use crate::pg::table::{Key, Record};

const GUARDS: Query = Query::new(
    "SELECT 1 FROM {ml}.ml_inference_log_policies p
     JOIN {ml}.ml_bentoml_services s ON s.service_name = p.service_name AND s.status = 'active'
     JOIN {ml}.ml_model_registry r ON r.id = s.model_id OR s.traffic ? concat(r.model_name, ':', r.model_version)
     WHERE p.on_pii = 'block' AND r.id = ANY ($1) LIMIT 1",
);
const SHARES: Query = Query::new(
    "SELECT r.id, t.value::float8 FROM {ml}.ml_bentoml_services s, jsonb_each_text(s.traffic) t
     JOIN {ml}.ml_model_registry r ON concat(r.model_name, ':', r.model_version) = t.key
     WHERE s.service_name = $1 AND s.status = 'active' ORDER BY t.key COLLATE \"C\"",
);
const ANY: Query = Query::new("SELECT 1 FROM {ml}.ml_model_registry LIMIT 1");

const DESCRIBED: Query = Query::of_caller(
    "SELECT r.model_name, r.model_version, r.interface::text, r.cost FROM {ml}.ml_model_registry r WHERE r.id = $1",
);
const SEEN: Query =
    Query::of_caller("SELECT r.model_name, r.model_version, r.interface FROM {ml}.ml_model_registry r WHERE r.id = $1");
const VISIBLE: Query = Query::of_caller("SELECT r.id FROM {ml}.ml_model_registry r WHERE r.id = ANY ($1)");
const VERSIONS: Query = Query::of_caller(
    "SELECT r.model_version FROM {ml}.ml_model_registry r WHERE r.model_name = $1
     ORDER BY r.registered_at DESC, length(r.model_version) DESC, r.model_version DESC",
);
const KNOWN: Query = Query::new(
    "SELECT r.id, r.model_version, r.stage FROM {ml}.ml_model_registry r WHERE r.model_name = $1
     ORDER BY r.registered_at DESC, length(r.model_version) DESC, r.model_version COLLATE \"C\" DESC",
);

/// The identity of a version: never reused, not even for the same name and version.
pub type ModelId = [u8; 16];

/// A version that the caller may see.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its identity.
    pub id: ModelId,
    /// Model name.
    pub name: String,
    /// Version.
    pub version: String,
    /// What it takes and gives.
    pub interface: Interface,
    /// What a row costs the planner, in units of an operator of SQL.
    pub cost: Option<f32>,
}

impl Version {
    /// The version that a reference means now, if the caller may see it.
    ///
    /// # Errors
    /// As [`route`] and [`describe`].
    pub fn find(schema: Schema, reference: &ModelReference) -> Result<Self> {
        describe(schema, &identify(schema, reference)?, reference)
    }

    /// `name:version`, how messages and results call it.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.name, self.version)
    }
}

/// Where a reference leads: a version and, for a service, what goes beside it.
#[derive(Debug, Default)]
pub struct Route {
    /// The version that is meant; of a service, the active one.
    pub id: ModelId,
    /// Versions that share the traffic with their shares, in the order of their references.
    pub traffic: Vec<(ModelId, f64)>,
    /// The feature that splits the traffic; all of them if `None`.
    pub traffic_by: Option<String>,
    /// The version that scores beside the active one, and the share of rows that it does.
    pub shadow: Option<(ModelId, f64)>,
    /// What of the service's rows is logged.
    pub log: Option<Wanted>,
}

/// The identity of the version that a reference means now.
///
/// # Errors
/// As [`route`].
pub fn identify(schema: Schema, reference: &ModelReference) -> Result<ModelId> {
    route(schema, reference).map(|route| route.id)
}

/// Where a reference leads now.
///
/// # Errors
/// [`Kind::BadOption`] for a malformed reference, [`Kind::UnknownModel`] with what does exist.
pub fn route(schema: Schema, reference: &ModelReference) -> Result<Route> {
    invalidation::watch(schema);
    let name = reference.name.as_str();
    let policies = Policies::of(schema, name);
    let found = match &reference.selector {
        Selector::Deployed => of_service(schema, name).map(|(route, is_split)| Route {
            traffic: if is_split { schema.as_owner(|| shares(schema, name)) } else { vec![] },
            log: policies.own,
            ..route
        }),
        Selector::Version(version) => match of_version(schema, name, version) {
            Some(route) => Some(route),
            None => of_meaning(schema, reference, version)?,
        },
        Selector::Newest(newest) => of_meaning(schema, reference, newest)?,
        Selector::Alias(alias) => of_alias(schema, name, alias).and_then(|version| of_version(schema, name, &version)),
    };
    let mut route = found.ok_or_else(|| unknown(schema, reference))?;
    if route.log.is_none() && policies.any_blocks && schema.as_owner(|| is_guarded(schema, &route)) {
        route.log = Some(Wanted::guard());
    }
    Ok(route)
}

/// The active deployment of a service, and whether its traffic is split.
fn of_service(schema: Schema, service: &str) -> Option<(Route, bool)> {
    let key = [(c"service_name", Key::Text(service))];
    let services = schema.table(c"ml_bentoml_services");
    let found = services.find(c"ml_bentoml_services_one_active", &key, |row| {
        if row.text(c"status").as_deref() != Some("active") {
            return None;
        }
        let shadow = id(row, c"shadow_id").zip(row.get::<f64>(c"shadow_sample"));
        let traffic_by = row.get::<String>(c"traffic_by");
        Some((Route { id: id(row, c"model_id")?, traffic_by, shadow, ..Route::default() }, !row.is_null(c"traffic")))
    });
    found.into_iter().flatten().next()
}

fn of_version(schema: Schema, name: &str, version: &str) -> Option<Route> {
    let key = [(c"model_name", Key::Text(name)), (c"model_version", Key::Text(version))];
    let registry = schema.table(c"ml_model_registry");
    let found = registry.find(c"ml_model_registry_model_name_model_version_key", &key, |row| id(row, c"id"));
    found.into_iter().flatten().next().map(|id| Route { id, ..Route::default() })
}

/// Whether a version is called exactly as a reference says.
pub fn is_exact(schema: Schema, reference: &ModelReference) -> bool {
    matches!(&reference.selector, Selector::Version(version) if of_version(schema, &reference.name, version).is_some())
}

/// The only version that a text may mean which is the name of none.
///
/// # Errors
/// [`Kind::BadOption`] where several are, of which those are named that the caller may see.
fn of_meaning(schema: Schema, reference: &ModelReference, text: &str) -> Result<Option<Route>> {
    let (ids, known) = known(schema, &reference.name);
    match KnownVersion::meant(text, &known).as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(Route { id: ids[*only], ..Route::default() })),
        several => {
            let all: Vec<ModelId> = several.iter().map(|place| ids[*place]).collect();
            let seen = visible(schema, &all);
            let names: Vec<String> = several
                .iter()
                .filter(|place| seen.contains(&ids[**place]))
                .map(|place| format!("{}:{}", reference.name, known[*place].version))
                .collect();
            Err(Error::new(Kind::BadOption, format!("model reference \"{reference}\" may mean {}", names.join(" or ")))
                .with_hint("Write one of these."))
        }
    }
}

/// All versions of a model, the newest first.
fn known(schema: Schema, name: &str) -> (Vec<ModelId>, Vec<KnownVersion>) {
    let read = |row: &Row| {
        let stage = Stage::parse(&row.get::<String>(3)?).ok()?;
        Some((KnownVersion { version: row.get::<String>(2)?, stage }, uuid(row, 1)?))
    };
    let rows = schema.as_owner(|| KNOWN.select(schema, &[name.into()], read));
    let mut known: Vec<(KnownVersion, ModelId)> = rows.into_iter().flatten().collect();
    KnownVersion::sort(&mut known);
    let (known, ids) = known.into_iter().unzip();
    (ids, known)
}

fn of_alias(schema: Schema, name: &str, alias: &str) -> Option<String> {
    let key = [(c"model_name", Key::Text(name)), (c"alias", Key::Text(alias))];
    let aliases = schema.table(c"ml_model_aliases");
    let found = aliases.find(c"ml_model_aliases_pkey", &key, |row| row.get::<String>(c"model_version"));
    found.into_iter().flatten().next()
}

/// What is to be logged and refused.
struct Policies {
    /// Of the service's own rows.
    own: Option<Wanted>,
    /// Whether any service refuses personal data.
    any_blocks: bool,
}

impl Policies {
    /// There are as many rows as services that are logged, and all have to be asked whether they refuse.
    fn of(schema: Schema, service: &str) -> Self {
        let mut policies = Self { own: None, any_blocks: false };
        schema.table(c"ml_inference_log_policies").all(|row| {
            let on_pii = row.get::<String>(c"on_pii");
            policies.any_blocks |= on_pii.as_deref() == Some("block");
            if row.get::<String>(c"service_name").as_deref() == Some(service) {
                let redact = row.get::<Vec<String>>(c"redact");
                policies.own = wanted(row.get::<f64>(c"sample"), redact, on_pii, row.get::<bool>(c"explain"));
            }
        });
        policies
    }
}

fn id(row: &Record<'_>, column: &std::ffi::CStr) -> Option<ModelId> {
    row.get::<Uuid>(column).map(|id| *id.as_bytes())
}

/// Whether a service that refuses personal data serves one of these versions, wholly or for a share of its traffic: what another
/// name of the version reaches is refused, too. A service with a policy of its own follows that.
fn is_guarded(schema: Schema, route: &Route) -> bool {
    let ids = std::iter::once(&route.id).chain(route.traffic.iter().map(|(id, _)| id));
    let ids: Vec<Uuid> = ids.map(|id| Uuid::from_bytes(*id)).collect();
    !GUARDS.select(schema, &[ids.into()], |_| ()).is_empty()
}

fn uuid(row: &Row, column: i32) -> Option<ModelId> {
    row.get::<Uuid>(column).map(|id| *id.as_bytes())
}

/// The shares of a service's traffic, in the order of the references.
fn shares(schema: Schema, service: &str) -> Vec<(ModelId, f64)> {
    SHARES.select(schema, &[service.into()], |row| uuid(row, 1).zip(row.get::<f64>(2))).into_iter().flatten().collect()
}

/// The row of a version, if the caller may see it.
///
/// # Errors
/// [`Kind::UnknownModel`] where row-level security hides it, [`Kind::Privilege`] where SELECT is not granted.
pub fn describe(schema: Schema, id: &ModelId, reference: &ModelReference) -> Result<Version> {
    let (name, version, interface, cost) = if schema.is_whole() {
        let texts = of_id(schema, id, |row| {
            let (name, version) = (row.get::<String>(c"model_name")?, row.get::<String>(c"model_version")?);
            Some((name, version, row.text(c"interface")?, row.get::<f32>(c"cost")))
        });
        texts.ok_or_else(|| invisible(reference))?
    } else {
        seen(&DESCRIBED, schema, id, reference, |row| {
            Some((row.get::<String>(1)?, row.get::<String>(2)?, row.get::<String>(3)?, row.get::<f32>(4)))
        })?
    };
    let interface: Interface =
        serde_json::from_str(&interface).map_err(|error| unreadable(&name, &version, &error.to_string()))?;
    if !interface.is_consistent() {
        return Err(unreadable(&name, &version, "it contradicts itself"));
    }
    if interface.format > Interface::FORMAT {
        return Err(unreadable(&name, &version, "it was registered with a newer version of e2i_serve"));
    }
    Ok(Version { id: *id, name, version, interface, cost })
}

/// What `read` makes of the row of a version.
fn of_id<R>(schema: Schema, id: &ModelId, read: impl FnMut(&Record<'_>) -> Option<R>) -> Option<R> {
    let registry = schema.table(c"ml_model_registry");
    let found = registry.find(c"ml_model_registry_pkey", &[(c"id", Key::Uuid(*id))], read);
    found.into_iter().flatten().next()
}

/// Checks that the caller may see the row of a version, and reads nothing of it.
///
/// # Errors
/// As [`describe`].
pub fn require_seeing(schema: Schema, id: &ModelId, reference: &ModelReference) -> Result<()> {
    seen(&SEEN, schema, id, reference, |_| Some(()))
}

fn seen<R>(
    query: &Query,
    schema: Schema,
    id: &ModelId,
    reference: &ModelReference,
    read: impl FnMut(&Row) -> Option<R>,
) -> Result<R> {
    schema.require_reading()?;
    let rows = query.select(schema, &[Uuid::from_bytes(*id).into()], read);
    rows.into_iter().flatten().next().ok_or_else(|| invisible(reference))
}

fn unreadable(name: &str, version: &str, why: &str) -> Error {
    Error::new(Kind::WrongState, format!("the stored interface of model {name}:{version} cannot be read: {why}"))
        .with_hint("Restart the session after an upgrade, or register the model again.")
}

/// What is stored of a version's bytes and of who scores them.
pub struct Stored {
    /// The format of the artifact.
    pub framework: String,
    /// The engine that registration chose.
    pub engine: String,
    /// Why it is not the native one.
    pub engine_reason: Option<String>,
    model: Address,
    preprocessor: Option<Address>,
    plan: Option<Address>,
}

impl Stored {
    /// Looks a version up.
    ///
    /// # Errors
    /// [`Kind::UnknownModel`] when it has been dropped.
    pub fn find(schema: Schema, version: &Version) -> Result<Self> {
        let found = of_id(schema, &version.id, |row| {
            let address = |sha256, size| Some(Address { sha256: row.get(sha256)?, size: row.get(size)? });
            Some(Self {
                framework: row.get(c"framework")?,
                engine: row.get(c"engine")?,
                engine_reason: row.get(c"engine_reason"),
                model: address(c"artifact_sha256", c"artifact_size")?,
                preprocessor: address(c"preprocessor_sha256", c"preprocessor_size"),
                plan: address(c"plan_sha256", c"plan_size"),
            })
        });
        found.ok_or_else(|| Error::new(Kind::UnknownModel, format!("model {} was dropped", version.reference())))
    }

    /// Where the model's bytes are, or the preprocessor's.
    pub fn address(&self, preprocessor: bool) -> Option<&Address> {
        if preprocessor { self.preprocessor.as_ref() } else { Some(&self.model) }
    }

    /// The bytes there.
    ///
    /// # Errors
    /// As for [`Stored::artifacts`].
    pub fn bytes(&self, schema: Schema, version: &Version, address: &Address) -> Result<Vec<u8>> {
        read(schema, address, &version.reference())
    }

    /// The model, and the preprocessor if there is one.
    ///
    /// # Errors
    /// [`Kind::WrongState`] when bytes are missing or do not have the sha256 they were registered with.
    pub fn artifacts(&self, schema: Schema, version: &Version) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
        let reference = version.reference();
        let model = read(schema, &self.model, &reference)?;
        let preprocessor = self.preprocessor.as_ref().map(|address| read(schema, address, &reference)).transpose()?;
        Ok((model, preprocessor))
    }

    /// The compiled form, if there is one.
    ///
    /// # Errors
    /// As for [`Stored::artifacts`].
    pub fn plan(&self, schema: Schema, version: &Version) -> Result<Option<Vec<u8>>> {
        self.plan.as_ref().map(|address| read(schema, address, &version.reference())).transpose()
    }
}

/// Which of these versions still exist.
pub fn existing(schema: Schema, ids: &[ModelId]) -> Vec<ModelId> {
    schema.as_owner(|| visible(schema, ids))
}

/// Which of these versions the caller may see.
pub fn visible(schema: Schema, ids: &[ModelId]) -> Vec<ModelId> {
    if ids.is_empty() || !schema.can_be_read() {
        return vec![];
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| Uuid::from_bytes(*id)).collect();
    VISIBLE.select(schema, &[ids.into()], |row| uuid(row, 1)).into_iter().flatten().collect()
}

fn invisible(reference: &ModelReference) -> Error {
    Error::new(Kind::UnknownModel, format!("model \"{reference}\" does not exist"))
        .with_hint("SELECT model_name, model_version FROM ml_model_registry lists the models that you may use.")
}

/// Versions that a message lists.
const SHOWN: usize = 5;

/// What to do where nothing is registered: a new database, or one that is being restored.
const EMPTY: &str = "No model is registered yet. Register one: SELECT e2i_register_model('name', pg_read_binary_file('/path/to/model.onnx')); \
    in a restore, load the tables of the extension before those that score (manual, chapter 2, Dump and restore).";

/// Whether there is no version at all, whoever asks.
fn is_empty(schema: Schema) -> bool {
    schema.as_owner(|| ANY.select(schema, &[], |_| ())).is_empty()
}

#[cold]
fn unknown(schema: Schema, reference: &ModelReference) -> Error {
    if let Err(error) = schema.require_reading() {
        return error;
    }
    // Only what the caller may see is named.
    let versions: Vec<String> = VERSIONS
        .select(schema, &[reference.name.as_str().into()], |row| row.get::<String>(1))
        .into_iter()
        .flatten()
        .collect();
    if versions.is_empty() {
        return if is_empty(schema) { invisible(reference).with_hint(EMPTY) } else { invisible(reference) };
    }
    let name = &reference.name;
    let more = if versions.len() > SHOWN { " and more" } else { "" };
    let listed = format!("{}{more}", versions[..versions.len().min(SHOWN)].join(", "));
    let quoted = |text: &str| text.replace('\'', "''");
    let likely = |error: Error, text: &str| {
        let seen: Vec<KnownVersion> =
            versions.iter().map(|it| KnownVersion { version: it.clone(), stage: Stage::Development }).collect();
        match KnownVersion::likely(text, &seen) {
            Some(version) => error.with_hint(format!("Write '{}:{}'.", quoted(name), quoted(version))),
            None => error,
        }
    };
    match &reference.selector {
        Selector::Deployed => Error::new(Kind::UnknownModel, format!("no version of model \"{name}\" is deployed"))
            .with_detail(format!("Registered versions: {listed}."))
            .with_hint(format!("Name one: '{}:{}'.", quoted(name), quoted(&versions[0]))),
        Selector::Version(version) => {
            let error = Error::new(Kind::UnknownModel, format!("model \"{name}\" has no version \"{version}\""))
                .with_detail(format!("Registered versions: {listed}."));
            likely(error, version)
        }
        Selector::Newest(newest) => {
            let stage = match Newest::named(newest) {
                Some(Newest::InStage(stage)) => stage.name(),
                _ => newest,
            };
            Error::new(Kind::UnknownModel, format!("no version of model \"{name}\" is in stage {stage}"))
                .with_detail(format!("Registered versions: {listed}."))
                .with_hint(format!(
                    "SELECT e2i_transition_stage('{}', '{}', '{stage}');",
                    quoted(name),
                    quoted(&versions[0])
                ))
        }
        Selector::Alias(alias) => {
            let error = Error::new(Kind::UnknownModel, format!("model \"{name}\" has no alias \"{alias}\""));
            match ModelReference::check_new_alias(alias) {
                Ok(()) => error.with_hint(format!(
                    "SELECT e2i_set_alias('{}', '{alias}', '{}');",
                    quoted(name),
                    quoted(&versions[0])
                )),
                Err(_) => likely(error.with_detail(format!("Registered versions: {listed}.")), alias),
            }
        }
    }
}
