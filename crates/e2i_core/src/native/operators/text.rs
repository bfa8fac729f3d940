//! Texts: letters in another case, and words counted.
//!
//! A row has any number of words, and values of a plan have one width: so words are found and counted in one step, and no
//! value is a list of words. Letters change case one by one, by Unicode's simple mappings, as the C library does it for
//! ONNX Runtime: `ß` has no upper case, and a final sigma is like any other.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::constants::Texts;
use super::frame::Frame;
use super::{Operation, ValueType};
use crate::error::Result;
use crate::interface::ElementType;
use crate::native::image::{Image, ImageWriter, Section};
use crate::native::instruction_set::InstructionSet;
use crate::native::value::broken;

/// A case of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Case {
    /// Small letters.
    Lower,
    /// Capital letters.
    Upper,
}

/// Texts in another case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recase {
    /// The case.
    pub to: Case,
    /// Whether only ASCII letters have a case, as in the locale "C".
    pub ascii: bool,
}

impl Recase {
    /// A letter in the case, which is one letter.
    fn letter(&self, letter: char) -> char {
        match self.to {
            Case::Lower if self.ascii => letter.to_ascii_lowercase(),
            Case::Upper if self.ascii => letter.to_ascii_uppercase(),
            // The only letter with several in lower case is I with a dot.
            Case::Lower => single(letter.to_lowercase()).unwrap_or('i'),
            Case::Upper => single(letter.to_uppercase()).unwrap_or_else(|| match letter {
                // Greek letters with an iota below have capitals of their own beside those with an iota behind.
                '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
                    char::from_u32(letter as u32 + 8).unwrap_or(letter)
                }
                '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(letter as u32 + 9).unwrap_or(letter),
                _ => letter,
            }),
        }
    }
}

/// The only character.
fn single(mut characters: impl Iterator<Item = char>) -> Option<char> {
    let first = characters.next()?;
    characters.next().is_none().then_some(first)
}

impl Operation for Recase {
    fn check(&self, _image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        let fits = inputs == outputs && matches!(inputs, [input] if input.element == ElementType::Text);
        if fits { Ok(()) } else { Err(broken("it has no texts")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let input = frame.input::<String>(0);
        for (from, into) in input.iter().zip(frame.output::<String>(0)) {
            into.clear();
            into.extend(from.chars().map(|letter| self.letter(letter)));
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        if self.to == Case::Lower { "lower case".into() } else { "upper case".into() }
    }
}

/// A set of characters: ranges with both ends.
pub type Characters = Vec<(u32, u32)>;

/// What a word is: one character of each set but the last, and as many of the last as there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The sets.
    pub sets: Vec<Characters>,
    /// The least number of characters of the last set.
    pub least: usize,
    /// The greatest; `None` is any.
    pub most: Option<usize>,
    /// Whether no ASCII letter, digit or `_` may stand before it.
    pub at_boundary: bool,
    /// Words with fewer characters are passed over: the search goes on at their second character.
    pub shortest: usize,
}

/// The most characters that a word is tried for at each place of a text, so that this takes no longer than the text is.
const MOST_TRIED: usize = 64;

impl Word {
    /// Whether words can be looked for in linear time.
    #[must_use]
    pub fn is_searchable(&self) -> bool {
        let tried = self.sets.len().saturating_add(self.least);
        !self.sets.is_empty()
            && tried <= MOST_TRIED
            && self.shortest > 0
            && self.most.is_none_or(|most| most >= self.least && most <= MOST_TRIED)
    }

    /// Calls `found` with each word of a text, in order.
    fn each<'t>(&self, sets: &[Set<'_>], text: &'t str, mut found: impl FnMut(&'t str)) {
        let Some((last, before)) = sets.split_last() else { return };
        let mut from = 0;
        let mut previous = None;
        while let Some(first) = text[from..].chars().next() {
            let is_blocked = self.at_boundary && previous.is_some_and(is_word) == is_word(first);
            let end = if is_blocked { None } else { self.end(before, last, &text[from..]) };
            let step = match end {
                Some((end, count)) if count >= self.shortest && end > 0 => {
                    found(&text[from..from + end]);
                    end
                }
                _ => first.len_utf8(),
            };
            previous = text[from..from + step].chars().next_back();
            from += step;
        }
    }

    /// Where a word at the beginning of a text ends, and how many characters it has.
    fn end(&self, before: &[Set<'_>], last: &Set<'_>, text: &str) -> Option<(usize, usize)> {
        let mut characters = text.chars();
        for set in before {
            characters.next().filter(|c| set.has(*c))?;
        }
        let (mut end, mut count) = (text.len() - characters.as_str().len(), 0);
        for character in characters.take(self.most.unwrap_or(usize::MAX)).take_while(|c| last.has(*c)) {
            end += character.len_utf8();
            count += 1;
        }
        (count >= self.least).then_some((end, before.len() + count))
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A set of characters, its ASCII ones as bits.
struct Set<'a> {
    ascii: u128,
    ranges: &'a [(u32, u32)],
}

impl<'a> Set<'a> {
    fn new(ranges: &'a [(u32, u32)]) -> Self {
        let has = |c: u32| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
        Self { ascii: (0..128).filter(|c| has(*c)).fold(0, |bits, c| bits | 1 << c), ranges }
    }

    fn has(&self, c: char) -> bool {
        let c = c as u32;
        if c < 128 {
            self.ascii >> c & 1 != 0
        } else {
            self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
        }
    }
}

/// Sequences of words of one length.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sequences {
    length: usize,
    /// Numbers of words, one sequence after the other, in ascending order.
    words: Section<u32>,
    /// The cell that counts each sequence.
    cells: Section<u32>,
}

