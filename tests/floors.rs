//! Imports point down. The floors of `src/` are the table in ARCHITECTURE.md: a file uses its own folder and the floors below,
//! and no file comes to itself again through others, there and in `crates/`.
//!
//! What counts: `use`, and paths in the code that begin with `crate`, `super` or `self`; tests do not count. What a file
//! re-exports belongs to the file that it comes from. The entry file of a folder (`lib.rs`, `mod.rs`, or `name.rs` beside `name/`)
//! is the folder as it is seen from outside: that it takes something from its own files is no import.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Source, read, report, root, stems};

/// A crate's modules and what they take from each other.
struct Crate {
    /// The files, by the path of their module.
    modules: BTreeMap<Vec<String>, Source>,
    /// What a file re-exports: its module and the name there, and the path that it stands for.
    exports: BTreeMap<(Vec<String>, String), Vec<String>>,
}

/// A path in the code, and whether it is re-exported.
struct Import {
    line: usize,
    path: Vec<String>,
    name: String,
    is_export: bool,
}

/// A file that takes something from another.
struct Edge<'c> {
    from: &'c str,
    line: usize,
    to: &'c str,
}

impl Crate {
    fn read(folder: &str) -> Self {
        let mut modules = BTreeMap::new();
        add(&mut modules, vec![], format!("{folder}/lib.rs"));
        let mut this = Self { modules, exports: BTreeMap::new() };
        let exports: Vec<_> = this
            .imports()
            .filter(|(_, import)| import.is_export)
            .map(|(module, import)| ((module.clone(), import.name), import.path))
            .collect();
        this.exports.extend(exports);
        this
    }

    fn imports(&self) -> impl Iterator<Item = (&Vec<String>, Import)> {
        self.modules.iter().flat_map(|(module, source)| {
            let known = |path: &[String]| self.modules.contains_key(path);
            imports(module, source, known).into_iter().map(move |import| (module, import))
        })
    }

    /// The module whose file has what a path names.
    fn owner(&self, path: &[String]) -> Vec<String> {
        let mut module: Vec<String> = vec![];
        for (at, name) in path.iter().enumerate() {
            module.push(name.clone());
            if self.modules.contains_key(&module) {
                continue;
            }
            module.pop();
            return match self.exports.get(&(module.clone(), name.clone())) {
                Some(export) => self.owner(&[export, &path[at + 1..]].concat()),
                None => module,
            };
        }
        module
    }

    fn edges(&self) -> Vec<Edge<'_>> {
        let mut edges = vec![];
        for (module, import) in self.imports() {
            let owner = self.owner(&import.path);
            if !owner.starts_with(module) {
                edges.push(Edge {
                    from: &self.modules[module].path,
                    line: import.line,
                    to: &self.modules[&owner].path,
                });
            }
        }
        edges
    }

    /// The groups of files that come to themselves again.
    fn circles(&self) -> Vec<Vec<&str>> {
        let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for edge in self.edges() {
            reached.entry(edge.from).or_default().insert(edge.to);
        }
        loop {
            let further: Vec<(&str, BTreeSet<&str>)> = reached
                .iter()
                .map(|(from, to)| (*from, to.iter().filter_map(|to| reached.get(to)).flatten().copied().collect()))
                .collect();
            let before: usize = reached.values().map(BTreeSet::len).sum();
            for (from, to) in further {
                reached.entry(from).or_default().extend(to);
            }
            if before == reached.values().map(BTreeSet::len).sum() {
                break;
            }
        }
        let circles: BTreeSet<Vec<&str>> = reached
            .iter()
            .filter(|(from, to)| to.contains(*from))
            .map(|(from, to)| {
                to.iter().filter(|to| reached.get(*to).is_some_and(|back| back.contains(from))).copied().collect()
            })
            .collect();
        circles.into_iter().collect()
    }
}

