//! `doctor`: what is here, what is missing, and the one command that mends each. It changes nothing.

use super::setup;
use crate::libtorch::{self, TORCH_VERSION};
use crate::machine::{Driver, Machine, OLDEST_DRIVER, free_bytes};
use crate::process::ask;
use crate::workspace;
use anyhow::{Context, Result, bail};
use panal_hub::{Hub, Mirror, Status};
use serde::Serialize;
use std::path::Path;
use std::process::Command;

/// Show what was found and what is missing; ends with an error if something needed is missing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Worth knowing, but nothing fails for it.
    Note,
    Missing,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    found: String,
    /// The one command that mends it.
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), remedy: None }
    }

    fn note(name: &'static str, found: impl Into<String>, remedy: Option<&str>) -> Self {
        Self { name, state: State::Note, found: found.into(), remedy: remedy.map(str::to_owned) }
    }

    fn missing(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, state: State::Missing, found: found.into(), remedy: Some(remedy.into()) }
    }
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let mut checks = vec![rust(), compiler("C++ compiler", &cxx(), "c++", &["-std=c++17"])];
    checks.push(compiler("linker", "cc", "c", &[]));
    checks.extend([pip(), libtorch(), driver(), devices(), disk()?, machine(), cache()?, mirror()]);
    checks.extend(catalogue()?);
    let missing = checks.iter().filter(|check| check.state == State::Missing).count();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "ok": missing == 0, "checks": checks }))?);
    } else {
        print(&checks);
    }
    match missing {
        0 => Ok(()),
        1 => bail!("one thing that panal needs is missing; see above for the command that mends it"),
        more => bail!("{more} things that panal needs are missing; see above for the command that mends each"),
    }
}

fn print(checks: &[Check]) {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for check in checks {
        let mark = match check.state {
            State::Ok => "ok     ",
            State::Note => "note   ",
            State::Missing => "MISSING",
        };
        println!("{mark}  {:width$}  {}", check.name, check.found);
        if let Some(remedy) = &check.remedy {
            println!("{:9}{:width$}  -> {remedy}", "", "");
        }
    }
}

fn rust() -> Check {
    let needed = env!("CARGO_PKG_RUST_VERSION");
    let version = |text: &str| -> Vec<u32> { text.split(['.', '-']).map_while(|part| part.parse().ok()).collect() };
    match ask("rustc", &["--version"]) {
        Some(said) if version(said.split(' ').nth(1).unwrap_or("")) >= version(needed) => Check::ok("rust", said),
        Some(said) => Check::missing("rust", format!("{said}; panal needs {needed}"), "rustup update stable"),
        None => Check::missing("rust", "no rustc", "curl https://sh.rustup.rs -sSf | sh"),
    }
}

fn cxx() -> String {
    std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned())
}

/// Whether a compiler makes a program of a few lines, linked to what torch-sys links.
fn compiler(name: &'static str, program: &str, language: &str, flags: &[&str]) -> Check {
    let tried = || -> Result<()> {
        let folder = tempfile::tempdir()?;
        let source = folder.path().join("hello");
        let text = if language == "c" {
            "int main(void) { return 0; }"
        } else {
            "#include <optional>\nint main() { return std::optional<int>(0).value(); }"
        };
        std::fs::write(&source, text)?;
        let gomp = cfg!(target_os = "linux").then_some("-lgomp");
        let mut command = Command::new(program);
        command.args(flags).args(["-x", language]).arg(&source).args(["-x", "none"]).args(gomp);
        let output = command.arg("-o").arg(folder.path().join("out")).output().context("cannot be started")?;
        match output.status.success() {
            true => Ok(()),
            false => bail!("{}", String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("fails").to_owned()),
        }
    };
    match tried() {
        Ok(()) => {
            let said = ask(program, &["--version"]).unwrap_or_default();
            Check::ok(name, format!("{program}: {}", said.lines().next().unwrap_or_default()))
        }
        Err(error) => Check::missing(name, format!("{program}: {error:#}"), install_compiler()),
    }
}

fn install_compiler() -> String {
    const MANAGERS: [(&str, &str); 5] = [
        ("apt-get", "sudo apt-get install -y build-essential"),
        ("dnf", "sudo dnf install -y gcc-c++"),
        ("pacman", "sudo pacman -S --needed base-devel"),
        ("zypper", "sudo zypper install -y gcc-c++"),
        ("apk", "sudo apk add build-base"),
    ];
    let found = MANAGERS.iter().find(|(name, _)| ask(name, &["--version"]).is_some());
    found.map_or("xcode-select --install", |(_, command)| command).to_owned()
}

fn pip() -> Check {
    match libtorch::find_pip() {
        Some(pip) => Check::ok("pip", pip.to_string()),
        None => {
            Check::note("pip", "none; libtorch would come from PyTorch's own archive", Some("python3 -m ensurepip"))
        }
    }
}

fn libtorch() -> Check {
    match setup::found() {
        Ok(Some(found)) => Check::ok("libtorch", found.to_string()),
        Ok(None) => Check::missing("libtorch", format!("{TORCH_VERSION} is not installed yet"), "cargo xtask setup"),
        Err(error) => Check::missing("libtorch", format!("{error:#}"), "unset LIBTORCH LIBTORCH_USE_PYTORCH"),
    }
}

