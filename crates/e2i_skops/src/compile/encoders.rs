//! Categories: `OneHotEncoder`, `OrdinalEncoder`, `TargetEncoder`, and labels.
//!
//! A value that is none of the categories is an error, nothing, or the infrequent ones, as the encoder was made. None and NaN
//! are categories of their own; a row's NULL is the one that the encoder knows, None first.

use e2i_core::Result;
use e2i_core::native::operators::{Becomes, Encode, Encoding, Finite};

use super::{Compiler, Table, misshapen, unsupported};
use crate::node::{Node, Simple};

/// What `fit` found out about one column.
struct Known {
    categories: Vec<Simple>,
    /// The code of each category; categories that are infrequent together have the same.
    codes: Vec<usize>,
    /// The code of the infrequent ones.
    infrequent: Option<usize>,
}

impl Known {
    fn code_count(&self) -> usize {
        self.codes.iter().max().map_or(0, |code| code + 1)
    }

    /// The place among the categories that stands for a missing value.
    fn missing(&self) -> Option<usize> {
        let none = self.categories.iter().position(|value| *value == Simple::None);
        none.or_else(|| self.categories.iter().position(Simple::is_missing))
    }
}

/// What is known of each column.
fn known(node: Node<'_>, table: &Table) -> Result<Vec<Known>> {
    let categories = node.get("categories_")?.items()?;
    if categories.len() != table.width() {
        return Err(misshapen("its categories and columns"));
    }
    let are_grouped = node.is_true("_infrequent_enabled");
    let list = |name: &str| -> Result<Vec<Option<Vec<i64>>>> {
        if !are_grouped {
            return Ok(vec![]);
        }
        let items = node.get(name)?.items()?;
        items.into_iter().map(|item| if item.is_none() { Ok(None) } else { item.wholes().map(Some) }).collect()
    };
    let (mappings, infrequent) = (list("_default_to_infrequent_mappings")?, list("_infrequent_indices")?);
    let column = |(index, categories): (usize, Node<'_>)| -> Result<Known> {
        let categories = categories.simples()?;
        let place = |code: i64| usize::try_from(code).ok().filter(|code| *code < categories.len());
        let codes: Vec<usize> = match mappings.get(index).and_then(Option::as_ref) {
            Some(mapping) => {
                let codes: Option<Vec<usize>> = mapping.iter().map(|code| place(*code)).collect();
                codes
                    .filter(|codes| codes.len() == categories.len())
                    .ok_or_else(|| misshapen("its infrequent categories"))?
            }
            None => (0..categories.len()).collect(),
        };
        let infrequent = infrequent.get(index).and_then(Option::as_ref).and_then(|places| places.first());
        let infrequent = infrequent.and_then(|first| codes.get(place(*first)?)).copied();
        Ok(Known { codes, infrequent, categories })
    };
    categories.into_iter().enumerate().map(column).collect()
}

impl Compiler {
    /// One column by what becomes of a code, and of what is not known.
    fn encoding(
        &mut self,
        table: &Table,
        index: usize,
        known: &Known,
        becomes: impl Fn(usize) -> Becomes,
        unknown: Becomes,
        (width, cells): (usize, Vec<f64>),
    ) -> Result<Encoding> {
        let column = table.columns[index];
        let mut categories = Vec::with_capacity(known.categories.len());
        if known.categories.contains(&Simple::None) {
            self.note_none(column);
        }
        for (value, code) in known.categories.iter().zip(&known.codes) {
            let cell = self.cell(column, value)?;
            if !cell.is_nan() {
                categories.push((cell, becomes(*code)));
            }
        }
        let missing = known.missing().map_or(unknown, |place| becomes(known.codes[place]));
        let takes_missing = missing != Becomes::Refused;
        self.note_categories(column, &known.categories, unknown == Becomes::Refused, takes_missing);
        let name = self.column_name(column, index);
        Ok(Encoding { name, categories, missing, unknown, width, cells })
    }

    /// Columns encoded; of numbers none is infinite.
    fn encode(&mut self, table: &Table, encodings: &[Encoding]) -> Table {
        let operator = Encode::new(encodings, self.plan.tables());
        let width = operator.width();
        if width == 0 {
            return Table { value: 0, columns: vec![] };
        }
        let names = encodings.iter().map(|encoding| encoding.name.clone()).collect();
        let finite = Finite { takes_nan: true, single: false, names };
        let finite = self.step(finite, &[table.value], Self::double(table.width()));
        let value = self.step(operator, &[finite], Self::double(width));
        Table::computed(value, width)
    }

