//! `panal runs clean`: what of past runs could go, and removing it. A file goes only where a record or a mark inside it shows that panal
//! wrote it and its name is one that panal gives; links are never followed, and folders go only once they are empty.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use panal_report::{RESULT_FILES, RUNNING, Records, RunFolder, RunKind, RunState, has_mark};
use serde::Serialize;
use serde_json::json;

use crate::cli::{Global, RunsCleanArgs};
use crate::suggest;

/// A file that may go.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Item {
    path: PathBuf,
    bytes: u64,
    why: Why,
}

/// Why it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
enum Why {
    #[serde(rename = "left by an interrupted run")]
    Leftover,
    #[serde(rename = "checkpoint of a finished run")]
    Checkpoint,
    #[serde(rename = "kept model")]
    Model,
    #[serde(rename = "whole run")]
    Run,
}

impl Why {
    fn text(self) -> &'static str {
        match self {
            Self::Leftover => "left by an interrupted run",
            Self::Checkpoint => "checkpoint of a finished run",
            Self::Model => "kept model",
            Self::Run => "whole run",
        }
    }
}

/// What would be done.
#[derive(Debug, Default)]
struct Plan {
    items: Vec<Item>,
    /// Folders that go once they are empty, the innermost first.
    folders: Vec<PathBuf>,
    /// What stays although it was looked at, and why.
    kept: Vec<(PathBuf, String)>,
}

pub(crate) fn run(args: &RunsCleanArgs, global: &Global) -> Result<()> {
    let root = &args.folder;
    if fs::symlink_metadata(root).is_ok_and(|metadata| metadata.is_symlink()) {
        bail!("{} is a symbolic link, which clean does not follow: name the folder itself", root.display());
    }
    let runs = super::find(root)?;
    let mut plan = Plan::default();
    for run in chosen(&runs, args)? {
        let whole = !args.runs.is_empty() || args.older_than.is_some();
        plan.add(run, whole, args.models);
    }
    plan.items.sort();
    plan.items.dedup_by(|a, b| a.path == b.path);
    let bytes: u64 = plan.items.iter().map(|item| item.bytes).sum();
    if args.yes {
        plan.remove(root)?;
    }
    if global.json {
        let kept: Vec<_> = plan.kept.iter().map(|(path, why)| json!({ "path": path, "why": why })).collect();
        println!("{:#}", json!({ "removed": args.yes, "bytes": bytes, "items": plan.items, "kept": kept }));
        return Ok(());
    }
    for item in &plan.items {
        println!("{}  {} ({})", item.path.display(), size(item.bytes), item.why.text());
    }
    for (path, why) in &plan.kept {
        println!("stays: {}: {why}", path.display());
    }
    let files = plan.items.len();
    match (files, args.yes) {
        (0, _) => println!("nothing to remove"),
        (_, true) => println!("removed {files} files, {} ({bytes} bytes)", size(bytes)),
        (_, false) => println!("would remove {files} files, {} ({bytes} bytes); --yes removes them", size(bytes)),
    }
    Ok(())
}

/// The runs that the arguments are about.
fn chosen<'a>(runs: &'a [RunFolder], args: &RunsCleanArgs) -> Result<Vec<&'a RunFolder>> {
    if !args.runs.is_empty() {
        return args.runs.iter().map(|name| by_name(runs, name, args)).collect();
    }
    let Some(age) = args.older_than else { return Ok(runs.iter().collect()) };
    let limit = SystemTime::now().checked_sub(age).context("--older-than reaches back before all time")?;
    let old = |run: &&RunFolder| {
        run.started_at().and_then(|at| humantime::parse_rfc3339(at).ok()).is_some_and(|at| at < limit)
    };
    Ok(runs.iter().filter(old).collect())
}

