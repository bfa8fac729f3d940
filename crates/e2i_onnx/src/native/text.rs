//! Text: case, words, and counts of words.
//!
//! ONNX Runtime changes case by a locale of the operating system and looks for words with RE2, leftmost and longest. Here
//! are known: the locales whose letters change case as Unicode says, and expressions for words that need no choice, so
//! that longest is what a run of characters is. Padding, which ONNX Runtime puts behind the words of a row until it has as
//! many as the longest of the batch, must not be a word that counts.

use e2i_core::ElementType;
use e2i_core::native::operators::{Case, Characters, Recase, Word, WordCounts};

use super::defaults::{int, ints, string, strings};
use super::symbol::RowValue;
use super::{Lowered, Lowering, Symbol};
use crate::graph::attribute;
use crate::proto::NodeProto;

/// Languages in whose locales letters change case as Unicode says; in Turkish and Azeri I does not.
const LANGUAGES: [&str; 12] = ["en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "fi", "nb", "pl"];

/// The locale that ONNX Runtime takes where a graph names none.
const DEFAULT_LOCALE: &str = "en_US.UTF-8";

/// The most numbers of words in all sequences of a vocabulary.
const MAX_WORDS: usize = 1 << 22;

/// The words of each row.
#[derive(Debug, Clone)]
pub(super) struct Words {
    /// The texts.
    value: RowValue,
    /// What a word is.
    word: Word,
    /// What stands behind the words of a row where another row has more.
    padding: String,
}

impl Lowering<'_, '_> {
    /// StringNormalizer without stop words, which would drop rows.
    pub(super) fn string_normalizer(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        if attribute(node, "stopwords").is_some_and(|words| !words.strings.is_empty()) {
            return Err("it drops rows that are stop words".into());
        }
        let value = self.rows(node, 0)?;
        if value.element != ElementType::Text || value.rank() > 2 || value.width()? != 1 || !value.axes.is_empty() {
            return Err("its input is not one text a row".into());
        }
        let to = match string(node, "case_change_action", "NONE")?.as_str() {
            "LOWER" => Case::Lower,
            "UPPER" => Case::Upper,
            "NONE" => return Ok(Symbol::Rows(value)),
            other => return Err(format!("it changes case to {other:?}")),
        };
        let locale = string(node, "locale", DEFAULT_LOCALE)?;
        let ascii = match locale.as_str() {
            "C" | "POSIX" => true,
            _ if is_plain(&locale) => false,
            _ => return Err(format!("case in the locale {locale:?} is not known")),
        };
        Ok(Symbol::Rows(self.step(Recase { to, ascii }, &[value.id], ElementType::Text, value.before, value.axes)?))
    }

    /// Tokenizer: what words are; they are looked for where they are counted.
    pub(super) fn tokenizer(&mut self, node: &NodeProto) -> Lowered<Vec<Symbol>> {
        let value = self.rows(node, 0)?;
        if value.element != ElementType::Text || !value.before.is_empty() || value.width()? != 1 {
            return Err("its input is not one text a row".into());
        }
        if int(node, "mark", 0) != 0 {
            return Err("it marks the beginning and end of a text".into());
        }
        let shortest = usize::try_from(int(node, "mincharnum", 1)).unwrap_or(0);
        let separators = attribute(node, "separators").map(|separators| separators.strings.as_slice());
        let mut word = match separators {
            Some([only]) if only.is_empty() => expression("(?s).").ok_or("its words are not known")?,
            Some([_, ..]) => return Err("it looks for separators".into()),
            _ => {
                let pattern = string(node, "tokenexp", "")?;
                // A dot alone is every character to the runtime, the end of a line too; within an expression it is not.
                let read = if pattern == "." { "(?s)." } else { &pattern };
                expression(read).ok_or_else(|| format!("the expression {pattern:?} for words is not known"))?
            }
        };
        word.shortest = shortest;
        if !word.is_searchable() {
            return Err("its words take long to look for".into());
        }
        let padding = string(node, "pad_value", "")?;
        self.keep(node, Words { value, word, padding })
    }

    /// Whether a node reads words.
    pub(super) fn is_of_words(&self, node: &NodeProto) -> bool {
        node.inputs.first().is_some_and(|input| self.words.contains_key(input))
    }

    /// Flatten between words and their counts: one row stays one row.
    pub(super) fn flatten_words(&mut self, node: &NodeProto) -> Lowered<Vec<Symbol>> {
        match node.inputs.first().and_then(|input| self.words.get(input)).cloned() {
            Some(words) if int(node, "axis", 1) == 1 => self.keep(node, words),
            _ => Err("it mixes the words of several rows".into()),
        }
    }

    fn keep(&mut self, node: &NodeProto, words: Words) -> Lowered<Vec<Symbol>> {
        self.words.extend(node.outputs.first().map(|output| (output.clone(), words)));
        Ok(vec![])
    }

    /// TfIdfVectorizer behind a Tokenizer.
    pub(super) fn word_counts(&mut self, node: &NodeProto) -> Lowered<Symbol> {
        let words = node.inputs.first().and_then(|input| self.words.get(input)).cloned();
        let Some(Words { value, word, padding }) = words else {
            return Err("its input is not made of the words of a text".into());
        };
        let mode = string(node, "mode", "")?;
        let once = match mode.as_str() {
            "TF" | "TFIDF" => false,
            "IDF" => true,
            other => return Err(format!("its mode is {other:?}")),
        };
        let weights = attribute(node, "weights").map_or(&[][..], |weights| weights.floats.as_slice());
        if mode != "TF" && weights.iter().any(|weight| *weight != 1.0) {
            return Err("it weighs what it counts".into());
        }
        let pool = strings(node, "pool_strings")?.unwrap_or_default();
        if pool.contains(&padding) {
            return Err("its padding is a word that it counts, so that rows depend on each other".into());
        }
        let number = |name: &str, default| {
            usize::try_from(int(node, name, default)).map_err(|_| format!("its attribute {name} is negative"))
        };
        let (shortest, longest) = (number("min_gram_length", 0)?, number("max_gram_length", 0)?);
        let distances = number("max_skip_count", 0)?.saturating_add(1);
        let places = |name: &str| -> Lowered<Vec<usize>> {
            let list = ints(node, name).unwrap_or_default().iter();
            list.map(|place| usize::try_from(*place).map_err(|_| format!("its attribute {name} is negative"))).collect()
        };
        let (starts, cells) = (places("ngram_counts")?, places("ngram_indexes")?);
        let width = cells.iter().max().map_or(0, |last| last.saturating_add(1));
        super::symbol::product(&[width])?;
        self.spend(pool.len())?;
        let mut sequences: Vec<(&[String], u32)> = vec![];
        let mut cell = cells.iter();
        for (index, start) in starts.iter().enumerate() {
            let (length, end) = (index + 1, starts.get(index + 1).copied().unwrap_or(pool.len()));
            let part = pool.get(*start..end).filter(|part| part.len() % length == 0);
            let part = part.ok_or("its sequences of words are not whole")?;
            for words in part.chunks_exact(length) {
                let cell = *cell.next().ok_or("a sequence of words has no cell")?;
                if (shortest..=longest).contains(&length) {
                    sequences.push((words, u32::try_from(cell).map_err(|_| "a row is too wide".to_owned())?));
                }
            }
        }
        if shortest == 0 || longest > starts.len() || pool.is_empty() || pool.len() > MAX_WORDS {
            return Err("it counts no sequences of words".into());
        }
        let counts = WordCounts::new(word, &sequences, distances, once, self.plan.tables());
        let counts = counts.ok_or("its sequences of words are too long")?;
        Ok(Symbol::Rows(self.step(counts, &[value.id], ElementType::Float32, vec![], vec![width])?))
    }
}

/// Whether letters change case in a locale as Unicode says.
fn is_plain(locale: &str) -> bool {
    let Some((name, encoding)) = locale.split_once('.') else { return false };
    let language = name.split('_').next().unwrap_or_default();
    (name == "C" || LANGUAGES.contains(&language)) && ["UTF-8", "utf8", "utf-8", "UTF8"].contains(&encoding)
}

/// Reads an expression for words: sets of characters one after the other, the last of which may be repeated. Anything in
/// which leftmost-longest would have to be looked for is not known.
fn expression(pattern: &str) -> Option<Word> {
    let mut rest = pattern;
    let any = rest.strip_prefix("(?s)").inspect(|after| rest = after).is_some();
    let at_boundary = rest.strip_prefix("\\b").inspect(|after| rest = after).is_some();
    let mut sets = vec![];
    let (mut least, mut most) = (1, Some(1));
    while !rest.is_empty() {
        // A boundary behind a run of all that words are made of is always there.
        if rest == "\\b" && most.is_none() && sets.last() == Some(&word_characters()) {
            break;
        }
        // What was repeated was not the last.
        if (least, most) != (1, Some(1)) {
            return None;
        }
        let (set, after) = set(rest, any)?;
        (least, most, rest) = repetition(after)?;
        if most == Some(least) && least > 1 {
            sets.extend(std::iter::repeat_n(set.clone(), least - 1));
            (least, most) = (1, Some(1));
        }
        sets.push(set);
    }
    (!sets.is_empty()).then_some(Word { sets, least, most, at_boundary, shortest: 1 })
}

/// How often what stands before may occur, and what follows.
fn repetition(rest: &str) -> Option<(usize, Option<usize>, &str)> {
    let (least, most, after) = match rest.chars().next() {
        Some('+') => (1, None, &rest[1..]),
        Some('*') => (0, None, &rest[1..]),
        Some('?') => (0, Some(1), &rest[1..]),
        Some('{') => {
            let (inside, after) = rest[1..].split_once('}')?;
            let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<usize>().ok())?;
            let (least, most) = match inside.split_once(',') {
                None => (number(inside)?, Some(number(inside)?)),
                Some((least, "")) => (number(least)?, None),
                Some((least, most)) => (number(least)?, Some(number(most)?)),
            };
            if least > 1000 || least == 0 && most == Some(0) {
                return None;
            }
            (least, most, after)
        }
        _ => return Some((1, Some(1), rest)),
    };
    // A lazy repetition, or a repetition of one.
    (!after.starts_with(['?', '+', '*', '{'])).then_some((least, most, after))
}

