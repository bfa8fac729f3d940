//! The categories of a data frame: the last line of the file has one list for each column that was categorical in the frame, in
//! the order of the columns, and does not say which columns these were.
//!
//! Two other lines tell. `[categorical_feature: 1,4]` among the parameters names the columns that LightGBM splits into sets:
//! without ordered ones, which it takes for numbers, and with what the caller named although it was none in the frame.
//! `feature_infos` has what training saw of a column: codes, a range, or nothing where it saw one value only. Codes of a list
//! are places in it. Where more than one way of giving the lists to columns is left, the file is refused: a guess could
//! score every row wrong.

use serde_json::Value;

use super::{Keys, broken, shortened};
use crate::categories::{Categories, Category, Unseen};
use crate::error::{Error, Kind, Result};
use crate::native::{FeatureUse, Node, Test, Tree};

const LISTS: &str = "pandas_categorical:";
const COLUMNS: &str = "[categorical_feature:";

/// Columns times lists, of which every pair is looked at.
const PAIRS_AT_MOST: usize = 1 << 24;

/// The categories of each feature; empty where the file has none. `lines` are those behind the trees.
pub(super) fn read<'a>(
    header: &Keys<'_>,
    names: &[String],
    lines: impl Iterator<Item = &'a str>,
    trees: &[Tree],
    uses: &[FeatureUse],
) -> Result<Vec<Option<Categories>>> {
    let (mut lists, mut stated) = (None, None);
    for line in lines {
        lists = line.strip_prefix(LISTS).or(lists);
        stated = line.strip_prefix(COLUMNS).or(stated);
    }
    let lists = lists.map_or(Ok(vec![]), parse)?;
    if lists.is_empty() {
        return Ok(vec![]);
    }
    let seen = seen(header, names.len());
    let sure = stated
        .and_then(|stated| columns(stated, names.len()))
        .unwrap_or_else(|| split_into_sets(names.len(), &seen, trees, uses));
    let owners = owners(&lists, &sure, &seen).ok_or_else(|| untold(lists.len()))?;
    let mut categories = vec![None; names.len()];
    for (values, owner) in lists.into_iter().zip(owners) {
        categories[owner] = Some(Categories { values, unseen: Unseen::Missing });
    }
    Ok(categories)
}

fn untold(lists: usize) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("the LightGBM model has categories of {lists} columns of a data frame, and does not tell which columns these are"),
    )
    .with_detail("Ordered categories, and categorical_feature other than \"auto\", leave it open.")
    .with_hint("Train with unordered categories and categorical_feature='auto'; or, to give codes, save the model after booster.pandas_categorical = None.")
}

/// The lists; null and no list are none.
fn parse(text: &str) -> Result<Vec<Vec<Category>>> {
    let lists: Option<Vec<Vec<Value>>> = serde_json::from_str(text)
        .map_err(|_| broken(format!("its pandas_categorical is {:?}", shortened(text.trim()))))?;
    lists.unwrap_or_default().into_iter().map(|list| list.iter().map(category).collect()).collect()
}

fn category(value: &Value) -> Result<Category> {
    Category::from_json(value).ok_or_else(|| {
        Error::new(
            Kind::Unsupported,
            format!("the LightGBM model has the category {:?}", shortened(&value.to_string())),
        )
        .with_hint("Categories are texts, whole numbers of 64 bits, fractions and booleans.")
    })
}

/// What training saw of a column.
#[derive(Clone, Copy)]
enum ValuesSeen {
    /// Nothing that is known.
    Anything,
    /// Categories up to this code.
    Codes(f64),
    /// Numbers in a range.
    Range(f64, f64),
}

impl ValuesSeen {
    /// Whether it may have been the codes of so many categories.
    fn fits(self, categories: usize) -> bool {
        let last = categories as f64 - 1.0;
        match self {
            Self::Anything => true,
            Self::Codes(greatest) => greatest <= last,
            Self::Range(low, high) => low.fract() == 0.0 && high.fract() == 0.0 && low >= 0.0 && high <= last,
        }
    }
}

/// `[0:1]`, `-1:2:0` and `none`.
fn seen(header: &Keys<'_>, width: usize) -> Vec<ValuesSeen> {
    let read = |info: &str| {
        let numbers = |text: &str| text.split(':').map(str::parse).collect::<std::result::Result<Vec<f64>, _>>().ok();
        let Some(range) = info.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
            return numbers(info)
                .map_or(ValuesSeen::Anything, |codes| ValuesSeen::Codes(codes.into_iter().fold(-1.0, f64::max)));
        };
        match numbers(range).as_deref() {
            Some([low, high]) => ValuesSeen::Range(*low, *high),
            _ => ValuesSeen::Anything,
        }
    };
    let mut seen: Vec<ValuesSeen> =
        header.get("feature_infos").unwrap_or("").split_ascii_whitespace().map(read).collect();
    if seen.len() != width {
        seen = vec![ValuesSeen::Anything; width];
    }
    seen
}

/// Marks the columns that a parameter names by number; `None` where it does not.
fn columns(stated: &str, width: usize) -> Option<Vec<bool>> {
    let mut sure = vec![false; width];
    let list = stated.trim().strip_suffix(']')?;
    for number in list.split(',').map(str::trim).filter(|number| !number.is_empty()) {
        *sure.get_mut(number.parse::<usize>().ok()?)? = true;
    }
    Some(sure)
}

