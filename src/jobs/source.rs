//! A table as a job sees it: its name, its columns, and the key whose order is followed.

use std::ffi::{CStr, CString};

use e2i_core::{Error, Kind, Result};
use pgrx::pg_sys;

use crate::pg::namespace;
use crate::pg::query::Query;

const COLUMNS: Query = Query::new(
    "SELECT a.attname::text, a.atttypid, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> ''
     FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
);
// Of whole rows, checked at once, without expressions.
const KEYS: Query = Query::new(
    "SELECT i.indisprimary, (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(number, n)
            JOIN pg_attribute a ON (a.attrelid, a.attnum) = (i.indrelid, k.number) WHERE k.n <= i.indnkeyatts)
     FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
     ORDER BY i.indisprimary DESC, i.indexrelid",
);
const NAMES: Query = Query::new(
    "SELECT n.nspname::text, c.relname::text, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = $1",
);
// As the planner counts them, whom nothing else tells. Not where a policy hides some.
const ESTIMATE: Query = Query::new(
    "SELECT (c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::int8))::int8
     FROM pg_class c WHERE c.oid = $1 AND c.relkind = 'r' AND c.relpages > 0 AND c.reltuples > 0 AND NOT c.relrowsecurity AND NOT c.relhassubclass",
);

/// Rows of a table, above which they are not counted.
const MANY: i64 = 100_000;

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub of_type: pg_sys::Oid,
    /// The type as it is written.
    pub type_name: String,
    /// Whether it takes no NULL.
    pub is_not_null: bool,
    /// Whether the server computes it.
    pub is_generated: bool,
}

impl Column {
    /// The name as it is written in a statement.
    pub fn quoted(&self) -> String {
        quoted(&self.name)
    }
}

/// A table, a view or whatever has rows.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its number.
    pub oid: pg_sys::Oid,
    /// The name with its schema, as it is written in a statement.
    pub name: String,
    /// The name alone, as it is written.
    pub alone: String,
    /// Whether it is a table of this database, partitioned or not.
    pub is_plain: bool,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Columns of its unique indexes, those of the primary key first.
    pub unique: Vec<(bool, Vec<String>)>,
}

/// A name as it is written in a statement.
pub fn quoted(name: &str) -> String {
    namespace::quoted(&CString::new(name).unwrap_or_default())
}

/// A text as it is written in a statement.
pub fn literal(text: &str) -> String {
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: takes a C string and returns a palloc'd one.
    unsafe { CStr::from_ptr(pg_sys::quote_literal_cstr(text.as_ptr())).to_string_lossy().into_owned() }
}

impl Table {
    /// A table by its number.
    ///
    /// # Errors
    /// [`Kind::UnknownModel`], which is 42704, for one that is not there.
    pub fn find(oid: pg_sys::Oid) -> Result<Self> {
        let home = pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE);
        let names = NAMES.select_latest(home, &[oid.into()], |row| {
            let text = |column| row.get::<String>(column).unwrap_or_default();
            (text(1), text(2), text(3))
        });
        let Some((schema, name, kind)) = names.into_iter().next() else {
            return Err(Error::new(Kind::UnknownModel, format!("there is no table with the number {}", oid.to_u32())));
        };
        let columns = COLUMNS.select_latest(home, &[oid.into()], |row| Column {
            name: row.get(1).unwrap_or_default(),
            of_type: row.get(2).unwrap_or(pg_sys::Oid::INVALID),
            type_name: row.get(3).unwrap_or_default(),
            is_not_null: row.get(4).unwrap_or_default(),
            is_generated: row.get(5).unwrap_or_default(),
        });
        let unique = KEYS.select_latest(home, &[oid.into()], |row| {
            let names: Vec<Option<String>> = row.get(2).unwrap_or_default();
            (row.get(1).unwrap_or(false), names.into_iter().flatten().collect())
        });
        let alone = quoted(&name);
        let is_plain = matches!(kind.as_str(), "r" | "p");
        Ok(Self { oid, name: format!("{}.{alone}", quoted(&schema)), alone, is_plain, columns, unique })
    }

    /// About how many rows it has, where it has many: reading all of a large table takes as long as scoring it.
    pub fn estimate(&self) -> Option<i64> {
        let home = pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE);
        let rows = ESTIMATE.select_latest(home, &[self.oid.into()], |row| row.get::<i64>(1));
        rows.into_iter().flatten().next().filter(|rows| *rows >= MANY)
    }

    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether rows are told apart by these columns, in whatever order.
    pub fn is_unique(&self, key: &[String]) -> bool {
        let same = |names: &[String]| names.len() == key.len() && key.iter().all(|column| names.contains(column));
        self.unique.iter().any(|(_, names)| same(names))
    }

    /// The key whose order a job follows: what is given, or the primary key.
    ///
    /// # Errors
    /// No primary key and none given; columns that are not there; of a table, columns that do not tell all rows apart.
    pub fn key(&self, given: Option<&[String]>) -> Result<Vec<Column>> {
        let Some(names) =
            given.or_else(|| self.unique.iter().find(|(is_primary, _)| *is_primary).map(|(_, names)| &names[..]))
        else {
            let what = if self.is_plain { "has no primary key" } else { "is no table with a primary key" };
            return Err(Error::new(Kind::BadOption, format!("{} {what}, and no key was given", self.name)).with_hint(
                format!(
                    "Say which columns tell its rows apart, key => ARRAY['id'], or ALTER TABLE {} ADD PRIMARY KEY (id);",
                    self.name
                ),
            ));
        };
        if names.is_empty() {
            return Err(Error::new(Kind::BadOption, "key has no columns").with_hint("key => ARRAY['id']"));
        }
        let mut key: Vec<Column> = Vec::with_capacity(names.len());
        for name in names {
            let column = self.column(name).ok_or_else(|| self.unknown(name))?;
            if key.iter().any(|known| known.name == *name) {
                return Err(Error::new(Kind::BadOption, format!("key names column {name:?} twice")));
            }
            key.push(column.clone());
        }
        if self.is_plain && !self.is_unique(names) {
            let columns = key.iter().map(Column::quoted).collect::<Vec<_>>().join(", ");
            return Err(Error::new(Kind::BadOption, format!("({columns}) is not unique in {}", self.name))
                .with_hint(format!("CREATE UNIQUE INDEX ON {} ({columns});", self.name)));
        }
        if let Some(column) = key.iter().find(|column| self.is_plain && !column.is_not_null) {
            return Err(Error::new(
                Kind::BadOption,
                format!("key column {:?} of {} may be NULL", column.name, self.name),
            )
            .with_hint(format!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL;", self.name, column.quoted())));
        }
        Ok(key)
    }

    /// That a column is not there.
    pub fn unknown(&self, name: &str) -> Error {
        let columns = self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        Error::new(Kind::BadOption, format!("{} has no column {name:?}", self.name))
            .with_detail(format!("It has {columns}."))
    }
}
