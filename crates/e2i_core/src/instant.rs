//! Points in time as ISO 8601 texts, as JSON writers give them.

const SECOND: i64 = 1_000_000;

/// Microseconds since 1970-01-01 00:00 UTC of `2024-01-31`, `2024-01-31T12:00`, `2024-01-31 12:00:00.5`, each with `Z` or an
/// offset as `+02:00` behind the time, UTC where there is none. `None` for any other text, and for a day that does not exist.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let days = days(year, month, day)?;
    let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else {
        return rest.is_empty().then(|| days * 86_400 * SECOND);
    };
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 2)?,
        None => (0, rest),
    };
    let (micros, rest) = match rest.strip_prefix('.') {
        Some(rest) => fraction(rest)?,
        None => (0, rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = offset(rest)?;
    Some(((days * 24 + hour) * 60 + minute - offset) * 60 * SECOND + second * SECOND + micros)
}

/// A number of exactly `count` digits, and what is behind it.
fn digits(text: &str, count: usize) -> Option<(i64, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten().map(|number| (number, rest))
}

/// Microseconds of decimals, of which finer ones must be zeros.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (decimals, rest) = text.split_at(end);
    let (kept, finer) = decimals.split_at(decimals.len().min(6));
    if kept.is_empty() || finer.bytes().any(|digit| digit != b'0') {
        return None;
    }
    Some((format!("{kept:0<6}").parse().ok()?, rest))
}

/// Minutes east of Greenwich.
fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes() {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', ..] => (1, &text[1..]),
        [b'-', ..] => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, rest) = digits(rest, 2)?;
    let (minutes, rest) = match rest {
        "" => (0, ""),
        rest => digits(rest.strip_prefix(':').unwrap_or(rest), 2)?,
    };
    (rest.is_empty() && hours < 16 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// Days from 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn texts_are_the_instants_that_python_writes() {
        for (text, seconds) in [
            ("1970-01-01", 0.0),
            ("2024-01-01T00:00:00", 1_704_067_200.0),
            ("2024-02-29 12:30", 1_709_209_800.0),
            ("2024-02-29T12:30:00.25Z", 1_709_209_800.25),
            ("2024-02-29T12:30:00.250000000+02:00", 1_709_202_600.25),
            ("2024-02-29T12:30:00-0530", 1_709_229_600.0),
            ("1969-12-31T23:59:59", -1.0),
            ("0001-01-01", -62_135_596_800.0),
        ] {
            assert_eq!(parse(text), Some((seconds * 1e6) as i64), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for text in [
            "",
            "12",
            "2023-02-29",
            "2024-13-01",
            "2024-01-01T",
            "2024-01-01T24:00:00",
            "2024-01-01T10",
            "2024-01-01T10:00:00.",
            "2024-01-01T10:00:00.0000001",
            "2024-01-01T10:00:00 UTC",
            "2024-01-01x",
            "2024-1-1",
            "24-01-01",
            "é024-01-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
