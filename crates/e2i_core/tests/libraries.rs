//! Files of data frames, of one class, and of old versions: rows with the values of the frame score as the library predicts.
//!
//! `tests/models/make_libraries.py` made files and answers.

use std::path::PathBuf;
use std::sync::Arc;

use e2i_core::formats::{self, Trained};
use e2i_core::native::{InstructionSet, NativeEngine, compile_trained};
use e2i_core::{Batch, Binder, Categories, Category, Engine, Kind, OutputSet, Outputs, Scalar, Unseen};
use serde_json::{Value, json};

fn bytes(file: &str) -> Vec<u8> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/models/libraries"));
    std::fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn read(file: &str) -> Trained {
    formats::read(&bytes(file)).unwrap_or_else(|| panic!("{file} is of no known format")).unwrap()
}

fn scalar(value: &Value) -> Scalar<'_> {
    match value {
        Value::Null => Scalar::Missing,
        Value::Bool(value) => Scalar::Bool(*value),
        Value::Number(number) => number.as_i64().map_or_else(|| Scalar::Float(number.as_f64().unwrap()), Scalar::Int),
        Value::String(text) => Scalar::Text(text),
        other => panic!("{other}"),
    }
}

fn coded(trained: &Trained) -> Vec<&str> {
    formats::coded_features(&trained.ensemble, &trained.interface)
}

/// Scores rows of values by the names of the features.
fn score(trained: &Trained, rows: &[Value]) -> Vec<f64> {
    let binder = Binder::new(Arc::new(trained.interface.clone()), "m:1");
    let mut batch = Batch::new(&trained.interface.inputs, rows.len());
    for (row, features) in rows.iter().enumerate() {
        for (index, feature) in trained.interface.features.iter().enumerate() {
            binder.set(&mut batch, row, index, scalar(&features[&feature.name])).unwrap();
        }
    }
    let element = trained.interface.inputs[0].element;
    let image = compile_trained(trained.framework, element, &trained.ensemble, &trained.link).unwrap();
    let mut outputs = Outputs::default();
    NativeEngine::open(&image, InstructionSet::best()).unwrap().score(&batch, OutputSet::BOTH, &mut outputs).unwrap();
    (0..rows.len()).map(|row| outputs.main.number(row * outputs.width).unwrap()).collect()
}

#[test]
fn rows_with_the_values_of_the_frame_score_as_the_library_to_the_bit() {
    for file in [
        "lgb_frame.txt",
        "lgb_reversed.txt",
        "xgb_frame.json",
        "xgb_frame.ubj",
        "xgb_all_0.json",
        "xgb_all_1.json",
        "xgb_shares_all_1.json",
        "xgb_margins_all_0.json",
        "xgb_counts_all_0.json",
        "xgb_low_base.json",
        "xgb_high_base.json",
        "xgb_untrained.json",
        "xgb_untrained_base.json",
        "lgb_2_1_2.txt",
    ] {
        let name = file.split_once('.').unwrap().0;
        let golden: Value = serde_json::from_slice(&bytes(&format!("{name}.golden.json"))).unwrap();
        let golden = golden.as_array().unwrap();
        let rows: Vec<Value> = golden.iter().map(|row| row["features"].clone()).collect();
        let expected: Vec<f64> = golden.iter().map(|row| row["prediction"].as_f64().unwrap()).collect();
        assert_eq!(score(&read(file), &rows), expected, "{file}");
    }
}

#[test]
fn categories_are_those_of_the_frame() {
    let categories = |trained: &Trained, name: &str| -> Option<Categories> {
        trained.interface.features.iter().find(|feature| feature.name == name).unwrap().categories.clone()
    };
    let listed = |values: Value, unseen| {
        Some(Categories { values: serde_json::from_value::<Vec<Category>>(values).unwrap(), unseen })
    };
    let lightgbm = read("lgb_frame.txt");
    assert_eq!(categories(&lightgbm, "age"), None);
    assert_eq!(categories(&lightgbm, "cylinders"), listed(json!([8, -5, 3]), Unseen::Missing));
    assert_eq!(categories(&lightgbm, "flag"), listed(json!([true, false]), Unseen::Missing));
    assert_eq!(categories(&lightgbm, "size"), listed(json!(["S", "M", "L"]), Unseen::Missing));
    assert_eq!(categories(&lightgbm, "share"), listed(json!([0.5, 1.5, 2.0]), Unseen::Missing));
    assert_eq!(categories(&lightgbm, "constant"), listed(json!(["only"]), Unseen::Missing));
    let xgboost = read("xgb_frame.ubj");
    assert_eq!(xgboost, read("xgb_frame.json"));
    assert_eq!(categories(&xgboost, "age"), None);
    assert_eq!(
        categories(&xgboost, "city"),
        listed(json!(["", "Cologne", "NaN", "New York", "a\"b"]), Unseen::Refused)
    );
    assert_eq!(categories(&xgboost, "cylinders"), listed(json!([8, -5, 3]), Unseen::Refused));
    let stored: e2i_core::Interface =
        serde_json::from_value(serde_json::to_value(&lightgbm.interface).unwrap()).unwrap();
    assert_eq!(stored, lightgbm.interface);
    assert!(stored.is_consistent() && coded(&lightgbm).is_empty());
}

