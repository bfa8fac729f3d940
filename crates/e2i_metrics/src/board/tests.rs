use super::*;
use crate::key::{Function, Scorer};

fn memory(places: usize) -> Vec<AtomicU64> {
    (0..Board::words(places)).map(|_| AtomicU64::new(0)).collect()
}

fn key(database: u32, service: &str) -> Key {
    Key::new(database, Function::Predict, Scorer::Native, [7; 16], service, "churn:1")
}

fn one_row() -> Tally {
    let mut tally = Tally { requests: 1, ..Tally::default() };
    tally.batch(1, 1);
    tally.time(1_500);
    tally
}

#[test]
fn threads_lose_no_count() {
    let memory = memory(4);
    let board = Board::new(&memory);
    let place = board.claim(&key(1, "churn"), 5).expect("a place");
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            scope.spawn(move || {
                for round in 0..1_000 {
                    let tally = Tally { longest_ns: thread * 1_000 + round, ..one_row() };
                    assert!(board.add(place, &tally, Loaded { sessions: 1, bytes: 10 }));
                    assert!(board.add(place, &Tally::default(), Loaded { sessions: -1, bytes: -10 }));
                }
            });
        }
    });
    let row = board.rows(1).next().expect("a row");
    assert_eq!((row.total.requests, row.total.predictions, row.total.longest_ns), (8_000, 8_000, 7_999));
    assert_eq!((row.loaded, row.since), (Loaded::default(), 5));
}

#[test]
fn keys_are_found_again_and_those_beyond_the_end_are_counted() {
    let memory = memory(2);
    let board = Board::new(&memory);
    let first = board.claim(&key(1, "a"), 0);
    assert!(first.is_some() && board.claim(&key(2, "a"), 0) != first);
    assert_eq!(board.claim(&key(1, "a"), 9), first);
    assert_eq!(board.claim(&key(1, "b"), 0), None);
    board.lose(&key(1, "b"), &one_row());
    assert_eq!(board.lost(), (1, 1));
    assert_eq!(board.databases(), [1, 2]);
}

#[test]
fn a_place_that_was_given_away_takes_nothing_for_the_one_before() {
    let memory = memory(1);
    let board = Board::new(&memory);
    let before = board.claim(&key(1, "a"), 0).expect("a place");
    board.reset(1, 3);
    assert!(!board.add(before, &one_row(), Loaded::default()));
    let after = board.claim(&key(1, "b"), 4).expect("the same place");
    assert!(!board.add(before, &one_row(), Loaded::default()) && board.add(after, &one_row(), Loaded::default()));
    board.keep_only(|database| database != 1);
    assert_eq!(board.rows(1).count(), 0);
}

#[test]
fn what_is_in_memory_outlives_a_reset() {
    let memory = memory(1);
    let board = Board::new(&memory);
    let place = board.claim(&key(1, "a"), 0).expect("a place");
    assert!(board.add(place, &one_row(), Loaded { sessions: 2, bytes: 64 }));
    board.reset(1, 8);
    let row = board.rows(1).next().expect("a row");
    assert_eq!((row.total, row.since, row.loaded), (Tally::default(), 8, Loaded { sessions: 2, bytes: 64 }));
    let place = board.claim(&key(1, "a"), 9).expect("the same place");
    assert!(board.add(place, &one_row(), Loaded::default()));
}

#[test]
fn a_file_brings_back_the_counts_and_what_was_written() {
    let (memory, other) = (memory(3), memory(3));
    let board = Board::new(&memory);
    let place = board.claim(&key(1, "größe"), 1).expect("a place");
    assert!(board.add(place, &one_row(), Loaded { sessions: 1, bytes: 1 }));
    board.written(place, &one_row(), 2);
    assert!(board.add(place, &one_row(), Loaded::default()));
    let bytes = board.save(true);
    let again = Board::new(&other);
    assert!(again.load(&bytes));
    let row = again.rows(1).next().expect("a row");
    assert_eq!((row.total.requests, row.written, row.written_at, row.since), (2, one_row(), 2, 1));
    assert_eq!((row.key.service.as_str(), row.loaded), ("größe", Loaded::default()));
    assert_eq!((row.key.engine(), row.key.function()), ("native", "e2i_predict"));
    for cut in 0..bytes.len() {
        assert!(!Board::new(&self::memory(3)).load(&bytes[..cut]), "{cut}");
    }
    let mut flipped = bytes.clone();
    flipped[100] ^= 1;
    assert!(!Board::new(&self::memory(3)).load(&flipped));
    assert!(!again.load(b""));
}

