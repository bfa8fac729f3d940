//! Regular expressions for words, where a word is more than sets of characters one after the other.
//!
//! All ways through an expression are followed at once, the preferred one first, so that what is found is what Python's `re`
//! finds by trying one after the other, and no text takes more than its length times the steps of the expression for a word.
//!
//! What does not belong here: how an expression is written, which whoever compiles a model reads.

use serde::{Deserialize, Serialize};

use super::characters::{Ranges, check_ranges, is_in};
use crate::error::{Error, Kind, Result};
use crate::native::image::Image;
use crate::native::value::broken;

/// The most steps of an expression.
pub const MOST_STEPS: usize = 4096;

/// How many steps a text may take, for each of its characters and of so many more: words that are long looked for and not
/// found take more.
const STEPS_A_CHARACTER: usize = 500;
const CHARACTERS_MORE: usize = 20_000;

/// A step; the next one follows where nothing else is said.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A character of a set.
    Character(Ranges),
    /// The first step, or if that leads nowhere the second.
    Either(usize, usize),
    /// Another step.
    To(usize),
    /// Nothing, between a letter and what is none.
    Boundary,
    /// Nothing; the part that is taken of a word begins here.
    Opens,
    /// Nothing; it ends here.
    Closes,
    /// A word is found.
    Found,
}

/// A regular expression.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expression {
    /// The steps; none of them leads to [`Step::Found`] without a character.
    pub steps: Vec<Step>,
    /// Whether a part of a word is taken, and not the whole.
    pub has_group: bool,
    /// What boundaries are between, and what else there is.
    pub letters: Ranges,
}

/// One way through the expression.
#[derive(Debug, Clone, Copy)]
struct Way {
    step: usize,
    begin: usize,
    opened: usize,
    group: (usize, usize),
}

/// Ways side by side, each step once, the preferred first.
#[derive(Debug, Default)]
struct Ways {
    ways: Vec<Way>,
    /// At which place of the text each step was last come to.
    seen: Vec<usize>,
}

/// Where the search is.
struct Place {
    at: usize,
    is_boundary: bool,
}

impl Expression {
    pub(super) fn check(&self, image: &Image) -> Result<()> {
        let count = self.steps.len();
        check_ranges(image, self.letters)?;
        for step in &self.steps {
            match step {
                Step::Character(set) => check_ranges(image, *set)?,
                Step::Either(first, second) if *first < count && *second < count => {}
                Step::To(next) if *next < count => {}
                Step::Either(..) | Step::To(_) => return Err(broken("its expression leads nowhere")),
                Step::Boundary | Step::Opens | Step::Closes | Step::Found => {}
            }
        }
        if (1..=MOST_STEPS).contains(&count) && matches!(self.steps.last(), Some(Step::Found)) {
            Ok(())
        } else {
            Err(broken("its expression finds nothing"))
        }
    }

    /// Follows what needs no character.
    fn follow(&self, way: Way, place: &Place, into: &mut Ways, taken: &mut usize) {
        let mut open = vec![way];
        while let Some(mut way) = open.pop() {
            *taken += 1;
            let Some(seen) = into.seen.get_mut(way.step) else { continue };
            if *seen == place.at {
                continue;
            }
            *seen = place.at;
            match self.steps[way.step] {
                Step::Either(first, second) => {
                    open.push(Way { step: second, ..way });
                    open.push(Way { step: first, ..way });
                    continue;
                }
                Step::To(next) => way.step = next,
                Step::Boundary if !place.is_boundary => continue,
                Step::Boundary => way.step += 1,
                Step::Opens => (way.step, way.opened) = (way.step + 1, place.at),
                Step::Closes => (way.step, way.group) = (way.step + 1, (way.opened, place.at)),
                Step::Character(_) | Step::Found => {
                    into.ways.push(way);
                    continue;
                }
            }
            open.push(way);
        }
    }

    /// The words of a text.
    ///
    /// # Errors
    /// [`Kind::Limit`] where they take too long to look for.
    pub(super) fn words<'t>(&self, image: &Image, text: &'t str) -> Result<Vec<&'t str>> {
        let letters = image.slice(self.letters);
        let is_letter = |character: Option<char>| character.is_some_and(|character| is_in(letters, character));
        let most = STEPS_A_CHARACTER.saturating_mul(text.len().saturating_add(CHARACTERS_MORE));
        let (mut words, mut taken, mut from) = (vec![], 0, 0);
        let mut now = Ways { ways: vec![], seen: vec![usize::MAX; self.steps.len()] };
        let mut next = Ways { ways: vec![], seen: vec![usize::MAX; self.steps.len()] };
        while from < text.len() {
            let (mut at, mut found) = (from, None::<(Way, usize)>);
            now.ways.clear();
            now.seen.fill(usize::MAX);
            next.seen.fill(usize::MAX);
            let mut before = text[..at].chars().next_back();
            loop {
                let after = text[at..].chars().next();
                if found.is_none() {
                    let place = Place { at, is_boundary: is_letter(before) != is_letter(after) };
                    self.follow(Way { step: 0, begin: at, opened: at, group: (at, at) }, &place, &mut now, &mut taken);
                }
                let end = at + after.map_or(0, char::len_utf8);
                let place = Place { at: end, is_boundary: is_letter(after) != is_letter(text[end..].chars().next()) };
                next.ways.clear();
                for way in &now.ways {
                    match (self.steps[way.step], after) {
                        (Step::Found, _) => {
                            // What comes after is not preferred.
                            found = Some((*way, at));
                            break;
                        }
                        (Step::Character(set), Some(after)) if is_in(image.slice(set), after) => {
                            self.follow(Way { step: way.step + 1, ..*way }, &place, &mut next, &mut taken);
                        }
                        _ => {}
                    }
                }
                if taken > most {
                    return Err(Error::new(Kind::Limit, "its words take too long to look for in this text"));
                }
                std::mem::swap(&mut now, &mut next);
                if after.is_none() || now.ways.is_empty() && found.is_some() {
                    break;
                }
                (at, before) = (end, after);
            }
            let Some((way, end)) = found else { break };
            let (begin, until) = if self.has_group { way.group } else { (way.begin, end) };
            words.push(text.get(begin..until).unwrap_or_default());
            // A word has one character at least.
            from = end.max(from + text[from..].chars().next().map_or(1, char::len_utf8));
        }
        Ok(words)
    }
}
