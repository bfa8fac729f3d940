//! Text graphs on both engines: case, words, and counts of their sequences.

use e2i_core::native::{InstructionSet, NativeEngine};
use e2i_core::{Batch, Column, Engine, Interface, OutputSet, Outputs};
use prost::Message;

use super::pipeline_tests::{Pipeline, Random, info, int, ints, runtime, text, texts};
use crate::proto::{Attribute, ModelProto, OperatorSet, data_type};
use crate::{Artifacts, Model, Options, Refusal, RuntimeEngine, compile, describe};

const PIECES: [&str; 24] = [
    "the",
    "quick",
    "Fox",
    "fox",
    "a",
    "b2",
    "_x",
    "ÄÖü",
    "straße",
    "don't",
    "É",
    "İ",
    "ΑΣ",
    "12",
    "#",
    "ﬁ",
    "\n",
    " ",
    "  ",
    ".",
    ", ",
    "-",
    "\t",
    "the quick fox",
];

/// Words as they are in `PIECES`, then sequences of two and of three.
const POOL: [&str; 13] = ["the", "fox", "quick", "a", "12", "stra", "the", "quick", "fox", "a", "the", "quick", "fox"];

fn pattern(pattern: &'static str, shortest: i64) -> Vec<Attribute> {
    vec![int("mark", 0), int("mincharnum", shortest), text("pad_value", "#"), text("tokenexp", pattern)]
}

fn counts(mode: &'static str, (shortest, longest): (i64, i64), skipped: i64) -> Vec<Attribute> {
    vec![
        int("max_gram_length", longest),
        int("min_gram_length", shortest),
        int("max_skip_count", skipped),
        text("mode", mode),
        ints("ngram_counts", vec![0, 6, 10]),
        ints("ngram_indexes", vec![0, 2, 4, 6, 8, 1, 3, 5, 7]),
        texts("pool_strings", &POOL),
    ]
}

/// One text a row, in another case if `case` says so, its words counted.
fn graph(case: Option<(&'static str, &'static str)>, tokens: Vec<Attribute>, counts: Vec<Attribute>) -> Vec<u8> {
    let mut pipeline = Pipeline::default();
    let mut from = pipeline.input(data_type::STRING, 1);
    if let Some((case, locale)) = case {
        let flat = pipeline.integers(vec![-1]);
        from = pipeline.node("Reshape", &[&from, &flat], vec![]);
        let attributes = vec![text("case_change_action", case), text("locale", locale), int("is_case_sensitive", 0)];
        from = pipeline.node("StringNormalizer", &[&from], attributes);
    }
    let words = pipeline.node("Tokenizer", &[&from], tokens);
    if let Some(node) = pipeline.graph.nodes.last_mut() {
        node.domain = "com.microsoft".into();
    }
    let words = pipeline.node("Flatten", &[&words], vec![]);
    let counted = pipeline.node("TfIdfVectorizer", &[&words], counts);
    pipeline.graph.outputs.push(info(&counted, data_type::FLOAT, &[None, Some(9)]));
    model(pipeline)
}

fn model(pipeline: Pipeline) -> Vec<u8> {
    let set = |domain: &str, version| OperatorSet { domain: domain.into(), version };
    let opset_import = vec![set("", 17), set("ai.onnx.ml", 3), set("com.microsoft", 1)];
    let proto = ModelProto { ir_version: 8, opset_import, graph: Some(pipeline.graph), ..ModelProto::default() };
    proto.encode_to_vec()
}

fn compiled(bytes: &[u8]) -> (Interface, Result<Vec<u8>, Refusal>) {
    let model = Model::parse(bytes).unwrap();
    let interface = describe(&model, None, &Options::default()).unwrap();
    let image = compile(&model, None, &interface);
    (interface, image)
}

fn compare(bytes: &[u8], rows: &[String]) {
    let (interface, image) = compiled(bytes);
    let image = image.unwrap_or_else(|refusal| panic!("{refusal}"));
    let mut batch = Batch::new(&interface.inputs, rows.len());
    batch.tensors_mut()[0].values = Column::Text(rows.to_vec());
    let (mut expected, mut got) = (Outputs::default(), Outputs::default());
    let artifacts = Artifacts { model: bytes, preprocessor: None };
    let mut on_runtime = RuntimeEngine::load(runtime(), &interface, artifacts, 1).unwrap();
    on_runtime.score(&batch, OutputSet::BOTH, &mut expected).unwrap();
    let mut native = NativeEngine::open(&image, InstructionSet::best()).unwrap();
    assert!(native.is_exact());
    native.score(&batch, OutputSet::BOTH, &mut got).unwrap();
    assert_eq!(
        (got.width, got.main.len(), got.label.len()),
        (expected.width, expected.main.len(), expected.label.len())
    );
    for (at, text) in rows.iter().enumerate() {
        let row = |of: &Column| -> Vec<_> { (0..got.width).map(|cell| of.shown(at * got.width + cell)).collect() };
        assert_eq!(row(&got.main), row(&expected.main), "{text:?}");
        assert_eq!(got.label.shown(at), expected.label.shown(at), "{text:?}");
    }
}

