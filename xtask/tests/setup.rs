//! `xtask setup` from outside: a pip that serves tiny wheels, an archive on loopback, installations that are cut off or
//! run side by side. The real wheels are not downloaded here.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;

/// Stands in for Python: answers as pip does, and copies the wheels beside it to where it is told.
const PYTHON: &str = r#"#!/bin/sh
here=$(dirname "$0")
case "$*" in
"-m pip --version") echo "pip 99.0 from /somewhere/pip (python 3.11)" ;;
"-m pip download "*)
    echo "$*" >> "$here/asked"
    while [ "$1" != --dest ]; do shift; done
    mkdir -p "$2"
    echo half > "$2/half.whl.part"
    sleep "${FAKE_SECONDS:-0}"
    for wanted in "$@"; do
        case "$wanted" in
        torch==*) cp "$here/torch-2.11.0-fake.whl" "$2" ;;
        nvidia-*|cuda-toolkit*) cp "$here/nvidia-fake.whl" "$2" ;;
        esac
    done ;;
"-c import os, torch"*) printf '%s\n' "${FAKE_TORCH:-2.11.0+cu130}" /its/torch ;;
*) exit 1 ;;
esac
"#;

const TORCH_WHEEL: [(&str, &str); 6] = [
    ("torch/lib/libtorch_cpu.so", "cpu"),
    ("torch/lib/libtorch_cuda.so", "cuda"),
    ("torch/lib/libtorch.so", "wants cuda"),
    ("torch/include/torch/torch.h", "header"),
    ("torch/nn.py", "python"),
    ("torch-2.11.0.dist-info/METADATA", "Name: torch\nRequires-Dist: cuda-toolkit[cudart]==13.0.2; x\n"),
];
const NVIDIA_WHEEL: [(&str, &str); 2] =
    [("nvidia/cu13/lib/libcudart.so.13", "cudart"), ("nvidia/cu13/lib/libcublas.so.13", "cublas")];

struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    /// A machine with a pip and the ordinary wheels.
    fn new() -> Self {
        let sandbox = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(sandbox.bin()).unwrap();
        sandbox.program("python3", PYTHON);
        write_zip(&sandbox.bin().join("torch-2.11.0-fake.whl"), &TORCH_WHEEL);
        write_zip(&sandbox.bin().join("nvidia-fake.whl"), &NVIDIA_WHEEL);
        sandbox
    }

    fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache/libtorch")
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.bin().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Takes away every pip, also the system's.
    fn without_pip(self) -> Self {
        for name in ["python3", "python", "pip3", "pip"] {
            self.program(name, "#!/bin/sh\nexit 1\n");
        }
        self
    }

    fn xtask(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.bin().display()));
        command.env("PANAL_CACHE", self.folder.path().join("cache"));
        // Where a test does not serve an archive, nothing must reach for the real one.
        command.env("PANAL_LIBTORCH_URL", "http://127.0.0.1:9");
        for name in ["LIBTORCH", "LIBTORCH_LIB", "LIBTORCH_USE_PYTORCH", "VIRTUAL_ENV", "PANAL_MIRROR"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.xtask(args).output().unwrap()
    }

    /// How often pip was asked to download.
    fn downloads(&self) -> usize {
        fs::read_to_string(self.bin().join("asked")).unwrap_or_default().lines().count()
    }

    fn left_overs(&self) -> usize {
        let entries = fs::read_dir(self.cache()).map(|entries| entries.filter_map(Result::ok).collect());
        let entries: Vec<fs::DirEntry> = entries.unwrap_or_default();
        entries.iter().filter(|entry| entry.file_name().to_string_lossy().starts_with(".partial")).count()
    }
}

fn write_zip(path: &Path, entries: &[(&str, &str)]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, text) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[track_caller]
fn good(output: &Output) -> (String, String) {
    let (out, err) = texts(output);
    assert!(output.status.success(), "{err}");
    (out, err)
}

fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn pip_gives_the_small_cpu_set_once() {
    let sandbox = Sandbox::new();
    let (_, said) = good(&sandbox.run(&["setup", "--cpu"]));
    assert!(said.contains("installing 2.11.0 (cpu") && said.contains("done in"), "{said}");
    let home = sandbox.cache().join("2.11.0-cpu");
    assert_eq!(files(&home.join("lib")), ["libcudart.so.13", "libtorch.so", "libtorch_cpu.so"]);
    assert_eq!(fs::read_to_string(home.join("lib/libtorch.so")).unwrap(), "cpu");
    assert_eq!(files(&home), ["METADATA", "build-version", "include", "installed.json", "lib"]);
    assert_eq!((sandbox.downloads(), sandbox.left_overs()), (2, 0));

    let (out, said) = good(&sandbox.run(&["env"]));
    assert!(said.contains("found libtorch 2.11.0+cpu"), "{said}");
    assert!(out.starts_with(&format!("export LIBTORCH='{}'\n", home.display())), "{out}");
    assert_eq!(sandbox.downloads(), 2);

    good(&sandbox.run(&["setup", "--cpu", "--force"]));
    assert_eq!(sandbox.downloads(), 4);
}

#[test]
fn the_cuda_set_lies_as_its_run_paths_want_it_and_the_choice_is_kept() {
    let sandbox = Sandbox::new();
    good(&sandbox.run(&["setup", "--cuda"]));
    let folder = sandbox.cache().join("2.11.0-cuda");
    assert_eq!(files(&folder.join("torch/lib")), ["libtorch.so", "libtorch_cpu.so", "libtorch_cuda.so"]);
    assert_eq!(files(&folder.join("nvidia/cu13/lib")), ["libcublas.so.13", "libcudart.so.13"]);
    assert!(fs::read_to_string(sandbox.bin().join("asked")).unwrap().contains("cuda-toolkit[cudart]==13.0.2"));

    let (out, said) = good(&sandbox.run(&["env"]));
    assert!(said.contains("with CUDA") && out.contains("2.11.0-cuda/torch'"), "{said}{out}");
}

