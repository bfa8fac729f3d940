//! One job a column at a time: locks that outlive the transactions of a job.

use e2i_core::{Error, Kind, Result};

use crate::catalog::schema::Schema;
use crate::jobs::job::Job;
use crate::jobs::ledger;
use crate::pg::lock::{Held, Purpose};

/// The columns that a job writes, claimed by this process until they are released, or the process ends.
pub struct Claims(Vec<Held>);

impl Claims {
    /// Claims the columns of a job.
    ///
    /// # Errors
    /// [`Kind::WrongState`] naming the job that writes one of them.
    pub fn take(job: &Job) -> Result<Self> {
        let mut claims = Self(vec![]);
        let mut columns: Vec<&str> = job.targets.iter().map(|(_, column)| column).collect();
        columns.sort_unstable();
        for column in columns {
            let name = format!("{}.{column}", job.target_name());
            match Held::take(job.schema.registry(), Purpose::ScoringJob, &name) {
                Some(held) => claims.0.push(held),
                None => {
                    claims.release();
                    return Err(taken(job.schema, job.target_name(), column));
                }
            }
        }
        Ok(claims)
    }

    /// Gives them back.
    pub fn release(self) {
        self.0.into_iter().for_each(Held::release);
    }
}

fn taken(schema: Schema, table: &str, column: &str) -> Error {
    match ledger::rival(schema, table, column) {
        Some((id, by)) => {
            Error::new(Kind::WrongState, format!("job {id} of {by} is writing column {column:?} of {table}")).with_hint(
                format!("Wait for it, SELECT * FROM e2i_scoring_progress; or SELECT e2i_cancel_scoring_job({id});"),
            )
        }
        None => Error::new(Kind::WrongState, format!("another job begins to write column {column:?} of {table}"))
            .with_hint("SELECT * FROM e2i_scoring_progress;"),
    }
}
