//! Reading numbers as people write them: groups of digits, separators between them, and where a number may begin and end.
//!
//! Edges are chosen so that redaction is final. What rejects a number because of its right neighbour also rejects whatever
//! begins with that neighbour, so a placeholder that takes the neighbour's place never lets a number through that was held
//! back before; `tests/properties.rs` tries to break this.

/// Most digits of any number looked for: cards, by ISO/IEC 7812.
const DIGITS: usize = 19;

/// Most groups of any form looked for.
const GROUPS: usize = 5;

/// What may stand between two groups of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Separator {
    Space,
    Hyphen,
    Dot,
}

/// A place in a text that moves to the right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    pub fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Moves past this ASCII character if it is the next one.
    pub fn eat(&mut self, wanted: u8) -> bool {
        let found = self.byte() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// Moves past this ASCII word, in any case, if it is next.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let found = self
            .text
            .as_bytes()
            .get(self.at..self.at + word.len())
            .is_some_and(|next| next.eq_ignore_ascii_case(word.as_bytes()));
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Moves past one separator. Word processors write spaces that do not break and dashes that are no hyphens.
    pub fn separator(&mut self) -> Option<Separator> {
        let next = self.peek()?;
        let separator = match next {
            ' ' | '\u{a0}' | '\u{2007}' | '\u{202f}' => Separator::Space,
            '-' | '\u{2010}'..='\u{2013}' | '\u{2212}' => Separator::Hyphen,
            '.' => Separator::Dot,
            _ => return None,
        };
        self.at += next.len_utf8();
        Some(separator)
    }

    /// Moves past all digits that follow and appends them; how many, or `None` when there are none or too many.
    pub fn digits(&mut self, into: &mut Digits) -> Option<usize> {
        let start = self.at;
        while let Some(digit) = self.byte().filter(u8::is_ascii_digit) {
            if !into.push(digit - b'0') {
                return None;
            }
            self.at += 1;
        }
        Some(self.at - start).filter(|count| *count > 0)
    }
}

/// Digits without what separated them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Digits {
    values: [u8; DIGITS],
    len: usize,
}

impl Digits {
    fn push(&mut self, digit: u8) -> bool {
        let Some(place) = self.values.get_mut(self.len) else { return false };
        *place = digit;
        self.len += 1;
        true
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.values[..self.len]
    }
}

/// Groups of digits with one separator between neighbours. Dots separate either all groups or none, because `123.45 6789`
/// is two numbers.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    digits: Digits,
    lengths: [usize; GROUPS],
    ends: [usize; GROUPS],
    separators: [Option<Separator>; GROUPS],
    len: usize,
}

/// The first so many of some [`Groups`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'g> {
    pub digits: &'g [u8],
    /// Digits of each group.
    pub lengths: &'g [usize],
    /// Whether all separators are alike.
    pub uniform: bool,
    /// Where the last group ends in the text.
    pub end: usize,
}

impl Groups {
    /// The groups that begin at a digit.
    pub fn read(text: &str, at: usize) -> Self {
        let mut groups = Self::default();
        let mut cursor = Cursor { text, at };
        let mut separator = None;
        while groups.len < GROUPS {
            let Some(length) = cursor.digits(&mut groups.digits) else { break };
            groups.lengths[groups.len] = length;
            groups.ends[groups.len] = cursor.at;
            groups.separators[groups.len] = separator;
            groups.len += 1;
            let next = cursor.separator();
            let mixed = separator.is_some() && (separator == Some(Separator::Dot)) != (next == Some(Separator::Dot));
            if next.is_none() || mixed {
                break;
            }
            separator = next;
        }
        groups
    }

    /// All beginnings that end with a group, the longest first.
    pub fn beginnings(&self) -> impl Iterator<Item = Written<'_>> {
        (1..=self.len).rev().map(|count| {
            let lengths = &self.lengths[..count];
            Written {
                digits: &self.digits.values[..lengths.iter().sum()],
                lengths,
                uniform: self.separators[1..count.max(1)].windows(2).all(|pair| pair[0] == pair[1]),
                end: self.ends[count - 1],
            }
        })
    }
}

/// Whether a number may begin at `at`: not inside of a word, and not behind a decimal point (a comma is
/// none: it stands between numbers more often). Nothing before `floor` counts, where the previous find ended.
pub(crate) fn begins(text: &str, floor: usize, at: usize) -> bool {
    let mut before = text[floor..at].chars().rev();
    match before.next() {
        Some('.') => !before.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => !in_word(c),
        None => true,
    }
}

/// Whether a number may end at `at`: not inside of a word.
pub(crate) fn ends(text: &str, at: usize) -> bool {
    !text[at..].chars().next().is_some_and(in_word)
}

/// Whether a decimal point and a digit come next.
pub(crate) fn decimals_follow(text: &str, at: usize) -> bool {
    matches!(text.as_bytes()[at..], [b'.', b'0'..=b'9', ..])
}

/// ASCII only, and digits of all scripts: where words are not spaced, as in Chinese, a number stands directly behind one.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (!c.is_ascii() && c.is_numeric())
}

/// Luhn's check (ISO/IEC 7812-1, annex B): every second digit from the right doubled, the sum of all digits a multiple of
/// ten. `carried` is the sum of digits in front that are not written.
pub(crate) fn luhn(digits: &[u8], carried: u32) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    (sum + carried).is_multiple_of(10)
}

/// A few digits as a number.
pub(crate) fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(*digit))
}
