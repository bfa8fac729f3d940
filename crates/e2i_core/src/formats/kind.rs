//! What bytes are that are no model which can be registered, and what to do instead.
//!
//! People hand over what they have: a path, a pickle, a page that asks for a login. Each kind is a line of [`KINDS`]: how it
//! is told, what it is called, what to write. Looked at only after the readers have refused the bytes, so that a kind
//! need not be told from a model. Nothing here trusts lengths or offsets in the bytes.
//!
//! What does not belong here: reading models.

/// A kind of bytes that is no model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoModel {
    /// What it is, behind "it is": `a Python pickle`.
    pub what: &'static str,
    /// What to do, as a sentence.
    pub hint: String,
}

/// Most bytes in which words are looked for: what tells a kind stands near its beginning.
const LOOKED_AT: usize = 64 << 10;

/// Most bytes of a path or an address.
const LONGEST_PATH: usize = 4096;

const TO_ONNX: &str = "Convert the model where it was trained: skl2onnx.to_onnx(model, X).SerializeToString() for scikit-learn, \
     save_model of XGBoost or LightGBM, torch.onnx.export for PyTorch, tf2onnx for Keras and TensorFlow.";
const BOOSTER: &str = "For XGBoost: model.save_model('model.json'); for LightGBM: booster.save_model('model.txt').";
const UNPACK: &str = "Give the file that is inside, unpacked.";
/// The path in [`READ_FILE`], for which the one that was given stands.
const SOME_PATH: &str = "/path/of/model.onnx";
const READ_FILE: &str = "Give the file's bytes: pg_read_binary_file('/path/of/model.onnx') for a file on the server, \
     which its server process must be allowed to read, or from a driver the bytes of a file of your own, as open(path, 'rb').read().";
const FETCH: &str = "Nothing is fetched: download it first (mlflow.artifacts.download_artifacts for MLflow), and give the bytes of the model's file.";
const CATBOOST: &str = "Write it with model.save_model('model.onnx', format='onnx').";
const TORCH: &str =
    "Export the network: torch.onnx.export(model, example, 'model.onnx', dynamo=True, external_data=False).";
const KERAS: &str = "Export the network: model.export('model.onnx', format='onnx'), or python -m tf2onnx.convert.";
const TREES_AS_TEXT: &str =
    "That is for people to read; the file that can be scored is made by save_model('model.json').";