/// All of what `\w` means to RE2.
fn word_characters() -> Characters {
    joined(vec![('0' as u32, '9' as u32), ('A' as u32, 'Z' as u32), ('_' as u32, '_' as u32), ('a' as u32, 'z' as u32)])
}

/// One set of characters, and what follows.
fn set(rest: &str, any: bool) -> Option<(Characters, &str)> {
    let mut characters = rest.chars();
    let first = characters.next()?;
    match first {
        '.' => Some((if any { inverted(vec![]) } else { inverted(vec![(10, 10)]) }, characters.as_str())),
        '\\' => escaped(characters.as_str()),
        '[' => bracket(characters.as_str()),
        '(' | ')' | '|' | '^' | '$' | '*' | '+' | '?' | '{' => None,
        literal => Some((vec![(literal as u32, literal as u32)], characters.as_str())),
    }
}

/// What a backslash makes of the characters behind it.
fn escaped(rest: &str) -> Option<(Characters, &str)> {
    let mut characters = rest.chars();
    let first = characters.next()?;
    let one = |c: char| vec![(c as u32, c as u32)];
    let digits = || vec![('0' as u32, '9' as u32)];
    let blanks = || vec![(9, 10), (12, 13), (32, 32)];
    let set = match first {
        'w' => word_characters(),
        'W' => inverted(word_characters()),
        'd' => digits(),
        'D' => inverted(digits()),
        's' => blanks(),
        'S' => inverted(blanks()),
        'n' => one('\n'),
        't' => one('\t'),
        'r' => one('\r'),
        'f' => one('\x0c'),
        c if c.is_ascii_punctuation() => one(c),
        _ => return None,
    };
    Some((set, characters.as_str()))
}