/// How often sequences of words occur in a text, as float32: a cell for each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WordCounts {
    word: Word,
    /// All words, in ascending order.
    words: Texts,
    sequences: Vec<Sequences>,
    /// How far apart the words of a sequence may be: 1 is one behind the other.
    distances: usize,
    /// Whether a sequence counts once, however often it occurs.
    once: bool,
}

/// Most words of a sequence, and most distances between its words.
const MOST_WORDS: usize = 16;

impl WordCounts {
    /// Lays out sequences of words, each with the cell that counts it. `None` if there are too many of something.
    pub fn new<T: AsRef<str>>(
        word: Word,
        sequences: &[(&[T], u32)],
        distances: usize,
        once: bool,
        tables: &mut ImageWriter,
    ) -> Option<Self> {
        let mut words: Vec<&str> = sequences.iter().flat_map(|(words, _)| words.iter().map(AsRef::as_ref)).collect();
        words.sort_unstable();
        words.dedup();
        let number = |word: &T| words.binary_search(&word.as_ref()).ok().and_then(|place| u32::try_from(place).ok());
        let mut by_length: Vec<Vec<(Vec<u32>, u32)>> = vec![vec![]; MOST_WORDS];
        for (words, cell) in sequences {
            let numbers = words.iter().map(number).collect::<Option<Vec<u32>>>()?;
            by_length.get_mut(words.len().checked_sub(1)?)?.push((numbers, *cell));
        }
        let lay_out = |(shorter, mut sequences): (usize, Vec<(Vec<u32>, u32)>)| {
            sequences.sort();
            let numbers: Vec<u32> = sequences.iter().flat_map(|(numbers, _)| numbers.iter().copied()).collect();
            let cells: Vec<u32> = sequences.iter().map(|(_, cell)| *cell).collect();
            Sequences { length: shorter + 1, words: tables.push(&numbers), cells: tables.push(&cells) }
        };
        let of_length = by_length.into_iter().enumerate().filter(|(_, sequences)| !sequences.is_empty());
        let sequences = of_length.map(lay_out).collect();
        let words = Texts::write(&words, tables);
        let fits = word.is_searchable() && (1..=MOST_WORDS).contains(&distances);
        fits.then_some(Self { word, words, sequences, distances, once })
    }

    fn number(&self, image: &Image, word: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.words.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.words.bytes(image, middle).cmp(word.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return u32::try_from(middle).ok(),
            }
        }
        None
    }
}

impl Sequences {
    /// The cell of a sequence.
    fn cell(&self, image: &Image, sequence: &[u32]) -> Option<usize> {
        let words = image.slice(self.words);
        let at = |place: usize| words.get(place * self.length..(place + 1) * self.length).unwrap_or(&[]);
        let (mut low, mut high) = (0, self.cells.len());
        while low < high {
            let middle = low.midpoint(high);
            match at(middle).cmp(sequence) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return image.slice(self.cells).get(middle).map(|cell| *cell as usize),
            }
        }
        None
    }
}

/// A word that is not among those that count.
const UNKNOWN: u32 = u32::MAX;