type Test = fn(&Bytes<'_>) -> bool;

/// The kinds, the surer ones first.
const KINDS: &[(Test, &str, &str)] = &[
    (|b| b.is_empty(), "empty", READ_FILE),
    // What holds other files.
    (|b| b.starts(b"\x1f\x8b"), "gzip-compressed", UNPACK),
    (|b| b.starts(b"\x28\xb5\x2f\xfd"), "compressed with zstd", UNPACK),
    (|b| b.starts(b"BZh"), "compressed with bzip2", UNPACK),
    (|b| b.starts(b"\xfd7zXZ\0"), "compressed with xz", UNPACK),
    (|b| b.starts(b"\x04\x22\x4d\x18"), "compressed with lz4", UNPACK),
    (|b| b.starts(b"7z\xbc\xaf\x27\x1c"), "a 7z archive", UNPACK),
    (|b| b.raw.get(257..262) == Some(b"ustar"), "a tar archive", UNPACK),
    (|b| b.has_member("schema.json"), "an archive with the contents of a skops file", SKOPS),
    (|b| b.has_member("constants.pkl"), "a TorchScript archive", TORCH),
    (|b| b.has_member("data.pkl"), "a PyTorch file", TORCH),
    (|b| b.has_member("model.weights.h5"), "a Keras archive", KERAS),
    (|b| b.has_member("saved_model.pb"), "an archive of a TensorFlow SavedModel", KERAS),
    (|b| b.has_member("MLmodel"), "an archive of an MLflow model", MLFLOW),
    (|b| b.has_member("model.ini"), "an H2O MOJO", H2O),
    (|b| b.has_member("xl/workbook.xml"), "an Excel workbook", TO_ONNX),
    (|b| b.has_member_like(".mlmodel"), "a Core ML package", TO_ONNX),
    (|b| b.has_member_like(".onnx"), "a zip archive with an ONNX model in it", UNPACK),
    (|b| b.has_member_like(".npy"), "a zip archive of NumPy arrays", TO_ONNX),
    (|b| b.starts(b"PK\x03\x04") || b.starts(b"PK\x05\x06"), "a zip archive", UNPACK),
    // What other programs load.
    (|b| b.starts(b"\x80") && matches!(b.raw.get(1), Some(2..=5)), "a Python pickle", PICKLE),
    (|b| b.starts(b"ccopy_reg") || b.starts(b"(lp0") || b.starts(b"(dp0"), "a Python pickle", PICKLE),
    (
        |b| b.starts(b"\x78\x01") || b.starts(b"\x78\x9c") || b.starts(b"\x78\xda"),
        "compressed with zlib (joblib's compress)",
        PICKLE,
    ),
    (|b| b.starts(b"\x89HDF\r\n\x1a\n"), "an HDF5 file, as Keras writes it", KERAS),
    (|b| b.starts(b"CBM1"), "a CatBoost file (.cbm)", CATBOOST),
    (
        |b| b.raw.get(4..8) == Some(b"TFL3"),
        "a TensorFlow Lite file",
        "Convert the network that it was made of: python -m tf2onnx.convert --saved-model … --output model.onnx.",
    ),
    (|b| b.raw.get(4..8) == Some(b"ORTM"), "in ONNX Runtime's own format", "Give the .onnx file that it was made of."),
    (|b| b.starts(b"GGUF"), "a GGUF file of a language model", LANGUAGE),
    (|b| b.is_safetensors(), "a safetensors file, which holds weights without a graph", TORCH),
    (|b| b.starts(b"ftrt") || b.starts(b"ptrt"), "a TensorRT engine", "Give the .onnx file that it was made of."),
    (|b| b.starts(b"\xac\xed\0\x05"), "a serialized Java object", TO_ONNX),
    (
        |b| b.starts(b"X\n\0\0\0") || b.starts(b"RDX2\n") || b.starts(b"RDX3\n") || b.starts(b"RDA"),
        "R data (saveRDS, save)",
        R,
    ),
    (|b| b.starts(b"\x7fELF") || b.starts(b"MZ"), "a program or a shared library", TO_ONNX),
    (|b| b.starts(b"\x93NUMPY"), "a NumPy array", TO_ONNX),
    (|b| b.starts(b"PAR1"), "a Parquet file", TO_ONNX),
    (|b| b.starts(b"ARROW1") || b.starts(b"FEA1"), "an Arrow file", TO_ONNX),
    (|b| b.starts(b"SQLite format 3"), "an SQLite database", TO_ONNX),
    (|b| b.starts(b"%PDF"), "a PDF", TO_ONNX),
    (
        |b| b.starts(b"\xff\xfe") || b.starts(b"\xfe\xff") || b.is_wide(),
        "text in UTF-16, as PowerShell's > writes it",
        "Write the file anew as bytes, or in UTF-8 without a byte order mark.",
    ),
    // Texts.
    (
        |b| b.starts(b"version https://git-lfs"),
        "a pointer of Git LFS, not the file that it points to",
        "Run git lfs pull in the repository, and give the file that then stands there.",
    ),
    (
        |b| b.begins_like("<!doctype html") || b.begins_like("<html"),
        "an HTML page, as a server sends for a login or an error",
        "Download the file again, with credentials; for a file on GitHub take the address of \"Raw\".",
    ),
    (|b| b.starts_text(b"<") && b.has("<PMML"), "PMML", PMML),
    (|b| b.begins_like("<?xml") || b.starts_text(b"<"), "XML", TO_ONNX),
    (
        |b| b.has("flavors:") && (b.has("mlflow_version:") || b.has("loader_module:") || b.has("model_uuid:")),
        "the MLmodel file of an MLflow model, which describes it",
        MLFLOW,
    ),
    (|b| b.is_json() && b.has("\"oblivious_trees\""), "CatBoost's JSON", CATBOOST),
    (|b| b.is_json() && b.has("\"features_info\"") && b.has("\"model_info\""), "CatBoost's JSON", CATBOOST),
    (
        |b| b.is_json() && b.has("\"tree_info\"") && b.has("\"tree_structure\""),
        "the JSON of LightGBM's dump_model",
        "That is for people to read; the file that can be scored is made by booster.save_model('model.txt').",
    ),
    (
        |b| b.is_json() && b.has("\"nodeid\"") && (b.has("\"leaf\"") || b.has("\"split\"")),
        "the JSON of XGBoost's dump_model",
        TREES_AS_TEXT,
    ),
    (|b| b.is_json() && b.has("\"nbformat\""), "a notebook", TO_ONNX),
    (
        |b| b.is_json() && (b.has("\"irVersion\"") || b.has("\"ir_version\"")),
        "ONNX as JSON",
        "Give it as bytes: model.SerializeToString().",
    ),
    (
        |b| b.is_json() && b.has("\"class_name\"") && b.has("\"config\""),
        "the architecture of a Keras network, without its weights",
        KERAS,
    ),
    (
        |b| {
            b.is_json()
                && (b.has("\"error\"") || b.has("\"error_code\"") || b.has("\"message\""))
                && b.raw.len() < LONGEST_PATH
        },
        "the JSON of an error, as a server sends it",
        "Download the file again, with credentials.",
    ),
    (|b| b.is_json(), "JSON, but not of XGBoost", BOOSTER),
    (|b| b.has("ApplyCatboostModel") || b.has("apply_catboost_model"), "CatBoost's model as source text", CATBOOST),
    (|b| b.starts_text(b"booster["), "the text of XGBoost's dump_model", TREES_AS_TEXT),
    (
        |b| b.is_text() && b.has("ir_version") && b.has("graph"),
        "ONNX as text",
        "Give it as bytes: model.SerializeToString().",
    ),
    (
        |b| b.is_hex(),
        "the text of bytes in hexadecimal digits",
        "Give the bytes: decode(…, 'hex') makes them of the digits (without \\x).",
    ),
    (|b| b.is_address(), "an address, not a file", FETCH),
    (|b| b.is_path(), "a path, not a file", READ_FILE),
    (
        |b| b.begins_like("data:") && b.has(";base64,"),
        "a data: address",
        "Give the bytes: decode(split_part(…, ',', 2), 'base64').",
    ),
    (|b| b.is_base64(), "the text of bytes in base64", "Give the bytes: decode(…, 'base64')."),
    (|b| b.is_python(), "Python source", TO_ONNX),
    (|b| b.is_text() && b.has("#include"), "C source", TO_ONNX),
    (|b| b.starts_text(b"---") || b.is_yaml(), "YAML", MLFLOW),
    (|b| b.is_table(), "a table of comma-separated values", TO_ONNX),
    (|b| b.is_text(), "text", READ_FILE),
    // Other messages of Protocol Buffers, which nothing but their words tells.
    (|b| b.has("saved_model_main_op") || b.has("serving_default") || b.has("tf_op"), "a TensorFlow SavedModel", KERAS),
    (|b| b.has("com.github.apple.coremltools") || b.has("coremltools"), "a Core ML model", TO_ONNX),
];

const SKOPS: &str = "Give the file as skops.io.dump(model, 'model.skops') wrote it: schema.json and the arrays are its own members, in no folder.";
const PICKLE: &str = "A pickle is code. Save a scikit-learn model as data, which is registered as it is: skops.io.dump(model, \"model.skops\"); \
     an XGBoost or LightGBM model with save_model; a network with torch.onnx.export.";
const MLFLOW: &str = "Give the file of the model that stands beside MLmodel: model.onnx, model.json, model.ubj, model.lgb or model.skops; \
     save a scikit-learn model with skops.io.dump.";
const H2O: &str = "H2O's models are converted with onnxmltools, which reads a MOJO: onnxmltools.convert_h2o(path).";
const R: &str = "For XGBoost: xgb.save(model, 'model.json'); for LightGBM: lgb.save(model, 'model.txt').";
const PMML: &str = "PMML is not read: convert the model where it was trained, with skl2onnx, or with save_model of XGBoost or LightGBM.";
const LANGUAGE: &str = "Language models are not what is scored here.";

/// Recognises bytes that no reader takes; `None` for what nobody knows. A byte order mark is looked past.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Option<NoModel> {
    let raw = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = Bytes::new(raw);
    let (_, what, hint) = KINDS.iter().find(|(test, ..)| test(&bytes))?;
    let hint = match bytes.name().filter(|name| bytes.is_path() && name.starts_with('/')) {
        Some(path) => hint.replace(SOME_PATH, &path.replace('\'', "''")),
        None => (*hint).to_owned(),
    };
    Some(NoModel { what, hint })
}