/// Adds a file and those that it declares.
fn add(modules: &mut BTreeMap<Vec<String>, Source>, module: Vec<String>, path: String) {
    let source = Source { text: read(&path), path };
    let folder =
        ["/lib.rs", "/mod.rs", ".rs"].iter().find_map(|ending| source.path.strip_suffix(ending)).unwrap_or_default();
    let mut below = vec![];
    for (_, line) in source.shipped_lines() {
        let declared = line
            .split_once("mod ")
            .filter(|(before, _)| matches!(*before, "" | "pub " | "pub(crate) " | "pub(super) "));
        if let Some(name) = declared.and_then(|(_, rest)| rest.trim_end().strip_suffix(';')) {
            let file = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
            let file = file.into_iter().find(|file| root().join(file).exists());
            below.push((
                [&module[..], &[name.to_owned()]].concat(),
                file.unwrap_or_else(|| panic!("{}: no file of mod {name}", source.path)),
            ));
        }
    }
    modules.insert(module, source);
    for (module, path) in below {
        add(modules, module, path);
    }
}

/// Names, `::` and marks of code, each with its line; comments and texts left out.
fn tokens(source: &Source) -> Vec<(usize, String)> {
    let mut tokens = vec![];
    let mut is_commented = false;
    for (number, line) in source.shipped_lines() {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let mut length = first.len_utf8();
            if is_commented {
                is_commented = !rest.starts_with("*/");
                length = if is_commented { length } else { 2 };
            } else if rest.starts_with("//") {
                break;
            } else if rest.starts_with("/*") {
                is_commented = true;
            } else if first == '"' {
                // A text that goes on in the next line is read as code, which does no harm: it holds no paths.
                let mut is_escaped = false;
                let end = rest[1..].find(|c| {
                    let ends = c == '"' && !is_escaped;
                    is_escaped = c == '\\' && !is_escaped;
                    ends
                });
                length = end.map_or(1, |end| end + 2);
            } else if first.is_alphanumeric() || first == '_' {
                length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                tokens.push((number, rest[..length].to_owned()));
            } else if rest.starts_with("::") {
                length = 2;
                tokens.push((number, "::".to_owned()));
            } else if !first.is_whitespace() {
                tokens.push((number, first.to_string()));
            }
            rest = &rest[length..];
        }
    }
    tokens
}

fn imports(module: &[String], source: &Source, is_module: impl Fn(&[String]) -> bool) -> Vec<Import> {
    let tokens = tokens(source);
    let text = |at: usize| tokens.get(at).map_or("", |(_, text)| text.as_str());
    let mut found: Vec<(usize, Vec<String>, String, bool)> = vec![];
    let mut at = 0;
    let mut last_line = 0;
    let mut begins_item = true;
    let mut is_public = false;
    while at < tokens.len() {
        let line = tokens[at].0;
        begins_item |= line != last_line;
        last_line = line;
        match text(at) {
            "pub" if begins_item => {
                is_public = true;
                at += if text(at + 1) == "(" { 4 } else { 1 };
                continue;
            }
            "use" if begins_item => {
                let end = (at..tokens.len()).find(|at| text(*at) == ";").unwrap_or(tokens.len());
                let words: Vec<&str> = (at + 1..end).map(text).collect();
                let mut paths = vec![];
                tree(&words, &[], &mut paths);
                found.extend(paths.into_iter().map(|(path, name)| (line, path, name, is_public)));
                at = end;
            }
            "crate" | "super" | "self" if text(at + 1) == "::" && !matches!(text(at.wrapping_sub(1)), "::" | "$") => {
                let mut path = vec![text(at).to_owned()];
                while text(at + 1) == "::" && text(at + 2).starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    at += 2;
                    path.push(text(at).to_owned());
                }
                found.push((line, path, String::new(), false));
            }
            _ => {}
        }
        (begins_item, is_public) = (false, false);
        at += 1;
    }
    let resolved = found.into_iter().filter_map(|(line, path, name, is_export)| {
        let first = path.first()?.as_str();
        let ups = path.iter().take_while(|name| *name == "super").count();
        let path = match first {
            "crate" => path[1..].to_vec(),
            "self" => [module, &path[1..]].concat(),
            "super" => [module.get(..module.len().checked_sub(ups)?)?, &path[ups..]].concat(),
            _ if is_module(&[module, &path[..1]].concat()) => [module, &path[..]].concat(),
            _ => return None,
        };
        Some(Import { line, path, name, is_export })
    });
    resolved.collect()
}

