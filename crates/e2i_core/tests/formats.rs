//! The files of training libraries: what is read from them predicts what the library predicts, and broken ones are refused.
//!
//! `tests/models/make_trained.py` made files and answers. `E2I_TRAINED` names another folder that it filled, `E2I_MUTATIONS`
//! asks for more than 2,000 broken files; `fuzz/` looks further.

use std::path::PathBuf;

use e2i_core::formats::{self, Trained};
use e2i_core::native::{
    Forest, Function, Image, ImageWriter, InstructionSet, NativeEngine, Node, Precision, Rows, Scratch, SumsMut,
    compile_trained,
};
use e2i_core::random::Random;
use e2i_core::{Batch, Column, ElementType, Engine, Kind, OutputSet, Outputs, Task};
use serde_json::Value;

fn folder() -> PathBuf {
    let ours = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/models/trained"));
    std::env::var_os("E2I_TRAINED").map_or_else(ours, PathBuf::from)
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn read(file: &str) -> Trained {
    formats::read(&bytes(file)).unwrap_or_else(|| panic!("{file} is of no known format")).unwrap()
}

/// The files with one of these endings, in order.
fn files(endings: &[&str]) -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = names
        .filter(|name| endings.iter().any(|ending| name.ends_with(ending)) && !name.ends_with(".golden.json"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

struct Golden {
    features: Vec<f64>,
    raw: Vec<f64>,
    prediction: Vec<f64>,
    label: Option<i64>,
}

fn golden(model: &str) -> Vec<Golden> {
    let document: Value = serde_json::from_slice(&bytes(&format!("{model}.golden.json"))).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap_or(f64::NAN)).collect()
    };
    let rows = document["rows"].as_array().unwrap().iter();
    rows.map(|row| Golden {
        features: numbers(&row["features"]),
        raw: numbers(&row["raw"]),
        prediction: numbers(&row["prediction"]),
        label: row["label"].as_i64(),
    })
    .collect()
}

/// Predictions and label of a row.
fn predict(trained: &Trained, sums: &[f64]) -> (Vec<f64>, i64) {
    let mut label = [-1];
    let predictions = match trained.ensemble.added_in {
        Precision::Single => {
            let mut sums: Vec<f32> = sums.iter().map(|sum| *sum as f32).collect();
            trained.link.apply_single(trained.ensemble.targets, &mut sums, &mut label);
            sums.into_iter().map(f64::from).collect()
        }
        Precision::Double => {
            let mut sums = sums.to_vec();
            trained.link.apply_double(trained.ensemble.targets, &mut sums, &mut label);
            sums
        }
    };
    (predictions, label[0])
}

/// Zeros of both signs are one answer.
#[track_caller]
fn assert_bits(ours: &[f64], theirs: &[f64], place: &str) {
    let same = ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a == b);
    assert!(same, "{place}: {ours:?}, the library says {theirs:?}");
}

#[test]
fn predictions_are_the_librarys_to_the_bit() {
    for file in files(&[".json", ".ubj", ".txt"]) {
        let model = file.rsplit_once('.').unwrap().0;
        if model == "lgb_linear" {
            continue;
        }
        let trained = read(&file);
        for (number, row) in golden(model).iter().enumerate() {
            let place = format!("{file}, row {number} {:?}", row.features);
            let sums = trained.ensemble.sums(&row.features);
            assert_bits(&sums, &row.raw, &format!("{place}, sums"));
            let (predictions, label) = predict(&trained, &sums);
            assert_bits(&predictions, &row.prediction, &place);
            let classifies = trained.interface.task.is_classification();
            assert_eq!(row.label, classifies.then_some(label), "{place}");
        }
    }
}

