//! Making the compiled form of a model, and the runtime that it is compared with.

use e2i_core::native::compile_trained;
use e2i_core::{ElementType, Error, Interface, Kind, Result, formats};
use e2i_onnx::{Artifacts, Model, Runtime, RuntimeEngine, locale};

/// Compiles a model for the native engine; the inner error is why it cannot be.
///
/// # Errors
/// What reading the model reports.
pub fn compile(
    model: &[u8],
    preprocessor: Option<&[u8]>,
    interface: &Interface,
) -> Result<std::result::Result<Vec<u8>, String>> {
    if let Some(model) = e2i_skops::read(model) {
        let model = model?;
        // Rows are bound by the codes of the interface, which another build may have given in another order.
        let same = model.has_categories_of(interface);
        return Ok(if same { Ok(model.plan) } else { Err("its categories have other codes".to_owned()) });
    }
    if let Some(trained) = formats::read(model) {
        let trained = trained?;
        let element = interface.inputs.first().map_or(ElementType::Float32, |input| input.element);
        return compile_trained(trained.framework, element, &trained.ensemble, &trained.link).map(Ok);
    }
    let (model, first) = (Model::parse(model)?, preprocessor.map(Model::parse).transpose()?);
    Ok(e2i_onnx::compile(&model, first.as_ref(), interface).map_err(|refusal| refusal.to_string()))
}

/// Loads a graph into the runtime to compare it with. One that asks for a locale which the server lacks is loaded with another that
/// changes letters in the same way; the error says what is lacking, where that is all that it can be used for.
///
/// # Errors
/// What the runtime reports.
pub fn load_to_compare(
    runtime: &'static Runtime,
    interface: &Interface,
    artifacts: Artifacts<'_>,
) -> Result<(RuntimeEngine, Option<Error>)> {
    // One thread, whatever the setting: with several the runtime's own sums depend on their number.
    let load = |artifacts: Artifacts<'_>| RuntimeEngine::load(runtime, interface, artifacts, 1);
    let error = match load(artifacts) {
        Err(error) if error.kind() == Kind::WrongState => error,
        loaded => return Ok((loaded?, None)),
    };
    let (model, first) = (locale::replaced(artifacts.model), artifacts.preprocessor.and_then(locale::replaced));
    let artifacts = Artifacts {
        model: model.as_deref().unwrap_or(artifacts.model),
        preprocessor: first.as_deref().or(artifacts.preprocessor),
    };
    match load(artifacts) {
        Ok(engine) => Ok((engine, Some(error))),
        Err(_) => Err(error),
    }
}