    pub(super) fn one_hot_encoder(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let dropped = match node
            .some("_drop_idx_after_grouping")
            .or_else(|| node.attribute("_drop_idx_after_grouping").is_none().then(|| node.some("drop_idx_")).flatten())
        {
            Some(dropped) => dropped.simples()?,
            None => vec![],
        };
        let handling = node.option("handle_unknown").unwrap_or_default();
        let mut encodings = vec![];
        for (index, known) in known(node, table)?.into_iter().enumerate() {
            let dropped = dropped.get(index).and_then(Simple::number).map(|code| code as usize);
            let becomes = |code: usize| match dropped {
                Some(dropped) if code == dropped => Becomes::Zeros,
                Some(dropped) if code > dropped => Becomes::Place(code as u32 - 1),
                _ => Becomes::Place(code as u32),
            };
            let unknown = match handling.as_str() {
                "ignore" => Becomes::Zeros,
                "infrequent_if_exist" | "warn" => known.infrequent.map_or(Becomes::Zeros, becomes),
                _ => Becomes::Refused,
            };
            let width = known.code_count() - usize::from(dropped.is_some_and(|code| code < known.code_count()));
            encodings.push(self.encoding(table, index, &known, becomes, unknown, (width, vec![]))?);
        }
        Ok(self.encode(table, &encodings))
    }

    pub(super) fn ordinal_encoder(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let encoded_missing = node.attribute("encoded_missing_value").map_or(Ok(f64::NAN), Node::number)?;
        let unknown_value = match node.option("handle_unknown").as_deref() {
            Some("use_encoded_value") => Some(node.get("unknown_value")?.number()?),
            _ => None,
        };
        let mut encodings = vec![];
        for (index, known) in known(node, table)?.into_iter().enumerate() {
            let count = known.code_count();
            // None is a category like others, and only NaN is missing.
            let is_nan = |value: &Simple| *value != Simple::None && value.is_missing();
            let missing = known.categories.iter().position(is_nan).map(|place| known.codes[place]);
            let mut cells: Vec<f64> = (0..count).map(|code| code as f64).collect();
            if let Some(cell) = missing.and_then(|code| cells.get_mut(code)) {
                *cell = encoded_missing;
            }
            let unknown = if unknown_value.is_some() { Becomes::Place(count as u32) } else { Becomes::Refused };
            cells.push(unknown_value.unwrap_or(0.0));
            let becomes = |code: usize| Becomes::Place(code as u32);
            encodings.push(self.encoding(table, index, &known, becomes, unknown, (1, cells))?);
        }
        Ok(self.encode(table, &encodings))
    }

    /// The places of labels among those that are known.
    fn label_places(&mut self, node: Node<'_>, table: &Table) -> Result<(Known, Vec<usize>)> {
        let categories = node.get("classes_")?.simples()?;
        if table.width() != 1 || categories.is_empty() {
            return Err(misshapen("its labels"));
        }
        let codes: Vec<usize> = (0..categories.len()).collect();
        Ok((Known { categories, codes: codes.clone(), infrequent: None }, codes))
    }

    pub(super) fn label_encoder(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let (known, codes) = self.label_places(node, table)?;
        let cells = codes.into_iter().map(|code| code as f64).collect();
        let becomes = |code: usize| Becomes::Place(code as u32);
        let encoding = self.encoding(table, 0, &known, becomes, Becomes::Refused, (1, cells))?;
        Ok(self.encode(table, &[encoding]))
    }

    pub(super) fn label_binarizer(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        if node.option("y_type_").is_some_and(|kind| kind.starts_with("multilabel")) {
            return Err(unsupported("several labels a row are not read"));
        }
        let (known, codes) = self.label_places(node, table)?;
        let (no, yes) = (node.get("neg_label")?.number()?, node.get("pos_label")?.number()?);
        // Of two labels the second says everything.
        let places: Vec<usize> = if codes.len() <= 2 { vec![1] } else { codes.clone() };
        let unknown = codes.len();
        let cells =
            (0..=unknown).flat_map(|code| places.iter().map(move |place| if *place == code { yes } else { no }));
        let mut cells: Vec<f64> = cells.collect();
        let width = places.len();
        // What is not known is none of them.
        cells[unknown * width..].fill(no);
        let becomes = |code: usize| Becomes::Place(code as u32);
        let unknown = Becomes::Place(unknown as u32);
        let encoding = self.encoding(table, 0, &known, becomes, unknown, (width, cells))?;
        Ok(self.encode(table, &[encoding]))
    }

    pub(super) fn target_encoder(&mut self, node: Node<'_>, table: &Table) -> Result<Table> {
        let given: Vec<Vec<f64>> =
            node.get("encodings_")?.items()?.into_iter().map(Node::numbers).collect::<Result<_>>()?;
        let mean = node.get("target_mean_")?;
        let means = match mean.simple() {
            Some(_) => vec![mean.number()?],
            None => mean.numbers()?,
        };
        let known = known(node, table)?;
        // Of several classes a column each, feature by feature.
        if means.is_empty() || given.len() != known.len() * means.len() {
            return Err(misshapen("its categories and what they stand for"));
        }
        let mut encodings = vec![];
        for (index, known) in known.iter().enumerate() {
            let own = &given[index * means.len()..(index + 1) * means.len()];
            let count = known.categories.len();
            if own.iter().any(|cells| cells.len() != count) {
                return Err(misshapen("its categories and what they stand for"));
            }
            let cells =
                (0..count).flat_map(|code| own.iter().map(move |cells| cells[code])).chain(means.iter().copied());
            let becomes = |code: usize| Becomes::Place(code as u32);
            let unknown = Becomes::Place(count as u32);
            encodings.push(self.encoding(table, index, known, becomes, unknown, (means.len(), cells.collect()))?);
        }
        Ok(self.encode(table, &encodings))
    }
}
