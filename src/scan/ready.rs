//! Answers of a whole batch, made at once as what the functions return: who asks for one then only takes it.

use e2i_core::reading::{self, Question};
use e2i_core::{Column, Outputs, Result};
use pgrx::pg_sys;

use crate::datum::result;
use crate::scoring::LoadedModel;

/// Labels that are told apart; a model that gives more is asked row by row.
const LABELS: usize = 64;

/// What a call gets for each row of a batch.
#[derive(Default)]
pub struct Ready {
    answers: Vec<pg_sys::Datum>,
    is_tried: bool,
}

impl Ready {
    /// Forgets the batch.
    #[inline]
    pub fn begin(&mut self) {
        self.answers.clear();
        self.is_tried = false;
    }

    /// The answer for a row, if it was made.
    #[inline]
    pub fn get(&self, row: usize) -> Option<pg_sys::Datum> {
        self.answers.get(row).copied()
    }

    /// Whether they were tried to be made.
    #[inline]
    pub fn is_tried(&self) -> bool {
        self.is_tried
    }

    /// Whether they were made.
    #[inline]
    pub fn is_made(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Makes the answers of so many rows, in memory that must stay as long as they are used. Makes none where one of them is an error,
    /// which is that of its row, or where they take too much.
    ///
    /// # Safety
    /// `memory` must be a memory context.
    pub unsafe fn make(
        &mut self,
        model: &LoadedModel,
        question: Question,
        outputs: &Outputs,
        rows: usize,
        memory: pg_sys::MemoryContext,
    ) {
        self.begin();
        self.is_tried = true;
        // SAFETY: as the caller promises.
        let made = unsafe {
            match question {
                Question::Prediction => self.numbers(model, outputs, rows),
                Question::Label => self.labels(model, outputs, rows, memory),
                Question::Probabilities | Question::Vector => self.arrays(model, question, outputs, rows, memory),
            }
        };
        if made.is_err() || self.answers.len() != rows {
            self.answers.clear();
        }
    }

    /// Keeps what `made` makes of so many rows, in that memory; keeps none where one of them is an error or NULL, which is that of its row.
    ///
    /// # Safety
    /// As [`Ready::make`].
    pub unsafe fn finish(
        &mut self,
        rows: usize,
        memory: pg_sys::MemoryContext,
        made: impl Fn(usize) -> Result<Option<pg_sys::Datum>>,
    ) {
        self.begin();
        self.is_tried = true;
        // SAFETY: as the caller promises.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(memory);
            self.answers.extend((0..rows).map_while(|row| made(row).ok().flatten()));
            pg_sys::MemoryContextSwitchTo(before);
        }
        if self.answers.len() != rows {
            self.answers.clear();
        }
    }

    /// Keeps what `made` makes of so many rows together, in that memory; nothing where it makes nothing, or fails: that is some row's.
    ///
    /// # Safety
    /// As [`Ready::make`].
    pub unsafe fn keep(
        &mut self,
        rows: usize,
        memory: pg_sys::MemoryContext,
        made: impl FnOnce() -> Result<Option<Vec<pg_sys::Datum>>>,
    ) {
        self.begin();
        self.is_tried = true;
        // SAFETY: as the caller promises.
        let made = unsafe {
            let before = pg_sys::MemoryContextSwitchTo(memory);
            let made = made();
            pg_sys::MemoryContextSwitchTo(before);
            made
        };
        self.answers = made.ok().flatten().filter(|made| made.len() == rows).unwrap_or_default();
    }

    fn numbers(&mut self, model: &LoadedModel, outputs: &Outputs, rows: usize) -> Result<()> {
        self.answers.reserve(rows);
        for row in 0..rows {
            let number = reading::prediction(model.interface(), outputs, row, model.reference())?;
            self.answers.push(pg_sys::Datum::from(number.to_bits()));
        }
        Ok(())
    }

    /// Each label is made once.
    unsafe fn labels(
        &mut self,
        model: &LoadedModel,
        outputs: &Outputs,
        rows: usize,
        memory: pg_sys::MemoryContext,
    ) -> Result<()> {
        let (interface, reference) = (model.interface(), model.reference());
        let numbered = interface.label.as_ref().and(match &outputs.label {
            Column::Int64(numbers) => Some(numbers),
            _ => None,
        });
        let mut known: Vec<(Option<i64>, String, pg_sys::Datum)> = vec![];
        for row in 0..rows {
            let number = numbered.and_then(|numbers| numbers.get(row)).copied();
            if let Some((.., text)) = known.iter().find(|(known, ..)| number.is_some() && *known == number) {
                self.answers.push(*text);
                continue;
            }
            let label = reading::label(interface, outputs, row, reference)?;
            let same = known.iter().find(|(_, known, _)| number.is_none() && *known == label);
            if let Some((.., text)) = same {
                self.answers.push(*text);
                continue;
            }
            if known.len() == LABELS {
                return Ok(());
            }
            // SAFETY: as the caller promises.
            let text = unsafe {
                let before = pg_sys::MemoryContextSwitchTo(memory);
                let text = result::text(&label);
                pg_sys::MemoryContextSwitchTo(before);
                text
            };
            known.push((number, label.into_owned(), text));
            self.answers.push(text);
        }
        Ok(())
    }

    /// Arrays of equal length, side by side.
    unsafe fn arrays(
        &mut self,
        model: &LoadedModel,
        question: Question,
        outputs: &Outputs,
        rows: usize,
        memory: pg_sys::MemoryContext,
    ) -> Result<()> {
        let (interface, reference) = (model.interface(), model.reference());
        let mut numbers = Vec::with_capacity(rows * outputs.width.max(2));
        for row in 0..rows {
            match question {
                Question::Vector => reading::vector(interface, outputs, row, reference, &mut numbers)?,
                _ => reading::probabilities(interface, outputs, row, reference, &mut numbers)?,
            }
        }
        let count = numbers.len() / rows.max(1);
        // SAFETY: reads a setting.
        let limit = usize::try_from(unsafe { pg_sys::work_mem }).unwrap_or_default().saturating_mul(1024);
        let size = result::float8_array_size(count);
        if count > 0 && numbers.len() == count * rows && size * rows <= limit {
            // SAFETY: as the caller promises; room for all.
            unsafe {
                let mut place = pg_sys::MemoryContextAllocHuge(memory, size * rows).cast::<u8>();
                for numbers in numbers.chunks_exact(count) {
                    self.answers.push(result::write_float8_array(place, numbers));
                    place = place.add(size);
                }
            }
        }
        Ok(())
    }
}
