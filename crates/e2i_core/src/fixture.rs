//! Small interfaces for the tests of this crate.

use crate::interface::{ElementType, Feature, InputTensor, Interface, Rows, Task};

/// A required feature of the first tensor that takes no missing values.
pub(crate) fn feature(name: &str, position: usize, element: ElementType) -> Feature {
    Feature {
        name: name.into(),
        tensor: 0,
        position,
        element,
        required: true,
        takes_missing: false,
        whole: false,
        instant: false,
        categories: None,
        default: None,
    }
}

/// A regression over one tensor that holds exactly these features, without outputs.
pub(crate) fn regression(features: Vec<Feature>) -> Interface {
    let element = features.first().map_or(ElementType::Float32, |feature| feature.element);
    Interface {
        format: Interface::FORMAT,
        task: Task::Regression,
        classes: None,
        class_scores: crate::class_scores::ClassScores::default(),
        pair: crate::class_scores::Pair::default(),
        inputs: vec![InputTensor { name: "x".into(), element, shape: vec![features.len()], rows: Rows::Free }],
        features,
        vectors: vec![],
        passed_on: vec![],
        rows_at_once: Interface::ROWS_AT_ONCE,
        varies: None,
        is_same_together: false,
        engine_times: None,
        outputs: vec![],
        label: None,
        main: None,
    }
}