/// The run of this name, which has to be one that panal can be seen to have written, and at rest.
fn by_name<'a>(runs: &'a [RunFolder], wanted: &str, args: &RunsCleanArgs) -> Result<&'a RunFolder> {
    let names: Vec<String> = runs.iter().map(|run| super::name(run, &args.folder).display().to_string()).collect();
    let is_wanted = |(run, name): &(&RunFolder, &String)| name.as_str() == wanted || run.path == Path::new(wanted);
    let Some((run, _)) = runs.iter().zip(&names).find(is_wanted) else {
        let hint = suggest::nearest(wanted, names.iter().map(String::as_str));
        bail!("no run is called `{wanted}`{hint}; there are: {}", names.join(", "));
    };
    match (&run.records, run.state()) {
        (_, RunState::Running) => bail!("{} is at work: stop it first", run.path.display()),
        (Records::Broken(error), _) => {
            bail!("it can't be told what panal wrote in {}, so remove it by hand: {error}", run.path.display())
        }
        _ => Ok(run),
    }
}

impl Plan {
    fn add(&mut self, run: &RunFolder, whole: bool, models: bool) {
        match (&run.records, run.state()) {
            (_, RunState::Running) => return self.kept.push((run.path.clone(), "it is at work".into())),
            (Records::Broken(_), _) => {
                let why = "its record can't be read, so it can't be told what panal wrote".into();
                return self.kept.push((run.path.clone(), why));
            }
            _ => {}
        }
        let at = |name: &str| run.path.join(name);
        let why = |own: Why| if whole { Why::Run } else { own };
        for path in &run.checkpoints {
            self.file(path.clone(), why(Why::Leftover));
        }
        if run.running.is_some() {
            self.file(at(RUNNING), why(Why::Leftover));
        }
        let running = at("running");
        let mut places = vec![run.path.clone(), running.clone(), at("models"), at("looks")];
        places.extend(run.checkpoints.iter().filter_map(|path| path.parent().map(Path::to_owned)));
        places.extend(self.inner(&running));
        places.sort();
        places.dedup();
        for place in &places {
            self.temporary(place, why(Why::Leftover));
        }
        let single = matches!(run.kind, RunKind::Pretraining | RunKind::FewShot);
        if single && has_mark(&at("checkpoint.safetensors"), "panal.state") {
            self.file(at("checkpoint.safetensors"), why(Why::Checkpoint));
        }
        if whole || models {
            self.models(run, why(Why::Model));
        }
        if whole {
            self.records(run);
        }
        // The deepest first; the run's own folder last.
        places.sort_by_key(|place| std::cmp::Reverse(place.components().count()));
        self.folders.extend(places);
    }

    /// Lists `path` where it is a file and no link.
    fn file(&mut self, path: PathBuf, why: Why) {
        if let Ok(metadata) = fs::symlink_metadata(&path)
            && metadata.is_file()
        {
            self.items.push(Item { path, bytes: metadata.len(), why });
        }
    }