#[test]
fn the_native_engine_predicts_as_the_library() {
    for file in files(&[".json", ".ubj", ".txt"]) {
        let model = file.rsplit_once('.').unwrap().0;
        if model == "lgb_linear" {
            continue;
        }
        let trained = read(&file);
        let input = &trained.interface.inputs[0];
        let image = compile_trained(trained.framework, input.element, &trained.ensemble, &trained.link).unwrap();
        let rows = golden(model);
        for set in InstructionSet::available() {
            let mut engine = NativeEngine::open(&image, set).unwrap();
            for at_once in [1, rows.len()] {
                for (start, rows) in rows.chunks(at_once).enumerate() {
                    let mut batch = Batch::new(&trained.interface.inputs, rows.len());
                    let cells = rows.iter().flat_map(|row| row.features.iter().copied());
                    batch.tensors_mut()[0].values = match input.element {
                        ElementType::Float64 => Column::Float64(cells.collect()),
                        _ => Column::Float32(cells.map(|cell| cell as f32).collect()),
                    };
                    let mut outputs = Outputs::default();
                    engine.score(&batch, OutputSet::BOTH, &mut outputs).unwrap();
                    for (index, row) in rows.iter().enumerate() {
                        let place = format!("{file}, {set}, row {} of {at_once}", start * at_once + index);
                        let cells = index * outputs.width..(index + 1) * outputs.width;
                        let got: Vec<f64> = cells.map(|cell| outputs.main.number(cell).unwrap()).collect();
                        assert_bits(&got, &row.prediction, &place);
                        let label = row.label.map(|label| label as f64);
                        assert_eq!(label, outputs.label.number(index), "{place}");
                    }
                }
            }
        }
    }
}

#[test]
fn both_encodings_hold_one_model() {
    for file in files(&[".ubj"]) {
        assert_eq!(read(&file), read(&file.replace(".ubj", ".json")), "{file}");
    }
}

/// XGBoost 1 wrote truth values and knew no categories; XGBoost 2 wrote NaN as the threshold of categorical splits; from 3.1
/// on the base score is a list; in 3.2 vectors of leaves have a list of their own.
#[test]
fn what_other_versions_of_xgboost_write_is_the_same_model() {
    let text = String::from_utf8(bytes("xgb_sets.json")).unwrap();
    let (start, rest) = text.split_once("\"split_conditions\":[").unwrap();
    let (_, rest) = rest.split_once(',').unwrap();
    let older = format!("{start}\"split_conditions\":[NaN,{rest}");
    assert_eq!(formats::read(older.as_bytes()).unwrap().unwrap(), read("xgb_sets.json"));

    let mut older: Value = serde_json::from_slice(&bytes("xgb_binary.json")).unwrap();
    older["learner"]["learner_model_param"].as_object_mut().unwrap().remove("num_target");
    let model = older["learner"]["gradient_booster"]["model"].as_object_mut().unwrap();
    model.remove("iteration_indptr");
    for tree in model["trees"].as_array_mut().unwrap() {
        let tree = tree.as_object_mut().unwrap();
        tree.retain(|key, _| key != "split_type" && !key.starts_with("categories"));
        for flag in tree["default_left"].as_array_mut().unwrap() {
            *flag = (*flag == 1).into();
        }
    }
    let older = serde_json::to_vec(&older).unwrap();
    assert_eq!(formats::read(&older).unwrap().unwrap(), read("xgb_binary.json"));

    let text = String::from_utf8(bytes("xgb_vectors.json")).unwrap();
    let (_, score) = text.split_once("\"base_score\":\"").unwrap();
    let score = score.split_once('"').unwrap().0;
    let text = text.replace(&format!("\"{score}\""), &format!("\"[{score},{score}]\""));
    let mut newer: Value = serde_json::from_str(&text).unwrap();
    for tree in newer["learner"]["gradient_booster"]["model"]["trees"].as_array_mut().unwrap() {
        let vectors: Vec<Value> = tree["base_weights"].as_array().unwrap().clone();
        let mut leaves = vec![];
        for node in 0..tree["left_children"].as_array().unwrap().len() {
            if tree["left_children"][node] == -1 {
                tree["right_children"][node] = (leaves.len() / 2).into();
                leaves.extend_from_slice(&vectors[node * 2..][..2]);
            }
        }
        tree["leaf_weights"] = leaves.into();
        tree["base_weights"] = vec![0.0; vectors.len()].into();
    }
    let newer = serde_json::to_vec(&newer).unwrap();
    assert_eq!(formats::read(&newer).unwrap().unwrap(), read("xgb_vectors.json"));
}

