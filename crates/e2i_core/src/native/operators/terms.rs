//! Texts as scikit-learn's vectorizers take them apart: terms counted, or hashed, and weighed, in float64.
//!
//! What a letter is, and a blank, and another case, is what Python's `str` and `re` say. Terms are looked up while a text is read; a row
//! has a cell for every term that is known. Hashes are murmurhash3's of 32 bits.
//!
//! [`super::WordCounts`] counts as ONNX Runtime does: float32, words apart, letters that change case one by one.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::characters::{Ranges, check_ranges, is_in};
use super::constants::Texts;
use super::expression::Expression;
use super::frame::Frame;
use super::{Norm, Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// What is left of accents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accents {
    /// Characters are decomposed, and marks that combine are left out.
    Unicode,
    /// Characters are decomposed, and all but ASCII is left out.
    Ascii,
}

/// What a word is: one character of each set but the last, and as many of the last as there are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pattern {
    /// The sets.
    pub sets: Vec<Ranges>,
    /// The least number of characters of the last set.
    pub least: usize,
    /// The greatest; `None` is any.
    pub most: Option<usize>,
    /// Whether it begins at a boundary, and whether it ends at one.
    pub boundaries: [bool; 2],
    /// What boundaries are between, and what else there is.
    pub letters: Ranges,
}

/// The most characters that a word is tried for at each place of a text, so that this takes no longer than the text is.
const MOST_TRIED: usize = 64;

/// The longest terms, in words or characters.
pub const LONGEST_TERM: usize = 64;

impl Pattern {
    /// Whether words can be looked for in about linear time.
    #[must_use]
    pub fn is_searchable(&self) -> bool {
        let tried = self.sets.len().saturating_add(self.least);
        // Where it may begin anywhere, looking for an end would begin again at each character.
        !self.sets.is_empty()
            && tried > 1
            && tried <= MOST_TRIED
            && self.most.is_none_or(|most| most >= self.least && most <= MOST_TRIED)
            && (self.boundaries[0] || !self.boundaries[1])
    }

    fn check(&self, image: &Image) -> Result<()> {
        for ranges in self.sets.iter().chain([&self.letters]) {
            check_ranges(image, *ranges)?;
        }
        if self.is_searchable() { Ok(()) } else { Err(broken("its words take long to look for")) }
    }

    fn words<'t>(&self, image: &Image, text: &'t str) -> Vec<&'t str> {
        let (mut words, mut from, mut previous) = (vec![], 0, false);
        let letters = image.slice(self.letters);
        let sets: Vec<&[u32]> = self.sets.iter().map(|set| image.slice(*set)).collect();
        let Some((last, before)) = sets.split_last() else { return words };
        while let Some(first) = text[from..].chars().next() {
            let is_letter = is_in(letters, first);
            let is_blocked = self.boundaries[0] && previous == is_letter;
            let length = if is_blocked { 0 } else { self.length(before, last, letters, &text[from..]) };
            if length == 0 {
                previous = is_letter;
                from += first.len_utf8();
                continue;
            }
            let word = &text[from..from + length];
            words.push(word);
            previous = word.chars().next_back().is_some_and(|last| is_in(letters, last));
            from += length;
        }
        words
    }

    /// How many bytes the word has at the beginning of a text; none where there is no word.
    fn length(&self, before: &[&[u32]], last: &[u32], letters: &[u32], text: &str) -> usize {
        let mut characters = text.chars();
        for set in before {
            if !characters.next().is_some_and(|character| is_in(set, character)) {
                return 0;
            }
        }
        let mut end = text.len() - characters.as_str().len();
        let mut count = 0;
        for character in characters.take(self.most.unwrap_or(usize::MAX)).take_while(|c| is_in(last, *c)) {
            end += character.len_utf8();
            count += 1;
        }
        if count < self.least {
            return 0;
        }
        let mut following = text[end..].chars().next().is_some_and(|next| is_in(letters, next));
        for character in text[..end].chars().rev() {
            let own = is_in(letters, character);
            if !self.boundaries[1] || own != following {
                return end;
            }
            if count == self.least {
                return 0;
            }
            following = own;
            end -= character.len_utf8();
            count -= 1;
        }
        end
    }
}

/// What terms are made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Analyzer {
    /// Words one behind the other, joined by a blank.
    Words {
        /// What a word is.
        pattern: Pattern,
        /// Words that are left out, in ascending order.
        stop_words: Texts,
    },
    /// Likewise, where words are what an expression finds.
    Found {
        /// The expression.
        expression: Expression,
        /// Words that are left out, in ascending order.
        stop_words: Texts,
    },
    /// Characters one behind the other, of which several blanks are one.
    Characters,
    /// Likewise, but of one word between blanks each, which has a blank before and behind it.
    CharactersOfWords,
}