/// What stands in brackets, and what follows.
fn bracket(rest: &str) -> Option<(Characters, &str)> {
    let mut rest = rest;
    let is_inverted = rest.strip_prefix('^').inspect(|after| rest = after).is_some();
    let mut ranges = vec![];
    let mut is_first = true;
    loop {
        let mut characters = rest.chars();
        let (mut set, mut after) = match characters.next()? {
            ']' if !is_first => {
                let set = joined(ranges);
                return Some((if is_inverted { inverted(set) } else { set }, characters.as_str()));
            }
            '\\' => escaped(characters.as_str())?,
            '[' if characters.as_str().starts_with(':') => named(characters.as_str())?,
            c => (vec![(c as u32, c as u32)], characters.as_str()),
        };
        // A range, unless the dash is the last.
        if let ([(low, same)], Some(behind)) = (set.as_slice(), after.strip_prefix('-'))
            && low == same
            && !behind.starts_with(']')
        {
            let mut characters = behind.chars();
            let (end, behind) = match characters.next()? {
                '\\' => escaped(characters.as_str())?,
                '[' => return None,
                c => (vec![(c as u32, c as u32)], characters.as_str()),
            };
            let [(high, _)] = end.as_slice() else { return None };
            set = (low <= high).then(|| vec![(*low, *high)])?;
            after = behind;
        }
        ranges.extend(set);
        (rest, is_first) = (after, false);
    }
}