/// Bytes with what all tests ask of them.
struct Bytes<'a> {
    raw: &'a [u8],
    /// The beginning as text without blanks before and behind it, if it is one.
    text: Option<&'a str>,
    /// The names in a zip archive.
    members: Vec<&'a [u8]>,
}

impl<'a> Bytes<'a> {
    fn new(raw: &'a [u8]) -> Self {
        let head = &raw[..raw.len().min(LOOKED_AT)];
        let text = match std::str::from_utf8(head) {
            Ok(text) => Some(text),
            // A character that the end of the beginning cuts.
            Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).ok(),
            Err(_) => None,
        };
        let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x0c');
        let text = text.filter(|text| !text.contains(is_control)).map(str::trim);
        Self { raw, text, members: members(raw).unwrap_or_default() }
    }

    fn is_empty(&self) -> bool {
        self.raw.is_empty() || self.text == Some("")
    }

    fn starts(&self, with: &[u8]) -> bool {
        self.raw.starts_with(with)
    }

    fn starts_text(&self, with: &[u8]) -> bool {
        self.raw.trim_ascii_start().starts_with(with)
    }

    fn begins_like(&self, with: &str) -> bool {
        self.raw.trim_ascii_start().get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with.as_bytes()))
    }

    fn has(&self, word: &str) -> bool {
        let head = &self.raw[..self.raw.len().min(LOOKED_AT)];
        head.windows(word.len()).any(|window| window == word.as_bytes())
    }

    /// Whether a file of this name is in the archive, in whichever folder.
    fn has_member(&self, name: &str) -> bool {
        self.members.iter().any(|member| {
            member.strip_suffix(name.as_bytes()).is_some_and(|folder| folder.is_empty() || folder.ends_with(b"/"))
        })
    }

    fn has_member_like(&self, ending: &str) -> bool {
        self.members.iter().any(|member| member.ends_with(ending.as_bytes()))
    }

    fn is_text(&self) -> bool {
        self.text.is_some_and(|text| !text.is_empty())
    }

    fn is_json(&self) -> bool {
        self.is_text() && (self.starts_text(b"{") || self.starts_text(b"["))
    }

    /// Latin text in two bytes a character.
    fn is_wide(&self) -> bool {
        let head = &self.raw[..self.raw.len().min(64)];
        let zeros = |from: usize| head.len() >= 8 && head.iter().skip(from).step_by(2).all(|byte| *byte == 0);
        let letters = |from: usize| head.iter().skip(from).step_by(2).all(|byte| byte.is_ascii() && *byte != 0);
        (zeros(0) && letters(1)) || (zeros(1) && letters(0))
    }

    /// A length, then so many bytes of JSON.
    fn is_safetensors(&self) -> bool {
        let length = self.raw.first_chunk().map(|length| u64::from_le_bytes(*length));
        length.is_some_and(|length| length < self.raw.len() as u64)
            && self.raw.get(8) == Some(&b'{')
            && self.has("data_offsets")
    }

    /// A text of one line that is short enough for a name.
    fn name(&self) -> Option<&'a str> {
        self.text.filter(|text| self.raw.len() <= LONGEST_PATH && !text.is_empty() && !text.contains(['\n', '\r', '{']))
    }

    fn is_address(&self) -> bool {
        let Some((scheme, rest)) = self.name().and_then(|name| name.split_once(':')) else { return false };
        let is_scheme =
            scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        is_scheme && rest.starts_with('/') && !rest.contains(' ')
    }

    fn is_path(&self) -> bool {
        const ENDINGS: [&str; 18] = [
            ".onnx", ".json", ".ubj", ".txt", ".pkl", ".pickle", ".joblib", ".skops", ".lgb", ".xgb", ".model", ".cbm",
            ".pt", ".pth", ".h5", ".keras", ".pmml", ".bin",
        ];
        let Some(name) = self.name() else { return false };
        let lower = name.to_ascii_lowercase();
        let mut chars = name.chars();
        let has_drive = chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':');
        let has_root = name.starts_with('/') && name[1..].chars().filter(|c| *c == '/').count() < name.len() / 3;
        let has_ending = ENDINGS.iter().any(|ending| lower.ends_with(ending));
        let is_rooted = has_root && (has_ending || !self.is_base64() || name.len() < 64);
        is_rooted
            || ["./", "../", "~", "\\\\"].iter().any(|prefix| name.starts_with(prefix))
            || (has_drive && matches!(chars.next(), Some('\\' | '/')))
            || has_ending
    }

    fn is_hex(&self) -> bool {
        let Some(text) = self.text else { return false };
        let digits = text.strip_prefix("\\x").or_else(|| text.strip_prefix("0x")).unwrap_or(text);
        digits.len() >= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace())
    }

    fn is_base64(&self) -> bool {
        let is_digit =
            |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte) || byte.is_ascii_whitespace();
        let Some(text) = self.text else { return false };
        let longest = text.split_ascii_whitespace().map(str::len).max().unwrap_or(0);
        text.len() >= 16 && longest >= 16.min(text.len()) && text.bytes().all(is_digit)
    }

    fn is_python(&self) -> bool {
        let Some(text) = self.text else { return false };
        let begins = |line: &str| ["import ", "from ", "def ", "class "].iter().any(|word| line.starts_with(word));
        text.starts_with("#!") && text.lines().next().is_some_and(|line| line.contains("python"))
            || text.lines().any(begins)
    }

    /// Two lines of `key: value` first.
    fn is_yaml(&self) -> bool {
        let Some(text) = self.text else { return false };
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let is_pair = |line: &str| {
            line.split_once(':').is_some_and(|(key, value)| {
                !key.is_empty()
                    && key.chars().all(|c| c.is_alphanumeric() || c == '_')
                    && (value.is_empty() || value.starts_with(' '))
            })
        };
        lines.next().is_some_and(is_pair) && lines.next().is_some_and(|line| is_pair(line.trim_start()))
    }

    /// Two lines with as many separators each.
    fn is_table(&self) -> bool {
        let Some(text) = self.text else { return false };
        let mut lines = text.lines();
        let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return false };
        [',', ';', '\t'].iter().any(|separator| {
            let count = |line: &str| line.matches(*separator).count();
            count(first) > 0 && count(first) == count(second)
        })
    }
}

