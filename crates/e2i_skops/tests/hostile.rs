//! Files that are not what they say: each is refused in words, or scores; nothing panics, hangs, or takes more memory than its
//! bytes allow. `E2I_MUTATIONS` asks for more than 500 damaged files; `fuzz/` looks further.

use std::io::{Cursor, Read, Write};

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Engine, Kind, OutputSet, Outputs};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

type Members = Vec<(String, Vec<u8>)>;

fn bytes(model: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/models/skops/{model}.skops", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn members(bytes: &[u8]) -> Members {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let count = zip.len();
    let one = |index| {
        let mut member = zip.by_index(index).unwrap();
        let mut bytes = vec![];
        member.read_to_end(&mut bytes).unwrap();
        (member.name().unwrap().into_owned(), bytes)
    };
    (0..count).map(one).collect()
}

fn zipped(members: &Members, method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    for (name, bytes) in members {
        zip.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The file with its schema changed.
fn with_schema(model: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let mut members = members(&bytes(model));
    let (_, schema) = members.iter_mut().find(|(name, _)| name == "schema.json").unwrap();
    *schema = change(std::str::from_utf8(schema).unwrap()).into_bytes();
    zipped(&members, CompressionMethod::Stored)
}

/// The file with the nodes of its first tree changed: `at` is the offset of a field in a node of 64 bytes.
fn with_nodes(model: &str, node: usize, at: usize, value: [u8; 8]) -> Vec<u8> {
    let mut members = members(&bytes(model));
    let is_nodes = |bytes: &[u8]| bytes.windows(10).any(|window| window == b"left_child");
    let (_, array) = members.iter_mut().find(|(_, bytes)| is_nodes(bytes)).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([array[8], array[9]]));
    array[header + 64 * node + at..][..8].copy_from_slice(&value);
    zipped(&members, CompressionMethod::Deflated)
}

fn refusal(bytes: &[u8]) -> (Kind, String) {
    match e2i_skops::read(bytes) {
        None => panic!("it is taken for another kind of file"),
        Some(Ok(_)) => panic!("it is read"),
        Some(Err(error)) => (error.kind(), error.message().to_owned()),
    }
}

/// Reads a file and scores rows with it, whatever comes of it.
fn tried(bytes: &[u8]) -> bool {
    let Some(Ok(model)) = e2i_skops::read(bytes) else { return false };
    let mut engine = NativeEngine::open(&model.plan, InstructionSet::best()).unwrap();
    let mut outputs = Outputs::default();
    let _ = engine.score(&model.samples.rows, OutputSet::BOTH, &mut outputs);
    true
}

#[test]
fn what_is_cut_is_refused() {
    let whole = bytes("tree_binary");
    for part in 1..32 {
        assert!(!tried(&whole[..whole.len() * part / 32]));
    }
}

#[test]
fn what_is_cut_is_said_to_be_cut() {
    let whole = bytes("tree_binary");
    // Before the schema, in it, and in the record behind it.
    for length in [100, whole.len() / 2, whole.len() - 2000, whole.len() - 1] {
        assert!(refusal(&whole[..length]).1.starts_with("this is a truncated .skops file"), "{length}");
    }
}

#[test]
fn members_that_nobody_needs_are_whole() {
    let mut names = 0;
    let mut damaged = bytes("forest_3");
    // The state of a generator of random numbers: 624 numbers of 32 bits.
    let own = members(&damaged).into_iter().find(|(_, bytes)| bytes.len() > 624 * 4 && bytes.len() < 624 * 4 + 256);
    if let Some((_, state)) = own {
        let method = CompressionMethod::Stored;
        damaged = zipped(&members(&damaged), method);
        let at = damaged.windows(state.len()).position(|window| window == state).unwrap();
        damaged[at + state.len() - 1] ^= 1;
        names += 1;
        let (kind, message) = refusal(&damaged);
        assert_eq!(kind, Kind::BadModel);
        assert!(message.contains("hecksum"), "{message}");
    }
    assert_eq!(names, 1);
}

/// The file with the first of its arrays whose header has a text, which another of the same length replaces.
fn with_header(model: &str, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut members = members(&bytes(model));
    let at = |bytes: &[u8]| bytes.windows(from.len()).position(|window| window == from.as_bytes());
    let arrays = members.iter_mut().filter(|(name, _)| name.ends_with(".npy"));
    let (array, at) =
        arrays.filter_map(|(_, bytes)| Some((at(bytes)?, bytes))).map(|(at, bytes)| (bytes, at)).next().unwrap();
    array[at..at + to.len()].copy_from_slice(to.as_bytes());
    zipped(&members, CompressionMethod::Deflated)
}

#[test]
fn headers_of_arrays_are_not_believed() {
    for (model, from, to) in [
        // An array of objects is a pickle.
        ("linear_ridge", "'<f8'", "'|O8'"),
        ("linear_ridge", "'shape': (5,)", "'shape': (9,)"),
        ("linear_ridge", "'shape': (5,)", "'shape': (-5)"),
        ("linear_ridge", "{'descr'", "[open(0)"),
        ("tree_binary", "'left_child'", "'lift_child'"),
        ("logistic_multi", "'shape': (3, 5)", "'shape': (5, 3)"),
    ] {
        let (kind, message) = refusal(&with_header(model, from, to));
        assert!([Kind::BadModel, Kind::Unsupported].contains(&kind), "{model}, {to}: {message}");
    }
}

#[test]
fn sparse_matrices_are_not_believed() {
    for (array, at, value) in
        [("indices.npy", 0, 77u32), ("indices.npy", 0, u32::MAX), ("indptr.npy", 4, 900), ("shape.npy", 0, 1 << 30)]
    {
        let mut outer = members(&bytes("sparse_coefficients"));
        let (_, packed) = outer.iter_mut().find(|(name, _)| name.ends_with(".npz")).unwrap();
        let mut inner = members(packed);
        let (_, cells) = inner.iter_mut().find(|(name, _)| name == array).unwrap();
        let header = 10 + usize::from(u16::from_le_bytes([cells[8], cells[9]]));
        cells[header + at..][..4].copy_from_slice(&value.to_le_bytes());
        *packed = zipped(&inner, CompressionMethod::Deflated);
        let (kind, message) = refusal(&zipped(&outer, CompressionMethod::Stored));
        assert!([Kind::BadModel, Kind::Limit].contains(&kind), "{array}: {message}");
    }
}

#[test]
fn unknown_versions_must_be_proved() {
    let fitted_by = |version: &str| {
        let file = with_schema("pipeline_mixed_logistic", |schema| schema.replace("1.9.1", version));
        e2i_skops::read(&file).unwrap().unwrap()
    };
    assert!(fitted_by("1.3.0").must_be_proved(false).is_ok());
    for version in ["1.10.0", "2.0.dev0", "1.2.2", "new"] {
        let model = fitted_by(version);
        assert!(model.must_be_proved(true).is_ok());
        let error = model.must_be_proved(false).unwrap_err();
        assert!(error.message().contains(version), "{error:?}");
        assert!(error.hint().unwrap().contains("examples => '[{\"features\": {\"tenure\""), "{error:?}");
    }
}

#[test]
fn damaged_files_are_refused_or_score() {
    let count: usize = std::env::var("E2I_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(500);
    let models = [
        "tree_binary",
        "pipeline_mixed_logistic",
        "encode_infrequent_drop",
        "hist_9",
        "voting_hard",
        "lgbm_2",
        "xgb_2",
    ];
    let originals: Vec<Members> = models.iter().map(|model| members(&bytes(model))).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below.max(1) as u64) as usize
    };
    let mut read = 0;
    for _ in 0..count {
        let mut members = originals[next(models.len())].clone();
        // Half of the time the schema, which most members are small beside.
        let which = if next(2) == 0 { members.len() - 1 } else { next(members.len()) };
        let (_, bytes) = &mut members[which];
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = next(256) as u8,
                1 => bytes[at] ^= 1 << next(8),
                2 => {
                    bytes.remove(at);
                }
                _ => {
                    let length = next(40).min(bytes.len() - at);
                    let part = bytes[at..at + length].to_vec();
                    let to = next(bytes.len());
                    bytes.splice(to..to, part);
                }
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        read += usize::from(tried(&zipped(&members, CompressionMethod::Stored)));
    }
    assert!(read > 0, "no damaged file was read, so that none was scored");
}

