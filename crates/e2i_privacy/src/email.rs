//! Addresses of electronic mail (`EMAIL_ADDRESS`): a dot-atom, `@`, and a domain of at least two labels of which the last
//! is no number. RFC 5322 3.4.1 says which characters, RFC 6531 adds letters of all scripts. Whether the domain exists is
//! not asked. Quoted local parts and addresses in brackets (`"a b"@[10.0.0.1]`) are not found: nobody writes them.

use std::ops::Range;

/// The first address whose `@` is at `from` or behind, nothing of it before `floor`.
///
/// Each local part is read back to the `@` before at most, and each domain on to the next: all of them together cost one
/// pass over the text.
pub(crate) fn next(text: &str, floor: usize, from: usize) -> Option<Range<usize>> {
    text[from..].match_indices('@').find_map(|(offset, _)| {
        let at = from + offset;
        let start = local_start(&text[floor..at])? + floor;
        let end = domain_end(&text[at + 1..])? + at + 1;
        Some(start..end)
    })
}

/// Where the local part at the end of `before` begins.
fn local_start(before: &str) -> Option<usize> {
    let rest = before.trim_end_matches(in_local);
    let local = before[rest.len()..].trim_start_matches('.');
    (!local.is_empty()).then(|| before.len() - local.len())
}

fn in_local(c: char) -> bool {
    in_label(c) || "!#$%&'*+/=?^_`{|}~.".contains(c)
}

/// Letters and digits of all scripts, hyphens, and accents that are characters of their own.
fn in_label(c: char) -> bool {
    c.is_alphanumeric() || c == '-' || matches!(c, '\u{300}'..='\u{36f}')
}

/// Where the domain ends that begins here: behind the last label that can be a top-level domain.
fn domain_end(text: &str) -> Option<usize> {
    let domain = &text[..text.find(|c| !in_label(c) && c != '.').unwrap_or(text.len())];
    let mut end = None;
    let mut start = 0;
    for (place, label) in domain.split('.').enumerate() {
        if label.is_empty() || label.starts_with('-') {
            break;
        }
        if place > 0 {
            end = top_level(label).map(|length| start + length).or(end);
        }
        if label.ends_with('-') {
            break;
        }
        start += label.len() + 1;
    }
    end
}

/// How much of a label can be a top-level domain: a label in Punycode, or the two letters or more that it begins with. What
/// follows them is another thing (`jane@example.com-212-555-1234`), and no reason to let the address through.
fn top_level(label: &str) -> Option<usize> {
    if label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--")) {
        return Some(label.trim_end_matches('-').len());
    }
    let letters = &label[..label.find(|c: char| c == '-' || c.is_numeric()).unwrap_or(label.len())];
    letters.chars().nth(1).map(|_| letters.len())
}
