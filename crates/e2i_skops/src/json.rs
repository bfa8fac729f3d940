//! The schema's JSON as a tree that takes little more memory than the text: names and texts are kept once each, in a table.
//!
//! Order of members is kept; two members of one name are refused; nesting is bounded. Ids are left out: they say which
//! objects were one object, and each is written in full wherever it stands.

use std::collections::HashMap;
use std::fmt;

use e2i_core::{Error, Kind, Result};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::container::broken;

/// Levels of nesting; a pipeline within a pipeline takes eight.
const DEEPEST: usize = 500;

/// A text of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Symbol(u32);

/// A JSON value. Booleans and fractions have no meaning in a schema: values of attributes are texts.
#[derive(Debug)]
pub(crate) enum Json {
    Null,
    Bool,
    Whole(i64),
    Number,
    Text(Symbol),
    List(Box<[Json]>),
    Object(Box<[(Symbol, Json)]>),
}

/// The texts of a document.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    texts: Vec<Box<str>>,
    index: HashMap<Box<str>, Symbol>,
}

impl Symbols {
    fn intern(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.index.get(text) {
            return *symbol;
        }
        let symbol = Symbol(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(text.into());
        self.index.insert(text.into(), symbol);
        symbol
    }

    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        self.texts.get(symbol.0 as usize).map_or("", |text| text)
    }

    pub(crate) fn find(&self, text: &str) -> Option<Symbol> {
        self.index.get(text).copied()
    }
}

/// Reads a document.
pub(crate) fn parse(bytes: &[u8]) -> Result<(Json, Symbols)> {
    let mut symbols = Symbols::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    // The seed counts levels itself: serde_json's limit, 128, is less than a nested pipeline has.
    deserializer.disable_recursion_limit();
    let json = Seed { symbols: &mut symbols, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|json| deserializer.end().map(|()| json))
        .map_err(|error| {
            let message = error.to_string();
            match message.strip_prefix(TOO_DEEP) {
                Some(_) => {
                    Error::new(Kind::Limit, format!("the skops file is broken: {TOO_DEEP} {DEEPEST} levels deep"))
                }
                None => broken(format!("its schema is no JSON of skops: {message}")),
            }
        })?;
    Ok((json, symbols))
}

const TOO_DEEP: &str = "its schema is more than";

struct Seed<'s> {
    symbols: &'s mut Symbols,
    depth: usize,
}

impl Seed<'_> {
    fn below<E: serde::de::Error>(&mut self) -> std::result::Result<Seed<'_>, E> {
        if self.depth >= DEEPEST {
            return Err(E::custom(TOO_DEEP));
        }
        Ok(Seed { symbols: self.symbols, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A name of an object.
struct Name<'s>(&'s mut Symbols);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Symbol;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Symbol, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Symbol;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Symbol, E> {
        Ok(self.0.intern(text))
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _value: bool) -> std::result::Result<Json, E> {
        Ok(Json::Bool)
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Json, E> {
        Ok(Json::Whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Number, Json::Whole))
    }

    fn visit_f64<E>(self, _value: f64) -> std::result::Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Json, E> {
        Ok(Json::Text(self.symbols.intern(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> std::result::Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.below()?)? {
            list.push(item);
        }
        Ok(Json::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> std::result::Result<Json, A::Error> {
        const MANY: usize = 32;
        let mut object: Vec<(Symbol, Json)> = Vec::new();
        let mut seen: std::collections::HashSet<Symbol> = std::collections::HashSet::new();
        while let Some(name) = members.next_key_seed(Name(self.symbols))? {
            if self.symbols.text(name) == "__id__" {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            // A vocabulary may have many words, most objects have few members.
            if object.len() == MANY {
                seen.extend(object.iter().map(|(name, _)| *name));
            }
            let twice =
                if object.len() < MANY { object.iter().any(|(known, _)| *known == name) } else { !seen.insert(name) };
            if twice {
                let name = self.symbols.text(name);
                return Err(A::Error::custom(format!("two members are called {name:?}")));
            }
            let value = members.next_value_seed(self.below()?)?;
            object.push((name, value));
        }
        Ok(Json::Object(object.into()))
    }
}