/// Which cell counts a term.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermPlaces {
    /// That of a list; others are not counted.
    Listed {
        /// The terms, in ascending order.
        terms: Texts,
        /// The cell of each.
        cells: Section<u32>,
    },
    /// That of its hash.
    Hashed {
        /// Whether half of the terms count down.
        signed: bool,
    },
}

/// How often terms occur in a text: a cell for each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Terms {
    /// Whether letters are in lower case.
    pub lowercase: bool,
    /// What is left of accents; `None` is all.
    pub accents: Option<Accents>,
    /// What terms are made of.
    pub analyzer: Analyzer,
    /// The least words or characters of a term.
    pub least: usize,
    /// The most.
    pub most: usize,
    /// Which cell counts a term.
    pub places: TermPlaces,
    /// Whether a term counts once, however often it occurs.
    pub once: bool,
}

/// Lays out terms, each with its cell.
#[must_use]
pub fn listed_terms(mut terms: Vec<(&str, u32)>, tables: &mut ImageWriter) -> TermPlaces {
    terms.sort_unstable();
    let texts: Vec<&str> = terms.iter().map(|(term, _)| *term).collect();
    let cells: Vec<u32> = terms.iter().map(|(_, cell)| *cell).collect();
    TermPlaces::Listed { terms: Texts::write(&texts, tables), cells: tables.push(&cells) }
}

/// Where a text stands in a list that ascends.
fn place(image: &Image, texts: Texts, text: &str) -> Option<usize> {
    let (mut low, mut high) = (0, texts.len());
    while low < high {
        let middle = low.midpoint(high);
        match texts.bytes(image, middle).cmp(text.as_bytes()) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return Some(middle),
        }
    }
    None
}