#[test]
fn two_members_of_one_name_are_refused() {
    let mut members = members(&bytes("tree_binary"));
    members.push(("schema.jsom".to_owned(), b"{}".to_vec()));
    let mut bytes = zipped(&members, CompressionMethod::Stored);
    for at in 0..bytes.len() - 11 {
        if &bytes[at..at + 11] == b"schema.jsom" {
            bytes[at + 10] = b'n';
        }
    }
    assert!(refusal(&bytes).1.contains("same name"));
    let twice = with_schema("tree_binary", |schema| schema.replacen("\"__module__\"", "\"__class__\"", 1));
    assert!(refusal(&twice).1.contains("two members are called \"__class__\""));
}

#[test]
fn nothing_but_known_nodes_is_read() {
    let loader =
        |name: &str| with_schema("tree_binary", |schema| schema.replacen("\"TypeNode\"", &format!("\"{name}\""), 1));
    assert_eq!(refusal(&loader("PickleNode")).0, Kind::Unsupported);
    assert!(refusal(&loader("CachedNode")).1.contains("stands for another one"));
    for protocol in ["3", "-1", "true", "\"2\"", "18446744073709551616"] {
        let file = with_schema("tree_binary", |schema| {
            schema.replace("\"protocol\": 2", &format!("\"protocol\": {protocol}"))
        });
        refusal(&file);
    }
    let gone = with_schema("tree_binary", |schema| schema.replacen(".npy", ".npz", 1));
    assert!(refusal(&gone).1.contains("has no member"));
    // A class that is not known is named, with the way out.
    let class = with_schema("pipeline_mixed_logistic", |schema| schema.replace("\"LogisticRegression\"", "\"system\""));
    let Some(Err(error)) = e2i_skops::read(&class) else { unreachable!() };
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("\"pipeline.classify\" (system)"), "{error:?}");
    assert!(error.hint().unwrap().contains("skl2onnx") && error.detail().unwrap().contains("StandardScaler"));
    let other = with_schema("pipeline_mixed_logistic", |schema| schema.replace("sklearn.linear_model._logistic", "os"));
    assert_eq!(refusal(&other).0, Kind::Unsupported);
}