#[test]
fn a_file_without_lists_takes_codes_and_says_of_which_features() {
    let text = String::from_utf8(bytes("lgb_frame.txt")).unwrap();
    let (before, _) = text.split_once("pandas_categorical:").unwrap();
    for text in
        [before.to_owned(), format!("{before}pandas_categorical:null\n"), format!("{before}pandas_categorical:[]\n")]
    {
        let trained = formats::read(text.as_bytes()).unwrap().unwrap();
        assert!(trained.interface.features.iter().all(|feature| feature.categories.is_none()));
        assert!(coded(&trained).contains(&"cylinders") && !coded(&trained).contains(&"age"));
    }
    let mut document: Value = serde_json::from_slice(&bytes("xgb_frame.json")).unwrap();
    document["learner"]["gradient_booster"]["model"].as_object_mut().unwrap().remove("cats");
    let trained = formats::read(document.to_string().as_bytes()).unwrap().unwrap();
    assert_eq!(coded(&trained), ["city", "cylinders"]);
}

/// XGBoost writes the first bytes of "BonnKölnMünchen", as many as there are letters.
#[test]
fn texts_that_the_library_has_cut_are_codes_unless_they_are_stated() {
    let mut trained = read("xgb_cut.json");
    assert_eq!(coded(&trained), ["city"]);
    assert_eq!(trained.interface.features[0].categories, None);
    let stated = json!({"inputs": [{"name": "city", "type": "string", "categories": ["Bonn", "Köln", "München"]}]});
    let signature = e2i_core::Signature::parse(&stated).unwrap();
    signature.complete(&mut trained.interface, true).unwrap();
    assert_eq!(score(&trained, &["Köln", "München"].map(|city| json!({"city": city}))), [10.0, 20.0]);
    let written = signature.completed(&trained.interface);
    assert_eq!(written["inputs"][0]["categories"], stated["inputs"][0]["categories"]);
}

#[test]
fn lists_whose_columns_cannot_be_told_are_refused() {
    let text = String::from_utf8(bytes("lgb_frame.txt")).unwrap();
    // Of three lists the last could be the sizes or the shares.
    let (text, _) = text.split_once(", [true, false]").unwrap();
    let text = text.replace("[categorical_feature: 1,2,3,5,6,7]", "[categorical_feature: 1,2]");
    let text = format!("{text}, [\"S\", \"M\", \"L\"]]\n");
    let error = formats::read(text.as_bytes()).unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("categories of 3 columns of a data frame"), "{error}");
    assert!(error.hint().unwrap().contains("pandas_categorical = None"));
}

#[test]
fn a_byte_order_mark_is_skipped() {
    for file in ["lgb_reversed.txt", "xgb_frame.json"] {
        let marked = [b"\xef\xbb\xbf", bytes(file).as_slice()].concat();
        assert_eq!(formats::read(&marked).unwrap().unwrap(), read(file));
    }
}

#[test]
fn binary_files_of_old_versions_are_known_by_name() {
    let old = bytes("xgb_1_0_2.model");
    for bytes in [&old[..], b"binf\0\0", b"bs64\tAAAA"] {
        let error = formats::read(bytes).unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.message().contains("binary format") && error.hint().unwrap().contains("before 3.1"), "{error}");
    }
    for end in 0..200 {
        let _ = formats::read(&old[..end]);
    }
    let error = formats::read(b"tree\nnum_class=1\nlabel_index=0\n").unwrap().unwrap_err();
    assert!(error.message().contains("older than 2"), "{error}");
    // Without the importances behind the trees it is cut.
    let text = String::from_utf8(bytes("lgb_2_1_2.txt")).unwrap();
    let (cut, _) = text.split_once("feature importances:").unwrap();
    assert_eq!(formats::read(cut.as_bytes()).unwrap().unwrap_err().kind(), Kind::BadModel);
}

