//! How a service is that nobody calls: its golden rows are scored.

use e2i_core::{Kind, ModelReference, Result, Selector};
use e2i_metrics::health::{Status, Verdict};

use crate::catalog::model::Version;
use crate::catalog::schema::Schema;
use crate::metrics::services::Service;
use crate::pg::subtransaction;
use crate::scoring::golden;

/// A probe loads the model anew, which for one of so many bytes takes some milliseconds. Larger ones are probed only thoroughly.
const PROBED_OFTEN: i64 = 16 << 20;

/// Scores a golden row of what is deployed, so that a model that broke while nobody called is found. `None` where it has none, or
/// where that is left to another time.
pub fn probe(schema: Schema, service: &Service, thoroughly: bool) -> Option<Verdict> {
    if !thoroughly && service.model_size > PROBED_OFTEN {
        return None;
    }
    let (name, version) = service.version.split_once(':')?;
    let reference = ModelReference { name: name.to_owned(), selector: Selector::Version(version.to_owned()) };
    // Whatever happens in there is an answer about the service; the interval is written all the same.
    let scored =
        subtransaction::run(|| -> Result<bool> { golden::still_proves(schema, &Version::find(schema, &reference)?) });
    let why = match scored {
        Ok(Ok(false)) => return None,
        Ok(Ok(true)) => return Some(Verdict { status: Status::Healthy, reason: None }),
        Ok(Err(error)) if error.kind() == Kind::Interrupted => return None,
        Ok(Err(error)) => error.message().to_owned(),
        Err(message) => message,
    };
    Some(Verdict { status: Status::Unhealthy, reason: Some(format!("a golden row cannot be scored: {why}")) })
}
