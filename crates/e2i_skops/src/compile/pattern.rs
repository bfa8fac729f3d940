//! Python's regular expressions for words: sets of characters one after the other, of which the last may be repeated; or any
//! other expression without looks around, references and flags that does not match nothing, which takes longer.
//!
//! They are read by the rules of Rust's `regex`, after what Python takes for something else has been put in other words: its `\w` is
//! letters, numbers and `_`, without marks, and its `\s` has four more control characters. What both read differently is refused.

use e2i_core::native::PlanBuilder;
use e2i_core::native::operators::{Expression, MOST_STEPS, Pattern, Ranges, Step};
use e2i_core::{Error, Kind, Result};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// What Python takes for a letter of a word.
const LETTER: &str = r"[\p{L}\p{N}_]";

#[cold]
fn unknown(pattern: &str) -> Error {
    Error::new(Kind::Unsupported, format!("the token_pattern {pattern:?} is not read")).with_hint(
        "Use sets of characters, alternatives, repetitions and \\b, and no look around, reference or flag: (?u)\\b\\w\\w+\\b, or \\w+(?:-\\w+)*|[0-9]+.",
    )
}

/// The same expression in Rust's words; nothing where it means something else there.
fn in_rust(pattern: &str) -> Option<String> {
    let mut rest = pattern.strip_prefix("(?u)").unwrap_or(pattern).chars();
    let (mut written, mut within, mut is_repeated) = (String::new(), false, false);
    while let Some(character) = rest.next() {
        let was_repeated = std::mem::take(&mut is_repeated);
        match character {
            // Possessive, which is a repetition of a repetition in Rust.
            '+' if !within && was_repeated => return None,
            '*' | '+' | '?' if !within => {
                is_repeated = true;
                written.push(character);
            }
            '{' if !within => {
                let (numbers, _) = rest.as_str().split_once('}')?;
                let (least, most) = numbers.split_once(',').unwrap_or((numbers, "0"));
                let is_number = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
                if least.is_empty() || !is_number(least) || !is_number(most) {
                    return None;
                }
                written.push('{');
                written.extend(rest.by_ref().take_while(|character| *character != '}'));
                written.push('}');
                is_repeated = true;
            }
            // Beginnings and ends of lines are others.
            '^' | '$' if !within => return None,
            '\\' => match rest.next()? {
                'w' => written.push_str(LETTER),
                'W' => written.push_str(r"[^\p{L}\p{N}_]"),
                's' => written.push_str(r"[\s\x1c-\x1f]"),
                'S' => written.push_str(r"[^\s\x1c-\x1f]"),
                // In a set it is a control character, and a boundary beside a word elsewhere.
                'b' if within => written.push_str(r"\x08"),
                c @ ('b' | 'd' | 'D' | 'n' | 't' | 'r' | 'f' | 'v') => written.extend(['\\', c]),
                // With a backslash they are boundaries in Rust.
                c @ ('<' | '>') => written.push(c),
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

/// An expression step by step.
struct Steps<'p> {
    steps: Vec<Step>,
    plan: &'p mut PlanBuilder,
    groups: usize,
}

impl Steps<'_> {
    fn push(&mut self, step: Step) -> Option<usize> {
        self.steps.push(step);
        (self.steps.len() < MOST_STEPS).then_some(self.steps.len() - 1)
    }

    fn add(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => {
                for character in std::str::from_utf8(&literal.0).ok()?.chars() {
                    let set = self.plan.table(&[character as u32; 2]);
                    self.push(Step::Character(set))?;
                }
            }
            HirKind::Class(_) => {
                let set = self.plan.table(&ranges(hir)?);
                self.push(Step::Character(set))?;
            }
            HirKind::Look(Look::WordUnicode) => {
                self.push(Step::Boundary)?;
            }
            HirKind::Look(_) => return None,
            HirKind::Capture(group) => {
                self.groups += 1;
                self.push(Step::Opens)?;
                self.add(&group.sub)?;
                self.push(Step::Closes)?;
            }
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.add(part))?,
            HirKind::Alternation(parts) => {
                let (last, before) = parts.split_last()?;
                let mut ends = vec![];
                for part in before {
                    let either = self.push(Step::Found)?;
                    self.add(part)?;
                    ends.push(self.push(Step::Found)?);
                    self.steps[either] = Step::Either(either + 1, self.steps.len());
                }
                self.add(last)?;
                let end = self.steps.len();
                ends.into_iter().for_each(|at| self.steps[at] = Step::To(end));
            }
            HirKind::Repetition(repetition) => {
                // Which of its rounds are empty is not the same to all.
                if repetition.sub.properties().minimum_len() == Some(0) {
                    return None;
                }
                let either =
                    |into, out| if repetition.greedy { Step::Either(into, out) } else { Step::Either(out, into) };
                for _ in 0..repetition.min {
                    self.add(&repetition.sub)?;
                }
                let Some(most) = repetition.max else {
                    let begin = self.push(Step::Found)?;
                    self.add(&repetition.sub)?;
                    self.push(Step::To(begin))?;
                    self.steps[begin] = either(begin + 1, self.steps.len());
                    return Some(());
                };
                let mut begins = vec![];
                for _ in repetition.min..most {
                    begins.push(self.push(Step::Found)?);
                    self.add(&repetition.sub)?;
                }
                let end = self.steps.len();
                begins.into_iter().for_each(|begin| self.steps[begin] = either(begin + 1, end));
            }
        }
        Some(())
    }
}

fn expression(pattern: &str, plan: &mut PlanBuilder) -> Option<Expression> {
    let parsed = |pattern: &str| ParserBuilder::new().nest_limit(64).build().parse(pattern).ok();
    let hir = parsed(&in_rust(pattern)?)?;
    // Nothing is no word.
    hir.properties().minimum_len().filter(|least| *least > 0)?;
    let letters = plan.table(&ranges(&parsed(LETTER)?)?);
    let mut steps = Steps { steps: vec![], plan, groups: 0 };
    steps.add(&hir)?;
    steps.push(Step::Found)?;
    (steps.groups <= 1).then_some(Expression { has_group: steps.groups == 1, steps: steps.steps, letters })
}

/// What words are.
pub(super) enum Words {
    Pattern(Pattern),
    Expression(Expression),
}

/// What `pattern` means to `re.findall`.
pub(super) fn words(pattern: &str, plan: &mut PlanBuilder) -> Result<Words> {
    if let Some(pattern) = read(pattern, plan) {
        return Ok(Words::Pattern(pattern));
    }
    expression(pattern, plan).map(Words::Expression).ok_or_else(|| unknown(pattern))
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
        for pattern in ["ab|c", r"\w+?", r"(\w)\w+", r"\w+ \w+", r"\w+\b", r"(?:\w+-)*\w+", "a{2,3}b", r"\<a\>"] {
            assert!(expression(pattern, &mut plan).is_some(), "{pattern}");
        }
        for pattern in [
            r"\w*", r"(?i)\w+", r"^\w+", r"\w+$", r"(?=a)a", r"\w++", r"a{2}+", "a{,2}b", "a{2, 3}", "(a)(b)",
            r"(a*)+b", "", r"\1", "[", r"\B\w+",
        ] {
            assert!(expression(pattern, &mut plan).is_none(), "{pattern}");
        }
    }
}
