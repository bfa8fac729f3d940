//! Rows that are read ahead: what is kept of them, and which is handed on next.

use std::time::Duration;

use e2i_core::Result;
use pgrx::pg_sys;

use crate::pg::{executor, tree};
use crate::scan::source::Below;
use crate::scan::spec::{Bound, Entry, Spec};
use crate::scan::target::{self, Target};
use crate::scan::tried;
use crate::scan::waiting::Waiting;
use crate::settings;

/// Rows that are read ahead, of one node.
pub struct Rows {
    /// The plan below.
    child: *mut pg_sys::PlanState,
    entries: Vec<Entry>,
    /// What is handed on, where no expression is evaluated for that.
    target: Option<Vec<Target>>,
    kept: Vec<Kept>,
    is_kept_by_value: bool,
    /// Tokens point to them: they stay where they are.
    waiting: Vec<Waiting>,
    context: *mut pg_sys::ExprContext,
    /// Holds copies of what is kept by reference.
    memory: pg_sys::MemoryContext,
    /// The largest column of the row below that is needed, and of those that are kept.
    needed: i16,
    needed_kept: i16,
    /// What is kept of each row, side by side; `None` for NULL.
    values: Vec<Option<pg_sys::Datum>>,
    /// Rows that are there, and how many of them were handed on.
    count: usize,
    next: usize,
    /// Rows of the next batch.
    size: usize,
    /// Conditions that a row fulfils, or it is not scored; null for none.
    before: *mut pg_sys::ExprState,
    /// Rows that do not, since this was asked last.
    dropped: u64,
    bound: Option<[*mut pg_sys::ExprState; 2]>,
    /// How many rows are asked for yet; `None` where nobody knows.
    wanted: Option<u64>,
    is_begun: bool,
    is_ended: bool,
    /// Whether rows are read ahead at all.
    is_single: bool,
    /// Whether all that is handed on of this batch is there.
    is_ready: bool,
}

/// A column of the row below that is kept; 0 for where the row stands in its table.
struct Kept {
    column: usize,
    is_by_value: bool,
    length: i16,
}

