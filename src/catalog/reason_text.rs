//! Texts for reasons, as users have written them. Read with the owner's rights by whoever may have a row explained.

use e2i_explain::{Direction, Text, Texts};

use crate::catalog::schema::Schema;
use crate::pg::query::Query;

// Of a feature before those of all; then those of the model.
const TEXTS: Query = Query::new(
    "SELECT t.feature, t.direction, t.text, t.text_missing FROM {ml}.ml_reason_texts t
     WHERE t.language = $1 AND (t.model IS NULL OR t.model = $2) AND (t.feature IS NULL OR t.feature = ANY ($3))
     ORDER BY t.feature IS NULL, t.model IS NULL",
);

/// The texts for some features of a model in a language.
pub fn of(schema: Schema, model: &str, features: Vec<String>, language: &str) -> Texts {
    let arguments = [language.into(), model.into(), features.into()];
    let all = schema.as_owner(|| {
        TEXTS.select(schema, &arguments, |row| {
            let direction = Direction::from_name(&row.get::<String>(2)?).ok()?;
            Some(Text { feature: row.get(1), direction, text: row.get(3)?, missing: row.get(4) })
        })
    });
    Texts::new(language, all.into_iter().flatten().collect())
}