#[test]
fn interfaces_say_what_the_files_say() {
    for file in files(&[".ubj", ".txt"]) {
        if file == "lgb_linear.txt" {
            continue;
        }
        let trained = read(&file);
        assert!(trained.interface.is_consistent(), "{file}");
        let (framework, element) = match file.ends_with(".txt") {
            true => ("lightgbm", ElementType::Float64),
            false => ("xgboost", ElementType::Float32),
        };
        assert_eq!(trained.framework, framework, "{file}");
        assert!(trained.interface.features.iter().all(|f| f.element == element && f.takes_missing), "{file}");
        assert_eq!(trained.interface.main_output().unwrap().width, Some(trained.ensemble.targets), "{file}");
    }
    let names = |file| read(file).interface.features.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
    assert_eq!(names("xgb_binary.json"), ["age", "blood pressure", "é", "d", "e"]);
    assert_eq!(names("xgb_squared.ubj"), ["f0", "f1", "f2", "f3", "f4"]);
    assert_eq!(names("lgb_binary.txt"), ["age", "blood_pressure", "é", "d", "e=1"]);
    let task = |file| read(file).interface.task;
    assert_eq!(task("xgb_binary.ubj"), Task::BinaryClassification);
    assert_eq!(task("xgb_two_classes.ubj"), Task::BinaryClassification);
    assert_eq!(task("lgb_two_classes.txt"), Task::BinaryClassification);
    assert_eq!(task("xgb_logitraw.ubj"), Task::Regression);
    assert_eq!(task("xgb_several_labels.ubj"), Task::Other);
    assert_eq!(task("lgb_classes.txt"), Task::MulticlassClassification);
    assert_eq!(read("lgb_classes.txt").interface.classes.unwrap().labels, ["0", "1", "2"]);
    assert_eq!(read("lgb_binary.txt").link.function, Function::Logistic { coefficient: 0.7 });
}

/// What came to a branch went to its sides: in rows exactly, in hessians but for their rounding.
#[test]
fn trees_keep_how_much_of_the_training_data_came_to_each_node() {
    let (mut whole, mut trees) = (0, 0);
    for file in files(&["json", "ubj", "txt"]) {
        let Some(Ok(trained)) = formats::read(&bytes(&file)) else { continue };
        for tree in &trained.ensemble.trees {
            trees += 1;
            if tree.cover.is_empty() {
                continue;
            }
            whole += 1;
            for (node, cover) in tree.nodes.iter().zip(&tree.cover) {
                let Node::Branch(branch) = node else { continue };
                let sides = tree.cover[branch.yes as usize] + tree.cover[branch.no as usize];
                assert!((sides - cover).abs() <= 1e-4 * cover.abs().max(1.0), "{file}: {cover} became {sides}");
            }
        }
    }
    assert!(whole * 10 > trees * 9, "{whole} of {trees} trees");
}

fn refusal(bytes: &[u8]) -> e2i_core::Error {
    formats::read(bytes).expect("of a known format").expect_err("refused")
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let linear = refusal(&bytes("lgb_linear.txt"));
    assert_eq!(linear.kind(), Kind::Unsupported);
    assert!(linear.message().contains("linear trees"), "{linear}");
    let json = String::from_utf8(bytes("xgb_binary.json")).unwrap();
    let unknown = refusal(json.replace("binary:logistic", "binary:other").as_bytes());
    assert_eq!((unknown.kind(), unknown.message().contains("binary:other")), (Kind::Unsupported, true));
    let linear = changed(&json, "\"name\":\"gbtree\"", "\"name\":\"gblinear\"");
    assert!(refusal(&linear).message().contains("gblinear"));
    assert_eq!(refusal(b"binf\0\0\0\0").kind(), Kind::Unsupported);
    let text = String::from_utf8(bytes("lgb_binary.txt")).unwrap();
    assert_eq!(refusal(&changed(&text, "version=v4", "version=v9")).kind(), Kind::Unsupported);
    for other in [&b""[..], b"{}", b"\x08\x09\x12\x04onnx", b"treeview\n", b"{\"name\":\"tree\"}"] {
        assert!(formats::read(other).is_none(), "{other:?}");
    }
}