impl Rows {
    /// Those of a node.
    ///
    /// # Safety
    /// `node` must be the state of a node with this plan, and `child` that of the plan below it.
    pub unsafe fn new(
        node: *mut pg_sys::CustomScanState,
        child: *mut pg_sys::PlanState,
        estate: *mut pg_sys::EState,
    ) -> Self {
        // SAFETY: as the caller promises.
        unsafe {
            let parent = &raw mut (*node).ss.ps;
            let spec = Spec::read((*parent).plan.cast());
            let mut needed = 0;
            let mut waiting = vec![];
            let query = (*estate).es_query_cxt;
            let memory = pg_sys::AllocSetContextCreateExtended(
                query,
                c"e2i_serve rows that wait".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            for question in &spec.questions {
                if let Some((rows, columns)) = Waiting::new(question, parent, memory) {
                    waiting.push(rows);
                    needed = needed.max(columns);
                }
            }
            let row = (*(*node).ss.ss_ScanTupleSlot).tts_tupleDescriptor;
            let kept: Vec<Kept> = (spec.entries.iter().enumerate())
                .filter_map(|(place, entry)| match entry {
                    Entry::Kept(column) => {
                        let attribute = pgrx::PgTupleDesc::from_pg_unchecked(row);
                        let attribute = attribute.get(place)?;
                        let column = usize::try_from(*column).ok()?;
                        Some(Kept { column, is_by_value: attribute.attbyval, length: attribute.attlen })
                    }
                    // Six bytes, in the place of a value.
                    Entry::Here => Some(Kept { column: 0, is_by_value: true, length: 6 }),
                    Entry::Token(_) => None,
                })
                .collect();
            let needed_kept = kept.iter().map(|kept| kept.column).fold(0, usize::max);
            let column = |number: usize| i16::try_from(number).unwrap_or(i16::MAX);
            let state = |node: tree::Node| pg_sys::ExecInitExpr(node.cast(), parent);
            Self {
                child,
                target: target::of(node, &spec.entries, query),
                entries: spec.entries,
                is_kept_by_value: kept.iter().all(|kept| kept.is_by_value),
                kept,
                waiting,
                context: pg_sys::CreateExprContext(estate),
                memory,
                needed: column(needed.max(needed_kept)),
                needed_kept: column(needed_kept),
                values: vec![],
                count: 0,
                next: 0,
                size: 1,
                before: pg_sys::ExecInitQual(tree::list(spec.before), parent),
                dropped: 0,
                bound: spec.bound.map(|Bound { count, offset }| [state(count), state(offset)]),
                wanted: None,
                is_begun: false,
                is_ended: false,
                is_single: !(*estate).es_epq_active.is_null(),
                is_ready: false,
            }
        }
    }

    /// Forgets everything: the plan below begins anew.
    pub fn restart(&mut self) {
        (self.count, self.next, self.size) = (0, 0, 1);
        (self.is_begun, self.is_ended, self.is_ready) = (false, false, false);
        self.waiting.iter_mut().for_each(|waiting| waiting.begin());
    }

    /// The models, as far as they are known: versions with their engines once they have scored, before that as they are called.
    pub fn models(&self) -> String {
        let mut models: Vec<String> = self.waiting.iter().map(Waiting::model).collect();
        models.dedup();
        models.join(", ")
    }

    /// Branches of their trees, and how many are left where something is known of the rows; nothing for one without trees. All of
    /// them, or those of which some are left out.
    pub fn nodes(&self, all: bool) -> Option<String> {
        // Who reads it may have another encoding, without arrows.
        // SAFETY: reads a setting of the session.
        let is_utf8 = unsafe { pg_sys::pg_get_client_encoding() } == pg_sys::pg_enc::PG_UTF8.cast_signed();
        let arrow = if is_utf8 { "→" } else { "->" };
        let nodes = self.waiting.iter().filter_map(|waiting| waiting.described().0);
        let mut nodes: Vec<String> = nodes
            .filter(|(before, left)| all || left < before)
            .map(|(before, left)| if left < before { format!("{before} {arrow} {left}") } else { before.to_string() })
            .collect();
        nodes.dedup();
        (!nodes.is_empty()).then(|| nodes.join(", "))
    }

    /// What does most of their work.
    pub fn kernels(&self) -> Option<String> {
        let mut kernels: Vec<String> = self.waiting.iter().filter_map(|waiting| waiting.described().1).collect();
        kernels.dedup();
        (!kernels.is_empty()).then(|| kernels.join(", "))
    }

    /// How features reach them.
    pub fn features(&self) -> String {
        let mut features: Vec<String> = self.waiting.iter().map(Waiting::features).collect();
        features.dedup();
        features.join(", ")
    }

    /// What scoring took since this was asked last, while an EXPLAIN wants to know.
    pub fn take_busy(&mut self) -> Duration {
        self.waiting.iter_mut().map(Waiting::take_busy).sum()
    }

    /// Whether a row is there to be handed on.
    #[inline]
    pub fn has_next(&self) -> bool {
        self.next < self.count
    }

    /// Whether the plan below has no more.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// The plan below has no more.
    pub fn end(&mut self) {
        self.is_ended = true;
    }

    /// How many columns of the row below are needed, of one that was bound as it is stored or of another.
    #[inline]
    pub fn needed(&self, is_stored: bool) -> i16 {
        if is_stored { self.needed_kept } else { self.needed }
    }

    /// Whether what is kept is kept without making copies.
    #[inline]
    pub fn is_kept_by_value(&self) -> bool {
        self.is_kept_by_value
    }

    /// Whether no expression is evaluated for what is handed on: [`Rows::hand_on_plain`] does that.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.target.is_some()
    }

