//! The nodes of a schema: which object was saved, of which class, with which state.
//!
//! A node says by which loader skops would load it. Which of them mean something here is a fixed table; a class is a name
//! that a compiler may know, and is looked up nowhere else. Nothing is ever executed.

use e2i_core::{Error, Kind, Result};

use crate::container::{Archive, Members, SCHEMA, broken};
use crate::json::{Json, Symbol, Symbols, parse};
use crate::npy::{self, Array};

/// Every loader that skops 0.9 to 0.16 write.
const LOADERS: [&str; 26] = [
    "BytearrayNode",
    "BytesNode",
    "ConstructorFromReduceNode",
    "DTypeNode",
    "DefaultDictNode",
    "DictNode",
    "FunctionNode",
    "JsonNode",
    "ListNode",
    "LossNode",
    "MaskedArrayNode",
    "MethodNode",
    "NdArrayNode",
    "ObjectNode",
    "OperatorFuncNode",
    "PartialNode",
    "QuantileForestNode",
    "RandomGeneratorNode",
    "RandomStateNode",
    "SGDNode",
    "SetNode",
    "SliceNode",
    "SparseMatrixNode",
    "TreeNode",
    "TupleNode",
    "TypeNode",
];

/// The newest protocol; skops 0.16 writes 2, and refuses what is newer than its own.
const PROTOCOL: i64 = 2;

/// A file, read.
pub(crate) struct File<'b> {
    archive: Archive<'b>,
    symbols: Symbols,
    root: Json,
}

impl<'b> File<'b> {
    pub(crate) fn open(bytes: &'b [u8]) -> Result<Self> {
        let archive = Archive::open(bytes)?;
        let (root, symbols) = parse(&archive.read(SCHEMA)?)?;
        let file = Self { archive, symbols, root };
        match file.root().member("protocol") {
            Some(Json::Whole(protocol)) if (0..=PROTOCOL).contains(protocol) => {}
            Some(Json::Whole(protocol)) => {
                let message = format!("the skops file has protocol {protocol}; those up to {PROTOCOL} are read");
                return Err(Error::new(Kind::Unsupported, message).with_hint("Save it with skops 0.16 or older."));
            }
            _ => return Err(broken("its schema names no protocol")),
        }
        file.root().check()?;
        Ok(file)
    }

    /// Whether the members that nobody needed are whole.
    ///
    /// # Errors
    /// [`Kind::BadModel`] for one that is not.
    pub(crate) fn check_rest(&self) -> Result<()> {
        self.archive.check_rest()
    }

    /// The versions of scikit-learn that fitted the estimators, each once.
    pub(crate) fn versions(&self) -> Vec<&str> {
        let mut found = vec![];
        if let Some(name) = self.symbols.find("_sklearn_version") {
            collect_versions(self.root(), name, &mut found);
        }
        found
    }

    /// Whether a text stands anywhere in the schema.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.symbols.find(text).is_some()
    }

    pub(crate) fn root(&self) -> Node<'_> {
        Node { archive: &self.archive, symbols: &self.symbols, json: &self.root }
    }
}

impl<'f> Node<'f> {
    /// Whether every node, needed or not, has a loader of the table, and every file that one names is there.
    fn check(self) -> Result<()> {
        match self.json {
            Json::List(items) => items.iter().try_for_each(|item| self.at(item).check()),
            Json::Object(members) => {
                if let Some(loader) = self.member("__loader__") {
                    let loader = self.shown(loader).ok_or_else(|| broken("a node has a loader that is no text"))?;
                    if loader == "CachedNode" {
                        return Err(broken("a node stands for another one, which no version of skops writes"));
                    }
                    if !LOADERS.contains(&loader) {
                        let message = format!("the skops file has a node {loader:?}, which is not read");
                        return Err(Error::new(Kind::Unsupported, message));
                    }
                    if let Some(file) = self.member("file") {
                        let file = self.shown(file).ok_or_else(|| broken("a node has a file that is no text"))?;
                        if !self.archive.has(file) {
                            return Err(broken(format!("it has no member {file:?}")));
                        }
                    }
                }
                members.iter().try_for_each(|(_, member)| self.at(member).check())
            }
            _ => Ok(()),
        }
    }
}