/// A model's text with the first `from` replaced, which must be there.
fn changed(text: &str, from: &str, to: &str) -> Vec<u8> {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn contradictions_in_xgboost_are_refused() {
    let text = String::from_utf8(bytes("xgb_sets.json")).unwrap();
    for (from, to, why) in [
        ("\"left_children\":[1,", "\"left_children\":[0,", "two ways lead to node 0"),
        ("\"left_children\":[1,", "\"left_children\":[2,", "two ways lead to node 2"),
        ("\"left_children\":[1,", "\"left_children\":[1000000,", "does not exist"),
        ("\"left_children\":[1,", "\"left_children\":[-2,", "does not exist"),
        ("\"left_children\":[1,", "\"left_children\":[1,1,", "different lengths"),
        ("\"split_indices\":[", "\"split_indices\":[7,", "different lengths"),
        ("\"categories_nodes\":[", "\"categories_nodes\":[4000000,", "different lengths"),
        ("\"categories_segments\":[0", "\"categories_segments\":[9999", "out of bounds"),
        ("\"categories\":[", "\"categories\":[-7,", "-7 is no category"),
        ("\"num_feature\":\"5\",\"num_target\"", "\"num_feature\":\"2\",\"num_target\"", "reads feature"),
        ("\"num_target\":\"1\"", "\"num_target\":\"4000000000\"", "more than"),
        ("\"tree_info\":[0", "\"tree_info\":[3", "of class 3"),
        ("\"num_trees\":\"", "\"num_trees\":\"9", "says 9"),
        ("\"attributes\":{}", "\"attributes\":{\"best_iteration\":\"99\"}", "best iteration 99"),
        ("\"base_score\":\"", "\"base_score\":\"x", "base score"),
        ("\"size_leaf_vector\":\"1\"", "\"size_leaf_vector\":\"2\"", "leaves have 2 numbers"),
    ] {
        let error = refusal(&changed(&text, from, to));
        assert!(error.message().contains(why), "{from} -> {to}: {error}");
    }
    let nameless = text.replace("\"num_feature\":\"5\"", "\"num_feature\":\"4000000000\"");
    assert_eq!(refusal(nameless.as_bytes()).kind(), Kind::Limit);
}

#[test]
fn contradictions_in_lightgbm_are_refused() {
    let text = String::from_utf8(bytes("lgb_sets.txt")).unwrap();
    for (from, to, why) in [
        ("\nleft_child=", "\nleft_child=0 ", "numbers"),
        ("\nnum_leaves=", "\nnum_leaves=999999", "numbers"),
        ("\nnum_cat=", "\nnum_cat=99999999", "numbers"),
        ("\ncat_boundaries=0 ", "\ncat_boundaries=9 ", "do not ascend"),
        ("\nsplit_feature=", "\nsplit_feature=7", "reads feature"),
        ("\nnum_tree_per_iteration=1", "\nnum_tree_per_iteration=0", "0 trees an iteration"),
        ("\nmax_feature_idx=4", "\nmax_feature_idx=4294967295", "names 5 features"),
        ("\nfeature_names=age blood_pressure", "\nfeature_names=age age", "two features named"),
        ("\nend of trees", "\nend", "without saying so"),
        ("\ntree_sizes=", "\ntree_sizes=1 ", "says 6"),
    ] {
        let error = refusal(&changed(&text, from, to));
        assert!(error.message().contains(why), "{from} -> {to}: {error}");
    }
    let (start, end) = text.split_once("\nleft_child=").unwrap();
    let (line, end) = end.split_once('\n').unwrap();
    let rest = line.split_once(' ').unwrap().1;
    for first in ["0", "-900", "-9223372036854775808"] {
        let error = refusal(format!("{start}\nleft_child={first} {rest}\n{end}").as_bytes());
        assert!(error.message().contains("does not exist"), "{first}: {error}");
    }
}

/// Reads bytes that may be anything; what is accepted must be usable.
fn survive(bytes: &[u8]) {
    if let Some(Ok(trained)) = formats::read(bytes) {
        assert!(trained.interface.is_consistent());
        let row: Vec<f64> = (0..trained.ensemble.width).map(|i| i as f64 - 1.5).collect();
        assert_eq!(predict(&trained, &trained.ensemble.sums(&row)).0.len(), trained.ensemble.targets);
    }
}

fn mutations() -> usize {
    std::env::var("E2I_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(2000)
}

const VICTIMS: [&str; 6] =
    ["xgb_sets.json", "xgb_sets.ubj", "xgb_dart_classes.ubj", "xgb_vectors.ubj", "lgb_sets.txt", "lgb_classes.txt"];

#[test]
fn a_cut_file_is_refused() {
    for file in VICTIMS {
        let whole = bytes(file);
        let end = match file.ends_with(".txt") {
            // What follows the trees is not read.
            true => whole.windows(12).position(|part| part == b"end of trees").unwrap(),
            false => whole.len(),
        };
        for part in 1..64 {
            let cut = formats::read(&whole[..end * part / 64]);
            assert!(cut.is_none_or(|read| read.is_err()), "{file} cut at {part}/64");
        }
    }
}

#[test]
fn depth_costs_no_stack() {
    let nested = format!("{{\"learner\":{}", "[".repeat(1_000_000));
    assert_eq!(refusal(nested.as_bytes()).kind(), Kind::BadModel);
    let ignored = format!("{{\"learner\":{{\"other\":{}", "[".repeat(1_000_000));
    assert_eq!(refusal(ignored.as_bytes()).kind(), Kind::BadModel);

    // One tree, a chain of branches that each have a leaf at the left.
    let branches = 50_000;
    let each = |f: &dyn Fn(usize) -> String| (0..branches).map(f).collect::<Vec<_>>().join(" ");
    let text = format!(
        "tree\nversion=v4\nnum_tree_per_iteration=1\nmax_feature_idx=0\nfeature_names=x\n\nTree=0\nnum_leaves={}\nsplit_feature={}\n\
         threshold={}\nleft_child={}\nright_child={}\nleaf_value={} -1\n\nend of trees\n",
        branches + 1,
        each(&|_| "0".into()),
        each(&|at| at.to_string()),
        each(&|at| format!("-{}", at + 1)),
        each(&|at| if at + 1 < branches { (at + 1).to_string() } else { format!("-{}", branches + 1) }),
        each(&|at| at.to_string()),
    );
    let trained = formats::read(text.as_bytes()).unwrap().unwrap();
    assert_eq!([0.0, 17.0, 17.5, 1e9].map(|x| trained.ensemble.sums(&[x])[0]), [0.0, 17.0, 18.0, -1.0]);
}

#[test]
fn changed_bytes_do_no_harm() {
    let mut random = Random(7);
    for file in VICTIMS {
        let whole = bytes(file);
        for _ in 0..mutations().div_ceil(VICTIMS.len()) {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(3) {
                let place = random.below(bytes.len());
                bytes[place] = match random.below(3) {
                    0 => random.below(256) as u8,
                    1 => bytes[place] ^ (1 << random.below(8)),
                    // Digits, signs and markers do more than random bytes.
                    _ => b"0123456789-+.eE[]{}\"$#ilLUdS =\n"[random.below(31)],
                };
            }
            survive(&bytes);
        }
    }
}

#[test]
fn pieces_in_another_order_do_no_harm() {
    let mut random = Random(11);
    for file in VICTIMS {
        let whole = bytes(file);
        for _ in 0..mutations().div_ceil(VICTIMS.len() * 5) {
            let mut bytes = whole.clone();
            let length = 1 + random.below(64);
            let (from, to) = (random.below(bytes.len() - length), random.below(bytes.len() - length));
            match random.below(3) {
                0 => bytes.copy_within(from..from + length, to),
                1 => drop(bytes.drain(from..from + length)),
                _ => drop(bytes.splice(to..to, whole[from..from + length].iter().copied())),
            }
            survive(&bytes);
        }
    }
}

/// The compiled forests, with every set of instructions and as one row as well as all at once, give the library's bits.
#[test]
fn kernels_give_the_librarys_sums() {
    for file in files(&[".ubj", ".txt"]) {
        let model = file.rsplit_once('.').unwrap().0;
        if model == "lgb_linear" {
            continue;
        }
        let trained = read(&file);
        let golden = golden(model);
        let mut writer = ImageWriter::default();
        let forest = Forest::compile(&trained.ensemble, &mut writer).unwrap();
        let (image, mut forest) = Image::open::<Forest>(&writer.finish(&forest).unwrap()).unwrap();
        forest.open(&image).unwrap();
        let numbers: Vec<f64> = golden.iter().flat_map(|row| row.features.iter().copied()).collect();
        let singles: Vec<f32> = numbers.iter().map(|x| *x as f32).collect();
        let theirs: Vec<f64> = golden.iter().flat_map(|row| row.raw.iter().copied()).collect();
        let (width, targets) = (trained.ensemble.width, trained.ensemble.targets);
        for set in InstructionSet::available() {
            for at_once in [1, golden.len()] {
                let mut ours = vec![];
                for from in (0..golden.len()).step_by(at_once) {
                    let here = from * width..(from + at_once) * width;
                    let scratch = &mut Scratch::default();
                    if trained.ensemble.added_in == Precision::Single {
                        let mut sums = vec![0.0_f32; at_once * targets];
                        let (input, out) = (Rows::Single(&singles[here]), SumsMut::Single(&mut sums));
                        forest.sums(set, input, at_once, scratch, out).unwrap();
                        ours.extend(sums.into_iter().map(f64::from));
                    } else {
                        let mut sums = vec![0.0; at_once * targets];
                        let (input, out) = (Rows::Double(&numbers[here]), SumsMut::Double(&mut sums));
                        forest.sums(set, input, at_once, scratch, out).unwrap();
                        ours.extend(sums);
                    }
                }
                assert_bits(&ours, &theirs, &format!("{file}, {set}, {at_once} rows at once"));
            }
        }
    }
}