#[test]
fn two_at_once_install_once() {
    let sandbox = Sandbox::new();
    let start = || sandbox.xtask(&["setup", "--cpu"]).env("FAKE_SECONDS", "1").spawn().unwrap();
    let both = [start(), start()].map(|child| good(&child.wait_with_output().unwrap()).1);
    assert_eq!(sandbox.downloads(), 2, "{both:?}");
    assert_eq!(both.iter().filter(|said| said.contains("waiting for another process")).count(), 1, "{both:?}");
    assert_eq!(sandbox.left_overs(), 0);
}

#[test]
fn an_interrupted_installation_starts_clean() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.xtask(&["setup", "--cpu"]).env("FAKE_SECONDS", "2").spawn().unwrap();
    let start = Instant::now();
    while sandbox.downloads() == 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "pip was never asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(sandbox.left_overs(), 1);
    assert!(!sandbox.cache().join("2.11.0-cpu").exists());

    good(&sandbox.run(&["setup", "--cpu"]));
    assert_eq!(sandbox.left_overs(), 0);
    assert!(sandbox.cache().join("2.11.0-cpu/installed.json").exists());
}

#[test]
fn a_wheel_that_climbs_out_is_refused_and_nothing_is_installed() {
    let sandbox = Sandbox::new();
    let evil: Vec<_> = TORCH_WHEEL.into_iter().chain([("torch/lib/../../../../evil.so", "evil")]).collect();
    write_zip(&sandbox.bin().join("torch-2.11.0-fake.whl"), &evil);
    let output = sandbox.run(&["setup", "--cpu"]);
    let (_, said) = texts(&output);
    assert!(!output.status.success() && said.contains("evil.so` is refused"), "{said}");
    assert!(!sandbox.cache().join("2.11.0-cpu").exists());
    assert_eq!(sandbox.left_overs(), 0);
}

#[test]
fn a_wheel_without_libtorch_is_an_error_that_says_so() {
    let sandbox = Sandbox::new();
    write_zip(&sandbox.bin().join("torch-2.11.0-fake.whl"), &[("torch/nn.py", "python")]);
    let output = sandbox.run(&["setup", "--cpu"]);
    let (_, said) = texts(&output);
    assert!(!output.status.success() && said.contains("held no libtorch"), "{said}");
}

#[test]
fn without_pip_the_official_archive_is_taken() {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let base = format!("http://{}/libtorch", server.server_addr());
    let archive = tempfile::tempdir().unwrap().keep().join("archive.zip");
    let entries = [
        ("libtorch/lib/libtorch_cpu.so", "cpu"),
        ("libtorch/lib/libc10.so", "c10"),
        ("libtorch/include/torch/torch.h", "header"),
        ("libtorch/build-version", "2.11.0+cpu"),
    ];
    write_zip(&archive, &entries);
    let serving = std::thread::spawn(move || {
        let mut urls = Vec::new();
        while let Ok(Some(request)) = server.recv_timeout(Duration::from_secs(10)) {
            urls.push(request.url().to_owned());
            request.respond(tiny_http::Response::from_file(fs::File::open(&archive).unwrap())).unwrap();
            if urls.len() == 1 {
                break;
            }
        }
        urls
    });
    let sandbox = Sandbox::new().without_pip();
    let output = sandbox.xtask(&["setup", "--cpu"]).env("PANAL_LIBTORCH_URL", base).output().unwrap();
    let (_, said) = good(&output);
    assert!(said.contains("no pip here: taking the official archive"), "{said}");
    let url = "/libtorch/cpu/libtorch-shared-with-deps-2.11.0%2Bcpu.zip";
    assert_eq!(serving.join().unwrap(), [url]);
    let home = sandbox.cache().join("2.11.0-cpu");
    assert_eq!(files(&home.join("lib")), ["libc10.so", "libtorch.so", "libtorch_cpu.so"]);
}

#[test]
fn without_pip_and_archive_the_error_names_both() {
    let sandbox = Sandbox::new().without_pip();
    let output = sandbox.run(&["setup", "--cpu"]);
    let (_, said) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("neither pip nor the official archive") && said.contains("there is no pip"), "{said}");
}

#[test]
fn the_users_pytorch_is_taken_at_its_version_only() {
    let sandbox = Sandbox::new();
    let (out, said) = good(&sandbox.xtask(&["env"]).env("LIBTORCH_USE_PYTORCH", "1").output().unwrap());
    assert!(said.contains("from LIBTORCH_USE_PYTORCH") && out.contains("/its/torch/lib"), "{said}{out}");

    let mut other = sandbox.xtask(&["env"]);
    let output = other.env("LIBTORCH_USE_PYTORCH", "1").env("FAKE_TORCH", "2.9.1+cpu").output().unwrap();
    let (_, said) = texts(&output);
    assert!(!output.status.success() && said.contains("2.9.1+cpu") && said.contains("tch binds 2.11.0"), "{said}");
}

#[test]
fn a_variable_of_the_users_comes_before_an_installation() {
    let sandbox = Sandbox::new();
    let output = sandbox.xtask(&["setup", "--cpu"]).env("LIBTORCH", "/some/where").output().unwrap();
    let (_, said) = texts(&output);
    assert!(!output.status.success() && said.contains("LIBTORCH is set and would come first"), "{said}");
    assert_eq!(sandbox.downloads(), 0);
}
