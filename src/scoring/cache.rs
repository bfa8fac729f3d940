//! The loaded models of this backend, bounded by bytes, least recently used out first.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use e2i_core::traffic::Split;
use e2i_core::{ModelReference, Result, Selector};

use crate::catalog::invalidation::{self, Standing};
use crate::catalog::model::{ModelId, Version, describe, existing, identify, require_seeing, visible};
use crate::catalog::schema::Schema;
use crate::inference_log::record::Log;
use crate::pg::{encoding, time};
use crate::scoring::arm::Asked;
use crate::scoring::engines::Preference;
use crate::scoring::model::LoadedModel;
use crate::scoring::route::{self, Found, Lease};
use crate::scoring::scorer::{Lineup, Scorer};
use crate::settings::{self, EngineChoice};

/// A version, the engine that was asked for, and its threads.
type Key = (ModelId, EngineChoice, usize);

#[derive(Default)]
struct Cache {
    models: HashMap<Key, Rc<LoadedModel>>,
    /// What they held together, each when it was last used.
    bytes: usize,
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

/// A scorer of what a reference means now, for this caller, and for which statements it is right: one that has waited since
/// an earlier statement, or a new one.
///
/// # Errors
/// As [`resolve`], what loading reports, and questions that a version cannot be asked.
pub fn scorer(
    schema: Schema,
    text: &str,
    asked: &[Asked],
    preference: Preference,
) -> Result<(Lease, Option<Standing>)> {
    let found = find(schema, text)?;
    if !found.must_ask
        && let Some(lease) = found.led.idle(asked, preference)
    {
        lease.models().for_each(|model| use_again(model));
        return Ok((lease, found.standing));
    }
    let scorer = Scorer::new(lineup(schema, &found, preference)?, asked)?;
    Ok((found.led.lease(scorer), found.standing))
}

/// Where a reference leads now.
fn find(schema: Schema, text: &str) -> Result<Found> {
    invalidation::watch(schema);
    // An expression of a PL/pgSQL function takes no lock, which is where a session usually hears of changes.
    invalidation::hear();
    // Before resolving, which fails for a version that was dropped: what is gone shall not stay in memory.
    sweep(schema);
    encoding::require_utf8()?;
    let mut found = route::find(schema, text)?;
    // Of a version that is there, the caller's rights say whether its row is seen; where rows are filtered, only a query can.
    found.must_ask |= !schema.is_whole();
    Ok(found)
}

/// Loads what a reference leads to.
fn lineup(schema: Schema, found: &Found, preference: Preference) -> Result<Lineup> {
    let (reference, route) = (&found.led.reference, &found.led.route);
    let load = |id: &ModelId| loaded(schema, id, reference, preference, found.must_ask);
    let model = load(&route.id)?;
    let split = match route.traffic.as_slice() {
        [] => None,
        traffic => {
            let shares: Vec<f64> = traffic.iter().map(|(_, share)| *share).collect();
            let load_another = |id: &ModelId| if model.id == *id { Ok(model.clone()) } else { load(id) };
            let models = traffic.iter().map(|(id, _)| load_another(id)).collect::<Result<Vec<_>>>()?;
            Some((Split::new(&shares, route.traffic_by.as_deref(), model.interface())?, models))
        }
    };
    // A shadow that the caller may not see, or that does not load, is left out: callers must not notice it.
    let shadow = route.shadow.and_then(|(id, sample)| load(&id).ok().map(|model| (model, sample)));
    let is_whole = shadow.is_some() == route.shadow.is_some();
    let service = if reference.selector == Selector::Deployed { reference.name.clone() } else { String::new() };
    let log = route.log.as_ref().map(|wanted| Log::new(&service, wanted));
    Ok(Lineup { schema, model, service, split, shadow, log, is_whole })
}

/// The loaded model that a reference means now, for this caller.
///
/// # Errors
/// As [`resolve`], and what loading reports.
pub fn model(schema: Schema, reference: &str) -> Result<Rc<LoadedModel>> {
    let found = find(schema, reference)?;
    lineup(schema, &found, Preference::current()).map(|lineup| lineup.model)
}

/// A version by its identity, from the cache or loaded into it. What a version is never changes, so of one that is loaded
/// nothing is read again.
fn loaded(
    schema: Schema,
    id: &ModelId,
    reference: &ModelReference,
    preference: Preference,
    must_ask: bool,
) -> Result<Rc<LoadedModel>> {
    // No borrow is held while a model loads: that runs queries, and they may score.
    let key = (*id, preference.engine, preference.threads);
    let known =
        CACHE.with(|cache| cache.borrow().models.get(&key).filter(|model| model.preference == preference).cloned());
    if let Some(model) = known {
        if must_ask {
            require_seeing(schema, id, reference)?;
        }
        use_again(&model);
        return Ok(model);
    }
    let version = describe(schema, id, reference)?;
    let model = Rc::new(LoadedModel::load(schema, &version, preference)?);
    model.enter();
    CACHE.with(|cache| {
        let mut cache = cache.borrow_mut();
        cache.insert(key, &model);
        cache.used(&model);
    });
    route::release();
    Ok(model)
}

/// A statement uses a version that is loaded.
fn use_again(model: &LoadedModel) {
    model.hit();
    if CACHE.with(|cache| cache.borrow_mut().used(model)) {
        route::release();
    }
}

impl Cache {
    fn insert(&mut self, key: Key, model: &Rc<LoadedModel>) {
        *self.loads.entry(key.0).or_default() += 1;
        self.remove(&key);
        model.is_cached.set(true);
        self.models.insert(key, model.clone());
    }

    fn remove(&mut self, key: &Key) {
        if let Some(model) = self.models.remove(key) {
            model.is_cached.set(false);
            self.bytes -= model.bytes.get();
        }
    }

    /// Marks a model as used, and makes room; whether another one was dropped for it.
    fn used(&mut self, model: &LoadedModel) -> bool {
        self.turn += 1;
        model.turn.set(self.turn);
        model.last_used.set(time::now());
        // One that scores in larger batches than before holds more.
        let bytes = model.memory_bytes();
        self.bytes = self.bytes - model.bytes.replace(bytes) + bytes;
        let (limit, before) = (settings::session_cache_bytes(), self.models.len());
        while self.bytes > limit && self.models.len() > 1 {
            let Some(oldest) = self.models.values().min_by_key(|model| model.turn.get()) else { break };
            let key = (oldest.id, oldest.preference.engine, oldest.preference.threads);
            self.remove(&key);
        }
        self.models.len() < before
    }

    /// Keeps the models of those versions that still exist.
    fn keep(&mut self, alive: &[ModelId]) {
        let gone: Vec<Key> = self.models.keys().filter(|(id, ..)| !alive.contains(id)).copied().collect();
        gone.iter().for_each(|key| self.remove(key));
        self.loads.retain(|id, _| alive.contains(id));
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
        CACHE.with(|cache| cache.borrow_mut().keep(&alive));
        route::release();
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
    CACHE.with(|cache| {
        let mut cache = cache.borrow_mut();
        let all: Vec<Key> = cache.models.keys().copied().collect();
        all.iter().for_each(|key| cache.remove(key));
    });
    route::release();
    seen
}
