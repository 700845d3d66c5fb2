//! `notebook`: installs a Rust kernel and Jupyter in a private folder, runs the lab's notebook without a browser and writes it
//! back with its outputs, checks that it runs, or opens it.

mod install;
mod kernel;
mod outputs;

use super::setup;
use crate::stage::{Stages, spell};
use crate::{files, process, workspace};
use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use install::Purpose;
use panal_hub::{Lock, Quiet};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The variable by which the cells choose their scale.
const SCALE: &str = "PANAL_NOTEBOOK";

/// Runs a notebook cell by cell and says so; Jupyter's own program says nothing until the end.
const RUN: &str = include_str!("../../notebook/run.py");

/// Run the lab's notebook and write it back with its outputs; or check it at small scale, or open it in Jupyter.
///
/// The first time, the Rust kernel is built (about 10 minutes on 2 cores) and Jupyter installed, both in panal's cache, and the
/// first run compiles panal for the kernel (about 10 minutes more). After that a run takes as long as its cells: about 3 minutes on
/// drawn insects, on the photographs some minutes more than the lab itself with one seed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which notebook: docs/lab.ipynb, docs/lab.es.ipynb, or both
    #[arg(long, value_enum, default_value_t = Language::En)]
    language: Language,
    /// Run at small scale, on drawn insects and without a network; write nothing, and fail if a cell fails
    #[arg(long, conflicts_with = "open")]
    check: bool,
    /// Start Jupyter with the kernel ready, on this machine alone
    #[arg(long)]
    open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    En,
    Es,
    Both,
}

impl Language {
    /// Paths of the notebooks, below the workspace.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::En => &["docs/lab.ipynb"],
            Self::Es => &["docs/lab.es.ipynb"],
            Self::Both => &["docs/lab.ipynb", "docs/lab.es.ipynb"],
        }
    }
}

pub(crate) fn main(args: &Args) -> Result<()> {
    ensure!(
        !(args.open && args.language == Language::Both),
        "--open takes one language, got both: two kernels at once would build in one folder"
    );
    let notebooks: Vec<PathBuf> = args.language.files().iter().map(|file| workspace::root().join(file)).collect();
    // Before anything is installed for it.
    for notebook in &notebooks {
        read(notebook)?;
    }
    let mut stages = Stages::new(5);
    let libtorch = setup::ready(&mut stages, false)?;
    let place = kernel::Place::new()?;
    stages.begin("kernel", &install::kernel_detail(&place));
    install::kernel(&place)?;
    let purpose = if args.open { Purpose::Open } else { Purpose::Run };
    stages.begin("Jupyter", &install::jupyter_detail(&place, purpose));
    install::jupyter(&place, purpose)?;
    stages.begin("torch-sys", "built once for panal and the kernel; 4 to 7 min on 2 cores if panal was never built");
    kernel::prepare(&place, &libtorch, args.open)?;

    if args.open {
        stages.begin("open", "Jupyter on this machine; one notebook at a time, end it by ctrl-c");
        stages.end();
        let mut jupyter = Command::new(place.python());
        jupyter.args(["-m", "jupyterlab", "--ip=127.0.0.1"]).arg(&notebooks[0]).current_dir(workspace::root());
        if process::ask("id", &["-u"]).is_some_and(|user| user == "0") {
            // Often the only user of a container. Jupyter wants to be told; it listens on this machine alone.
            jupyter.arg("--allow-root");
        }
        return Err(process::become_it(libtorch.set_on(place.set_on(&mut jupyter, true))));
    }
    let small = args.check || std::env::var(SCALE).is_ok_and(|scale| scale == "small");
    let scale = if small { "small scale: drawn insects" } else { "the photographs" };
    stages.begin("run", &format!("{}, {scale}", args.language.files().join(" and ")));
    // The kernel builds in one folder.
    let _lock = Lock::acquire(&place.file("running.lock"), &Quiet)?;
    for notebook in &notebooks {
        let begun = Instant::now();
        let before = read(notebook)?;
        let mut run = Command::new(place.python());
        let folder = notebook.parent().unwrap_or(workspace::root());
        let target = tempfile::Builder::new().prefix("notebook-").tempdir().context("no temporary folder")?;
        let executed = target.path().join("executed.ipynb");
        run.args(["-c", RUN]).args([notebook.as_path(), &executed, folder]).stdin(Stdio::null());
        if args.check {
            run.env(SCALE, "small");
        }
        process::run(libtorch.set_on(place.set_on(&mut run, false)))?;
        let done = outputs::taken(&before, &read(&executed)?)?;
        outputs::check(&done).with_context(|| format!("{} does not run", notebook.display()))?;
        if !args.check {
            ensure!(read(notebook)? == before, "{} was changed while it ran: run it again", notebook.display());
            files::write(notebook, &outputs::text(&done)?)?;
        }
        stages.note(&format!("{}: {} in {}", notebook.display(), outputs::told(&done), spell(begun.elapsed())));
    }
    stages.end();
    Ok(())
}

