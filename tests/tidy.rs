//! The house rules, as tests. No database and nothing but the standard library: `make unit` runs them in a second.
//!
//! A rule that turns out to be wrong is changed here, in the open, rather than worked around in the code.

mod floors;

use std::fs;
use std::path::{Path, PathBuf};

/// A file is about one thing; past this it is about two.
const LINES_AT_MOST: usize = 600;

/// A text file of the project.
struct Source {
    /// Path from the root of the project.
    path: String,
    text: String,
}

impl Source {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines that ship: everything outside of `#[cfg(test)]` and `#[cfg(debug_assertions)]` items.
    fn shipped_lines(&self) -> Vec<(usize, &str)> {
        let mut shipped = Vec::new();
        let mut skipping: Option<usize> = None; // indentation of the item that is skipped
        for (number, line) in self.lines() {
            let indent = line.len() - line.trim_start().len();
            match skipping {
                Some(depth) if indent == depth && ends_item(line) => skipping = None,
                Some(_) => {}
                None if is_test_attribute(line.trim()) => skipping = Some(indent),
                None => shipped.push((number, line)),
            }
        }
        shipped
    }
}

fn is_test_attribute(line: &str) -> bool {
    (line.starts_with("#[cfg(")
        && (line.contains("test)") || line.contains("debug_assertions"))
        && !line.contains("not("))
        || line == "#[test]"
}

/// `}` closes a block; `mod tests;` and one-line items end where they begin.
fn ends_item(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('}') || (line.ends_with(';') && !line.starts_with("#["))
}

fn root() -> PathBuf {
    let start = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = start.ancestors().find(|folder| folder.join("e2i_serve.control").exists());
    found.expect("tidy runs inside the project").to_path_buf()
}

/// Every file below `folder` whose name ends in one of `endings`, generated folders left out.
fn sources(folder: &str, endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root(), &root().join(folder), endings, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, folder: &Path, endings: &[&str], found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "results" | "output_iso" | "node_modules") {
                collect(root, &path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the files in a folder that end in `ending`, without it.
fn stems(folder: &str, ending: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut stems: Vec<String> = names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect();
    stems.sort();
    stems
}

#[track_caller]
fn report(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn crates_do_not_name_the_database() {
    let mut broken = Vec::new();
    for source in sources("crates", &[".rs", ".toml", ".md"]) {
        for (number, line) in source.lines() {
            let lower = line.to_lowercase();
            for word in ["postgres", "pgrx", "pg_sys"] {
                if lower.contains(word) {
                    broken
                        .push(format!("{}:{number} names {word}: crates/ decides and knows no database", source.path));
                }
            }
        }
    }
    report(broken);
}

#[test]
fn ort_is_used_in_one_crate() {
    let mut broken = Vec::new();
    for source in sources("", &[".rs", "Cargo.toml"]) {
        if source.path.starts_with("crates/e2i_onnx/") || source.path == "tests/tidy.rs" {
            continue;
        }
        for (number, line) in source.lines() {
            let code = line.trim_start();
            let uses = code.starts_with("use ort::")
                || code.starts_with("use ort;")
                || code.starts_with("ort =")
                || code.starts_with("ort.")
                || (!code.starts_with("//") && contains_word(code, "ort::"));
            if uses {
                broken.push(format!("{}:{number} uses ort: only crates/e2i_onnx may", source.path));
            }
        }
    }
    report(broken);
}

#[test]
fn what_is_made_once_a_process_is_made_in_one_way() {
    let mut broken = Vec::new();
    for source in rust_code() {
        for (number, line) in source.lines() {
            // A backend has one thread that works, and `thread_local!` is its memory.
            let is_local = line.contains("thread_local!") && source.path.starts_with("crates/");
            let words =
                ["OnceLock", "LazyLock", "sync::Once;", "lazy_static"].into_iter().filter(|word| line.contains(word));
            for word in words.chain(is_local.then_some("thread_local!")) {
                broken.push(format!("{}:{number} uses {word} and not once_cell::sync", source.path));
            }
        }
    }
    report(broken);
}

fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn unsafe_says_why_it_is_sound() {
    let mut broken = Vec::new();
    for source in rust_code() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if opens_unsafe(line) && !has_safety_comment(&lines, index) {
                broken.push(format!("{}:{} unsafe without a `// SAFETY:` just above", source.path, index + 1));
            }
        }
    }
    report(broken);
}

fn opens_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or("");
    contains_word(code, "unsafe {") || contains_word(code, "unsafe impl")
}