    /// Puts what is handed on of the next row into the slot of the result, if there is one for which all answers are there: whether it
    /// did. Calls nothing of the server's that may raise an error.
    ///
    /// # Safety
    /// The slot must be that of the node's result.
    #[inline]
    pub unsafe fn hand_on_ready(&mut self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        let Some(target) = &self.target else { return false };
        let row = self.next;
        if !self.is_ready || row >= self.count || !self.waiting.iter().all(Waiting::is_current) {
            return false;
        }
        self.next += 1;
        if let Some(wanted) = &mut self.wanted {
            *wanted = wanted.saturating_sub(1);
        }
        self.waiting.iter_mut().for_each(|waiting| waiting.hand_on_ready(row));
        // SAFETY: as the caller promises; the slot has a place for each column.
        unsafe {
            let (values, nulls) = executor::begin_row(slot);
            for (place, target) in target.iter().enumerate() {
                let value = match target {
                    Target::Kept(kept) => self.kept(row, *kept),
                    Target::Answer(question, call, _) => {
                        self.waiting.get(*question).and_then(|waiting| waiting.take_ready(*call))
                    }
                };
                *values.add(place) = value.unwrap_or(pg_sys::Datum::null());
                *nulls.add(place) = value.is_none();
            }
        }
        true
    }

