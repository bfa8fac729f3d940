//! Backgrounds of versions: rows that stand for what is not known of a row that is explained.
//!
//! They are kept as they were bound, with the version, and read with the owner's rights: whoever may score with a version gets to see
//! averages over them, and never a row.

use e2i_core::Result;
use pgrx::datum::{TimestampWithTimeZone, Uuid};

use crate::catalog::event::Event;
use crate::catalog::hold::hold;
use crate::catalog::model::{ModelId, Version};
use crate::catalog::schema::Schema;
use crate::pg::query::Query;
use crate::pg::role;
use crate::pg::table::Key;

const SET: Query = Query::new(
    "INSERT INTO {ml}.ml_model_backgrounds (model_id, source, rows_read, rows_kept, cells, set_by, counts_covers)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (model_id) DO UPDATE SET background_id = gen_random_uuid(), source = EXCLUDED.source, rows_read = EXCLUDED.rows_read,
         rows_kept = EXCLUDED.rows_kept, cells = EXCLUDED.cells, set_by = EXCLUDED.set_by, set_at = now(), counts_covers = EXCLUDED.counts_covers",
);
const REMOVE: Query = Query::new("DELETE FROM {ml}.ml_model_backgrounds WHERE model_id = $1");

/// What is stored of a background besides its rows.
#[derive(Debug, Clone)]
pub struct Description {
    /// Its identity: another one each time that it is set.
    pub id: [u8; 16],
    /// Where its rows came from, as was said.
    pub source: String,
    /// How many there were, and how many of them were kept.
    pub read: i64,
    /// As above.
    pub kept: i32,
    /// Who set it.
    pub set_by: String,
    /// When.
    pub set_at: Option<TimestampWithTimeZone>,
    /// Whether covers of trees are counted over it.
    pub counts_covers: bool,
}

/// What is stored of a version's background, if it has one.
pub fn describe(schema: Schema, id: &ModelId) -> Option<Description> {
    find(schema, id, |row| {
        Some(Description {
            id: *row.get::<Uuid>(c"background_id")?.as_bytes(),
            source: row.get(c"source")?,
            read: row.get(c"rows_read")?,
            kept: row.get(c"rows_kept")?,
            set_by: row.get(c"set_by")?,
            set_at: row.get(c"set_at"),
            counts_covers: row.get(c"counts_covers")?,
        })
    })
}

/// Its rows, as they were written.
pub fn cells(schema: Schema, id: &ModelId) -> Option<Vec<u8>> {
    find(schema, id, |row| row.get(c"cells"))
}

fn find<T>(schema: Schema, id: &ModelId, read: impl FnMut(&crate::pg::table::Record<'_>) -> Option<T>) -> Option<T> {
    let table = schema.table(c"ml_model_backgrounds");
    let found = table.find(c"ml_model_backgrounds_pkey", &[(c"model_id", Key::Uuid(*id))], read);
    found.into_iter().flatten().next()
}

/// Gives a version the rows that are to be its background from now on.
///
/// # Errors
/// [`e2i_core::Kind::UnknownModel`] when it has been dropped meanwhile.
pub fn set(
    schema: Schema,
    version: &Version,
    source: &str,
    (read, kept): (i64, i32),
    cells: Vec<u8>,
    counts_covers: bool,
) -> Result<()> {
    let who = role::name(role::current());
    schema.as_owner(|| {
        hold(schema, &version.id, &version.reference())?;
        SET.execute_large(schema, || {
            let id = Uuid::from_bytes(version.id);
            vec![
                id.into(),
                source.into(),
                read.into(),
                kept.into(),
                cells.into(),
                who.as_str().into(),
                counts_covers.into(),
            ]
        });
        let (model, number) = (Some(version.name.as_str()), Some(version.version.as_str()));
        let details = Some(serde_json::json!({ "source": source, "rows": kept }).to_string());
        Event { who: &who, action: "background", model, version: number, details, ..Event::default() }.record(schema);
        Ok(())
    })
}

/// Forgets the background of a version that goes. Call with the owner's rights.
pub fn remove(schema: Schema, id: &ModelId) {
    REMOVE.execute(schema, &[Uuid::from_bytes(*id).into()]);
}