/// On the line itself, or above it past attributes and the beginning of the same statement.
fn has_safety_comment(lines: &[&str], index: usize) -> bool {
    if lines[index].contains("// SAFETY:") {
        return true;
    }
    let mut steps_over_code = 0;
    for line in lines[..index].iter().rev() {
        let line = line.trim();
        if line.starts_with("//") {
            if line.contains("SAFETY:") {
                return true;
            }
        } else if line.is_empty() || line.ends_with(';') || line.ends_with('}') || steps_over_code == 4 {
            return false;
        } else {
            steps_over_code += 1;
        }
    }
    false
}

#[test]
fn shipped_code_does_not_panic_on_purpose() {
    const FORBIDDEN: [&str; 6] = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "dbg!("];
    let mut broken = Vec::new();
    for source in rust_code() {
        let ships = source.path.starts_with("src/") || source.path.contains("/src/");
        if !ships || source.path.ends_with("tests.rs") || source.path.contains("/tests/") {
            continue;
        }
        for (number, line) in source.shipped_lines() {
            let code = line.trim_start();
            if code.starts_with("//") {
                continue;
            }
            for word in FORBIDDEN.iter().filter(|word| code.contains(**word)) {
                broken.push(format!("{}:{number} {word}: return an error instead", source.path));
            }
        }
    }
    report(broken);
}

fn rust_code() -> Vec<Source> {
    let mut code = sources("src", &[".rs"]);
    code.extend(sources("crates", &[".rs"]));
    code
}

/// What `e2i_grant_usage` grants, the hint of a refusal names.
#[test]
fn hints_know_what_is_granted() {
    let (rights, hints) = (read("sql/rights.sql"), read("src/catalog/rights.rs"));
    let mut broken = Vec::new();
    for set in ["deployer", "admin"] {
        let begin = format!("('{set}', ");
        let held = rights.split(begin.as_str()).skip(1);
        let names: Vec<&str> = held
            .flat_map(|held| held.split_once("ARRAY[").and_then(|(_, names)| names.split_once(']')))
            .flat_map(|(names, _)| names.split('\'').filter(|name| name.contains('_')))
            .collect();
        if names.is_empty() {
            broken.push(format!("sql/rights.sql: no set {set}"));
        }
        for name in names.iter().filter(|name| !hints.contains(&format!("\"{name}\""))) {
            broken.push(format!("src/catalog/rights.rs does not name {name}"));
        }
    }
    report(broken);
}

/// A `Query` is planned where nobody's names but the server's are found; other text would be where the caller's are, which is
/// meant where a job does what its caller would write.
#[test]
fn no_query_runs_but_as_a_query() {
    let mut broken = Vec::new();
    let is_judged = |source: &&Source| {
        !matches!(
            source.path.as_str(),
            "src/pg/query.rs" | "src/pg/statement.rs" | "src/pg/filling.rs" | "src/tests.rs"
        )
    };
    for source in sources("src", &[".rs"]).iter().filter(is_judged) {
        for (number, line) in source.shipped_lines() {
            let code = line.split("//").next().unwrap_or("");
            for word in ["SPI_", "Spi::", "SpiClient"].iter().filter(|word| contains_word(code, word)) {
                broken.push(format!("{}:{number} {word}: a query is a Query (src/pg/query.rs)", source.path));
            }
            if code.contains("execute_once(") && source.path != "src/inference_log/partition.rs" {
                broken
                    .push(format!("{}:{number} execute_once: only for partitions, whose names are made", source.path));
            }
            let is_of_caller = source.path.starts_with("src/jobs/") || source.path == "src/on_write/install.rs";
            if code.contains("pg::statement") && !is_of_caller {
                broken.push(format!("{}:{number} pg::statement: only for what is done as the caller", source.path));
            }
            if code.contains("OPERATOR(pg_catalog") || code.contains("COLLATE pg_catalog") {
                broken.push(format!("{}:{number} a query names nothing of the server's by its schema", source.path));
            }
        }
    }
    report(broken);
}

