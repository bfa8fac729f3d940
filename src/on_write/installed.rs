//! The triggers that score, as the server's catalog has them.

use pgrx::pg_sys;

use crate::catalog::schema::Schema;
use crate::on_write::order::Order;
use crate::pg::query::Query;

// Those of partitions are copies of their parent's.
const TRIGGERS: Query = Query::new(
    "SELECT t.tgrelid, t.tgname::text, t.tgargs, t.tgenabled::text,
            ARRAY(SELECT a.attname::text FROM unnest(t.tgattr::smallint[]) WITH ORDINALITY w (number, place)
                  JOIN pg_attribute a ON (a.attrelid, a.attnum) = (t.tgrelid, w.number) ORDER BY w.place),
            ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.tgrelid AND a.attnum > 0 AND NOT a.attisdropped
                  AND a.attnum <> ALL (t.tgattr::smallint[]) ORDER BY a.attnum)
     FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE p.proname = 'e2i_score_row' AND p.pronamespace = $1 AND NOT t.tgisinternal AND t.tgparentid = 0
       AND ($2 IS NULL OR t.tgrelid = $2)
     ORDER BY t.tgrelid::regclass::text COLLATE \"C\", t.tgname",
);

/// A trigger that scores.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The table.
    pub table: pg_sys::Oid,
    /// Its name.
    pub trigger: String,
    /// What it does.
    pub order: Order,
    /// When it fires: origin, replica, always or disabled.
    pub fires: &'static str,
    /// The columns whose update has a row scored anew.
    pub watched: Vec<String>,
    /// The others.
    pub unwatched: Vec<String>,
}

/// Those of a table, or of all. One that somebody has made by hand, and that says nothing to do, is none.
pub fn list(schema: Schema, table: Option<pg_sys::Oid>) -> Vec<Installed> {
    let found = TRIGGERS.select(schema, &[pg_sys::Oid::from(schema).into(), table.into()], |row| {
        let order = row.bytes(3, |bytes| Order::parse(&String::from_utf8_lossy(bytes.strip_suffix(b"\0")?)).ok())?;
        let fires = match row.get::<String>(4)?.as_str() {
            "D" => "disabled",
            "R" => "replica",
            "A" => "always",
            _ => "origin",
        };
        let names = |column| row.get::<Vec<String>>(column).unwrap_or_default();
        let (watched, unwatched) = (names(5), names(6));
        Some(Installed { table: row.get(1)?, trigger: row.get(2)?, order, fires, watched, unwatched })
    });
    found.into_iter().flatten().collect()
}
