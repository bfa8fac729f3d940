//! The loaded models of this backend, bounded by bytes, least recently used out first.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use e2i_core::traffic::Split;
use e2i_core::{ModelReference, Result, Selector};

use crate::catalog::invalidation;
use crate::catalog::model::{ModelId, Version, describe, existing, identify, route, visible};
use crate::catalog::schema::Schema;
use crate::inference_log::record::Log;
use crate::pg::{encoding, time};
use crate::session::engines::Preference;
use crate::session::model::LoadedModel;
use crate::settings::{self, EngineChoice};

/// A version, the engine that was asked for, and its threads.
type Key = (ModelId, EngineChoice, usize);

#[derive(Default)]
struct Cache {
    models: HashMap<Key, Rc<LoadedModel>>,
    /// How often each version was loaded; forgotten when the version is dropped.
    loads: HashMap<ModelId, u32>,
    turn: u64,
    /// Number of registry changes when dropped versions were last looked for.
    swept: u64,
}

thread_local! {
    // Never dropped: at the end of a process the runtime's own statics may be gone before its sessions.
    static CACHE: ManuallyDrop<RefCell<Cache>> = ManuallyDrop::new(RefCell::new(Cache::default()));
}

/// The version that a reference means now, for this caller.
///
/// # Errors
/// Unknown or malformed references.
pub fn resolve(schema: Schema, reference: &str) -> Result<Version> {
    encoding::require_utf8()?;
    let reference = ModelReference::parse(reference)?;
    let id = identify(schema, &reference)?;
    describe(schema, &id, &reference)
}

/// A reference resolved and loaded, with what goes beside it.
pub struct Routed {
    /// The version that is meant; of a service, the active one.
    pub model: Rc<LoadedModel>,
    /// The service that was called; empty for a version called by its name or alias.
    pub service: String,
    /// The split of a service's traffic, and the version of each share.
    pub split: Option<(Split, Vec<Rc<LoadedModel>>)>,
    /// The service's shadow version and the share of rows that it scores.
    pub shadow: Option<(Rc<LoadedModel>, f64)>,
    /// The log of the service's rows.
    pub log: Option<Log>,
}

/// What a reference means now, for this caller, loaded.
///
/// # Errors
/// As [`resolve`], and what loading reports.
pub fn routed(schema: Schema, text: &str, preference: Preference) -> Result<Routed> {
    // Before resolving, which fails for a version that was dropped: what is gone shall not stay in memory.
    sweep(schema);
    encoding::require_utf8()?;
    let reference = ModelReference::parse(text)?;
    let route = route(schema, &reference)?;
    let load = |id: &ModelId| loaded(schema, id, &reference, preference);
    let model = load(&route.id)?;
    let split = match route.traffic.as_slice() {
        [] => None,
        traffic => {
            let shares: Vec<f64> = traffic.iter().map(|(_, share)| *share).collect();
            let models = traffic.iter().map(|(id, _)| load(id)).collect::<Result<Vec<_>>>()?;
            Some((Split::new(&shares, route.traffic_by.as_deref(), model.interface())?, models))
        }
    };
    // A shadow that the caller may not see, or that does not load, is left out: callers must not notice it.
    let shadow = route.shadow.and_then(|(id, sample)| load(&id).ok().map(|model| (model, sample)));
    let service = if reference.selector == Selector::Deployed { reference.name.clone() } else { String::new() };
    let log = route.log.as_ref().map(|wanted| Log::new(&service, wanted));
    Ok(Routed { model, service, split, shadow, log })
}

/// The loaded model that a reference means now, for this caller.
///
/// # Errors
/// As [`routed`].
pub fn model(schema: Schema, reference: &str) -> Result<Rc<LoadedModel>> {
    routed(schema, reference, Preference::current()).map(|routed| routed.model)
}

/// A version by its identity, from the cache or loaded into it.
fn loaded(schema: Schema, id: &ModelId, reference: &ModelReference, preference: Preference) -> Result<Rc<LoadedModel>> {
    let version = describe(schema, id, reference)?;
    // No borrow is held while a model loads: that runs queries, and they may score.
    let key = (version.id, preference.engine, preference.threads);
    let known =
        CACHE.with(|cache| cache.borrow().models.get(&key).filter(|model| model.preference == preference).cloned());
    let model = match known {
        Some(model) => {
            model.hit();
            model
        }
        None => {
            let model = Rc::new(LoadedModel::load(schema, &version, preference)?);
            model.enter();
            CACHE.with(|cache| {
                let mut cache = cache.borrow_mut();
                *cache.loads.entry(version.id).or_default() += 1;
                cache.models.insert(key, model.clone());
            });
            model
        }
    };
    CACHE.with(|cache| cache.borrow_mut().used(&model));
    Ok(model)
}

impl Cache {
    /// Marks a model as used, and makes room.
    fn used(&mut self, model: &LoadedModel) {
        self.turn += 1;
        model.turn.set(self.turn);
        model.last_used.set(time::now());
        let limit = settings::session_cache_bytes();
        let mut bytes: usize = self.models.values().map(|model| model.memory_bytes()).sum();
        while bytes > limit && self.models.len() > 1 {
            let Some(oldest) = self.models.values().min_by_key(|model| model.turn.get()).cloned() else { break };
            bytes -= oldest.memory_bytes();
            self.models.remove(&(oldest.id, oldest.preference.engine, oldest.preference.threads));
        }
    }
}

/// Forgets versions that were dropped, when the registry has changed since the last look.
fn sweep(schema: Schema) {
    let changes = invalidation::registry_changes();
    let known: Vec<ModelId> = CACHE.with(|cache| {
        let cache = cache.borrow();
        if cache.swept == changes { vec![] } else { cache.loads.keys().copied().collect() }
    });
    if !known.is_empty() {
        let alive = existing(schema, &known);
        CACHE.with(|cache| {
            let mut cache = cache.borrow_mut();
            cache.models.retain(|(id, ..), _| alive.contains(id));
            cache.loads.retain(|id, _| alive.contains(id));
        });
    }
    CACHE.with(|cache| cache.borrow_mut().swept = changes);
}

/// The loaded models that still exist and that the caller may see, for a session may have had other roles, with the number of times
/// each was loaded, most recently used first.
pub fn list(schema: Schema) -> Vec<(Rc<LoadedModel>, u32)> {
    sweep(schema);
    let loaded: Vec<ModelId> = CACHE.with(|cache| cache.borrow().models.keys().map(|(id, ..)| *id).collect());
    let visible = visible(schema, &loaded);
    CACHE.with(|cache| {
        let cache = cache.borrow();
        let mut models: Vec<_> = cache
            .models
            .values()
            .filter(|model| visible.contains(&model.id))
            .map(|model| (model.clone(), cache.loads.get(&model.id).copied().unwrap_or(1)))
            .collect();
        models.sort_by_key(|(model, _)| std::cmp::Reverse(model.turn.get()));
        models
    })
}

/// This process ends: what it holds goes with it.
pub fn leave() {
    CACHE.with(|cache| {
        if let Ok(cache) = cache.try_borrow() {
            cache.models.values().for_each(|model| model.leave());
        }
    });
}

/// Drops all loaded models and returns how many of them the caller may see.
pub fn clear(schema: Schema) -> usize {
    let seen = list(schema).len();
    CACHE.with(|cache| drop(std::mem::take(&mut cache.borrow_mut().models)));
    seen
}
