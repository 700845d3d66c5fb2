//! What of a wheel or an archive goes where in an installation, and its unpacking. Names no download.

use super::Flavour;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

/// No wheel or archive of torch 2.11 comes near it: what inflates past it is no such thing.
const MOST_BYTES: u64 = 16 << 30;

/// Libraries in `torch/lib` that the CPU set does without, by a part of their names. `libtorch.so` holds no code; the
/// wheel's names the CUDA libraries, so a link stands in for it.
const NOT_FOR_CPU: [&str; 7] = ["cuda", "nvrtc", "nvshmem", "_python", "libshm", "_global_deps", "libtorch.so"];

/// The two CUDA libraries that the CPU set keeps: `libtorch_cpu.so` names them, and CPU code never calls them.
const NAMED_BY_CPU: [&str; 2] = ["libcupti.so", "libcudart.so"];

/// Where the entry of a wheel goes, relative to the installation: torch's libraries and headers, and NVIDIA's libraries.
pub(super) fn of_wheel(flavour: Flavour, entry: &str) -> Option<PathBuf> {
    if entry.starts_with("nvidia/") {
        return of_nvidia(flavour, entry);
    }
    let inner = of_torch(flavour, entry.strip_prefix("torch/")?)?;
    Some(flavour.home(Path::new("")).join(inner))
}

/// Where the entry of an official libtorch archive goes.
pub(super) fn of_archive(flavour: Flavour, entry: &str) -> Option<PathBuf> {
    let inner = entry.strip_prefix("libtorch/")?;
    // The CUDA archive carries NVIDIA's libraries among its own, so nothing but the CPU's list is left out.
    Some(flavour.home(Path::new("")).join(of_torch(flavour, inner)?))
}

fn of_torch(flavour: Flavour, inner: &str) -> Option<PathBuf> {
    let wanted = match inner.strip_prefix("lib/") {
        Some(name) => {
            let left_out = flavour == Flavour::Cpu && NOT_FOR_CPU.iter().any(|part| name.contains(part));
            is_library(name) && !left_out
        }
        None => inner.starts_with("include/"),
    };
    wanted.then(|| inner.into())
}

fn of_nvidia(flavour: Flavour, entry: &str) -> Option<PathBuf> {
    let (_, name) = entry.rsplit_once("/lib/").filter(|(_, name)| is_library(name))?;
    match flavour {
        Flavour::Cuda => Some(entry.into()),
        Flavour::Cpu => NAMED_BY_CPU.iter().any(|part| name.starts_with(part)).then(|| Path::new("lib").join(name)),
    }
}

fn is_library(name: &str) -> bool {
    !name.contains('/') && (name.ends_with(".so") || name.contains(".so.") || name.ends_with(".dylib"))
}

/// Unpacks the entries for which `place` has a place under `into`; gives their bytes.
///
/// # Errors
/// A file that is no zip, or that holds an entry that is absolute, climbs out, or is a link; nothing is unpacked then.
pub(super) fn unpack(zip: &Path, into: &Path, place: impl Fn(&str) -> Option<PathBuf>) -> Result<u64> {
    let name = zip.file_name().unwrap_or_default().to_string_lossy();
    let file = File::open(zip).with_context(|| format!("cannot open {}", zip.display()))?;
    let mut archive =
        zip::ZipArchive::new(io::BufReader::new(file)).with_context(|| format!("{name} is no zip archive"))?;
    let mut wanted = Vec::new();
    let mut bytes = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).with_context(|| format!("{name} is damaged"))?;
        let path = entry.name().with_context(|| format!("{name} has an entry whose name is no text"))?;
        if entry.is_symlink() || !stays_inside(&path) {
            bail!("{name} is refused: its entry `{path}` would lie outside, or is a link");
        }
        if let Some(place) = place(&path).filter(|_| entry.is_file()) {
            bytes = bytes.saturating_add(entry.size());
            wanted.push((index, place));
        }
    }
    ensure!(bytes <= MOST_BYTES, "{name} is refused: it inflates to {bytes} bytes, more than {MOST_BYTES}");
    for (index, place) in wanted {
        let target = into.join(place);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut entry = archive.by_index(index)?;
        let stated = entry.size();
        let mut out = File::create(&target).with_context(|| format!("cannot write {}", target.display()))?;
        let copied = io::copy(&mut io::Read::take(&mut entry, stated + 1), &mut out)
            .with_context(|| format!("cannot unpack {} from {name}", target.display()))?;
        ensure!(copied == stated, "{name} is refused: {} is not as long as it says", target.display());
    }
    Ok(bytes)
}