fn collect_versions<'f>(node: Node<'f>, name: Symbol, found: &mut Vec<&'f str>) {
    match node.json {
        Json::List(items) => items.iter().for_each(|item| collect_versions(node.at(item), name, found)),
        Json::Object(members) => {
            for (member, json) in members {
                if *member == name {
                    let version = node.at(json).text_member("content").trim_matches('"');
                    if !version.is_empty() && !found.contains(&version) {
                        found.push(version);
                    }
                } else {
                    collect_versions(node.at(json), name, found);
                }
            }
        }
        _ => {}
    }
}

/// What a simple value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Simple {
    None,
    Bool(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

impl Simple {
    /// As a number: booleans are 0 and 1.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Whole(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            Self::None | Self::Text(_) => None,
        }
    }

    /// Whether it stands for a missing value: None or NaN.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            Self::None => true,
            Self::Number(value) => value.is_nan(),
            _ => false,
        }
    }
}

/// A node of a file.
#[derive(Clone, Copy)]
pub(crate) struct Node<'f> {
    archive: &'f dyn Members,
    symbols: &'f Symbols,
    json: &'f Json,
}

impl<'f> Node<'f> {
    fn at(self, json: &'f Json) -> Self {
        Self { json, ..self }
    }

    fn shown(self, json: &Json) -> Option<&'f str> {
        match json {
            Json::Text(symbol) => Some(self.symbols.text(*symbol)),
            _ => None,
        }
    }

    fn member(self, name: &str) -> Option<&'f Json> {
        let Json::Object(members) = self.json else { return None };
        let symbol = self.symbols.find(name)?;
        members.iter().find(|(member, _)| *member == symbol).map(|(_, json)| json)
    }

    fn text_member(self, name: &str) -> &'f str {
        self.member(name).and_then(|json| self.shown(json)).unwrap_or("")
    }

    /// The name of the class.
    pub(crate) fn class(self) -> &'f str {
        self.text_member("__class__")
    }

    /// The module of the class.
    pub(crate) fn module(self) -> &'f str {
        self.text_member("__module__")
    }

    pub(crate) fn loader(self) -> &'f str {
        self.text_member("__loader__")
    }

    /// Whether it is an object of a class of scikit-learn.
    pub(crate) fn is_of(self, package: &str) -> bool {
        self.module().split('.').next() == Some(package)
    }

    /// The state of an object as a dictionary.
    fn state(self) -> Option<&'f [(crate::json::Symbol, Json)]> {
        if !matches!(self.loader(), "ObjectNode" | "TreeNode" | "LossNode" | "SGDNode") {
            return None;
        }
        let state = self.at(self.member("content")?);
        let members = if self.loader() == "ObjectNode" || state.loader() == "DictNode" {
            state.member("content")?
        } else {
            state.json
        };
        match members {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// An attribute of an object, if it has one of that name.
    pub(crate) fn attribute(self, name: &str) -> Option<Self> {
        let symbol = self.symbols.find(name)?;
        let members = self.state()?;
        members.iter().find(|(member, _)| *member == symbol).map(|(_, json)| self.at(json))
    }

    /// An attribute that must be there.
    pub(crate) fn get(self, name: &str) -> Result<Self> {
        self.attribute(name).ok_or_else(|| self.lacks(name))
    }

    #[cold]
    fn lacks(self, name: &str) -> Error {
        let error = broken(format!("its {} has no attribute {name:?}", self.class()));
        if name.ends_with('_') {
            error.with_hint("It looks as if it was never fitted: call fit before skops.io.dump.")
        } else {
            error
        }
    }

    /// Whether it is None.
    pub(crate) fn is_none(self) -> bool {
        matches!(self.simple(), Some(Simple::None))
    }

    /// An attribute that is there and not None.
    pub(crate) fn some(self, name: &str) -> Option<Self> {
        self.attribute(name).filter(|node| !node.is_none())
    }

    /// The value of a simple node: what JSON holds, or an array of one cell without axes.
    pub(crate) fn simple(self) -> Option<Simple> {
        match self.loader() {
            "JsonNode" => literal(self.text_member("content")),
            "NdArrayNode" if self.text_member("type") == "numpy" => {
                let array = self.array().ok()?;
                if !array.shape.is_empty() {
                    return None;
                }
                match array.cells {
                    npy::Cells::Single(cells) => cells.first().map(|cell| Simple::Number(f64::from(*cell))),
                    npy::Cells::Double(cells) => cells.first().map(|cell| Simple::Number(*cell)),
                    npy::Cells::Whole(cells) => cells.first().map(|cell| Simple::Whole(*cell)),
                    npy::Cells::Bool(cells) => cells.first().map(|cell| Simple::Bool(*cell)),
                    npy::Cells::Text(cells) => cells.first().map(|cell| Simple::Text(cell.clone())),
                    npy::Cells::Records(_) => None,
                }
            }
            _ => None,
        }
    }

    fn wrong(self, expected: &str) -> Error {
        broken(format!("a {} {:?} stands where {expected} is expected", self.loader(), self.class()))
    }

    pub(crate) fn number(self) -> Result<f64> {
        self.simple().and_then(|simple| simple.number()).ok_or_else(|| self.wrong("a number"))
    }

    pub(crate) fn whole(self) -> Result<i64> {
        match self.simple() {
            Some(Simple::Whole(value)) => Ok(value),
            Some(Simple::Bool(value)) => Ok(i64::from(value)),
            Some(Simple::Number(value)) if value.trunc() == value && value.abs() < 1e15 => Ok(value as i64),
            _ => Err(self.wrong("a whole number")),
        }
    }

    pub(crate) fn count(self) -> Result<usize> {
        usize::try_from(self.whole()?).map_err(|_| self.wrong("a count"))
    }

    pub(crate) fn text(self) -> Result<String> {
        match self.simple() {
            Some(Simple::Text(text)) => Ok(text),
            _ => Err(self.wrong("a text")),
        }
    }

    pub(crate) fn boolean(self) -> Result<bool> {
        match self.simple() {
            Some(Simple::Bool(value)) => Ok(value),
            Some(Simple::Whole(value @ 0..=1)) => Ok(value == 1),
            _ => Err(self.wrong("True or False")),
        }
    }

    /// A parameter that is a text, if it is one.
    pub(crate) fn option(self, name: &str) -> Option<String> {
        self.attribute(name).and_then(|node| node.text().ok())
    }

    /// A parameter that is True.
    pub(crate) fn is_true(self, name: &str) -> bool {
        self.attribute(name).is_some_and(|node| node.boolean().unwrap_or(false))
    }

    /// The items of a list, a tuple or an array of objects.
    pub(crate) fn items(self) -> Result<Vec<Self>> {
        let content = match self.loader() {
            "ListNode" | "TupleNode" | "SetNode" => self.member("content"),
            "NdArrayNode" if self.text_member("type") == "json" => self.member("content"),
            // What scikit-learn 1.5 remembers the rest of the columns in.
            "ObjectNode" if self.class() == "_RemainderColsList" => return self.get("data")?.items(),
            _ => None,
        };
        match content {
            Some(Json::List(items)) => Ok(items.iter().map(|item| self.at(item)).collect()),
            _ => Err(self.wrong("a list")),
        }
    }

    /// The entries of a dictionary, in order.
    pub(crate) fn entries(self) -> Result<Vec<(&'f str, Self)>> {
        match (self.loader(), self.member("content")) {
            ("DictNode", Some(Json::Object(members))) => {
                Ok(members.iter().map(|(name, json)| (self.symbols.text(*name), self.at(json))).collect())
            }
            ("DefaultDictNode", Some(content)) => {
                let main = self.at(content).member("main").ok_or_else(|| self.wrong("a dictionary"))?;
                self.at(main).entries()
            }
            _ => Err(self.wrong("a dictionary")),
        }
    }

    /// An entry of a dictionary.
    pub(crate) fn entry(self, name: &str) -> Option<Self> {
        self.entries().ok()?.into_iter().find(|(entry, _)| *entry == name).map(|(_, node)| node)
    }

    /// An array of numbers, texts or records.
    pub(crate) fn array(self) -> Result<Array> {
        if self.loader() != "NdArrayNode" || self.text_member("type") != "numpy" {
            return Err(self.wrong("an array"));
        }
        npy::read(&self.archive.read(self.text_member("file"))?)
    }

    /// The bytes of a bytes object.
    pub(crate) fn bytes(self) -> Result<Vec<u8>> {
        match self.loader() {
            "BytesNode" | "BytearrayNode" => self.archive.read(self.text_member("file")),
            _ => Err(self.wrong("bytes")),
        }
    }

    /// The cells of an array or a list as simple values: numbers, texts, None.
    pub(crate) fn simples(self) -> Result<Vec<Simple>> {
        if self.loader() == "NdArrayNode" && self.text_member("type") == "numpy" {
            let array = self.array()?;
            return Ok(match array.cells {
                npy::Cells::Single(cells) => cells.into_iter().map(|cell| Simple::Number(f64::from(cell))).collect(),
                npy::Cells::Double(cells) => cells.into_iter().map(Simple::Number).collect(),
                npy::Cells::Whole(cells) => cells.into_iter().map(Simple::Whole).collect(),
                npy::Cells::Bool(cells) => cells.into_iter().map(Simple::Bool).collect(),
                npy::Cells::Text(cells) => cells.into_iter().map(Simple::Text).collect(),
                npy::Cells::Records(_) => return Err(self.wrong("a list")),
            });
        }
        self.items()?.into_iter().map(|item| item.simple().ok_or_else(|| item.wrong("a simple value"))).collect()
    }

    /// The numbers of an array or a list.
    pub(crate) fn numbers(self) -> Result<Vec<f64>> {
        if self.loader() == "NdArrayNode" && self.text_member("type") == "numpy" {
            return self.array()?.numbers().ok_or_else(|| self.wrong("an array of numbers"));
        }
        let numbers = self.items()?.into_iter().map(Self::number);
        numbers.collect()
    }

    /// The whole numbers of an array or a list.
    pub(crate) fn wholes(self) -> Result<Vec<i64>> {
        if self.loader() == "NdArrayNode" && self.text_member("type") == "numpy" {
            return self.array()?.wholes().ok_or_else(|| self.wrong("an array of whole numbers"));
        }
        self.items()?.into_iter().map(Self::whole).collect()
    }

    /// A sparse matrix: compressed rows or columns, or a cell each.
    pub(crate) fn sparse(self) -> Result<Sparse> {
        if self.loader() != "SparseMatrixNode" {
            return Err(self.wrong("a sparse matrix"));
        }
        let members = self.archive.unpack(self.text_member("file"))?;
        let array = |name: &str| -> Result<Array> {
            let bytes = members.get(&format!("{name}.npy"));
            npy::read(bytes.ok_or_else(|| broken(format!("a sparse matrix has no {name}")))?)
        };
        let places = |name: &str| -> Result<Vec<usize>> {
            let places = array(name)?.wholes().unwrap_or_default().into_iter();
            places.map(|place| usize::try_from(place).map_err(|_| self.wrong("a sparse matrix"))).collect()
        };
        let format = match array("format")?.cells {
            npy::Cells::Text(format) => format.into_iter().next().unwrap_or_default(),
            _ => String::new(),
        };
        let data = array("data")?.numbers().ok_or_else(|| self.wrong("a sparse matrix"))?;
        let [rows, columns] = places("shape")?[..] else { return Err(self.wrong("a sparse matrix")) };
        let cells: Vec<(usize, usize, f64)> = match format.as_str() {
            "csr" | "csc" => {
                let (indices, starts) = (places("indices")?, places("indptr")?);
                let outer = if format == "csr" { rows } else { columns };
                let fits = starts.len() == outer.saturating_add(1)
                    && starts.is_sorted()
                    && starts.first() == Some(&0)
                    && starts.last() == Some(&data.len())
                    && indices.len() == data.len();
                if !fits {
                    return Err(self.wrong("a sparse matrix"));
                }
                let of = |at: usize| (starts[at]..starts[at + 1]).map(move |cell| (at, cell));
                let turned = |(at, cell): (usize, usize)| match format.as_str() {
                    "csr" => (at, indices[cell], data[cell]),
                    _ => (indices[cell], at, data[cell]),
                };
                (0..outer).flat_map(of).map(turned).collect()
            }
            "coo" => {
                let (down, across) = (places("row")?, places("col")?);
                if [down.len(), across.len()] != [data.len(); 2] {
                    return Err(self.wrong("a sparse matrix"));
                }
                down.into_iter().zip(across).zip(data).map(|((row, column), cell)| (row, column, cell)).collect()
            }
            // A diagonal, and nothing else.
            "dia" => {
                if places("offsets")? != [0] || data.len() > rows.min(columns) {
                    return Err(self.wrong("a sparse matrix with one diagonal"));
                }
                data.into_iter().enumerate().map(|(at, cell)| (at, at, cell)).collect()
            }
            other => return Err(broken(format!("a sparse matrix in the format {other:?}"))),
        };
        if cells.iter().any(|(row, column, _)| *row >= rows || *column >= columns) {
            return Err(self.wrong("a sparse matrix"));
        }
        Ok(Sparse { rows, columns, cells })
    }

    /// A matrix: its cells row by row, with as many rows and columns.
    pub(crate) fn matrix(self) -> Result<Matrix> {
        if self.loader() == "SparseMatrixNode" {
            let Sparse { rows, columns, cells: given } = self.sparse()?;
            let all = rows.checked_mul(columns).filter(|all| *all <= DENSE_AT_MOST).ok_or_else(|| {
                Error::new(Kind::Limit, format!("a sparse matrix of {rows} rows and {columns} columns is too large"))
            })?;
            let mut cells = vec![0.0; all];
            given.into_iter().for_each(|(row, column, cell)| cells[row * columns + column] += cell);
            return Ok(Matrix { rows, columns, cells });
        }
        let array = self.array()?;
        let (rows, columns) = match array.shape.as_slice() {
            [rows, columns] => (*rows, *columns),
            [columns] => (1, *columns),
            _ => return Err(self.wrong("a matrix")),
        };
        Ok(Matrix { rows, columns, cells: array.numbers().ok_or_else(|| self.wrong("an array of numbers"))? })
    }
}