#[test]
fn majors_differ_in_one_place() {
    let mut broken = Vec::new();
    for source in sources("src", &[".rs"]).iter().filter(|source| source.path != "src/pg/major.rs") {
        for (number, line) in source.lines() {
            if line.contains("feature = \"pg1") {
                broken.push(format!("{}:{number} asks for a major of PostgreSQL: src/pg/major.rs does", source.path));
            }
        }
    }
    report(broken);
}

#[test]
fn files_are_short() {
    let mut broken = Vec::new();
    for source in sources("", &[".rs", ".sql", ".sh", ".py"]) {
        // The server reads one script from one version to the next.
        let is_update = source.path.matches("--").count() == 2;
        if source.text.starts_with("-- Written by") || is_update {
            continue;
        }
        let lines = source.text.lines().count();
        if lines > LINES_AT_MOST {
            broken.push(format!("{}:{lines} has {lines} lines, {LINES_AT_MOST} at most: split it", source.path));
        }
    }
    report(broken);
}

#[test]
fn entry_files_say_what_the_folder_is_for() {
    let mut broken = Vec::new();
    for source in rust_code() {
        let entry = source.path.ends_with("/mod.rs") || source.path.ends_with("lib.rs");
        if entry && !source.text.starts_with("//!") {
            broken.push(format!("{}:1 does not begin with `//!` docs", source.path));
        }
    }
    report(broken);
}

#[test]
fn sql_tests_and_expected_outputs_pair_up() {
    let mut broken = Vec::new();
    pair_up("tests/pg_regress/sql", ".sql", "tests/pg_regress/expected", &mut broken);
    pair_up("tests/isolation/specs", ".spec", "tests/isolation/expected", &mut broken);
    report(broken);
}

/// `name_1.out` is an alternative of `name.out`.
fn pair_up(inputs: &str, ending: &str, expected: &str, broken: &mut Vec<String>) {
    let (tests, outputs) = (stems(inputs, ending), stems(expected, ".out"));
    for test in &tests {
        if !outputs.contains(test) {
            broken.push(format!("{inputs}/{test}{ending}:1 has no {expected}/{test}.out"));
        }
    }
    for output in &outputs {
        let base = output.strip_suffix(|c: char| c.is_ascii_digit()).and_then(|name| name.strip_suffix('_'));
        if !tests.contains(output) && !base.is_some_and(|base| tests.iter().any(|test| test == base)) {
            broken.push(format!("{expected}/{output}.out:1 has no {inputs}/{output}{ending}"));
        }
    }
}

/// What is written by hand; that functions are declared as in the code, tests/schema.rs says of the library.
#[test]
fn the_install_script_holds_sql() {
    let script = format!("sql/e2i_serve--{}.sql", env!("CARGO_PKG_VERSION"));
    let installed = read(&script);
    let parts = sources("sql", &[".sql"]).into_iter().filter(|part| !part.path.contains("--"));
    let broken = parts.filter(|part| !installed.contains(part.text.trim()));
    report(broken.map(|part| format!("{}:1 is not in {script} as it is: run `make schema`", part.path)).collect());
}

#[test]
fn one_version_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let mut broken = Vec::new();
    if !read("e2i_serve.control").contains(&format!("default_version = '{version}'")) {
        broken.push(format!("e2i_serve.control:1 default_version is not {version}, the version in Cargo.toml"));
    }
    if read("META.json").matches(&format!("\"version\": \"{version}\"")).count() != 2 {
        broken.push(format!("META.json:1 does not say twice that the version is {version}"));
    }
    if !read("CHANGELOG.md").contains(version) {
        broken.push(format!("CHANGELOG.md:1 does not mention {version}"));
    }
    report(broken);
}

#[test]
fn no_machine_is_named() {
    let mut texts = Vec::new();
    for folder in ["src", "crates", "sql", "docs", "demo", "tests/pg_regress/sql", "tests/isolation/specs"] {
        texts.extend(sources(folder, &[".rs", ".sql", ".md", ".toml", ".spec"]));
    }
    let mut broken = Vec::new();
    for source in &texts {
        for (number, line) in source.lines() {
            for path in ["/work/", "/tmp/", "/root/", "/home/"] {
                if line.contains(path) {
                    broken.push(format!("{}:{number} names {path}: a path of one machine", source.path));
                }
            }
        }
    }
    report(broken);
}