fn driver() -> Check {
    match Driver::here() {
        None => Check::ok("NVIDIA driver", "none: panal uses the CPU"),
        Some(driver) if driver.is_too_old() => {
            let found = format!("{}, but CUDA 13.0 needs {OLDEST_DRIVER} or newer", driver.version);
            Check::note("NVIDIA driver", found, Some("update the driver: https://www.nvidia.com/drivers"))
        }
        Some(driver) if driver.version.is_empty() => Check::ok("NVIDIA driver", "there, of unknown version"),
        Some(driver) => Check::ok("NVIDIA driver", driver.version),
    }
}

/// What panal itself computes on: it multiplies a tensor on each device.
fn devices() -> Check {
    let name = "devices";
    let Some(binary) = workspace::panal_binary().ok().filter(|binary| binary.exists()) else {
        let remedy = Some("cargo xtask run device");
        return Check::note(name, "panal is not built yet, so no tensor was multiplied", remedy);
    };
    let said = ask(&binary.to_string_lossy(), &["device", "--json"]);
    let Some(report) = said.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok()) else {
        let found = format!("{} does not start or could not compute", binary.display());
        return Check::missing(name, found, "cargo xtask run device");
    };
    let devices = report["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = |usable: bool| -> Vec<&str> {
        devices
            .iter()
            .filter(|device| device["usable"] == usable)
            .filter_map(|device| device["device"].as_str())
            .collect()
    };
    let found = format!(
        "a tensor was multiplied on {}; not usable: {}; `auto` takes {}; libtorch {}, {}",
        names(true).join(", "),
        names(false).join(", "),
        report["auto"].as_str().unwrap_or("?"),
        report["libtorch"].as_str().unwrap_or("?"),
        report["cuda_libraries"].as_str().unwrap_or("?"),
    );
    let cuda = names(true).iter().any(|name| name.starts_with("cuda"));
    match Driver::here().filter(|driver| !driver.is_too_old()) {
        Some(_) if !cuda => Check::note(name, found, Some("cargo xtask setup --cuda && cargo xtask run device")),
        _ => Check::ok(name, found),
    }
}

fn disk() -> Result<Check> {
    const NEEDED: u64 = 4_000_000_000;
    let root = workspace::root();
    let cache = libtorch::cache()?;
    let free = |path: &Path| free_bytes(path).unwrap_or(u64::MAX);
    let (place, bytes) = std::cmp::min_by_key((root, free(root)), (cache.as_path(), free(&cache)), |(_, bytes)| *bytes);
    let found = match bytes {
        u64::MAX => "unknown".to_owned(),
        bytes => format!("{:.1} GB free at {}", bytes as f64 / 1e9, place.display()),
    };
    let short = bytes < NEEDED && !matches!(setup::found(), Ok(Some(_)));
    Ok(match short {
        true => {
            Check::missing("disk", format!("{found}; a first build wants 4 GB"), "export PANAL_CACHE=/a/larger/disk")
        }
        false => Check::ok("disk", found),
    })
}

fn machine() -> Check {
    let machine = Machine::here();
    let found = format!(
        "{}, {}, {} cores, {} GB of memory {}",
        machine.os,
        machine.processor,
        machine.cores,
        machine.memory_gb,
        machine.vectors.join(" ")
    );
    match machine.memory_gb < 4.0 {
        true => Check::note("machine", format!("{found}; compiling torch-sys wants 4 GB"), None),
        false => Check::ok("machine", found),
    }
}

fn cache() -> Result<Check> {
    Ok(Check::ok("cache", panal_hub::cache_dir()?.display().to_string()))
}

fn mirror() -> Check {
    let name = "PANAL_MIRROR";
    match std::env::var(name) {
        Err(_) => Check::ok(name, "not set: what is not cached comes from its official address"),
        Ok(text) => match Mirror::parse(&text) {
            Ok(Mirror::Folder(folder)) if !folder.is_dir() => {
                Check::note(name, format!("{text} is no folder"), Some("unset PANAL_MIRROR"))
            }
            Ok(_) => Check::ok(name, text),
            Err(error) => Check::note(name, error.to_string(), Some("unset PANAL_MIRROR")),
        },
    }
}

/// Where the lab's photographs and the weights are, without asking a server.
fn catalogue() -> Result<Vec<Check>> {
    let hub = Hub::from_env()?;
    let mut here = Vec::new();
    let mut away = 0;
    for entry in hub.catalogue().entries() {
        match hub.status(&entry.id)? {
            Status::Cached(_) => here.push(format!("{} (cached)", entry.id)),
            Status::InMirror(_) => here.push(format!("{} (in the mirror)", entry.id)),
            Status::Remote(_) | Status::Nowhere(_) => away += 1,
        }
    }
    let here = if here.is_empty() { "none".to_owned() } else { here.join(", ") };
    Ok(vec![Check::ok("data, weights", format!("here: {here}; {away} more are fetched when they are asked for"))])
}