fn random_rows(random: &mut Random, count: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    rows.extend((1..count).map(|_| (0..random.below(14)).map(|_| PIECES[random.below(PIECES.len())]).collect()));
    rows
}

#[test]
fn words_are_counted_as_the_runtime_counts_them() {
    let mut random = Random(11);
    for tokens in [
        pattern("[a-zA-Z0-9_]+", 1),
        pattern("\\w+", 2),
        pattern("\\b\\w\\w+\\b", 1),
        pattern("\\b\\w+\\b", 3),
        pattern("[^ ]+", 1),
        pattern("[a-z]{2,}", 1),
        pattern("[[:alpha:]]+", 1),
        pattern("\\S+", 1),
        pattern("[^\\s,.]{1,4}", 2),
        pattern(".", 1),
        vec![int("mark", 0), int("mincharnum", 1), text("pad_value", "#"), texts("separators", &[""])],
    ] {
        for (mode, lengths, skipped) in [("TF", (1, 1), 0), ("IDF", (1, 3), 0), ("TF", (2, 3), 2), ("TFIDF", (1, 2), 1)]
        {
            let bytes = graph(Some(("LOWER", "C.UTF-8")), tokens.clone(), counts(mode, lengths, skipped));
            compare(&bytes, &random_rows(&mut random, 60));
        }
    }
    // The end of a line is a character, and no word of several.
    let pool = texts("pool_strings", &["\n", "a", "b", "\r", " ", "a\n", "\na", ".", "c"]);
    let characters = vec![
        int("max_gram_length", 1),
        int("min_gram_length", 1),
        int("max_skip_count", 0),
        text("mode", "TF"),
        ints("ngram_counts", vec![0]),
        ints("ngram_indexes", (0..9).collect()),
        pool,
    ];
    for tokens in [".", "..", ".+", "(?s)."] {
        let bytes = graph(None, pattern(tokens, 1), characters.clone());
        compare(&bytes, &["a\nb".to_owned(), "\n\n".to_owned(), "a\r\na\n.".to_owned(), "aa".to_owned()]);
    }
    // Rows without any word.
    let bytes = graph(None, pattern("[a-z]+", 1), counts("TF", (1, 2), 0));
    compare(&bytes, &["".to_owned(), " ".to_owned(), "#".to_owned()]);
    compare(&bytes, &random_rows(&mut random, 100));
}

#[test]
fn letters_change_case_as_in_the_locale() {
    let mut random = Random(12);
    for (case, locale) in
        [("LOWER", "C.UTF-8"), ("UPPER", "C.UTF-8"), ("LOWER", "C"), ("UPPER", "POSIX"), ("NONE", "C")]
    {
        let mut pipeline = Pipeline::default();
        let input = pipeline.input(data_type::STRING, 1);
        let flat = pipeline.integers(vec![-1]);
        let flattened = pipeline.node("Reshape", &[&input, &flat], vec![]);
        let attributes = vec![text("case_change_action", case), text("locale", locale), int("is_case_sensitive", 0)];
        let recased = pipeline.node("StringNormalizer", &[&flattened], attributes);
        pipeline.graph.outputs.push(info(&recased, data_type::STRING, &[None]));
        let bytes = model(pipeline);
        let mut rows = random_rows(&mut random, 50);
        // Every letter of alphabets that have long had all of their letters: others get some with new versions of Unicode.
        let ranges = [('\0', '\u{180}'), ('\u{370}', '\u{530}'), ('\u{1e00}', '\u{2000}')];
        let letters = ranges.into_iter().flat_map(|(from, to)| from..to).filter(|c| c.is_alphabetic());
        let letters: Vec<char> = letters.collect();
        rows.extend(letters.chunks(500).map(|letters| letters.iter().collect()));
        compare(&bytes, &rows);
    }
}

#[test]
fn what_looks_at_other_rows_or_is_not_known_is_left_to_the_runtime() {
    let plain = || counts("TF", (1, 1), 0);
    let cases = [
        (graph(None, pattern("a|ab", 1), plain()), "the expression \"a|ab\" for words is not known"),
        (graph(Some(("LOWER", "tr_TR.UTF-8")), pattern("\\w+", 1), plain()), "case in the locale \"tr_TR.UTF-8\""),
        (graph(None, vec![int("mark", 1), text("tokenexp", "a")], plain()), "it marks the beginning"),
        (graph(None, vec![texts("separators", &[" ", ","])], plain()), "it looks for separators"),
        (graph(None, vec![text("pad_value", "fox"), text("tokenexp", "a")], plain()), "its padding is a word"),
    ];
    for (bytes, why) in cases {
        let refusal = compiled(&bytes).1.expect_err(why);
        assert!(refusal.why.contains(why), "{refusal}");
    }
}
