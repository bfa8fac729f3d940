//! Texts made of words: `CountVectorizer`, `TfidfVectorizer`, `HashingVectorizer`, `TfidfTransformer`.

use e2i_core::native::operators::{
    Accents, Analyzer, LONGEST_TERM, Norm, TermPlaces, TermWeights, Terms, Texts, listed_terms,
};
use e2i_core::{Error, Kind, Result};

use super::pattern::{self, Words};
use super::{COLUMNS_AT_MOST, Compiler, Table, misshapen, unsupported};
use crate::node::{Node, Sparse};

/// scikit-learn's list, which a file names and does not hold.
const ENGLISH: &str = include_str!("english_stop_words.txt");

/// Terms of a vocabulary that rows to try are made of.
const SAMPLED_TERMS: usize = 96;

/// The classes that take a text.
pub(super) const VECTORIZERS: [&str; 3] = ["CountVectorizer", "HashingVectorizer", "TfidfVectorizer"];

/// Whether an estimator takes one text a row.
pub(super) fn is_vectorizer(node: Node<'_>) -> bool {
    node.is_of("sklearn") && VECTORIZERS.contains(&node.class())
}

fn norm(node: Node<'_>) -> Result<Option<Norm>> {
    match node.some("norm").map(Node::text).transpose()?.as_deref() {
        None => Ok(None),
        Some("l1") => Ok(Some(Norm::L1)),
        Some("l2") => Ok(Some(Norm::L2)),
        Some("max") => Ok(Some(Norm::Max)),
        Some(other) => Err(unsupported(format!("the norm {other:?} is not known"))),
    }
}

fn diagonal(node: Node<'_>) -> Result<Vec<f64>> {
    let Sparse { rows, columns, cells } = node.sparse()?;
    let mut diagonal = vec![0.0; rows];
    let is_diagonal = rows == columns && cells.iter().all(|(row, column, _)| row == column);
    if !is_diagonal {
        return Err(misshapen("its terms and what they weigh"));
    }
    cells.iter().for_each(|(row, _, cell)| diagonal[*row] = *cell);
    Ok(diagonal)
}

/// Terms and the column of each.
fn vocabulary<'f>(node: Node<'f>) -> Result<Vec<(&'f str, u32)>> {
    let given = node.get("vocabulary_")?.entries()?;
    let mut seen = vec![false; given.len()];
    given
        .into_iter()
        .map(|(term, column)| {
            let place = column.count()?;
            // Each has a column of its own.
            match seen.get_mut(place) {
                Some(taken @ false) => *taken = true,
                _ => return Err(misshapen("the terms and columns of its vocabulary")),
            }
            Ok((term, u32::try_from(place).unwrap_or(u32::MAX)))
        })
        .collect()
}

impl Compiler {
    fn words_of(&mut self, node: Node<'_>) -> Result<Analyzer> {
        let analyzer = node.get("analyzer")?.text();
        let analyzer = analyzer.map_err(|_| unsupported("an analyzer that is a function is not read"))?;
        match analyzer.as_str() {
            "char" => return Ok(Analyzer::Characters),
            "char_wb" => return Ok(Analyzer::CharactersOfWords),
            "word" => {}
            other => return Err(unsupported(format!("the analyzer {other:?} is not known"))),
        }
        if node.some("tokenizer").is_some() {
            return Err(unsupported("a tokenizer that is a function is not read"));
        }
        let pattern = pattern::words(&node.get("token_pattern")?.text()?, &mut self.plan)?;
        let mut stop_words: Vec<String> = match node.some("stop_words") {
            None => vec![],
            Some(name) if name.text().as_deref() == Ok("english") => ENGLISH.lines().map(str::to_owned).collect(),
            Some(words) => words.items()?.into_iter().map(Node::text).collect::<Result<_>>()?,
        };
        stop_words.sort_unstable();
        let stop_words = Texts::write(&stop_words, self.plan.tables());
        Ok(match pattern {
            Words::Pattern(pattern) => Analyzer::Words { pattern, stop_words },
            Words::Expression(expression) => Analyzer::Found { expression, stop_words },
        })
    }