    /// Files and folders that a kill left halfway: `.unfinished-` or `.panal-` and six letters or digits.
    fn temporary(&mut self, folder: &Path, why: Why) {
        for path in entries(folder) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if is_folder(&path) {
                if unfinished(&name).is_some_and(str::is_empty) {
                    let known = |name: &str| RESULT_FILES.contains(&name) || KEPT.contains(&name) || name == "probe";
                    for inner in entries(&path) {
                        if inner.file_name().and_then(|name| name.to_str()).is_some_and(known) {
                            self.file(inner, why);
                        }
                    }
                    self.folders.push(path);
                }
            } else if unfinished(&name).is_some() || is_tensors(&name) {
                self.file(path, why);
            }
        }
    }

    /// Folders of a lab's rows and seeds in `running`, which may be empty.
    fn inner(&self, running: &Path) -> Vec<PathBuf> {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let row_and_seed = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('-'));
            name.is_some_and(|(row, seed)| number(row) && number(seed)) && is_folder(path)
        };
        entries(running).into_iter().filter(row_and_seed).collect()
    }

    /// The networks that were kept.
    fn models(&mut self, run: &RunFolder, why: Why) {
        let (name, key) = match run.kind {
            RunKind::Lab => {
                for path in entries(&run.path.join("models")) {
                    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    let named = name.starts_with("row") && name.contains("-seed") && name.ends_with(".safetensors");
                    if named && has_mark(&path, "panal.model") {
                        self.file(path, why);
                    }
                }
                return;
            }
            RunKind::Train => ("model.safetensors", "panal.model"),
            RunKind::Pretraining => ("encoder.safetensors", "panal.encoder"),
            RunKind::FewShot => ("learner.safetensors", "panal.fewshot"),
        };
        let path = run.path.join(name);
        if has_mark(&path, key) {
            self.file(path, why);
        }
    }

    /// Records, and the tables and plots that were made of them.
    fn records(&mut self, run: &RunFolder) {
        let at = |name: &str| run.path.join(name);
        match (&run.records, run.kind) {
            (Records::Runs(records), RunKind::Lab) => {
                let origins: Vec<String> = records.iter().map(|record| record.data.origin.to_string()).collect();
                for name in RESULT_FILES {
                    // Names that anyone may give a file of their own: the page and the story say where the images come from.
                    let ours = !["README.md", "index.html"].contains(&name)
                        || fs::read_to_string(at(name)).is_ok_and(|text| origins.iter().any(|o| text.contains(o)));
                    if ours {
                        self.file(at(name), Why::Run);
                    } else if at(name).exists() {
                        self.kept.push((at(name), "panal did not write it".into()));
                    }
                }
                self.file(at("runs.jsonl"), Why::Run);
                for path in entries(&at("looks")).into_iter().filter(|path| has_mark(path, "panal.look")) {
                    self.file(path, Why::Run);
                }
                for path in entries(&run.path) {
                    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    let number = name.strip_prefix("runs-earlier-").and_then(|rest| rest.strip_suffix(".jsonl"));
                    if number.is_some_and(|number| number.parse::<u64>().is_ok())
                        && panal_report::read_runs(&path).is_ok()
                    {
                        self.file(path, Why::Run);
                    }
                }
            }
            (Records::Runs(_), _) => self.file(at("record.jsonl"), Why::Run),
            (Records::Single(_), _) => self.file(at("record.json"), Why::Run),
            (Records::None | Records::Broken(_), _) => {}
        }
    }

    /// Removes what is listed, and folders that are empty then.
    fn remove(&self, root: &Path) -> Result<()> {
        let inside = fs::canonicalize(root).with_context(|| format!("cannot find {}", root.display()))?;
        // Records go last: where it stops on the way, what is left is still known for what it is.
        let record =
            |item: &&Item| item.path.file_name().and_then(|name| name.to_str()).is_some_and(|n| KEPT.contains(&n));
        let (records, others): (Vec<&Item>, Vec<&Item>) = self.items.iter().partition(record);
        for item in others.into_iter().chain(records) {
            let path = item.path.display();
            let parent = item.path.parent().context("a file lies in a folder")?;
            // Looked at again: it may have become a link since, or one on the way to it.
            let still = fs::symlink_metadata(&item.path).with_context(|| format!("{path} is gone"))?;
            let real = fs::canonicalize(parent).with_context(|| format!("cannot find {}", parent.display()))?;
            let below = parent.strip_prefix(root).unwrap_or(Path::new(""));
            if !still.is_file() || real != inside.join(below).components().collect::<PathBuf>() {
                bail!("{path} is not the file that it was: nothing more is removed; look at it, and clean again");
            }
            fs::remove_file(&item.path).with_context(|| format!("cannot remove {path}"))?;
        }
        for folder in self.folders.iter().filter(|folder| folder.as_path() != root && is_folder(folder)) {
            // Refused by the system where anything is left in it.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}

/// Names of records.
const KEPT: [&str; 3] = ["runs.jsonl", "record.jsonl", "record.json"];

/// What follows in the name of something unfinished, such as `.json`.
fn unfinished(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(".unfinished-")?;
    let (random, ending) = rest.split_at_checked(6)?;
    (random.bytes().all(|byte| byte.is_ascii_alphanumeric()) && (ending.is_empty() || ending.starts_with('.')))
        .then_some(ending)
}

/// Whether this is the name of unfinished tensors.
fn is_tensors(name: &str) -> bool {
    let random = name.strip_prefix(".panal-").and_then(|rest| rest.strip_suffix(".tmp"));
    random.is_some_and(|random| random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The entries of a folder that is no link; none where there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    if !is_folder(folder) {
        return Vec::new();
    }
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes < 1000 => format!("{bytes} B"),
        bytes if bytes < 1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        bytes if bytes < 1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        bytes => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
