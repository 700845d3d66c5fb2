//! `xtask notebook --check` from outside: cargo, pip and Jupyter are stand-ins, the notebook is docs/lab.ipynb. Nothing is installed or run.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Stands in for cargo: "builds" the kernel, and says where torch-sys was built.
const CARGO: &str = r#"#!/bin/sh
echo "cargo $*" >> "$FAKE/asked"
case "$1" in
install)
    while [ "$1" != --root ]; do shift; done
    mkdir -p "$2/bin"
    printf '#!/bin/sh\necho "kernel $* in $JUPYTER_PATH" >> "$FAKE/asked"\n' > "$2/bin/evcxr_jupyter"
    chmod +x "$2/bin/evcxr_jupyter" ;;
build)
    echo '{"reason":"build-script-executed","package_id":"registry#torch-sys@0.24.0","linked_libs":["static=tch"],"linked_paths":["native=/its/out"]}' ;;
esac
"#;

/// Stands in for Python: makes environments of itself, and "runs" a notebook by copying one that was run.
const PYTHON: &str = r#"#!/bin/sh
case "$*" in
"-m venv "*)
    for last in "$@"; do :; done
    mkdir -p "$last/bin" && cp "$0" "$last/bin/python"
    echo "venv" >> "$FAKE/asked" ;;
"-m pip install "*) echo "pip $*" >> "$FAKE/asked" ;;
"-c import venv"*) ;;
"-c "*)
    echo "run $PANAL_NOTEBOOK in $EVCXR_TMPDIR by $JUPYTER_PATH" >> "$FAKE/asked"
    cp "$FAKE/executed.ipynb" "$4" ;;
*) exit 1 ;;
esac
"#;

struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    /// A machine with a libtorch, a cargo and a Python.
    fn new() -> Self {
        let sandbox = Self { folder: tempfile::tempdir().unwrap() };
        let program = |name: &str, text: &str| {
            let path = sandbox.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        program("bin/cargo", CARGO);
        program("bin/python3", PYTHON);
        fs::create_dir_all(sandbox.path("libtorch/lib")).unwrap();
        fs::write(sandbox.path("libtorch/lib/libtorch_cpu.so"), "").unwrap();
        fs::write(sandbox.path("libtorch/build-version"), "2.11.0").unwrap();
        sandbox
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// What `xtask notebook --check` says of this executed notebook.
    fn check(&self, executed: &Value) -> Output {
        fs::write(self.path("executed.ipynb"), executed.to_string()).unwrap();
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["notebook", "--check"])
            .env("PATH", path)
            .env("CARGO", self.path("bin/cargo"))
            .env("FAKE", self.folder.path())
            .env("LIBTORCH", self.path("libtorch"))
            .env("PANAL_CACHE", self.path("cache"))
            .env_remove("LIBTORCH_USE_PYTORCH")
            .env_remove("LIBTORCH_LIB")
            .env_remove("PANAL_NOTEBOOK")
            .output()
            .unwrap()
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.path("asked")).unwrap()
    }
}

fn notebook() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lab.ipynb")
}

/// The notebook as Jupyter leaves it, each cell of code with these outputs by its number.
fn executed(outputs: impl Fn(usize) -> Value) -> Value {
    let mut notebook: Value = serde_json::from_str(&fs::read_to_string(notebook()).unwrap()).unwrap();
    let cells = notebook["cells"].as_array_mut().unwrap().iter_mut().filter(|cell| cell["cell_type"] == "code");
    for (number, cell) in (1..).zip(cells) {
        cell["execution_count"] = json!(number);
        cell["outputs"] = outputs(number);
    }
    notebook
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn all_is_installed_once_in_the_cache_and_the_notebook_left_as_it_is() {
    let sandbox = Sandbox::new();
    let before = fs::read(notebook()).unwrap();
    let good = executed(|_| json!([{ "output_type": "stream", "name": "stdout", "text": "epoch 1" }]));
    for _ in 0..2 {
        let output = sandbox.check(&good);
        assert!(output.status.success(), "{}", words(&output));
    }
    assert_eq!(fs::read(notebook()).unwrap(), before);
    let (asked, cache) = (sandbox.asked(), sandbox.path("cache/notebook"));
    let count = |what: &str| asked.matches(what).count();
    assert_eq!(
        (count("cargo install evcxr_jupyter --locked --version "), count("venv\n"), count("pip -m pip install")),
        (1, 1, 1)
    );
    let run = format!("run small in {0}/build by {0}/share\n", cache.display());
    assert_eq!(count(&run), 2, "{asked}");
    assert_eq!(count(&format!("kernel --install in {}/share\n", cache.display())), 2, "{asked}");
    let config = fs::read_to_string(cache.join(".cargo/config.toml")).unwrap();
    assert!(config.contains(".tch]\n") && config.contains("native=/its/out"), "{config}");
    assert!(cache.join("build/Cargo.lock").exists());
    let left: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".unfinished")), "{left:?}");
}

#[test]
fn a_cell_that_panics_or_is_missing_fails_the_check() {
    let sandbox = Sandbox::new();
    let panic = json!([{ "output_type": "stream", "name": "stderr", "text": "thread 'main' panicked at src/lib.rs:1:1:\nno images\n" }]);
    let output = sandbox.check(&executed(|number| if number == 3 { panic.clone() } else { json!([]) }));
    assert_eq!(output.status.code(), Some(1));
    let said = words(&output);
    assert!(
        said.contains("lab.ipynb does not run") && said.contains("code cell 3 (`") && said.contains("no images"),
        "{said}"
    );

    let mut short = executed(|_| json!([]));
    let cells = short["cells"].as_array_mut().unwrap();
    let last = cells.iter().rposition(|cell| cell["cell_type"] == "code").unwrap();
    cells.remove(last);
    let output = sandbox.check(&short);
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("cells of code, and after its run"), "{}", words(&output));
}
