//! Models of training libraries as plans: one step.

use super::builder::PlanBuilder;
use super::ensemble::Ensemble;
use super::link::Link;
use super::operators::Trained;
use super::value::ValueType;
use crate::error::Result;
use crate::interface::ElementType;

/// Compiles an ensemble as its training library, `name`, scores it; rows are of `input`, float32 or float64. The plan's numbers
/// are the predictions, its labels the classes, where there are any.
///
/// # Errors
/// [`crate::Kind::Limit`] for what tables cannot hold, [`crate::Kind::BadModel`] for an ensemble that is none.
pub fn compile_trained(name: &str, input: ElementType, ensemble: &Ensemble, link: &Link) -> Result<Vec<u8>> {
    let mut plan = PlanBuilder::default();
    let id = plan.input(ValueType::new(input, ensemble.width));
    let operator = Trained::compile(ensemble, link.clone(), plan.tables())?;
    let outputs = operator.outputs();
    let predictions = plan.step(name, operator.into(), &[id], &outputs);
    plan.finish((outputs.len() > 1).then_some(predictions + 1), Some(predictions))
}