/// Marks the columns that are seen to be categories.
fn split_into_sets(width: usize, seen: &[ValuesSeen], trees: &[Tree], uses: &[FeatureUse]) -> Vec<bool> {
    let mut sure: Vec<bool> = seen.iter().map(|seen| matches!(seen, ValuesSeen::Codes(_))).collect();
    sure.resize(width, false);
    for node in trees.iter().flat_map(|tree| &tree.nodes) {
        if let Node::Branch(branch) = node
            && matches!(branch.test, Test::Member(_))
            && let Some(feature) = uses.get(branch.feature as usize)
            && let Some(sure) = sure.get_mut(feature.column as usize)
        {
            *sure = true;
        }
    }
    sure
}

/// The column of each list; `None` where there is not exactly one way. `sure` columns are split into sets.
fn owners(lists: &[Vec<Category>], sure: &[bool], seen: &[ValuesSeen]) -> Option<Vec<usize>> {
    let certain: Vec<usize> = (0..sure.len()).filter(|column| sure[*column]).collect();
    let fits = |column: usize, list: usize| seen[column].fits(lists[list].len());
    // How it is unless somebody asked for something else.
    if certain.len() == lists.len() && certain.iter().enumerate().all(|(list, column)| fits(*column, list)) {
        return Some(certain);
    }
    // Fewer: the rest is ordered. More: the caller named some that were none in the frame. As many, and they do not fit: both.
    let all_have = certain.len() < lists.len();
    let others_may = certain.len() <= lists.len();
    if sure.len().checked_mul(lists.len()).is_none_or(|pairs| pairs > PAIRS_AT_MOST) {
        return None;
    }
    // For each column the number of ways, 2 meaning more than one, in which it and those before it take the first lists.
    let mut ways = vec![vec![0_u8; lists.len() + 1]; sure.len() + 1];
    ways[0][0] = 1;
    for column in 0..sure.len() {
        for count in 0..=lists.len() {
            let without = if sure[column] && all_have { 0 } else { ways[column][count] };
            let takes = count > 0 && (sure[column] || others_may) && fits(column, count - 1);
            let with = if takes { ways[column][count - 1] } else { 0 };
            ways[column + 1][count] = (without + with).min(2);
        }
    }
    if ways[sure.len()][lists.len()] != 1 {
        return None;
    }
    let (mut owners, mut count) = (vec![0; lists.len()], lists.len());
    for column in (0..sure.len()).rev() {
        let takes = count > 0 && (sure[column] || others_may) && fits(column, count - 1) && ways[column][count - 1] > 0;
        if takes {
            count -= 1;
            owners[count] = column;
        }
    }
    Some(owners)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists of so many categories, and columns as `feature_infos` has them, those with a star split into sets.
    fn found(lists: &[usize], columns: &[&str]) -> Option<Vec<usize>> {
        let lists: Vec<Vec<Category>> =
            lists.iter().map(|count| (0..*count as i64).map(Category::Whole).collect()).collect();
        let sure: Vec<bool> = columns.iter().map(|column| column.starts_with('*')).collect();
        let infos: Vec<&str> = columns.iter().map(|column| column.trim_start_matches('*')).collect();
        let text = format!("feature_infos={}", infos.join(" "));
        let (header, _) = Keys::take(&mut text.lines(), |_| false);
        owners(&lists, &sure, &seen(&header, columns.len()))
    }

    #[test]
    fn lists_belong_to_the_columns_that_are_split_into_sets() {
        assert_eq!(found(&[2, 5], &["[20:59]", "*-1:1:0", "*-1:4:3:2:1:0"]), Some(vec![1, 2]));
        assert_eq!(found(&[1, 3], &["*none", "*-1:0:2:1"]), Some(vec![0, 1]));
        // A flag could be a category of two values, but nobody has asked for anything unusual.
        assert_eq!(found(&[3], &["[0:1]", "*-1:0:1:2"]), Some(vec![1]));
    }

    #[test]
    fn ordered_categories_are_told_by_what_training_saw() {
        assert_eq!(found(&[2, 2], &["[0:1]", "[20:59]", "*-1:1:0"]), Some(vec![0, 2]));
        assert_eq!(found(&[3], &["[0.5:1]", "[0:2]", "[-1:1]"]), Some(vec![1]));
        assert_eq!(found(&[3, 2], &["[0:2]", "[0:2]", "*-1:1:0"]), None);
        assert_eq!(found(&[2], &["[0:7]"]), None);
    }

    #[test]
    fn columns_that_the_caller_named_may_be_no_categories_of_the_frame() {
        // The column that is split into sets has the code 13, which five categories do not have.
        assert_eq!(found(&[5], &["[20:59]", "[0:4]", "*-1:0:13:8"]), Some(vec![1]));
        assert_eq!(found(&[3], &["*-1:7:2", "*-1:0:1:2"]), Some(vec![1]));
        assert_eq!(found(&[3], &["*-1:0:2", "*-1:0:1:2"]), None);
        assert_eq!(found(&[3, 5], &["[20:59]", "[0:2]", "*-1:4:3:2:1:0"]), Some(vec![1, 2]));
    }

    #[test]
    fn a_short_file_asks_for_little() {
        let columns: Vec<&str> = vec!["[0:1]"; 20_000];
        assert_eq!(found(&vec![2; 10_000], &columns), None);
    }
}