/// Most cells of a sparse matrix that is made a dense one.
const DENSE_AT_MOST: usize = 16 << 20;

/// A matrix of which most cells are 0.
pub(crate) struct Sparse {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Row, column and number of the others.
    pub(crate) cells: Vec<(usize, usize, f64)>,
}

/// A matrix of numbers.
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) cells: Vec<f64>,
}

impl Matrix {
    /// The same with rows and columns exchanged.
    pub(crate) fn transposed(&self) -> Self {
        let (rows, columns) = (self.columns, self.rows);
        let cells = (0..rows)
            .flat_map(|row| (0..columns).filter_map(move |column| self.cells.get(column * rows + row).copied()));
        Self { rows, columns, cells: cells.collect() }
    }
}

/// Python's JSON, which has words that JSON has not, of one value.
fn literal(text: &str) -> Option<Simple> {
    Some(match text {
        "null" => Simple::None,
        "true" => Simple::Bool(true),
        "false" => Simple::Bool(false),
        "NaN" => Simple::Number(f64::NAN),
        "Infinity" => Simple::Number(f64::INFINITY),
        "-Infinity" => Simple::Number(f64::NEG_INFINITY),
        _ => match serde_json::from_str::<serde_json::Value>(text).ok()? {
            serde_json::Value::String(text) => Simple::Text(text),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) => Simple::Whole(whole),
                None => Simple::Number(number.as_f64()?),
            },
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_json_has_not_are_read() {
        assert_eq!(literal("1208925819614629174706176"), Some(Simple::Number(1_208_925_819_614_629_174_706_176.0)));
        assert_eq!(literal("-Infinity"), Some(Simple::Number(f64::NEG_INFINITY)));
        assert_eq!(literal("-0.0").map(|x| x.number().map(f64::to_bits)), Some(Some((-0.0f64).to_bits())));
        assert_eq!(literal("\"NaN\""), Some(Simple::Text("NaN".into())));
        assert_eq!(literal("[1]"), None);
    }
}