    /// Puts what is handed on of the next row into the slot of the result, which is empty.
    ///
    /// # Errors
    /// Those of the calls.
    ///
    /// # Safety
    /// There must be a row, and [`Rows::is_plain`]; what is made is so in the current memory.
    pub unsafe fn hand_on_plain(&mut self, slot: *mut pg_sys::TupleTableSlot) -> Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let row = self.next;
        self.next += 1;
        if let Some(wanted) = &mut self.wanted {
            *wanted = wanted.saturating_sub(1);
        }
        // SAFETY: as the caller promises; the slot has a place for each column.
        unsafe {
            for waiting in &mut self.waiting {
                waiting.hand_on(row);
            }
            for (place, target) in target.iter().enumerate() {
                let value = match target {
                    Target::Kept(kept) => self.kept(row, *kept),
                    Target::Answer(question, call, asking) => match &mut self.waiting[*question] {
                        waiting if waiting.is_given() => waiting.answer(*call, *asking)?,
                        _ => None,
                    },
                };
                *(*slot).tts_values.add(place) = value.unwrap_or(pg_sys::Datum::null());
                *(*slot).tts_isnull.add(place) = value.is_none();
            }
            executor::begin_row(slot);
        }
        self.is_ready = row == 0
            && target.iter().all(|target| match target {
                Target::Kept(_) => true,
                Target::Answer(question, call, _) => self.waiting[*question].is_ready(*call),
            });
        Ok(())
    }

    /// Puts the next row into the slot.
    ///
    /// # Safety
    /// There must be one, and the slot be that of the node's row.
    pub unsafe fn hand_on(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        let row = self.next;
        self.next += 1;
        if let Some(wanted) = &mut self.wanted {
            *wanted = wanted.saturating_sub(1);
        }
        // SAFETY: as the caller promises; the slot has a place for each entry.
        unsafe {
            let (values, nulls) = ((*slot).tts_values, (*slot).tts_isnull);
            let mut kept = 0;
            for (place, entry) in self.entries.iter().enumerate() {
                match entry {
                    Entry::Kept(_) | Entry::Here => {
                        let value = self.kept(row, kept);
                        *values.add(place) = value.unwrap_or(pg_sys::Datum::null());
                        *nulls.add(place) = value.is_none();
                        kept += 1;
                    }
                    Entry::Token(question) => {
                        let waiting = &mut self.waiting[*question];
                        *nulls.add(place) = !waiting.hand_on(row);
                        *values.add(place) = pg_sys::Datum::from(std::ptr::from_mut(waiting));
                    }
                }
            }
            (*slot).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
            (*slot).tts_nvalid = i16::try_from(self.entries.len()).unwrap_or(i16::MAX);
        }
    }

    /// The next rows are to be read, by [`Rows::take`].
    ///
    /// # Safety
    /// The node must be run.
    pub unsafe fn prepare(&mut self) {
        // SAFETY: as the caller promises.
        unsafe {
            self.begin();
            self.size = self.next_size();
            self.waiting.iter_mut().for_each(|waiting| waiting.begin());
            pg_sys::MemoryContextReset(self.memory);
            pg_sys::MemoryContextReset((*self.context).ecxt_per_tuple_memory);
        }
        (self.count, self.next) = (0, 0);
        self.is_ready = false;
        self.values.clear();
    }

    /// Takes a row of the plan below; whether it is to be asked for another.
    ///
    /// # Safety
    /// As [`Rows::prepare`]; the columns that are needed must be taken apart.
    pub unsafe fn take(&mut self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            (*self.context).ecxt_outertuple = slot;
            let below = Below { slot, context: self.context };
            if !self.may_be_wanted() {
                self.dropped += 1;
                return true;
            }
            match self.size {
                1 => self.waiting.iter_mut().for_each(|waiting| waiting.wait(below)),
                _ => self.bind(below),
            }
            self.keep(slot, self.size > 1);
            self.count += 1;
            self.count < self.size && (self.is_kept_by_value || !self.is_full())
        }
    }

    /// Binds a row of the plan below as it is stored, if that can be done: whether it was. [`Rows::take_stored`] is to take it then, or
    /// [`Rows::take`]. Calls nothing of the server's that may raise an error.
    ///
    /// # Safety
    /// As [`Rows::prepare`]; the slot must hold a row.
    #[inline]
    pub unsafe fn bind_stored(&mut self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        // SAFETY: as the caller promises.
        self.size > 1
            && self.before.is_null()
            && self.waiting.iter_mut().all(|waiting| unsafe { waiting.bind_stored(slot) })
    }

    /// Takes a row that was bound as it is stored; whether another is to be asked for. Calls nothing of the server's that may raise an
    /// error where [`Rows::is_kept_by_value`].
    ///
    /// # Safety
    /// As [`Rows::take`], but only what is kept must be taken apart.
    #[inline]
    pub unsafe fn take_stored(&mut self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        self.waiting.iter_mut().for_each(Waiting::take_stored);
        // SAFETY: as the caller promises.
        unsafe {
            self.keep(slot, true);
            self.count += 1;
            self.count < self.size && (self.is_kept_by_value || !self.is_full())
        }
    }

    /// Whether a row fulfils the conditions that are tried before it is scored, or they raise something: it is raised when the row is
    /// handed on, by those of the node.
    #[inline]
    unsafe fn may_be_wanted(&self) -> bool {
        if self.before.is_null() {
            return true;
        }
        // SAFETY: conditions of the plan, initialised; of an earlier row nothing in this memory is needed.
        unsafe {
            pg_sys::MemoryContextReset((*self.context).ecxt_per_tuple_memory);
            tried::tried(|| pg_sys::ExecQual(self.before, self.context)).unwrap_or(true)
        }
    }

    /// Rows that were dropped since this was asked last.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Binds a row in memory that is free afterwards.
    unsafe fn bind(&mut self, below: Below) {
        // SAFETY: the memory is that of an expression's evaluation, which nothing of an earlier row needs.
        unsafe {
            let memory = (*self.context).ecxt_per_tuple_memory;
            pg_sys::MemoryContextReset(memory);
            let before = pg_sys::MemoryContextSwitchTo(memory);
            self.waiting.iter_mut().for_each(|waiting| waiting.bind(below));
            pg_sys::MemoryContextSwitchTo(before);
        }
    }

    /// What is kept of a row, by its number among that.
    #[inline]
    fn kept(&self, row: usize, kept: usize) -> Option<pg_sys::Datum> {
        let value = self.values.get(row * self.kept.len() + kept)?.as_ref()?;
        match self.kept.get(kept)?.column {
            // It stays where it is as long as the row waits.
            0 => Some(pg_sys::Datum::from(std::ptr::from_ref(value))),
            _ => Some(*value),
        }
    }

    /// Keeps what is needed of a row; a copy where the next one takes its place before it is handed on.
    unsafe fn keep(&mut self, slot: *mut pg_sys::TupleTableSlot, is_copied: bool) {
        for kept in &self.kept {
            // SAFETY: the slot has these columns, of the types that the row was made for.
            unsafe {
                if kept.column == 0 {
                    self.values.push(place_in_table(slot));
                    continue;
                }
                let value = *(*slot).tts_values.add(kept.column - 1);
                let is_null = *(*slot).tts_isnull.add(kept.column - 1);
                self.values.push(match is_null {
                    true => None,
                    false if is_copied && !kept.is_by_value => Some(copied(value, kept.length, self.memory)),
                    false => Some(value),
                });
            }
        }
    }

    /// Whether what is kept has used up the memory that it may take.
    unsafe fn is_full(&self) -> bool {
        // SAFETY: the context is there as long as the node.
        unsafe {
            let limit = usize::try_from(pg_sys::work_mem).unwrap_or_default().saturating_mul(1024);
            pg_sys::MemoryContextMemAllocated(self.memory, false) > limit
        }
    }

    /// How many rows come next. It grows as long as most of them were asked for.
    unsafe fn next_size(&mut self) -> usize {
        let asked = self.waiting.iter().map(|waiting| waiting.asked()).max().unwrap_or_default();
        let size = match self.count {
            0 => 1,
            rows if asked * 2 >= rows => rows * 2,
            _ => 1,
        };
        let wanted = self.wanted.map_or(usize::MAX, |wanted| usize::try_from(wanted).unwrap_or(usize::MAX));
        let is_single = self.is_single || self.waiting.iter().all(|waiting| waiting.is_scored_alone());
        let most = if is_single { 1 } else { settings::batch_size() };
        size.min(most).min(wanted).max(1)
    }

    /// Before the first row: how many are wanted.
    unsafe fn begin(&mut self) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        self.wanted = None;
        let Some(bound) = self.bound else { return };
        let [count, offset] = bound.map(|state| {
            let mut is_null = true;
            if state.is_null() {
                return None;
            }
            // SAFETY: an expression of the plan, initialised: a bigint.
            let value = unsafe { pg_sys::ExecEvalExprSwitchContext(state, self.context, &raw mut is_null) };
            (!is_null).then_some(value.value() as i64)
        });
        let count = count.map(|count| count.saturating_add(offset.unwrap_or_default().max(0)));
        self.wanted = count.map(|count| u64::try_from(count).unwrap_or_default());
        // SAFETY: the plan below, to which the LIMIT above would have said so.
        unsafe { pg_sys::ExecSetTupleBound(count.unwrap_or(-1), self.child) };
    }
}