#[test]
fn base_scores_follow_the_version_that_wrote_them() {
    let first = |file: &str, change: &[(&str, &str)]| -> Result<f64, Kind> {
        let mut text = String::from_utf8(bytes(file)).unwrap();
        for (from, to) in change {
            assert!(text.contains(from), "{text}");
            text = text.replace(from, to);
        }
        let trained = formats::read(text.as_bytes()).unwrap().map_err(|error| error.kind())?;
        Ok(score(&trained, &[json!({"f0": 0.5, "f1": 0.5})])[0])
    };
    // What XGBoost 3.0.5 answers for the trees of 3.2 with the same base score, which it does not limit.
    let low = first("xgb_low_base.json", &[]).unwrap();
    let older = first("xgb_low_base.json", &[("\"version\":[3,2,0]", "\"version\":[3,0,5]")]).unwrap();
    assert!(older < low * 0.6, "{older} {low}");
    // Nor does it take an estimate that no training has asked for as a margin.
    let untrained = [("\"version\":[3,2,0]", "\"version\":[3,0,5]")];
    assert_eq!(first("xgb_untrained.json", &untrained), Ok(0.5));
    for wrong in ["[-1E0]", "[2E0]", "[NaN]", "[]", "[0E0,0E0]"] {
        assert_eq!(first("xgb_all_0.json", &[("\"[0E0]\"", &format!("{wrong:?}"))]), Err(Kind::BadModel), "{wrong}");
    }
}

#[test]
fn hostile_categories_are_refused() {
    let document: Value = serde_json::from_slice(&bytes("xgb_frame.json")).unwrap();
    let with = |enc: Value| {
        let mut document = document.clone();
        document["learner"]["gradient_booster"]["model"]["cats"]["enc"] = enc;
        formats::read(document.to_string().as_bytes()).unwrap()
    };
    let none = json!({"offsets": [], "values": []});
    let texts = |offsets: Value, values: Value| with(json!([none, {"offsets": offsets, "values": values}, none]));
    assert!(texts(json!([0, 1, 2]), json!([97, 98])).is_ok());
    assert!(texts(json!([0, 0]), json!([])).is_ok());
    for (offsets, values) in [
        (json!([0, 3]), json!([97, 98])),
        (json!([-1, 1]), json!([97, 98])),
        (json!([2, 1]), json!([97, 98])),
        (json!([0, 1]), json!([97.5])),
        (json!([0, 1]), json!([1000])),
        (json!([0, i64::MAX]), json!([97])),
    ] {
        assert_eq!(texts(offsets.clone(), values).unwrap_err().kind(), Kind::BadModel, "{offsets}");
    }
    assert!(with(json!([none])).is_err());
    assert!(with(json!([none, none, {"type": 16, "values": [u64::MAX]}])).is_err());
    assert!(with(json!([none, none, {"type": 15}])).is_err());
    let text = String::from_utf8(bytes("lgb_reversed.txt")).unwrap();
    for lists in ["[[1,null]]", "[[[1]]]", "[[NaN]]", "[[18446744073709551615]]", "[1]", "{}", "[[1,0],[1,0]]", "[[1"] {
        let text = text.replace("[[1, 0]]", lists);
        assert!(formats::read(text.as_bytes()).unwrap().is_err(), "{lists}");
    }
}

#[test]
fn damaged_files_of_frames_are_refused_or_read() {
    let mut state = 9_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for file in ["xgb_frame.json", "xgb_frame.ubj", "lgb_frame.txt"] {
        let whole = bytes(file);
        // Where the categories stand.
        let mark: &[u8] = if file.starts_with("xgb") { b"cats" } else { b"[categorical_feature" };
        let start = whole.windows(mark.len()).position(|part| part == mark).unwrap();
        for _ in 0..700 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random() % 3 {
                let at = start + random() % (whole.len() - start).min(400);
                bytes[at] = [random() as u8, b'0' + (random() % 10) as u8, b',', 0xff][random() % 4];
            }
            if let Some(Ok(trained)) = formats::read(&bytes) {
                assert!(trained.interface.is_consistent());
                let _ = Binder::new(Arc::new(trained.interface), "m:1");
            }
        }
    }
}
