//! libtorch from torch's wheel, which pip finds, downloads and verifies. Only the wheels' libraries are taken: no
//! Python is installed, and any pip will do, for it is told which platform's wheels to fetch.

use super::{Flavour, TORCH_VERSION, layout};
use crate::process;
use anyhow::{Context, Result, bail, ensure};
use std::fmt;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

/// The two small wheels beside torch's in the CPU set: they hold libraries that `libtorch_cpu.so` names. Linux only.
const NAMED_BY_CPU: [&str; 2] = ["nvidia-cuda-cupti==13.0.85", "nvidia-cuda-runtime==13.0.96"];

/// A pip that answers.
#[derive(Debug)]
pub(crate) struct Pip {
    words: &'static [&'static str],
    version: String,
}

impl fmt::Display for Pip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.words.join(" "), self.version)
    }
}

/// The first pip that answers.
pub(crate) fn find() -> Option<Pip> {
    const CANDIDATES: [&[&str]; 4] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];
    CANDIDATES.into_iter().find_map(|words| {
        let args: Vec<&str> = words[1..].iter().copied().chain(["--version"]).collect();
        let said = process::ask(words[0], &args)?;
        // "pip 23.2.1 from /usr/lib/python3/dist-packages/pip (python 3.11)"
        let version = said.split(" from ").next().filter(|version| version.starts_with("pip "))?.to_owned();
        Some(Pip { words, version })
    })
}

impl Pip {
    /// Downloads the wheels into `downloads` and unpacks what libtorch needs of them into `fresh`.
    pub(super) fn fetch(&self, flavour: Flavour, downloads: &Path, fresh: &Path, note: &dyn Fn(&str)) -> Result<()> {
        let platforms = platforms(std::env::consts::OS, std::env::consts::ARCH)?;
        let torch = format!("torch=={TORCH_VERSION}");
        note(&format!("{self}: fetching {torch}"));
        self.download(&platforms, &["--no-deps", &torch], downloads)?;
        let mut bytes = unpack_all(flavour, downloads, fresh)?;
        if cfg!(target_os = "linux") {
            let wanted = match flavour {
                // A wheel without CUDA (from another index) names neither of them, but they are small.
                Flavour::Cpu => NAMED_BY_CPU.map(str::to_owned).to_vec(),
                Flavour::Cuda => cuda_requirements(&fs::read_to_string(fresh.join(layout::METADATA))?),
            };
            ensure!(!wanted.is_empty(), "the torch wheel that pip chose names no CUDA libraries");
            note(&format!("{self}: fetching {}", wanted.join(" ")));
            // What the CUDA wheels require is more of the same; the CPU's two require nothing.
            self.download(&platforms, &wanted.iter().map(String::as_str).collect::<Vec<_>>(), downloads)?;
            bytes += unpack_all(flavour, downloads, fresh)?;
        }
        note(&format!("unpacked {:.1} GB", bytes as f64 / 1e9));
        Ok(())
    }

    fn download(&self, platforms: &[String], what: &[&str], into: &Path) -> Result<()> {
        let mut command = Command::new(self.words[0]);
        command.args(&self.words[1..]).args(["download", "--only-binary=:all:", "--disable-pip-version-check"]);
        command.args(["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]);
        command.args(platforms.iter().flat_map(|platform| ["--platform", platform]));
        command.arg("--dest").arg(into).args(what);
        // Settings of the user's that concern installing into a Python, which this is not.
        command.env("PIP_REQUIRE_VIRTUALENV", "0").env_remove("PIP_TARGET").env_remove("PIP_NO_BINARY");
        // xtask's standard output may be read by a shell.
        command.stdin(Stdio::null()).stdout(std::io::stderr().as_fd().try_clone_to_owned()?);
        match process::run(&mut command) {
            Ok(()) => Ok(()),
            Err(_) => bail!("{self} could not download {}", what.join(" ")),
        }
    }
}

/// The platform tags of the wheels that this machine can use, most demanding first.
fn platforms(os: &str, arch: &str) -> Result<Vec<String>> {
    match (os, arch) {
        ("linux", "x86_64" | "aarch64") => {
            let numbered = (17..=28).rev().map(|minor| format!("manylinux_2_{minor}_{arch}"));
            Ok(numbered.chain([format!("manylinux2014_{arch}")]).collect())
        }
        ("macos", "aarch64") => Ok(vec!["macosx_14_0_arm64".to_owned()]),
        _ => bail!("there is no wheel of torch {TORCH_VERSION} for {os} on {arch}"),
    }
}

/// Unpacks every wheel in `downloads` and removes it; gives the bytes.
fn unpack_all(flavour: Flavour, downloads: &Path, fresh: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(downloads).with_context(|| format!("pip left no {}", downloads.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "whl") {
            bytes += layout::unpack(&path, fresh, |entry| layout::of_wheel(flavour, entry))?;
            fs::remove_file(path)?;
        }
    }
    Ok(bytes)
}

/// The requirements in a wheel's metadata that bring CUDA's libraries, without their conditions.
fn cuda_requirements(metadata: &str) -> Vec<String> {
    let required = metadata.lines().filter_map(|line| line.strip_prefix("Requires-Dist: "));
    let required = required.filter_map(|line| line.split(';').next()).map(str::trim);
    required.filter(|name| name.starts_with("nvidia-") || name.starts_with("cuda-toolkit")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cuda_libraries_are_those_that_the_wheel_requires() {
        let metadata = "Name: torch\nRequires-Dist: filelock\n\
            Requires-Dist: cuda-toolkit[cublas,cudart]==13.0.2; platform_system == \"Linux\"\n\
            Requires-Dist: cuda-bindings<14,>=13.0.3; platform_system == \"Linux\"\n\
            Requires-Dist: nvidia-cudnn-cu13==9.19.0.56; platform_system == \"Linux\"\n\
            Requires-Dist: triton==3.6.0; platform_system == \"Linux\"\n";
        assert_eq!(
            cuda_requirements(metadata),
            ["cuda-toolkit[cublas,cudart]==13.0.2", "nvidia-cudnn-cu13==9.19.0.56"]
        );
    }

    #[test]
    fn each_supported_platform_has_tags_and_others_say_so() {
        assert!(platforms("linux", "x86_64").unwrap().contains(&"manylinux_2_28_x86_64".to_owned()));
        assert!(platforms("linux", "aarch64").unwrap().contains(&"manylinux2014_aarch64".to_owned()));
        let error = platforms("macos", "x86_64").unwrap_err().to_string();
        assert!(error.contains("macos on x86_64"), "{error}");
    }
}
