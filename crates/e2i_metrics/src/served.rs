//! What was served, as it is shown: one line for a version and engine of a service, or for each function of it.

use crate::board::Row;
use crate::key::Function;
use crate::tally::{Loaded, Tally};

/// Counts of a version for a service, and of its function where they are not put together.
#[derive(Debug, Clone)]
pub struct Served {
    /// What was counted. Of a version that was only loaded, nothing.
    pub row: Row,
    /// Counts of loading the version, whichever service was called.
    pub loading: Tally,
    /// How much of it is in memory now.
    pub loaded: Loaded,
}

/// Puts together what belongs to one line, by service and version. A shadow is a line of its own, and so is a version that was loaded
/// and not called.
#[must_use]
pub fn served(rows: Vec<Row>, by_function: bool) -> Vec<Served> {
    let (loads, calls): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.key.is(Function::Load));
    let mut found: Vec<Served> = vec![];
    for row in calls {
        let is_same = |other: &Row| {
            (row.key.service, row.key.model, row.key.engine())
                == (other.key.service, other.key.model, other.key.engine())
                && row.key.is(Function::Shadow) == other.key.is(Function::Shadow)
        };
        match found.iter_mut().find(|known| !by_function && is_same(&known.row)) {
            Some(known) => {
                known.row.total.add(&row.total);
                known.row.since = known.row.since.min(row.since);
            }
            None => found.push(Served { row, loading: Tally::default(), loaded: Loaded::default() }),
        }
    }
    for load in loads {
        let mut used = false;
        for known in &mut found {
            if (known.row.key.model, known.row.key.engine()) == (load.key.model, load.key.engine()) {
                (known.loading, known.loaded, used) = (load.total, load.loaded, true);
            }
        }
        if !used {
            let (loading, loaded) = (load.total, load.loaded);
            found.push(Served { row: Row { total: Tally::default(), ..load }, loading, loaded });
        }
    }
    found.sort_by(|one, other| {
        let name = |it: &Served| (it.row.key.service.as_str().to_owned(), it.row.key.reference.as_str().to_owned());
        name(one).cmp(&name(other))
    });
    found
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::board::Board;
    use crate::key::{Key, Scorer};

    const ONE: [u8; 16] = [1; 16];
    const TWO: [u8; 16] = [2; 16];

    /// Rows of a board to which these functions of versions have added so many calls, at the time of their place in the list.
    fn rows(counted: &[(Function, [u8; 16], &str, u64)]) -> Vec<Row> {
        let words: Vec<AtomicU64> = (0..Board::words(16)).map(|_| AtomicU64::new(0)).collect();
        let board = Board::new(&words);
        for (at, (function, model, service, calls)) in counted.iter().enumerate() {
            let key =
                Key::new(7, *function, Scorer::Native, *model, service, if *model == ONE { "m:1" } else { "m:2" });
            let place = board.claim(&key, at as i64).unwrap();
            let is_load = *function == Function::Load;
            let tally = Tally { calls: *calls, loads: u64::from(is_load), ..Tally::default() };
            assert!(board.add(place, &tally, Loaded { sessions: is_load.into(), bytes: 0 }));
        }
        board.rows(7).collect()
    }

    #[test]
    fn functions_of_a_version_are_one_line_and_a_shadow_is_another() {
        let counted = [
            (Function::Predict, ONE, "m", 3),
            (Function::Label, ONE, "m", 4),
            (Function::Shadow, ONE, "m", 5),
            (Function::Predict, ONE, "", 6),
        ];
        let calls = |by_function| -> Vec<(String, u64)> {
            let lines = served(rows(&counted), by_function).into_iter();
            lines.map(|line| (line.row.key.service.as_str().to_owned(), line.row.total.calls)).collect()
        };
        let line = |service: &str, calls| (service.to_owned(), calls);
        assert_eq!(calls(false), [line("", 6), line("m", 7), line("m", 5)]);
        assert_eq!(calls(true), [line("", 6), line("m", 3), line("m", 4), line("m", 5)]);
        assert_eq!(served(rows(&counted), false)[1].row.since, 0);
    }

    #[test]
    fn loading_is_shown_with_every_line_of_the_version_and_alone_without_one() {
        let counted = [(Function::Predict, ONE, "m", 3), (Function::Load, ONE, "", 0), (Function::Load, TWO, "", 0)];
        let lines = served(rows(&counted), false);
        let shown: Vec<_> = lines
            .iter()
            .map(|line| {
                (line.row.key.reference.as_str(), line.row.total.calls, line.loading.loads, line.loaded.sessions)
            })
            .collect();
        assert_eq!(shown, [("m:2", 0, 1, 1), ("m:1", 3, 1, 1)]);
    }
}