#[test]
fn trees_that_lead_nowhere_are_refused() {
    // left_child, right_child, feature, threshold: 8 bytes each, in this order.
    let whole = |value: i64| value.to_le_bytes();
    for (node, at, value) in [
        (0, 0, whole(1_000_000)),
        (0, 8, whole(-7)),
        (0, 0, whole(-1)),
        (0, 0, whole(0)),
        (1, 8, whole(0)),
        (0, 16, whole(99_999)),
        (0, 16, whole(-3)),
        (0, 24, f64::NAN.to_le_bytes()),
    ] {
        let (kind, message) = refusal(&with_nodes("tree_binary", node, at, value));
        assert_eq!(kind, Kind::BadModel, "{message}");
    }
    // An infinite threshold parts missing values from the others.
    assert!(tried(&with_nodes("tree_holes", 0, 24, f64::INFINITY.to_le_bytes())));
}

#[test]
fn counts_are_not_believed() {
    for count in ["1000000000000000000", "-5", "4096"] {
        let file = with_schema("tree_binary", |schema| {
            let (before, rest) = schema.split_once("\"n_features_in_\": {").unwrap();
            let (state, rest) = rest.split_once("\"content\": \"5\"").unwrap();
            format!("{before}\"n_features_in_\": {{{state}\"content\": \"{count}\"{rest}")
        });
        refusal(&file);
    }
}

#[test]
fn nesting_and_unpacking_are_bounded() {
    let deep = |levels: usize| {
        with_schema("tree_binary", |schema| {
            let nested = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
            schema.replacen('{', &format!("{{\"x\": {nested},"), 1)
        })
    };
    assert!(tried(&deep(300)));
    assert_eq!(refusal(&deep(100_000)).0, Kind::Limit);
    let mut blown = members(&bytes("tree_binary"));
    let (_, schema) = blown.iter_mut().find(|(name, _)| name == "schema.json").unwrap();
    schema.splice(0..0, vec![b' '; 80 << 20]);
    let bomb = zipped(&blown, CompressionMethod::Deflated);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(refusal(&bomb).0, Kind::Limit);
}

#[test]
fn other_archives_are_none_of_these() {
    assert!(e2i_skops::read(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").is_none());
    assert!(e2i_skops::read(&zipped(&vec![("weights.npy".to_owned(), vec![1])], CompressionMethod::Stored)).is_none());
    assert!(e2i_skops::read(b"\x80\x04K\x01.").is_none());
    assert!(e2i_skops::read(b"").is_none());
}
