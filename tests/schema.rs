//! The scripts in `sql/` and the library belong together.
//!
//! The install script is what the code declares. pgrx leaves what its macros saw in a section of the library. This reads it and writes it down in an order of its own (pgrx's is
//! not stable), so that the script changes only when a declaration does, and building needs no tool but cargo. `make schema` has it
//! written; otherwise it is compared.

use std::collections::HashSet;
use std::path::Path;
use std::{env, fs};

use object::{Object, ObjectSection};
use pgrx_sql_entity_graph::section::{decode_entities, is_schema_section_name};
use pgrx_sql_entity_graph::{ControlFile, ExtensionSqlEntity, PgrxSql, SqlGraphEntity, ToSql};

#[test]
fn the_install_script_is_what_the_code_declares() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = format!("sql/e2i_serve--{}.sql", env!("CARGO_PKG_VERSION"));
    let declared = declared(&library(), &root.join("e2i_serve.control"));
    if env::var("E2I_SCHEMA").is_ok_and(|what| what == "write") {
        fs::write(root.join(script), declared).expect("sql/ can be written");
        return;
    }
    let written = fs::read_to_string(root.join(&script)).unwrap_or_default();
    let differing = declared.lines().zip(written.lines()).position(|(declared, written)| declared != written);
    let line = differing.unwrap_or_else(|| declared.lines().count().min(written.lines().count())) + 1;
    assert!(
        declared == written,
        "{script}:{line} is not what the code declares:\n    script: {}\n    code:   {}\nRun `make schema`",
        written.lines().nth(line - 1).unwrap_or("(its end)"),
        declared.lines().nth(line - 1).unwrap_or("(its end)"),
    );
}

/// The old SQL must load for its update to run.
#[test]
fn what_any_script_names_is_in_the_library() {
    let library = library();
    let exports = object::File::parse(&*library).expect("a library").exports().expect("its exports can be read");
    let exports: HashSet<&[u8]> = exports.iter().map(|export| export.name()).collect();
    let mut named = 0;
    for script in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("sql")).expect("sql/ can be read") {
        let path = script.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("it can be read");
        for (_, after) in
            text.match_indices("'MODULE_PATHNAME', '").map(|(at, before)| text.split_at(at + before.len()))
        {
            let symbol = after.split('\'').next().unwrap_or_default();
            for symbol in [symbol.to_owned(), format!("pg_finfo_{symbol}")] {
                assert!(
                    exports.contains(symbol.as_bytes()),
                    "{} names {symbol}, which the library has not",
                    path.display()
                );
            }
            named += 1;
        }
    }
    assert!(named > 0, "no script names a function of the library");
}

fn library() -> Vec<u8> {
    let path = env::var("E2I_LIBRARY").expect("E2I_LIBRARY names the library; `make schema` builds it");
    fs::read(path).expect("the library can be read")
}

/// The install script of a library.
fn declared(library: &[u8], control: &Path) -> String {
    let object = object::File::parse(library).expect("a library");
    let section = object.sections().find(|section| section.name().is_ok_and(is_schema_section_name));
    let section = section.expect("pgrx's section is in the library");
    let entities = decode_entities(section.data().expect("it can be read")).expect("it can be decoded");
    let control =
        ControlFile::from_path_with_cargo_version(control, env!("CARGO_PKG_VERSION")).expect("a control file");
    let root = SqlGraphEntity::ExtensionRoot(control);
    let graph = PgrxSql::build(entities.iter().cloned().chain([root]), "e2i_serve".to_owned(), false).expect("a graph");

    let mut files: Vec<&ExtensionSqlEntity<'_>> = vec![];
    let mut functions: Vec<(&str, String)> = vec![];
    for entity in &entities {
        match entity {
            SqlGraphEntity::CustomSql(file) => files.push(file),
            SqlGraphEntity::Function(it) => {
                functions.push((it.name, without_place(&entity.to_sql(&graph).expect("SQL"))))
            }
            SqlGraphEntity::Trigger(it) => {
                functions.push((it.function_name, without_place(&entity.to_sql(&graph).expect("SQL"))))
            }
            other => panic!("a place has to be found in the script for {other:?}"),
        }
    }
    files.sort_by_key(|file| (!file.bootstrap, file.finalize, file.line));
    functions.sort();

    let mut script = format!(
        "-- Written by `make schema` from src/ and sql/; not to be edited.\n\\echo Use \"CREATE EXTENSION e2i_serve VERSION '{}'\" to load this file. \\quit\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut add = |part: &str| {
        script.push('\n');
        script.push_str(part.trim());
        script.push('\n');
    };
    for file in files.iter().filter(|file| file.bootstrap) {
        add(file.sql);
    }
    // Those that `sql/` declares by itself say nothing, and a development build has more of them.
    for (_, function) in functions.iter().filter(|(_, sql)| !sql.trim().is_empty()) {
        add(function);
    }
    for file in files.iter().filter(|file| !file.bootstrap) {
        add(file.sql);
    }
    script
}

/// Without the comments that say where in the code it stands and of which Rust types it is, which change more often than what it says.
fn without_place(sql: &str) -> String {
    let lines = sql.trim_start().lines().skip_while(|line| line.starts_with("-- "));
    let lines = lines.map(|line| match (line.find(" /* "), line.rfind("*/")) {
        (Some(begin), Some(end)) => format!("{}{}", line[..begin].trim_end(), &line[end + 2..]),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n").replace('\t', "    ").replace("CREATE  FUNCTION", "CREATE FUNCTION")
}
