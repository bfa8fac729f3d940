//! Reads scikit-learn's `.skops` files: data, not code.
//!
//! A file is a zip of arrays and a JSON schema that says which object of which class had which attributes (`container`, `json`,
//! `npy`, `node`). [`read`] compiles what it knows of scikit-learn into a plan of the native engine (`compile`): in float64, in
//! scikit-learn's own order of operations, by the rules of the version that fitted the model. What is not known is refused by
//! its class and the name of its step.
//!
//! The bytes are not trusted: whatever they claim is compared with what is there before anything is allocated for it, classes
//! are looked up in one fixed table, and nothing is ever executed.
//!
//! What does not belong here: how a plan is run (`e2i_core::native`), and the files of XGBoost and LightGBM, which
//! `e2i_core::formats` reads. It is a crate of its own because it alone unpacks archives.

mod compile;
mod container;
mod json;
mod node;
mod npy;

use e2i_core::native::Ensemble;
use e2i_core::native::agreement::Sample;
use e2i_core::{Category, ClassScores, Error, Interface, Kind, Result, Task};

/// A model of scikit-learn, compiled.
#[derive(Debug)]
pub struct Model {
    /// What it takes and gives.
    pub interface: Interface,
    /// Its plan, for the native engine.
    pub plan: Vec<u8>,
    /// Rows that it can be tried on.
    pub samples: Sample,
    /// A version of scikit-learn that fitted it and whose rules are not known: only rows that it has scored prove that it is read as
    /// it was meant.
    pub unknown_version: Option<String>,
    /// Its trees, with what of the training data came to each node: an ensemble for each step of the plan that has some.
    pub trees: Vec<Ensemble>,
}

/// Versions of scikit-learn whose rules are known, from the first minor one to the last.
const KNOWN_VERSIONS: [(u32, u32); 2] = [(1, 3), (1, 9)];

/// Whether the rules of a version are known.
fn is_known(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (KNOWN_VERSIONS[0]..=KNOWN_VERSIONS[1]).contains(&(major, minor)),
        _ => false,
    }
}

/// Reads and compiles a model; `None` when the bytes are no skops file.
///
/// # Errors
/// In the result: [`e2i_core::Kind::BadModel`] for a file that is broken, [`e2i_core::Kind::Unsupported`] for a class that is
/// not known, [`e2i_core::Kind::Limit`] for what is too large.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Result<Model>> {
    container::begins(bytes).then(|| {
        let file = node::File::open(bytes)?;
        let mut model = compile::compile(&file)?;
        file.check_rest()?;
        model.unknown_version = file.versions().into_iter().find(|version| !is_known(version)).map(str::to_owned);
        Ok(model)
    })
}

impl Model {
    /// Refuses a model of an unknown version that no rows are to prove.
    ///
    /// # Errors
    /// [`Kind::Unsupported`], with an example of such rows.
    pub fn must_be_proved(&self, has_examples: bool) -> Result<()> {
        let Some(version) = self.unknown_version.as_ref().filter(|_| !has_examples) else { return Ok(()) };
        let feature = self.interface.features.first().map_or("x0", |feature| feature.name.as_str());
        let feature = serde_json::Value::from(feature).to_string().replace('\'', "''");
        let answer = match self.interface.task {
            Task::BinaryClassification | Task::MulticlassClassification => r#""label": "yes""#,
            _ => r#""prediction": 0.7"#,
        };
        let [first, last] = KNOWN_VERSIONS.map(|(major, minor)| format!("{major}.{minor}"));
        let message = format!(
            "the model was fitted by scikit-learn {version}, whose rules are not known: those of {first} to {last} are"
        );
        Err(Error::new(Kind::Unsupported, message).with_hint(format!(
            "Give rows and what scikit-learn says of them, as proof: examples => '[{{\"features\": {{{feature}: 1, …}}, {answer}}}, …]'."
        )))
    }

    /// Whether the categories of each feature have the codes that they have in an interface.
    #[must_use]
    pub fn has_categories_of(&self, interface: &Interface) -> bool {
        let codes = |interface: &Interface| -> Vec<Vec<Category>> {
            let features = interface.features.iter();
            features.map(|feature| feature.categories.iter().flat_map(|known| known.values.clone()).collect()).collect()
        };
        codes(&self.interface) == codes(interface)
    }

    /// Its interface, with the task and the meaning of its numbers that are stated: decisions are margins, or logits where whoever
    /// registers it says so.
    ///
    /// # Errors
    /// [`Kind::BadOption`] for a statement that does not fit the file.
    pub fn interface_as(&self, task: Option<Task>, scores: Option<ClassScores>) -> Result<Interface> {
        let mut interface = self.interface.clone();
        if let Some(stated) = task.filter(|stated| *stated != interface.task) {
            let message = format!("the task {stated} was given, but the model was trained for {}", interface.task);
            return Err(Error::new(Kind::BadOption, message));
        }
        if let Some(scores) = scores.filter(|_| interface.task.is_classification()) {
            let predicts = interface.class_scores == ClassScores::Probability;
            if predicts && scores != ClassScores::Probability {
                let name = scores.name();
                let message = format!("class_scores => '{name}' was given, but the model predicts probabilities");
                return Err(Error::new(Kind::BadOption, message));
            }
            if !predicts && scores == ClassScores::Probability {
                let message = "class_scores => 'probability' was given, but the model decides by margins";
                return Err(Error::new(Kind::BadOption, message));
            }
            interface.class_scores = scores;
        }
        Ok(interface)
    }
}