    /// Terms of a text, counted.
    fn terms(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let [column] = table.columns[..] else {
            return Err(Error::new(
                Kind::BadModel,
                format!("it takes one text, and is given {} columns", table.width()),
            ));
        };
        if node.some("preprocessor").is_some() {
            return Err(unsupported("a preprocessor that is a function is not read"));
        }
        if node.option("input").is_some_and(|input| input != "content") {
            return Err(unsupported("names of files in the place of texts are not read"));
        }
        let accents = match node.some("strip_accents").map(Node::text).transpose() {
            Ok(None) => None,
            Ok(Some(kind)) if kind == "unicode" => Some(Accents::Unicode),
            Ok(Some(kind)) if kind == "ascii" => Some(Accents::Ascii),
            _ => return Err(unsupported("strip_accents by a function is not read")),
        };
        let analyzer = self.words_of(node)?;
        let range = node.get("ngram_range")?.wholes()?;
        let range: Vec<usize> = range.into_iter().map(|length| usize::try_from(length).unwrap_or(0)).collect();
        let [least, most] = range[..] else { return Err(misshapen("its ngram_range")) };
        if !(1..=LONGEST_TERM).contains(&least) || !(least..=LONGEST_TERM).contains(&most) {
            return Err(unsupported(format!("an ngram_range from {least} to {most} is not read")));
        }
        let (places, width, sampled) = if node.class() == "HashingVectorizer" {
            let signed = node.is_true("alternate_sign");
            (TermPlaces::Hashed { signed }, node.get("n_features")?.count()?, vec![])
        } else {
            let terms = vocabulary(node)?;
            let width = terms.len();
            let sampled = terms.iter().take(SAMPLED_TERMS).map(|(term, _)| (*term).to_owned()).collect();
            (listed_terms(terms, self.plan.tables()), width, sampled)
        };
        if width == 0 || width > COLUMNS_AT_MOST {
            return Err(Error::new(Kind::Limit, format!("it makes {width} columns, not 1 to {COLUMNS_AT_MOST}")));
        }
        let value = self.words(column, sampled)?;
        let (lowercase, once) = (node.is_true("lowercase"), node.is_true("binary"));
        let operator = Terms { lowercase, accents, analyzer, least, most, places, once };
        let value = self.step(operator, &[value], Self::double(width));
        Ok(Table::computed(value, width))
    }

    pub(super) fn count_vectorizer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        self.terms(node, table)
    }

    pub(super) fn hashing_vectorizer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let counts = self.terms(node, table)?;
        let norm = norm(node)?;
        Ok(self.weighed(&counts, TermWeights { sublinear: false, rarity: None, norm }))
    }

    pub(super) fn tfidf_vectorizer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let counts = self.terms(node, table)?;
        self.tfidf(node.get("_tfidf")?, &counts)
    }

    pub(super) fn tfidf_transformer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let value = self.checked(table, false, false)?;
        self.tfidf(node, &Table { value, columns: table.columns.clone() })
    }

    fn tfidf(&mut self, node: Node<'_>, counts: &Table) -> Result<Table> {
        let rarity = if node.is_true("use_idf") {
            let factors = match node.attribute("idf_") {
                Some(factors) => factors.numbers()?,
                // Until 1.3 a diagonal.
                None => diagonal(node.get("_idf_diag")?)?,
            };
            if factors.len() != counts.width() {
                return Err(misshapen("its terms and what they weigh"));
            }
            Some(self.plan.table(&factors))
        } else {
            None
        };
        let (sublinear, norm) = (node.is_true("sublinear_tf"), norm(node)?);
        Ok(self.weighed(counts, TermWeights { sublinear, rarity, norm }))
    }

    fn weighed(&mut self, counts: &Table, weights: TermWeights) -> Table {
        let width = counts.width();
        if !weights.sublinear && weights.rarity.is_none() && weights.norm.is_none() {
            return counts.clone();
        }
        Table::computed(self.step(weights, &[counts.value], Self::double(width)), width)
    }
}

/// Texts to try a model on.
pub(super) fn sample_texts(terms: &[String]) -> Vec<String> {
    const OTHERS: [&str; 4] = ["", "Straße, 12. ÉTÉ 2024", "the quick brown fox", "naïve \u{130}stanbul ΣΑΣ ½ x_1"];
    let own = terms.chunks(3).map(|terms| terms.join(" "));
    OTHERS.iter().map(|text| (*text).to_owned()).chain(own).collect()
}
