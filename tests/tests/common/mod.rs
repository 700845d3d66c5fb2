//! The binary under test, and small folders of images to run it on.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

pub mod ssl;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{Rgb, RgbImage};

/// A program that the same build made: it lies beside the folder of this test.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join(name);
    assert!(path.exists(), "{} is not built: run these tests by `cargo xtask test`", path.display());
    path
}

/// `panal` with these arguments, quick and alone: one thread, no cache and no mirror of the user's.
pub fn panal(args: &[&str]) -> Command {
    let mut command = Command::new(program("panal"));
    command.args(["--threads", "1"]).args(args);
    command.env_remove("PANAL_MIRROR").env("PANAL_OFFLINE", "1").env_remove("PANAL_LOG");
    command.env("PANAL_CACHE", std::env::temp_dir().join("panal-tests-empty-cache"));
    command
}

/// What a call said and how it ended.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn run(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Said { code: status.code(), out: String::from_utf8(stdout).unwrap(), err: String::from_utf8(stderr).unwrap() }
}

/// Starts `command`, sends it what ctrl-C does once it has said `words` on standard error, and returns how it ended.
#[cfg(unix)]
pub fn interrupted_after(command: &mut Command, words: &str) -> Said {
    signalled_after(command, words, "-INT")
}

/// The same with another signal.
#[cfg(unix)]
pub fn signalled_after(command: &mut Command, words: &str, signal: &str) -> Said {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut err = String::new();
    while !err.contains(words) {
        assert!(stderr.read_line(&mut err).unwrap() > 0, "it ended before it could be interrupted: {err}");
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    stderr.read_to_string(&mut err).unwrap();
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    Said { code: status.code(), out: String::from_utf8(stdout).unwrap(), err }
}

/// A folder with `train` and `val` of two classes: stripes across and along.
pub fn stripes(root: &Path) {
    for (split, count) in [("train", 6), ("val", 3)] {
        for class in ["across", "along"] {
            let folder = root.join(split).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for index in 0..count {
                stripe(class == "along", index).save(folder.join(format!("{index}.png"))).unwrap();
            }
        }
    }
}

fn stripe(along: bool, shift: u32) -> RgbImage {
    RgbImage::from_fn(44, 40, |x, y| {
        let lit = ((if along { y } else { x }) + shift) % 8 < 4;
        Rgb(if lit { [200, 180, 90] } else { [40, 60, 80] })
    })
}

/// A lab that ends in seconds: small images, random weights, two rows.
pub const QUICK: &str = r#"
name = "quick"
title = "A quick lab"
data = "unused"
model = "resnet18"
batch = 4
seeds = 2
[defaults]
lr = 0.01
[augment.plain]
ops = [{ op = "resize", size = 36 }, { op = "center_crop", size = 32 }]
[augment.evaluation]
ops = [{ op = "resize", size = 36 }, { op = "center_crop", size = 32 }]
[[row]]
name = "all"
init = "random"
augment = "plain"
phases = [{ epochs = 2, train = "all" }]
[[row]]
name = "head"
init = "random"
augment = "plain"
phases = [{ epochs = 2, train = "head" }]
"#;

/// A temporary place with images, the quick lab, and where results go.
pub struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        stripes(&folder.path().join("images"));
        std::fs::write(folder.path().join("quick.toml"), QUICK).unwrap();
        Self { folder }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// `panal lab` on these images.
    pub fn lab(&self, more: &[&str]) -> Command {
        let (config, images, results) = (self.path("quick.toml"), self.path("images"), self.path("results"));
        let mut command = panal(&["lab"]);
        command.arg("--config").arg(config).arg("--data").arg(images).arg("--results").arg(results).args(more);
        command
    }

    /// Where `lab` writes.
    pub fn results(&self) -> PathBuf {
        self.path("results/quick-resnet18-images")
    }
}

/// The mirror with real photographs and weights, or a loud word that it is not there.
pub fn mirror() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mirror");
    let mirror = std::env::var_os("PANAL_MIRROR").map_or(beside, PathBuf::from);
    if mirror.join("hymenoptera_data.zip").exists() {
        return Some(std::fs::canonicalize(mirror).unwrap());
    }
    // Not by println! or eprintln!, whose words the test runner keeps back.
    let _ = writeln!(std::io::stderr(), "SKIPPED: no mirror with real data at {} (set PANAL_MIRROR)", mirror.display());
    None
}
