//! Several call sites of one model in one session: each has rows of its own, which come and go, and all share an engine.
//!
//! Every fixture, on both engines. `scripts/nightly memory` runs this under valgrind, which sees a read of memory that has
//! been given back even where its contents happen to be right.
//!
//! Needs `E2I_ONNXRUNTIME`, the path of libonnxruntime.so; `make unit` sets it.

use std::path::{Path, PathBuf};

use e2i_core::native::agreement::{Sample, varied};
use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Column, Engine, Interface, OutputSet, Outputs};
use e2i_onnx::{Artifacts, Model, Options, Runtime, RuntimeEngine, compile, describe, find_rows};

/// Too slow, or not to be loaded everywhere.
const LEFT_OUT: [&str; 3] = ["shape_loop", "shape_slow", "shape_locale"];

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models")
}

fn runtime() -> &'static Runtime {
    let path = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    Runtime::load(Path::new(&path)).expect("the runtime loads")
}

fn read(name: &str) -> Model {
    Model::parse(&std::fs::read(models().join(name)).expect("the fixture is there")).expect("it parses")
}

struct Fixture {
    name: String,
    model: Model,
    preprocessor: Option<Model>,
    interface: Interface,
    sample: Sample,
}

impl Fixture {
    fn new(name: &str, model: Model, preprocessor: Option<Model>) -> Self {
        let mut interface = None;
        // A graph that leaves its width open is given names.
        for names in [None, Some((0..4).map(|index| format!("x{index}")).collect())] {
            let options = Options { feature_names: names, ..Options::default() };
            interface = interface.or_else(|| describe(&model, preprocessor.as_ref(), &options).ok());
        }
        let mut interface = interface.unwrap_or_else(|| panic!("{name} is not described"));
        let sample = preprocessor.as_ref().unwrap_or(&model).samples(&interface);
        let mut engine = open(&model, preprocessor.as_ref(), &interface);
        find_rows(&mut engine, &mut interface, &sample.rows).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), model, preprocessor, interface, sample }
    }

    fn engines(&self) -> Vec<Box<dyn Engine>> {
        let on_runtime = open(&self.model, self.preprocessor.as_ref(), &self.interface);
        let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(on_runtime)];
        if let Ok(image) = compile(&self.model, self.preprocessor.as_ref(), &self.interface) {
            engines.push(Box::new(NativeEngine::open(&image, InstructionSet::best()).unwrap()));
        }
        engines
    }
}

fn open(model: &Model, preprocessor: Option<&Model>, interface: &Interface) -> RuntimeEngine {
    let artifacts = Artifacts { model: model.bytes(), preprocessor: preprocessor.map(Model::bytes) };
    RuntimeEngine::load(runtime(), interface, artifacts, 1).expect("it loads")
}

fn fixtures() -> Vec<Fixture> {
    let names = |folder: &str| {
        let entries = std::fs::read_dir(models().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| format!("{folder}{name}")).collect::<Vec<_>>()
    };
    let mut files = [names(""), names("rows/")].concat();
    files.sort();
    let mut fixtures = Vec::new();
    for file in &files {
        let Some(name) = file.strip_suffix(".onnx").filter(|name| !name.ends_with(".preprocessor")) else { continue };
        if LEFT_OUT.contains(&name) {
            continue;
        }
        let first = format!("{name}.preprocessor.onnx");
        let preprocessor = files.contains(&first).then(|| read(&first));
        fixtures.push(Fixture::new(name, read(file), preprocessor));
    }
    // What a preprocessor hands through, the model hands on.
    fixtures.push(Fixture::new(
        "alias_matrix twice",
        read("rows/alias_matrix.onnx"),
        Some(read("rows/alias_matrix.onnx")),
    ));
    fixtures
}

fn shown(outputs: &Outputs) -> Vec<Option<String>> {
    let cells = |column: &Column| (0..column.len()).map(|at| column.shown(at)).collect::<Vec<_>>();
    [cells(&outputs.label), cells(&outputs.main)].concat()
}

#[test]
fn call_sites_of_one_model_keep_out_of_each_others_memory() {
    for fixture in fixtures() {
        let is_random = fixture.model.suspect(&fixture.interface).is_some();
        let rows = varied(&fixture.interface, &fixture.sample, 24, false);
        let fresh = fixture.engines();
        for (mut shared, mut alone) in fixture.engines().into_iter().zip(fresh) {
            let name = format!("{} on {}", fixture.name, shared.name());
            let mut stays = rows.picked(&[0]);
            let (mut first, mut again) = (Outputs::default(), Outputs::default());
            shared.score(&stays, OutputSet::BOTH, &mut first).unwrap_or_else(|error| panic!("{name}: {error}"));
            for row in 1..rows.rows() {
                // Comes and goes, as the batch of a statement does; now and then with several rows.
                let several = if row % 5 == 0 { vec![row, row - 1, row] } else { vec![row] };
                let passing = rows.picked(&several);
                let (mut got, mut expected) = (Outputs::default(), Outputs::default());
                shared.score(&passing, OutputSet::BOTH, &mut got).unwrap();
                alone.score(&passing.clone(), OutputSet::BOTH, &mut expected).unwrap();
                drop(passing);
                shared.score(&stays, OutputSet::BOTH, &mut again).unwrap();
                if !is_random {
                    assert_eq!(shown(&again), shown(&first), "{name}, the row that stays");
                    if fixture.name.contains("alias_") {
                        // What is handed through is known without an engine.
                        assert_eq!(shown(&got), shown(&expected), "{name}, row {row}");
                    }
                }
                if row % 7 == 0 {
                    // The same values in another place.
                    stays = stays.clone();
                }
            }
        }
    }
}

#[test]
fn what_is_handed_through_is_the_callers_row() {
    let fixture = Fixture::new("alias_matrix", read("rows/alias_matrix.onnx"), None);
    let rows = varied(&fixture.interface, &fixture.sample, 50, false);
    for mut engine in fixture.engines() {
        for row in 0..rows.rows() {
            let site = rows.picked(&[row]);
            let mut outputs = Outputs::default();
            engine.score(&site, OutputSet::BOTH, &mut outputs).unwrap();
            assert_eq!(outputs.main, site.tensors()[0].values, "row {row} on {}", engine.name());
        }
        let mut outputs = Outputs::default();
        engine.score(&rows, OutputSet::BOTH, &mut outputs).unwrap();
        assert_eq!(outputs.main, rows.tensors()[0].values, "all rows on {}", engine.name());
    }
}

#[test]
fn a_label_that_is_handed_through_is_the_callers_label() {
    let fixture = Fixture::new("alias_label", read("rows/alias_label.onnx"), None);
    for mut engine in fixture.engines() {
        for label in 0..20i64 {
            let mut site = fixture.sample.rows.picked(&[0]);
            for tensor in site.tensors_mut() {
                if let Column::Int64(cells) = &mut tensor.values {
                    cells.fill(label);
                }
            }
            let mut outputs = Outputs::default();
            for wanted in [OutputSet::BOTH, OutputSet::LABEL, OutputSet::BOTH] {
                engine.score(&site, wanted, &mut outputs).unwrap();
                assert_eq!(outputs.label, Column::Int64(vec![label]), "on {}", engine.name());
            }
        }
    }
}