/// Makes a page of the lab's notebook as it stands, with its outputs and without a network, in `folder`.
///
/// # Errors
/// A notebook without outputs, or what pip or nbconvert said.
pub(super) fn page(folder: &Path) -> Result<PathBuf> {
    let notebook = workspace::root().join(Language::En.files()[0]);
    let was_run = outputs::code(&read(&notebook)?).all(|cell| !cell["execution_count"].is_null());
    ensure!(was_run, "{} has no outputs to show: run `cargo xtask notebook` first", notebook.display());
    let place = kernel::Place::new()?;
    install::jupyter(&place, Purpose::Page)?;
    let mut convert = Command::new(place.python());
    convert.args(["-m", "nbconvert", "--to", "html", "--log-level", "WARN", "--output", "notebook", "--output-dir"]);
    // Scripts that a page would fetch; nothing in the notebook needs them.
    convert.arg(folder).args(["--HTMLExporter.mathjax_url=", "--HTMLExporter.require_js_url="]).arg(&notebook);
    process::run(place.set_on(&mut convert, false))?;
    Ok(folder.join("notebook.html"))
}

/// A notebook with at least one cell of code.
fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let notebook: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no notebook: not JSON", path.display()))?;
    if outputs::code(&notebook).next().is_none() {
        bail!("{} is no notebook with code: it has no list `cells` with a cell of type `code`", path.display());
    }
    Ok(notebook)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(std::iter::once("notebook").chain(words.split_whitespace())).map(|line| line.args)
    }

    #[test]
    fn one_language_or_both_and_one_thing_to_do() {
        assert_eq!(parse("").unwrap().language.files(), ["docs/lab.ipynb"]);
        assert_eq!(parse("--language es --open").unwrap().language.files(), ["docs/lab.es.ipynb"]);
        assert_eq!(parse("--check --language both").unwrap().language.files().len(), 2);
        assert!(parse("--check --open").is_err());
        assert!(parse("--language fr").is_err());
    }

    #[test]
    fn what_is_no_notebook_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab.ipynb");
        for (text, words) in [
            ("cells: []", "not JSON"),
            ("{}", "no list `cells`"),
            (
                r#"{"cells": [{"cell_type": "markdown", "source": "text"}]}"#,
                "no list `cells` with a cell of type `code`",
            ),
        ] {
            fs::write(&file, text).unwrap();
            let error = format!("{:#}", read(&file).unwrap_err());
            assert!(error.contains("lab.ipynb") && error.contains(words), "{error}");
        }
        let error = format!("{:#}", read(&folder.path().join("absent.ipynb")).unwrap_err());
        assert!(error.contains("absent.ipynb"), "{error}");
    }

    #[test]
    fn the_notebooks_that_are_named_are_there() {
        for file in Language::Both.files() {
            read(&workspace::root().join(file)).unwrap();
        }
    }
}