/// The names in a zip archive's directory, which stands at its end (APPNOTE.TXT of PKWARE, 4.3).
fn members(raw: &[u8]) -> Option<Vec<&[u8]>> {
    const MOST: usize = 10_000;
    if !raw.starts_with(b"PK\x03\x04") {
        return None;
    }
    // The record at the end has 22 bytes and a comment of at most 65,535.
    let tail = &raw[raw.len().saturating_sub(22 + 65_535)..];
    let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06")?;
    let offset = tail.get(end + 16..end + 20)?.first_chunk().map(|offset| u32::from_le_bytes(*offset))?;
    let mut rest = raw.get(usize::try_from(offset).ok()?..)?;
    let mut names = vec![];
    while names.len() < MOST && rest.starts_with(b"PK\x01\x02") {
        let length =
            |at: usize| rest.get(at..at + 2)?.first_chunk().map(|length| usize::from(u16::from_le_bytes(*length)));
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        names.push(rest.get(46..46 + name)?);
        rest = rest.get(46 + name + extra + comment..)?;
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(bytes: &[u8], what: &str, hint: &str) {
        let found = recognise(bytes).unwrap_or_else(|| panic!("{what}: nothing is recognised"));
        assert!(found.what.contains(what), "{what}: {found:?}");
        assert!(found.hint.contains(hint), "{what}: {found:?}");
    }

    /// An archive of empty files.
    fn zip(names: &[&str]) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.resize(30, 0);
        let start = bytes.len() as u32;
        for name in names {
            let mut entry = [0; 46];
            entry[..4].copy_from_slice(b"PK\x01\x02");
            entry[28..30].copy_from_slice(&(name.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&entry);
            bytes.extend_from_slice(name.as_bytes());
        }
        let mut end = [0; 22];
        end[..4].copy_from_slice(b"PK\x05\x06");
        end[16..20].copy_from_slice(&start.to_le_bytes());
        bytes.extend_from_slice(&end);
        bytes
    }

    #[test]
    fn paths_and_addresses_are_told_apart() {
        for path in [
            "/srv/models/x.onnx",
            "C:\\models\\x.onnx",
            "c:/m/x",
            "./x",
            "../m/x",
            "~/x.json",
            "\\\\host\\share\\x",
            "churn.onnx",
            "/mnt/model",
            "/srv/models/mit Leerzeichen.onnx\n",
        ] {
            is(path.as_bytes(), "a path", "pg_read_binary_file");
        }
        is(b"/srv/it's.onnx", "a path", "pg_read_binary_file('/srv/it''s.onnx')");
        for address in [
            "models:/churn/1",
            "models:/churn@champion",
            "s3://bucket/model.onnx",
            "runs:/0a1b/model",
            "https://host/model.onnx?x=1",
            "file:///srv/x.onnx",
            "gs://b/m",
            "dbfs:/m",
            "mlflow-artifacts:/1/2",
        ] {
            is(address.as_bytes(), "an address", "Nothing is fetched");
        }
    }

    #[test]
    fn bytes_that_were_written_as_text() {
        is(b"CAgSCHNrbDJvbm54GgYxLjIwLjAiB2FpLm9ubng=", "base64", "decode(…, 'base64')");
        is(b"CAgSCHNrbDJvbm54GgYx\nLjIwLjAiB2FpLm9ubng=\n", "base64", "decode(…, 'base64')");
        is(b"data:application/octet-stream;base64,CAgSCHNrbDJvbm54", "data: address", "split_part");
        is(b"08081208736b6c326f6e6e78", "hexadecimal", "decode(…, 'hex')");
        is(b"\\x08081208736b6c326f6e6e78", "hexadecimal", "decode(…, 'hex')");
    }

    #[test]
    fn archives_are_named_after_what_is_in_them() {
        is(&zip(&["churn/schema.json", "churn/1234.npy"]), "skops", "in no folder");
        is(&zip(&["model/data.pkl", "model/version"]), "a PyTorch file", "torch.onnx.export");
        is(&zip(&["m/code/x.py", "m/data.pkl", "m/constants.pkl"]), "TorchScript", "torch.onnx.export");
        is(&zip(&["metadata.json", "config.json", "model.weights.h5"]), "Keras", "tf2onnx");
        is(&zip(&["model/MLmodel", "model/model.pkl"]), "MLflow", "beside MLmodel");
        is(&zip(&["model.ini", "domains/d000.txt"]), "H2O", "convert_h2o");
        is(&zip(&["x/model.onnx"]), "with an ONNX model", "unpacked");
        is(&zip(&["my_schema.json"]), "a zip archive", "unpacked");
        is(&zip(&["schema.json"])[..40], "a zip archive", "unpacked");
        // A directory that lies about itself.
        let mut broken = zip(&["schema.json"]);
        for at in 0..broken.len() {
            let before = std::mem::replace(&mut broken[at], 0xff);
            let _ = recognise(&broken);
            broken[at] = before;
        }
        for (magic, what) in [
            (&b"\x1f\x8b\x08"[..], "gzip"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
            (b"BZh9", "bzip2"),
            (b"\xfd7zXZ\0", "xz"),
            (b"\x04\x22\x4d\x18", "lz4"),
        ] {
            is(magic, what, "unpacked");
        }
    }

    #[test]
    fn files_of_other_programs() {
        is(b"\x80\x04\x95\x10", "Python pickle", "skops.io.dump");
        is(b"ccopy_reg\n_reconstructor\n", "Python pickle", "skops.io.dump");
        is(b"\x78\x9c\x01\x02\x03", "zlib", "skops.io.dump");
        is(b"\x89HDF\r\n\x1a\n\0", "HDF5", "tf2onnx");
        is(b"CBM1\x10\0", "CatBoost", "format='onnx'");
        is(b"\x1c\0\0\0TFL3\x14", "TensorFlow Lite", "tf2onnx");
        is(b"\x1c\0\0\0ORTM\x14", "ONNX Runtime's own", ".onnx file");
        is(b"GGUF\x03\0\0\0", "GGUF", "Language models");
        is(b"\x4e\0\0\0\0\0\0\0{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}                          \0\0\0\0", "safetensors", "torch.onnx.export");
        is(b"ftrt\x01\0\0\0", "TensorRT", ".onnx file");
        is(b"X\n\0\0\0\x03\0\x04", "R data", "xgb.save");
        is(b"RDX3\nX\n", "R data", "lgb.save");
        is(b"\x08\x04\x12\x20\x0a\x10com.github.apple.coremltools.version", "Core ML", "to_onnx");
        is(b"\x08\x01\x12\xff\x01serving_default", "SavedModel", "tf2onnx");
        is(b"PAR1\x15\x04", "Parquet", "to_onnx");
        is(b"\x93NUMPY\x01\0", "NumPy", "to_onnx");
        is(b"\x7fELF\x02\x01", "shared library", "to_onnx");
    }

    #[test]
    fn texts_that_are_no_models() {
        is(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "Git LFS", "git lfs pull");
        is(b"\n<!DOCTYPE html>\n<html><head>", "HTML", "Download");
        is(b"<HTML>", "HTML", "Download");
        is(b"<?xml version=\"1.0\"?>\n<PMML xmlns=\"http://www.dmg.org/PMML-4_4\">", "PMML", "skl2onnx");
        is(b"<?xml version=\"1.0\"?><net/>", "XML", "to_onnx");
        is(
            b"artifact_path: model\nflavors:\n  python_function:\n    loader_module: mlflow.sklearn\n",
            "MLmodel",
            "beside MLmodel",
        );
        is(b"{\"model_info\":{},\"features_info\":{},\"oblivious_trees\":[]}", "CatBoost", "format='onnx'");
        is(b"#include <vector>\ndouble ApplyCatboostModel(\n", "CatBoost", "format='onnx'");
        is(b"def apply_catboost_model(float_features):\n", "CatBoost", "format='onnx'");
        is(
            b"{\"name\":\"tree\",\"version\":\"v4\",\"tree_info\":[{\"tree_structure\":{}}]}",
            "dump_model",
            "model.txt",
        );
        is(b"[{\"nodeid\": 0, \"leaf\": 0.5}]", "dump_model", "model.json");
        is(b"booster[0]:\n0:[f0<1] yes=1,no=2,missing=1\n", "dump_model", "model.json");
        is(b"{\"class_name\": \"Sequential\", \"config\": {}}", "Keras", "tf2onnx");
        is(b"{\"error_code\": \"RESOURCE_DOES_NOT_EXIST\"}", "an error", "credentials");
        is(b"{\"learner_of\": 3}", "JSON", "save_model");
        is(b"{\"irVersion\": \"8\", \"graph\": {}}", "ONNX as JSON", "SerializeToString");
        is(b"<\n  ir_version: 8\n>\ngraph (float[N] x) => (y) {}", "", "");
        is(b"import numpy as np\n\ndef predict(x):\n    return 1\n", "Python", "to_onnx");
        is(b"#include <math.h>\n", "C source", "to_onnx");
        is(b"age,income,y\n30,1000.5,1\n", "comma-separated", "to_onnx");
        is(b"\xff\xfet\0r\0e\0e\0", "UTF-16", "UTF-8");
        is(b"t\0r\0e\0e\0\r\0\n\0", "UTF-16", "UTF-8");
        is(b"\xef\xbb\xbf<!DOCTYPE html>", "HTML", "Download");
        is(b"\xef\xbb\xbf/srv/models/x.onnx", "a path", "pg_read_binary_file");
        is("größe und mehr".as_bytes(), "text", "pg_read_binary_file");
        is(b"  \n", "empty", "pg_read_binary_file");
        assert_eq!(recognise(b"\x08\x07\x12\x03abc\xfe\xff"), None);
    }
}