#[test]
fn a_place_of_what_is_gone_is_given_away_when_it_is_written_and_no_other_is_free() {
    let memory = memory(2);
    let board = Board::new(&memory);
    let old = board.claim(&key(1, "old"), 0).expect("a place");
    let live = board.claim(&key(1, "live"), 0).expect("a place");
    assert!(
        board.add(old, &one_row(), Loaded { sessions: 1, bytes: 8 }) && board.add(live, &one_row(), Loaded::default())
    );
    let before = board.vacated();
    board.gone([old]);
    assert_eq!((board.claim(&key(1, "new"), 1), board.vacated()), (None, before), "neither written nor out of memory");
    board.lose(&key(1, "new"), &one_row());
    assert!(
        board.loses(1, &Name::new("new")) && !board.loses(2, &Name::new("new")) && !board.loses(1, &Name::new("live"))
    );
    assert!(board.add(old, &Tally::default(), Loaded { sessions: -1, bytes: -8 }));
    board.written(old, &one_row(), 2);
    board.gone([old]);
    assert!(board.vacated() != before && !board.loses(1, &Name::new("new")));
    assert_eq!(board.rows(1).count(), 2, "it is shown until another takes its place");
    let new = board.claim(&key(1, "new"), 3).expect("its place");
    assert!(!board.add(old, &one_row(), Loaded::default()) && board.add(new, &one_row(), Loaded::default()));
    board.written(live, &one_row(), 3);
    assert_eq!(board.claim(&key(1, "other"), 4), None, "what is written and there keeps its place");
}

#[test]
fn after_a_crash_what_stands_in_tables_counts_once() {
    let (first, second, third) = (memory(3), memory(3), memory(3));
    let board = Board::new(&first);
    let claim = |board: &Board<'_>, service| board.claim(&key(1, service), 1).expect("a place");
    let rows = |number: u64| {
        let mut tally = Tally::default();
        (0..number).for_each(|_| tally.add(&one_row()));
        tally
    };
    for service in ["ahead", "behind", "never"] {
        assert!(board.add(claim(&board, service), &rows(5), Loaded::default()));
    }
    let bytes = board.save(false);
    let read = |bytes: &[u8], memory| {
        let board = Board::new(memory);
        assert!(board.load(bytes));
        board
    };
    // Tables know of 8 rows of one, 3 of another, and none of the last; 2 more of each are counted, and it crashes again.
    let board = read(&bytes, &second);
    for service in ["ahead", "behind", "never"] {
        assert!(board.add(claim(&board, service), &rows(2), Loaded::default()));
    }
    let board = read(&board.save(false), &third);
    for (service, written, total) in [("ahead", 8, 10), ("behind", 3, 7), ("never", 0, 7)] {
        let place = claim(&board, service);
        board.reconcile(place, Some(&rows(written)).filter(|_| written > 0));
        board.reconcile(place, None);
        let row = board.rows(1).find(|row| row.place == place).expect("a row");
        assert_eq!((row.total.predictions, row.written.predictions), (total, written), "{service}");
        assert_eq!((row.total.longest_ns, row.is_restored), (1_500, false));
    }
}

#[test]
fn a_reset_does_not_hear_of_what_was_written_before() {
    let memory = memory(1);
    let board = Board::new(&memory);
    let before = board.claim(&key(1, "a"), 0).expect("a place");
    assert!(board.add(before, &one_row(), Loaded { sessions: 1, bytes: 1 }));
    board.reset(1, 5);
    board.written(before, &one_row(), 6);
    assert_eq!(board.rows(1).next().expect("a row").written, Tally::default());
    assert_eq!(board.claim(&key(1, "a"), 7).map(|place| board.add(place, &one_row(), Loaded::default())), Some(true));
}