/// murmurhash3 of 32 bits on little-endian machines, with seed 0.
fn murmur(bytes: &[u8]) -> i32 {
    let mixed = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = blocks.iter().fold(0u32, |hash, block| {
        (hash ^ mixed(u32::from_le_bytes(*block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    if !tail.is_empty() {
        hash ^= mixed(tail.iter().rev().fold(0, |block, byte| block << 8 | u32::from(*byte)));
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16).cast_signed()
}

/// The cell of a hash among `width`, and its sign.
fn hashed(term: &str, width: usize) -> (usize, f64) {
    let hash = murmur(term.as_bytes());
    let sign = if hash >= 0 { 1.0 } else { -1.0 };
    let magnitude = match hash {
        // Its negative is no number of 32 bits, and scikit-learn takes a detour that comes to this.
        i32::MIN => (i32::MAX as usize).saturating_sub(width - 1),
        hash => hash.unsigned_abs() as usize,
    };
    (magnitude % width, sign)
}

/// Whether Python takes a character for a blank.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

impl Terms {
    fn prepared<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let text = if self.lowercase { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) };
        match self.accents {
            None => text,
            Some(_) if text.is_ascii() => text,
            Some(Accents::Ascii) => text.nfkd().filter(char::is_ascii).collect::<String>().into(),
            Some(Accents::Unicode) => {
                text.nfkd().filter(|c| canonical_combining_class(*c) == 0).collect::<String>().into()
            }
        }
    }

    /// Calls `found` with each term of a text. `buffer` is for terms that stand nowhere as they are.
    fn each(&self, image: &Image, text: &str, buffer: &mut String, mut found: impl FnMut(&str)) -> Result<()> {
        match &self.analyzer {
            Analyzer::Words { stop_words, .. } | Analyzer::Found { stop_words, .. } => {
                let mut words = match &self.analyzer {
                    Analyzer::Words { pattern, .. } => pattern.words(image, text),
                    Analyzer::Found { expression, .. } => expression.words(image, text)?,
                    _ => vec![],
                };
                if stop_words.len() > 0 {
                    words.retain(|word| place(image, *stop_words, word).is_none());
                }
                for length in self.least..=self.most.min(words.len()) {
                    for term in words.windows(length) {
                        if let [word] = term {
                            found(word);
                            continue;
                        }
                        buffer.clear();
                        for (index, word) in term.iter().enumerate() {
                            buffer.extend((index > 0).then_some(' '));
                            buffer.push_str(word);
                        }
                        found(buffer);
                    }
                }
            }
            Analyzer::Characters => {
                buffer.clear();
                let mut characters = text.chars().peekable();
                while let Some(character) = characters.next() {
                    if is_blank(character) && characters.peek().copied().is_some_and(is_blank) {
                        buffer.push(' ');
                        while characters.next_if(|next| is_blank(*next)).is_some() {}
                    } else {
                        buffer.push(character);
                    }
                }
                let starts = starts(buffer);
                for length in self.least..=self.most.min(starts.len() - 1) {
                    starts.windows(length + 1).for_each(|ends| found(&buffer[ends[0]..ends[length]]));
                }
            }
            Analyzer::CharactersOfWords => {
                for word in text.split(is_blank).filter(|word| !word.is_empty()) {
                    buffer.clear();
                    buffer.extend([" ", word, " "]);
                    let starts = starts(buffer);
                    for length in self.least..=self.most {
                        // A word that is not longer is one term, and counts once.
                        if length + 1 >= starts.len() {
                            found(buffer);
                            break;
                        }
                        starts.windows(length + 1).for_each(|ends| found(&buffer[ends[0]..ends[length]]));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where characters begin, and where the last one ends.
fn starts(text: &str) -> Vec<usize> {
    text.char_indices().map(|(start, _)| start).chain([text.len()]).collect()
}

impl Operation for Terms {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        if let Analyzer::Words { pattern, stop_words } = &self.analyzer {
            pattern.check(image)?;
            stop_words.check(image)?;
        }
        if let Analyzer::Found { expression, stop_words } = &self.analyzer {
            expression.check(image)?;
            stop_words.check(image)?;
        }
        let mut fits = *input == ValueType::new(ElementType::Text, 1)
            && output.element == ElementType::Float64
            && output.width > 0
            && (1..=LONGEST_TERM).contains(&self.least)
            && (self.least..=LONGEST_TERM).contains(&self.most);
        if let TermPlaces::Listed { terms, cells } = self.places {
            terms.check(image)?;
            image.check(cells)?;
            fits &= terms.len() == cells.len() && image.slice(cells).iter().all(|cell| (*cell as usize) < output.width);
        }
        if fits { Ok(()) } else { Err(broken("its terms do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (image, texts, width) = (frame.image, frame.input::<String>(0), frame.output_type(0).width.max(1));
        let (mut buffer, mut refused) = (String::new(), vec![]);
        for (row, (text, cells)) in texts.iter().zip(frame.output::<f64>(0).chunks_exact_mut(width)).enumerate() {
            cells.fill(0.0);
            let counted = self.each(image, &self.prepared(text), &mut buffer, |term| {
                let (at, one) = match self.places {
                    TermPlaces::Listed { terms, cells } => match place(image, terms, term) {
                        Some(place) => (image.slice(cells).get(place).map_or(width, |cell| *cell as usize), 1.0),
                        None => return,
                    },
                    TermPlaces::Hashed { signed } => {
                        let (at, sign) = hashed(term, width);
                        (at, if signed { sign } else { 1.0 })
                    }
                };
                if let Some(cell) = cells.get_mut(at) {
                    *cell = if self.once { 1.0 } else { *cell + one };
                }
            });
            refused.extend(counted.err().map(|error| (row, error)));
        }
        refused.into_iter().for_each(|(row, error)| frame.refuse(row, || error));
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        match self.places {
            TermPlaces::Listed { terms, .. } => format!("counts of {} terms", terms.len()).into(),
            TermPlaces::Hashed { .. } => "counts of hashed terms".into(),
        }
    }
}

/// Counts weighed by how rare terms are. Zeros stay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TermWeights {
    /// Whether a count is 1 + its logarithm.
    pub sublinear: bool,
    /// A factor for each term.
    pub rarity: Option<Section<f64>>,
    /// By which norm a row is divided, unless it is 0.
    pub norm: Option<Norm>,
}

impl Operation for TermWeights {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input and one output")) };
        let mut fits = input == output && input.element == ElementType::Float64 && input.width > 0;
        if let Some(rarity) = self.rarity {
            image.check(rarity)?;
            fits &= rarity.len() == input.width;
        }
        if fits { Ok(()) } else { Err(broken("its weights do not fit its values")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (input, image, width) = (frame.input::<f64>(0), frame.image, frame.input_type(0).width.max(1));
        let rarity = self.rarity.map(|rarity| image.slice(rarity));
        for (row, into) in input.chunks_exact(width).zip(frame.output::<f64>(0).chunks_exact_mut(width)) {
            into.copy_from_slice(row);
            if self.sublinear {
                into.iter_mut().filter(|cell| **cell != 0.0).for_each(|cell| *cell = cell.ln() + 1.0);
            }
            if let Some(rarity) = rarity {
                let weighed = into.iter_mut().zip(rarity).filter(|(cell, _)| **cell != 0.0);
                weighed.for_each(|(cell, factor)| *cell *= factor);
            }
            let norm = match self.norm {
                None => continue,
                Some(Norm::L1) => into.iter().fold(0.0, |sum, cell| sum + cell.abs()),
                Some(Norm::L2) => into.iter().fold(0.0, |sum, cell| sum + cell * cell).sqrt(),
                Some(Norm::Max) => into.iter().fold(0.0, |most: f64, cell| most.max(cell.abs())),
            };
            if norm != 0.0 {
                into.iter_mut().for_each(|cell| *cell /= norm);
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        "term weights".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_murmurs() {
        // sklearn.utils.murmurhash3_32(text, positive=False)
        for (text, hash) in
            [("", 0), ("a", 1_009_084_850), ("hello", 613_153_351), ("é", 269_551_495), ("word abc", -1_991_355_190)]
        {
            assert_eq!(murmur(text.as_bytes()), hash, "{text}");
        }
    }
}
