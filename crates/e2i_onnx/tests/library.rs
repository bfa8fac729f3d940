//! Libraries that are not the one that is needed: each is refused with its path and the way out, and none is kept.

use std::path::{Path, PathBuf};
use std::process::Command;

use e2i_core::{Error, Kind};
use e2i_onnx::Runtime;

fn refused(path: &Path) -> Error {
    let error = Runtime::load(path).err().expect("it is refused");
    assert_eq!(error.kind(), Kind::Library);
    assert!(error.message().contains(&*path.to_string_lossy()), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("e2i_serve.onnxruntime_library")), "{error:?}");
    error
}

/// Compiles a shared library that exports what `source` defines.
fn library(folder: &Path, name: &str, source: &str) -> PathBuf {
    let (code, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&code, source).expect("a file");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code).status().expect("a C compiler");
    assert!(compiled.success());
    library
}

#[test]
fn what_is_not_the_runtime_is_refused_with_the_way_out() {
    let folder = std::env::temp_dir().join(format!("e2i-library-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");

    let error = refused(&folder.join("nowhere.so"));
    assert!(error.message().contains("cannot open"), "{error}");

    let text = folder.join("text.so");
    std::fs::write(&text, "not a library").expect("a file");
    assert!(refused(&text).detail().is_some_and(|detail| detail.contains("not a shared library")));

    let error = refused(Path::new("libonnxruntime.so"));
    assert!(error.detail().is_some_and(|detail| detail.contains("not absolute")), "{error:?}");

    let other = library(&folder, "other", "int answer(void) { return 42; }");
    assert!(refused(&other).detail().is_some_and(|detail| detail.contains("OrtGetApiBase")));

    let old = library(
        &folder,
        "old",
        "static const void *api(unsigned v) { (void)v; return 0; }
         static const char *version(void) { return \"1.10.0\"; }
         static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };
         const void *OrtGetApiBase(void) { return &base; }",
    );
    let error = refused(&old);
    assert!(error.detail().is_some_and(|detail| detail.contains("1.10.0") && detail.contains("1.24")), "{error:?}");

    // After all of it the right one still loads.
    let right = std::env::var("E2I_ONNXRUNTIME").expect("E2I_ONNXRUNTIME is the path of libonnxruntime.so");
    assert!(Runtime::load(Path::new(&right)).is_ok());
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}