fn stays_inside(entry: &str) -> bool {
    !entry.contains(['\\', '\0']) && Path::new(entry).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    fn wheel(entries: &[(&str, &str)], link: Option<&str>) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = zip::ZipWriter::new(&mut file);
        for (name, text) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        if let Some(name) = link {
            zip.add_symlink(name, "/etc/passwd", SimpleFileOptions::default()).unwrap();
        }
        zip.finish().unwrap();
        file
    }

    fn placed(flavour: Flavour, entry: &str) -> Option<String> {
        of_wheel(flavour, entry).map(|path| path.to_string_lossy().into_owned())
    }

    #[test]
    fn the_cpu_set_is_the_measured_one() {
        let wheel = [
            "torch/__init__.py",
            "torch/bin/protoc",
            "torch/lib/libc10.so",
            "torch/lib/libc10_cuda.so",
            "torch/lib/libcaffe2_nvrtc.so",
            "torch/lib/libgomp.so.1",
            "torch/lib/libshm.so",
            "torch/lib/libtorch.so",
            "torch/lib/libtorch_cpu.so",
            "torch/lib/libtorch_cuda.so",
            "torch/lib/libtorch_cuda_linalg.so",
            "torch/lib/libtorch_global_deps.so",
            "torch/lib/libtorch_nvshmem.so",
            "torch/lib/libtorch_python.so",
            "nvidia/cu13/include/cupti.h",
            "nvidia/cu13/lib/libcupti.so.13",
            "nvidia/cu13/lib/libcheckpoint.so",
            "nvidia/cu13/lib/libcudart.so.13",
            "nvidia/cu13/lib/libcudart_static.a",
        ];
        let kept: Vec<String> = wheel.iter().filter_map(|entry| placed(Flavour::Cpu, entry)).collect();
        let expected = ["libc10.so", "libgomp.so.1", "libtorch_cpu.so", "libcupti.so.13", "libcudart.so.13"];
        assert_eq!(kept, expected.map(|name| format!("lib/{name}")));
    }

    #[test]
    fn the_libraries_of_other_platforms_come_along() {
        for name in ["libarm_compute.so", "libnvpl_blas_core.so.0", "libtorch.dylib", "libomp.dylib"] {
            assert_eq!(placed(Flavour::Cpu, &format!("torch/lib/{name}")), Some(format!("lib/{name}")));
        }
    }

    #[test]
    fn the_cuda_set_keeps_the_run_path_between_torch_and_nvidia() {
        for entry in ["torch/lib/libtorch_cuda.so", "torch/include/ATen/ATen.h", "nvidia/cudnn/lib/libcudnn.so.9"] {
            assert_eq!(placed(Flavour::Cuda, entry).as_deref(), Some(entry));
        }
        assert_eq!(placed(Flavour::Cuda, "nvidia/cu13/lib/libcudart_static.a"), None);
    }

    #[test]
    fn an_archive_loses_its_outer_folder() {
        assert_eq!(of_archive(Flavour::Cpu, "libtorch/lib/libc10.so"), Some("lib/libc10.so".into()));
        assert_eq!(of_archive(Flavour::Cuda, "libtorch/lib/libc10.so"), Some("torch/lib/libc10.so".into()));
        assert_eq!(of_archive(Flavour::Cpu, "libtorch/share/cmake/x.cmake"), None);
    }

    #[test]
    fn evil_entries_are_refused_before_anything_is_written() {
        for evil in ["torch/../../evil.so", "/torch/lib/evil.so", "torch/lib\\..\\..\\evil.so", "../evil"] {
            let into = tempfile::tempdir().unwrap();
            let zip = wheel(&[("torch/lib/libc10.so", "good"), (evil, "evil")], None);
            let error = unpack(zip.path(), into.path(), |entry| of_wheel(Flavour::Cpu, entry)).unwrap_err();
            assert!(error.to_string().contains("refused"), "{error}");
            assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0, "{evil}");
        }
        let into = tempfile::tempdir().unwrap();
        let zip = wheel(&[], Some("torch/lib/libc10.so"));
        let error = unpack(zip.path(), into.path(), |entry| of_wheel(Flavour::Cpu, entry)).unwrap_err();
        assert!(error.to_string().contains("is a link"), "{error}");
    }

    #[test]
    fn unpacking_gives_the_wanted_files_only() {
        let into = tempfile::tempdir().unwrap();
        let zip = wheel(&[("torch/lib/libc10.so", "good"), ("torch/x.py", "python")], None);
        let bytes = unpack(zip.path(), into.path(), |entry| of_wheel(Flavour::Cpu, entry)).unwrap();
        assert_eq!(bytes, 4);
        assert_eq!(fs::read_to_string(into.path().join("lib/libc10.so")).unwrap(), "good");
        assert_eq!(fs::read_dir(into.path()).unwrap().count(), 1);
    }
}