impl Operation for WordCounts {
    fn check(&self, image: &Image, inputs: &[ValueType], outputs: &[ValueType]) -> Result<()> {
        self.words.check(image)?;
        let ([input], [output]) = (inputs, outputs) else { return Err(broken("it has one input")) };
        for sequences in &self.sequences {
            image.check(sequences.words)?;
            image.check(sequences.cells)?;
            let fits = (1..=MOST_WORDS).contains(&sequences.length)
                && Some(sequences.words.len()) == sequences.cells.len().checked_mul(sequences.length)
                && image.slice(sequences.cells).iter().all(|cell| (*cell as usize) < output.width);
            if !fits {
                return Err(broken("its sequences of words do not fit its cells"));
            }
        }
        let fits = self.word.is_searchable()
            && (1..=MOST_WORDS).contains(&self.distances)
            && self.sequences.len() <= MOST_WORDS
            && *input == ValueType::new(ElementType::Text, 1)
            && output.element == ElementType::Float32
            && output.width > 0;
        if fits { Ok(()) } else { Err(broken("it counts no words of a text")) }
    }

    fn run(&self, frame: &mut Frame<'_>) -> Result<()> {
        let (image, texts, width) = (frame.image, frame.input::<String>(0), frame.output_type(0).width);
        let sets: Vec<Set<'_>> = self.word.sets.iter().map(|ranges| Set::new(ranges)).collect();
        let mut words = vec![];
        let mut sequence = vec![];
        for (text, counts) in texts.iter().zip(frame.output::<f32>(0).chunks_exact_mut(width.max(1))) {
            counts.fill(0.0);
            words.clear();
            self.word.each(&sets, text, |word| words.push(self.number(image, word).unwrap_or(UNKNOWN)));
            for sequences in &self.sequences {
                // One word is as far from itself whatever the distance.
                let distances = if sequences.length == 1 { 1 } else { self.distances };
                for distance in 1..=distances {
                    let span = (sequences.length - 1) * distance;
                    for start in 0..words.len().saturating_sub(span) {
                        sequence.clear();
                        sequence.extend(words[start..=start + span].iter().step_by(distance));
                        if sequence.contains(&UNKNOWN) {
                            continue;
                        }
                        if let Some(count) = sequences.cell(image, &sequence).and_then(|cell| counts.get_mut(cell)) {
                            *count = if self.once { 1.0 } else { *count + 1.0 };
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn kernel(&self, _set: InstructionSet, _rows: usize) -> Cow<'static, str> {
        format!("counts of {} words", self.words.len()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(word: &Word, text: &str) -> Vec<String> {
        assert!(word.is_searchable());
        let sets: Vec<Set<'_>> = word.sets.iter().map(|ranges| Set::new(ranges)).collect();
        let mut found = vec![];
        word.each(&sets, text, |word| found.push(word.to_owned()));
        found
    }

    fn run_of(ranges: &[(char, char)]) -> Word {
        let set = ranges.iter().map(|(low, high)| (*low as u32, *high as u32)).collect();
        Word { sets: vec![set], least: 1, most: None, at_boundary: false, shortest: 1 }
    }

    #[test]
    fn words_are_runs_of_characters() {
        let letters = run_of(&[('a', 'z'), ('0', '9')]);
        assert_eq!(words(&letters, "der 3. große  hund!"), ["der", "3", "gro", "e", "hund"]);
        assert!(words(&letters, "").is_empty());
        assert!(words(&letters, "ÄÖÜ").is_empty());
        let two = Word { sets: vec![letters.sets[0].clone(), letters.sets[0].clone()], ..letters.clone() };
        assert_eq!(words(&two, "a bc d ef"), ["bc", "ef"]);
        let any = Word { most: Some(1), ..run_of(&[('\0', '\u{10ffff}')]) };
        assert_eq!(words(&any, "aß😀"), ["a", "ß", "😀"]);
        // What is too short is passed over by one character, and a boundary is no place within a word.
        let long = Word { shortest: 3, at_boundary: true, ..letters };
        assert_eq!(words(&long, "ab abc Xyz"), ["abc"]);
    }

    #[test]
    fn letters_change_case_one_by_one() {
        let recased = |to, ascii, text: &str| -> String {
            let recase = Recase { to, ascii };
            text.chars().map(|letter| recase.letter(letter)).collect()
        };
        assert_eq!(recased(Case::Lower, false, "ÄSΣİ Éa"), "äsσi éa");
        assert_eq!(recased(Case::Upper, false, "äßŉᾳᾀ"), "Äßŉᾼᾈ");
        assert_eq!(recased(Case::Lower, true, "ÄSΣ"), "ÄsΣ");
        assert_eq!(recased(Case::Upper, true, "äs"), "äS");
    }
}
