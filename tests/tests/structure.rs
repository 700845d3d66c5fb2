//! The shape of the workspace: which crate may lean on which, and what every crate and file has. No tensor is touched here.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// Crates that compile in seconds on a machine without libtorch.
const WITHOUT_TORCH: [&str; 6] =
    ["panal-metrics", "panal-energy", "panal-hub", "panal-data", "panal-report", "panal-tensorboard"];

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).other_options(vec!["--locked".into()]).exec().unwrap()
}

fn members(metadata: &Metadata) -> Vec<&Package> {
    metadata.workspace_packages()
}

fn libraries(metadata: &Metadata) -> Vec<&Package> {
    members(metadata)
        .into_iter()
        .filter(|package| package.name.starts_with("panal-") && package.name != "panal-tests")
        .collect()
}

/// Names of all packages that building or testing `root` compiles: its dev-dependencies included, those of others not.
fn reached(metadata: &Metadata, root: &Package) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().unwrap();
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut seen: BTreeSet<&PackageId> = BTreeSet::new();
    let mut open = vec![&root.id];
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dep in &nodes[id].deps {
            let only_for_tests = dep.dep_kinds.iter().all(|kind| kind.kind == DependencyKind::Development);
            if id == &root.id || !only_for_tests {
                open.push(&dep.pkg);
            }
        }
    }
    seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

fn direct(package: &Package) -> BTreeSet<&str> {
    package.dependencies.iter().map(|dependency| dependency.name.as_str()).collect()
}

fn named<'a>(metadata: &'a Metadata, name: &str) -> &'a Package {
    members(metadata)
        .into_iter()
        .find(|package| package.name == name)
        .unwrap_or_else(|| panic!("no member is called {name}"))
}

#[test]
fn the_lowest_crates_and_xtask_never_reach_tch() {
    let metadata = metadata();
    for name in WITHOUT_TORCH.into_iter().chain(["browser", "xtask", "panal-tests"]) {
        let reached = reached(&metadata, named(&metadata, name));
        assert!(!reached.contains("tch") && !reached.contains("torch-sys"), "{name} reaches tch");
    }
    // The walk would see it: the bridge does reach it.
    assert!(reached(&metadata, named(&metadata, "panal-tensor")).contains("torch-sys"));
}

#[test]
fn metrics_lean_on_nothing() {
    let metadata = metadata();
    let metrics = named(&metadata, "panal-metrics");
    let kept: Vec<_> = metrics.dependencies.iter().filter(|dep| dep.kind != DependencyKind::Development).collect();
    assert!(kept.is_empty(), "{kept:?}");
}

#[test]
fn models_losses_optimizers_and_augmentation_do_not_know_each_other() {
    let metadata = metadata();
    let rooms = ["panal-augment", "panal-models", "panal-losses", "panal-optim"];
    for room in rooms {
        let reached = reached(&metadata, named(&metadata, room));
        for other in rooms.iter().filter(|other| **other != room) {
            assert!(!reached.contains(*other), "{room} reaches {other}");
        }
    }
}

#[test]
fn libraries_know_neither_the_command_line_nor_the_binary() {
    let metadata = metadata();
    for library in libraries(&metadata) {
        for forbidden in ["clap", "anyhow", "panal", "indicatif"] {
            assert!(!direct(library).contains(forbidden), "{} depends on {forbidden}", library.name);
        }
    }
}

#[test]
fn arrows_run_from_higher_levels_to_lower_ones() {
    let level = |name: &str| match name {
        "panal-metrics" | "panal-energy" => Some(0),
        "panal-hub" | "panal-data" | "panal-report" | "panal-tensorboard" => Some(1),
        "panal-tensor" => Some(2),
        "panal-augment" | "panal-models" | "panal-losses" | "panal-optim" => Some(3),
        "panal-trainers" => Some(4),
        "panal" => Some(5),
        _ => None,
    };
    let metadata = metadata();
    for package in members(&metadata) {
        let Some(own) = level(&package.name) else { continue };
        for dependency in direct(package) {
            if let Some(other) = level(dependency) {
                assert!(other < own, "{} (level {own}) depends on {dependency} (level {other})", package.name);
            }
        }
    }
}

#[test]
fn every_library_is_ready_to_be_published() {
    let metadata = metadata();
    for package in libraries(&metadata).into_iter().chain([named(&metadata, "panal")]) {
        let name = &package.name;
        assert!(package.description.as_ref().is_some_and(|text| text.len() > 20), "{name} has no description");
        assert_eq!(package.license.as_deref(), Some("MIT OR Apache-2.0"), "{name}");
        assert!(!package.keywords.is_empty() && !package.categories.is_empty(), "{name} has no keywords or categories");
        let folder = package.manifest_path.parent().unwrap();
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(readme.contains("```"), "{name}: its README has no example");
        for dependency in &package.dependencies {
            let on_path = dependency.path.is_some() && dependency.kind != DependencyKind::Development;
            assert!(!on_path || dependency.req.to_string() != "*", "{name}: {} has no version", dependency.name);
        }
    }
}

#[test]
fn run_records_name_the_tch_that_is_built() {
    let metadata = metadata();
    let tch = metadata.packages.iter().find(|package| package.name == "tch").unwrap();
    let record = named(&metadata, "panal-trainers").manifest_path.parent().unwrap().join("src/record.rs");
    let line = format!("const TCH: &str = \"{}\";", tch.version);
    assert!(std::fs::read_to_string(&record).unwrap().contains(&line), "{record} does not say `{line}`");
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    for package in members(&metadata()) {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} sets lints of its own", package.name);
    }
}

#[test]
fn every_source_file_says_what_lives_in_it() {
    let mut files = Vec::new();
    for package in members(&metadata()) {
        for folder in ["src", "tests", "benches"] {
            collect(&package.manifest_path.parent().unwrap().join(folder).into_std_path_buf(), &mut files);
        }
    }
    assert!(files.len() > 50, "only {} files were found", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!") || text.starts_with("#![doc"), "{} does not begin with //!", file.display());
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