/// The paths of a `use`, each with the name that it gives.
fn tree(words: &[&str], before: &[String], paths: &mut Vec<(Vec<String>, String)>) {
    let mut path = before.to_vec();
    for (at, word) in words.iter().enumerate() {
        match *word {
            "::" => {}
            "{" => {
                let mut depth = 0;
                let mut begin = at + 1;
                for (end, word) in words.iter().enumerate().skip(at) {
                    depth += i32::from(*word == "{") - i32::from(*word == "}");
                    if (*word == "," && depth == 1) || depth == 0 {
                        if begin < end {
                            tree(&words[begin..end], &path, paths);
                        }
                        begin = end + 1;
                    }
                    if depth == 0 {
                        return;
                    }
                }
                return;
            }
            "as" => {
                let name = words.get(at + 1).copied().unwrap_or_default().to_owned();
                paths.push((path, name));
                return;
            }
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    paths.push((path, name));
}

/// The table of ARCHITECTURE.md, from the top: each floor's folders and files.
fn floors() -> Vec<Vec<String>> {
    let text = read("ARCHITECTURE.md");
    let is_number = |cell: &str| !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let rooms = cells.next().filter(|cell| is_number(cell)).and_then(|_| cells.next())?;
        Some(rooms.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('/').to_owned()).collect())
    });
    rows.collect()
}

#[test]
fn imports_of_the_extension_point_down() {
    let floors = floors();
    let floor = |path: &str| {
        let room = path.trim_start_matches("src/").split('/').next().unwrap_or_default();
        floors.iter().rposition(|rooms| rooms.iter().any(|name| name == room)).map(|floor| (room.to_owned(), floor))
    };
    let extension = Crate::read("src");
    let mut broken = vec![];
    for source in extension.modules.values().filter(|source| source.path != "src/lib.rs") {
        if floor(&source.path).is_none() {
            broken.push(format!("{}:1 stands on no floor of the table in ARCHITECTURE.md", source.path));
        }
    }
    for Edge { from, line, to } in extension.edges() {
        if let (Some((room, floor)), Some((other, below))) = (floor(from), floor(to))
            && room != other
            && below <= floor
        {
            let where_to = if below == floor { "sideways" } else { "up" };
            broken.push(format!("{from}:{line} uses {to}: imports point down, not {where_to}"));
        }
    }
    report(broken);
}

#[test]
fn no_file_imports_itself_through_others() {
    let mut broken = vec![];
    let crates = stems("crates", "").into_iter().map(|name| format!("crates/{name}/src"));
    for folder in std::iter::once("src".to_owned()).chain(crates) {
        for circle in Crate::read(&folder).circles() {
            broken.push(format!("{}:1 imports itself through {}", circle[0], circle[1..].join(", ")));
        }
    }
    report(broken);
}

#[test]
fn every_way_to_write_an_import_is_read() {
    let text = "
use crate::a::{self, b::C, d::{E as F}};
pub use child::Shown;
use std::fmt;
// use crate::comment;
fn f() -> super::Outer { \"crate::text\"; crate::g::h(crate::i) }
#[cfg(test)]
mod tests {
    use crate::only_in_tests;
}
fn last() { $crate::of_a_macro; self::near() }
";
    let source = Source { path: "src/here.rs".to_owned(), text: text.to_owned() };
    let here = ["up".to_owned(), "here".to_owned()];
    let found = imports(&here, &source, |path| path.last().is_some_and(|name| name == "child"));
    let found: Vec<_> = found.iter().map(|it| (it.line, it.path.join("::"), it.name.as_str(), it.is_export)).collect();
    let import = |line, path: &str, name| (line, path.to_owned(), name, false);
    assert_eq!(
        found,
        [
            import(2, "a", "a"),
            import(2, "a::b::C", "C"),
            import(2, "a::d::E", "F"),
            (3, "up::here::child::Shown".to_owned(), "Shown", true),
            import(6, "up::Outer", ""),
            import(6, "g::h", ""),
            import(6, "i", ""),
            import(11, "up::here::near", ""),
        ]
    );
}
