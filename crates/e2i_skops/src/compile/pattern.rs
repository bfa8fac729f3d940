//! Python's regular expressions for words: sets of characters one after the other, of which the last may be repeated.
//!
//! They are read by the rules of Rust's `regex`, after what Python takes for something else has been put in other words: its `\w` is
//! letters, numbers and `_`, without marks, and its `\s` has four more control characters. What both read differently is refused.

use e2i_core::native::PlanBuilder;
use e2i_core::native::operators::{Pattern, Ranges};
use e2i_core::{Error, Kind, Result};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// What Python takes for a letter of a word.
const LETTER: &str = r"[\p{L}\p{N}_]";

#[cold]
fn unknown(pattern: &str) -> Error {
    Error::new(Kind::Unsupported, format!("the token_pattern {pattern:?} is not read")).with_hint(
        "Use characters or sets of them one after the other, the last of them repeated: (?u)\\b\\w\\w+\\b, or [a-z]{3,}.",
    )
}

/// The same expression in Rust's words; nothing where it means something else there.
fn in_rust(pattern: &str) -> Option<String> {
    let mut rest = pattern.strip_prefix("(?u)").unwrap_or(pattern).chars();
    let (mut written, mut within) = (String::new(), false);
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next()? {
                'w' => written.push_str(LETTER),
                'W' => written.push_str(r"[^\p{L}\p{N}_]"),
                's' => written.push_str(r"[\s\x1c-\x1f]"),
                'S' => written.push_str(r"[^\s\x1c-\x1f]"),
                // In a set it is a control character, and a boundary beside a word elsewhere.
                'b' if within => written.push_str(r"\x08"),
                c @ ('b' | 'd' | 'D' | 'n' | 't' | 'r' | 'f' | 'v') => written.extend(['\\', c]),
                c if c.is_ascii_punctuation() => written.extend(['\\', c]),
                _ => return None,
            },
            '[' if within => return None,
            '[' => {
                within = true;
                written.push('[');
                written.extend(rest.as_str().starts_with('^').then(|| rest.next()).flatten());
                // A bracket that closes at once is one of the set.
                if rest.as_str().starts_with(']') {
                    rest.next();
                    written.push_str(r"\]");
                }
            }
            ']' if within => {
                within = false;
                written.push(']');
            }
            '&' | '~' if within => written.extend(['\\', character]),
            '-' if within && rest.as_str().starts_with('-') => return None,
            '(' if !within && rest.as_str().starts_with('?') && !rest.as_str().starts_with("?:") => return None,
            other => written.push(other),
        }
    }
    Some(written)
}

/// A part of an expression: a boundary, or a set of characters and how often it is repeated.
enum Part {
    Boundary,
    Set { ranges: Vec<u32>, least: usize, most: Option<usize> },
}

/// The ranges of a set of characters.
fn ranges(hir: &Hir) -> Option<Vec<u32>> {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            Some(class.ranges().iter().flat_map(|range| [range.start() as u32, range.end() as u32]).collect())
        }
        HirKind::Literal(literal) => {
            let mut characters = std::str::from_utf8(&literal.0).ok()?.chars();
            let only = characters.next()?;
            characters.next().is_none().then(|| vec![only as u32; 2])
        }
        _ => None,
    }
}

/// The parts one after the other, and how many of them stand in a group, which is what a vectorizer takes of a match.
fn parts(hir: &Hir, into: &mut Vec<Part>, grouped: &mut usize) -> Option<()> {
    match hir.kind() {
        HirKind::Concat(several) => several.iter().try_for_each(|part| parts(part, into, grouped)),
        HirKind::Capture(group) => {
            let before = into.len();
            parts(&group.sub, into, grouped)?;
            *grouped += into.len() - before;
            Some(())
        }
        HirKind::Look(Look::WordUnicode) => {
            into.push(Part::Boundary);
            Some(())
        }
        HirKind::Literal(literal) => {
            let one = |c| Part::Set { ranges: vec![c as u32; 2], least: 1, most: Some(1) };
            into.extend(std::str::from_utf8(&literal.0).ok()?.chars().map(one));
            Some(())
        }
        HirKind::Repetition(repetition) if repetition.greedy => {
            let most = repetition.max.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
            let least = usize::try_from(repetition.min).ok()?;
            into.push(Part::Set { ranges: ranges(&repetition.sub)?, least, most });
            Some(())
        }
        _ => {
            into.push(Part::Set { ranges: ranges(hir)?, least: 1, most: Some(1) });
            Some(())
        }
    }
}

fn read(pattern: &str, plan: &mut PlanBuilder) -> Option<Pattern> {
    let parsed = |pattern: &str| ParserBuilder::new().nest_limit(64).build().parse(pattern).ok();
    let (mut found, mut grouped) = (vec![], 0);
    parts(&parsed(&in_rust(pattern)?)?, &mut found, &mut grouped)?;
    let begins = matches!(found.first(), Some(Part::Boundary));
    let ends = found.len() > 1 && matches!(found.last(), Some(Part::Boundary));
    let own = found.get(usize::from(begins)..found.len() - usize::from(ends))?;
    let is_whole_group = grouped == 0 || grouped >= own.len();
    let (last, before) = own.split_last()?;
    let mut sets: Vec<Ranges> = vec![];
    for part in before {
        match part {
            Part::Set { ranges, least, most } if *most == Some(*least) && *least <= 64 => {
                let set = plan.table(ranges);
                sets.extend(std::iter::repeat_n(set, *least));
            }
            _ => return None,
        }
    }
    let Part::Set { ranges: last, least, most } = last else { return None };
    sets.push(plan.table(last));
    let letters = plan.table(&ranges(&parsed(LETTER)?)?);
    let pattern = Pattern { sets, least: *least, most: *most, boundaries: [begins, ends], letters };
    (is_whole_group && pattern.is_searchable()).then_some(pattern)
}

/// What `pattern` means to `re.findall`.
pub(super) fn words(pattern: &str, plan: &mut PlanBuilder) -> Result<Pattern> {
    read(pattern, plan).ok_or_else(|| unknown(pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_reads_otherwise_is_refused() {
        let mut plan = PlanBuilder::default();
        for pattern in [
            r"(?u)\b\w\w+\b",
            r"\w+",
            r"[a-zA-Z]{3,}",
            r"\b[^\d\W]+\b",
            r"(?u)\b(\w\w+)\b",
            r"\S+",
            r"[^ ,]+",
            ".",
            r"[\w'-]+",
            r"[]a]+",
        ] {
            assert!(read(pattern, &mut plan).is_some(), "{pattern}");
        }
        for pattern in [
            "ab|c", r"\w+?", r"\w*", r"(\w)\w+", r"(?i)\w+", r"[[a]]+", r"[a--b]+", r"^\w+", r"\w+ \w+", r"\w+\b",
            r"(?=a)a", r"\w++", "", r"\Aa", r"\1", "[",
        ] {
            assert!(read(pattern, &mut plan).is_none(), "{pattern}");
        }
    }
}