/// A set with a name, such as `[:alpha:]`.
fn named(rest: &str) -> Option<(Characters, &str)> {
    let (name, after) = rest.strip_prefix(':')?.split_once(":]")?;
    let is_member: fn(&char) -> bool = match name {
        "alnum" => char::is_ascii_alphanumeric,
        "alpha" => char::is_ascii_alphabetic,
        "digit" => char::is_ascii_digit,
        "lower" => char::is_ascii_lowercase,
        "upper" => char::is_ascii_uppercase,
        "punct" => char::is_ascii_punctuation,
        "space" => |c| matches!(c, '\t'..='\r' | ' '),
        "word" => |c| c.is_ascii_alphanumeric() || *c == '_',
        _ => return None,
    };
    let members = ('\0'..='\x7f').filter(is_member).map(|c| (c as u32, c as u32));
    Some((joined(members.collect()), after))
}

/// Ranges in order, those that meet as one.
fn joined(mut ranges: Characters) -> Characters {
    ranges.sort_unstable();
    let mut kept: Characters = vec![];
    for (low, high) in ranges {
        match kept.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => kept.push((low, high)),
        }
    }
    kept
}

/// All other characters.
fn inverted(ranges: Characters) -> Characters {
    let mut next = 0;
    let mut others = vec![];
    for (low, high) in joined(ranges) {
        if next < low {
            others.push((next, low - 1));
        }
        next = high.saturating_add(1);
    }
    if next <= char::MAX as u32 {
        others.push((next, char::MAX as u32));
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_without_a_choice_are_known() {
        let word = expression("[a-zA-Z0-9_]+").unwrap();
        assert_eq!((word.sets.as_slice(), word.least, word.most), (&[word_characters()][..], 1, None));
        assert_eq!(expression("\\w+").unwrap(), word);
        assert_eq!(expression("[[:word:]]+").unwrap(), word);
        let two = expression("\\b\\w\\w+\\b").unwrap();
        assert_eq!((two.sets.len(), two.least, two.most, two.at_boundary), (2, 1, None, true));
        assert_eq!(expression("\\w{2}").unwrap().sets.len(), 2);
        assert_eq!(expression("[^ ]{2,}").unwrap().least, 2);
        assert_eq!(expression(".").unwrap().sets, [vec![(0, 9), (11, 0x10_ffff)]]);
        assert_eq!(expression("[]a-]").unwrap().sets, [vec![(45, 45), (93, 93), (97, 97)]]);
        assert_eq!(expression("[^\\W_]").unwrap().sets, [vec![(48, 57), (65, 90), (97, 122)]]);
        for unknown in [
            "",
            "a|b",
            "(a)+",
            "a+b",
            "a+?",
            "^a",
            "a$",
            "\\pL+",
            "a**",
            "[a",
            "[z-a]",
            "\\",
            "(?i)a",
            "a{2",
            "\\Bx",
            "[a-z]+\\b",
            "a{1001,}",
            "a{0}",
            "[[:x:]]",
            "\\x41",
        ] {
            assert_eq!(expression(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn locales_that_change_case_otherwise_are_not_known() {
        for plain in ["en_US.UTF-8", "de_DE.utf8", "C.UTF-8"] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in ["tr_TR.UTF-8", "az_AZ.UTF-8", "en_US", "en_US.ISO-8859-1", ""] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
