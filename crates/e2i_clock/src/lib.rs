//! When the clock begins something: a cron text, and the times that it means.
//!
//! Times are those of a clock on a wall, in seconds since 1970 began on it: what time it is there, and what instant such a time is,
//! the server's time zones say. What is begun is not known here.

use chrono::DateTime;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use e2i_core::{Error, Kind, Result};

/// The fields of a cron text, in their order, and what each takes.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or L for the last"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of the week", "0 to 7, where 0 and 7 are Sunday, or SUN to SAT"),
];

const HINT: &str = "Write minute, hour, day of the month, month, day of the week: cron => '0 3 * * 1-5' is at three from Monday to Friday.";

/// Times that are counted when nobody has looked for long.
const COUNTED: u64 = 10_000;

/// A cron text that was read: five fields, or a name as `@daily`. Where a day of the month and one of the week are given, either
/// is enough, as in Unix.
#[derive(Debug, Clone)]
pub struct Times(Cron);

impl Times {
    /// Reads a cron text.
    ///
    /// # Errors
    /// [`Kind::BadOption`] naming the field that is none, and for days that never come.
    pub fn parse(text: &str) -> Result<Self> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let bad = |message: String| Error::new(Kind::BadOption, message).with_hint(HINT);
        let text = text.trim();
        if text.is_empty() {
            return Err(bad("cron is empty".to_owned()));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let is_name = text.starts_with('@');
        if !is_name && fields.len() != FIELDS.len() {
            return Err(bad(format!("cron {text:?} has {} fields, and must have five", fields.len())));
        }
        let cron = parser.parse(text).map_err(|_| {
            // The reader does not say which field it is.
            let alone = |place: usize, field: &str| {
                let mut all = ["*"; FIELDS.len()];
                all[place] = field;
                parser.parse(&all.join(" "))
            };
            match fields.iter().zip(FIELDS).enumerate().find(|(place, (field, _))| alone(*place, field).is_err()) {
                Some((_, (field, (name, takes)))) if !is_name => {
                    bad(format!("the {name} of cron {text:?} is {field:?}, and takes {takes}"))
                }
                _ => bad(format!("cron {text:?} is no time that is known")),
            }
        })?;
        let times = Self(cron);
        match times.after(0) {
            Some(_) => Ok(times),
            None => Err(bad(format!("cron {text:?} means a day that never comes"))),
        }
    }

    /// The first time after another; `None` where there is none.
    #[must_use]
    pub fn after(&self, wall: i64) -> Option<i64> {
        let wall = DateTime::from_timestamp(wall, 0)?.naive_utc();
        let next = self.0.find_next_occurrence(&wall, false).ok()?;
        Some(next.and_utc().timestamp())
    }

    /// The first time after now, and how many there were after `last` up to now: at most ten thousand are counted.
    #[must_use]
    pub fn since(&self, last: i64, now: i64) -> (Option<i64>, u64) {
        let (mut at, mut passed) = (last, 0);
        while passed < COUNTED {
            match self.after(at) {
                Some(next) if next <= now => (at, passed) = (next, passed + 1),
                next => return (next, passed),
            }
        }
        (self.after(now), passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> i64 {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc().timestamp()
    }

    #[test]
    fn the_next_time_is_after_the_one_that_is() {
        for (cron, now, next) in [
            ("0 3 * * 1-5", "2026-11-27 02:59", "2026-11-27 03:00"),
            ("0 3 * * 1-5", "2026-11-27 03:00", "2026-11-30 03:00"),
            ("0 3 * * MON-FRI", "2026-11-27 03:01", "2026-11-30 03:00"),
            ("*/15 * * * *", "2026-11-27 03:01", "2026-11-27 03:15"),
            ("30 23 L * *", "2028-02-10 00:00", "2028-02-29 23:30"),
            ("0 0 29 2 *", "2026-03-01 00:00", "2028-02-29 00:00"),
            // Either day is enough.
            ("0 0 13 * 5", "2026-11-27 00:00", "2026-12-04 00:00"),
            ("0 0 13 * 5", "2026-12-12 00:00", "2026-12-13 00:00"),
            ("0 0 * * 7", "2026-11-27 00:00", "2026-11-29 00:00"),
            ("@daily", "2026-12-31 12:00", "2027-01-01 00:00"),
            ("  5 4 * * *  ", "2026-12-31 12:00", "2027-01-01 04:05"),
        ] {
            assert_eq!(Times::parse(cron).unwrap().after(wall(now)), Some(wall(next)), "{cron} after {now}");
        }
    }

    #[test]
    fn what_was_missed_is_counted_to_an_end() {
        let nightly = Times::parse("0 3 * * *").unwrap();
        let last = wall("2026-11-20 03:00");
        assert_eq!(nightly.since(last, wall("2026-11-20 03:00")), (Some(wall("2026-11-21 03:00")), 0));
        assert_eq!(nightly.since(last, wall("2026-11-24 02:00")), (Some(wall("2026-11-24 03:00")), 3));
        let always = Times::parse("* * * * *").unwrap();
        assert_eq!(always.since(last, wall("2027-11-20 03:00")), (Some(wall("2027-11-20 03:01")), COUNTED));
    }

    #[test]
    fn a_text_that_is_none_is_refused_with_its_field() {
        for (cron, why) in [
            ("", "is empty"),
            ("   ", "is empty"),
            ("0 3 * *", "has 4 fields"),
            ("0 0 3 * * 1-5", "has 6 fields"),
            ("60 3 * * *", "the minute of cron \"60 3 * * *\" is \"60\", and takes 0 to 59"),
            ("0 24 * * *", "the hour of"),
            ("0 3 0 * *", "the day of the month of"),
            ("0 3 * 13 *", "the month of"),
            ("0 3 * * 8", "the day of the week of"),
            ("0 3 * * MONDAY", "the day of the week of"),
            ("0 3 * * 5-1", "the day of the week of"),
            ("0 3/0 * * *", "the hour of"),
            ("é 3 * * *", "the minute of"),
            ("0 3 * * +é", "the day of the week of"),
            ("0 0 30 2 *", "never comes"),
            ("@sometimes", "is no time that is known"),
            ("1 day", "has 2 fields"),
        ] {
            let error = Times::parse(cron).expect_err(cron);
            assert!(error.message().contains(why), "{cron}: {}", error.message());
            assert!(error.hint().is_some());
        }
    }
}