/// Where a row stands in its table, in the bytes of a value.
#[inline]
unsafe fn place_in_table(slot: *mut pg_sys::TupleTableSlot) -> Option<pg_sys::Datum> {
    const { assert!(size_of::<pg_sys::ItemPointerData>() <= size_of::<pg_sys::Datum>()) };
    // SAFETY: a slot; a place has room in a value.
    unsafe {
        let place = (*slot).tts_tid;
        let mut value = pg_sys::Datum::null();
        (&raw mut value).cast::<pg_sys::ItemPointerData>().write_unaligned(place);
        (place.ip_posid != 0).then_some(value)
    }
}

/// A copy of a value that is by reference.
unsafe fn copied(value: pg_sys::Datum, length: i16, memory: pg_sys::MemoryContext) -> pg_sys::Datum {
    /// In the tag of a value that is expanded, in memory; of those only the lowest bit differs.
    const EXPANDED: u8 = 2;
    // SAFETY: a valid value of that length, as the caller promises.
    unsafe {
        let start = value.cast_mut_ptr::<pg_sys::varlena>();
        let size = match length {
            -1 if pgrx::varlena::varatt_is_1b_e(start) && *start.cast::<u8>().add(1) & !1 == EXPANDED => {
                let before = pg_sys::MemoryContextSwitchTo(memory);
                let flat = pg_sys::pg_detoast_datum(start);
                pg_sys::MemoryContextSwitchTo(before);
                return pg_sys::Datum::from(flat);
            }
            -1 => pgrx::varlena::varsize_any(start),
            -2 => std::ffi::CStr::from_ptr(start.cast()).to_bytes_with_nul().len(),
            fixed => usize::try_from(fixed).unwrap_or_default(),
        };
        let copy = pg_sys::MemoryContextAlloc(memory, size);
        std::ptr::copy_nonoverlapping(start.cast::<u8>(), copy.cast(), size);
        pg_sys::Datum::from(copy)
    }
}
