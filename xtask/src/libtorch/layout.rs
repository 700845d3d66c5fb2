//! What of a wheel or an archive goes where in an installation, and its unpacking. Names no download.

use super::Flavour;
use crate::progress::Bar;
use anyhow::{Context, Result};
use panal_hub::Limits;
use std::fs;
use std::path::{Path, PathBuf};

/// No wheel or archive of torch 2.11 comes near them: what goes past is no such thing.
const LIMITS: Limits = Limits { max_bytes: 16 << 30, max_entries: 200_000 };

/// Libraries in `torch/lib` that the CPU set does without, by a part of their names. `libtorch.so` holds no code; the
/// wheel's names the CUDA libraries, so a link stands in for it.
const NOT_FOR_CPU: [&str; 7] = ["cuda", "nvrtc", "nvshmem", "_python", "libshm", "_global_deps", "libtorch.so"];

/// The two CUDA libraries that the CPU set keeps: `libtorch_cpu.so` names them, and CPU code never calls them.
const NAMED_BY_CPU: [&str; 2] = ["libcupti.so", "libcudart.so"];

/// Where torch's wheel tells of itself, in an installation made from it.
pub(super) const METADATA: &str = "METADATA";

/// Where the entry of a wheel goes, relative to the installation: torch's libraries, headers and
/// metadata, and NVIDIA's libraries.
pub(super) fn of_wheel(flavour: Flavour, entry: &str) -> Option<PathBuf> {
    if entry.starts_with("nvidia/") {
        return of_nvidia(flavour, entry);
    }
    if entry.starts_with("torch-") && entry.ends_with(".dist-info/METADATA") {
        return Some(METADATA.into());
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

/// Unpacks the entries for which `place` has a place under `into`; gives their bytes. What is there already stays, unless
/// an entry takes its place.
///
/// # Errors
/// Those of [`panal_hub::unpack_zip`], which refuses a whole archive for one bad entry; `into` is untouched then.
pub(super) fn unpack(zip: &Path, into: &Path, place: impl Fn(&str) -> Option<PathBuf>) -> Result<u64> {
    let aside = tempfile::Builder::new().prefix("unpacked-").tempdir_in(into.parent().unwrap_or(into))?;
    let mut choose = |entry: &str| Some(place(entry)?.to_string_lossy().into_owned());
    let unpacked = panal_hub::unpack_zip(zip, aside.path(), &LIMITS, &mut choose, &Bar::new())?;
    for file in &unpacked.files {
        let target = into.join(&file.path);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::rename(aside.path().join(&file.path), &target)
            .with_context(|| format!("cannot create {}", target.display()))?;
    }
    Ok(unpacked.files.iter().map(|file| file.bytes).sum())
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

    fn target() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("fresh");
        fs::create_dir(&into).unwrap();
        (folder, into)
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
            let (_folder, into) = target();
            let zip = wheel(&[("torch/lib/libc10.so", "good"), (evil, "evil")], None);
            unpack(zip.path(), &into, |entry| of_wheel(Flavour::Cpu, entry)).unwrap_err();
            assert_eq!(fs::read_dir(&into).unwrap().count(), 0, "{evil}");
        }
        let (_folder, into) = target();
        let zip = wheel(&[], Some("torch/lib/libc10.so"));
        unpack(zip.path(), &into, |entry| of_wheel(Flavour::Cpu, entry)).unwrap_err();
        assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
    }

    #[test]
    fn unpacking_gives_the_wanted_files_only() {
        let (_folder, into) = target();
        for (name, text) in [("libc10.so", "good"), ("libgomp.so.1", "more")] {
            let zip = wheel(&[(&format!("torch/lib/{name}"), text), ("torch/x.py", "python")], None);
            assert_eq!(unpack(zip.path(), &into, |entry| of_wheel(Flavour::Cpu, entry)).unwrap(), 4);
            assert_eq!(fs::read_to_string(into.join("lib").join(name)).unwrap(), text);
        }
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
    }
}
