//! What is measured: rows, and the programs whose figures they compare. How figures are read and become records is not decided here.

use super::program::{Measured, Program, Read};
use crate::machine;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long is looked, before a program runs, for other work on the machine.
const LOOK: Duration = Duration::from_millis(300);

/// The share of the processors' time from which on other work is told.
const BUSY: f64 = 0.1;

/// A group of rows that are measured together and kept in one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum Name {
    /// Loading and transforming images
    Pipeline,
    /// The five rows of the lab
    Lab,
    /// Rows of the lab on photographs of 12 megapixels
    Photos,
    /// Training and evaluation steps of networks
    Step,
    /// `panal predict` over a folder
    Predict,
}

impl Name {
    pub(super) const ALL: [Self; 5] = [Self::Pipeline, Self::Lab, Self::Photos, Self::Step, Self::Predict];
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pipeline => "pipeline",
            Self::Lab => "lab",
            Self::Photos => "photos",
            Self::Step => "step",
            Self::Predict => "predict",
        })
    }
}

/// What a figure counts, and so which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Unit {
    #[serde(rename = "images/s")]
    ImagesPerSecond,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "MB")]
    Megabytes,
}

impl Unit {
    /// How many times better `ours` is than `peer`.
    pub(super) fn ratio(self, ours: f64, peer: f64) -> f64 {
        match self {
            Self::ImagesPerSecond => ours / peer,
            Self::Seconds | Self::Megabytes => peer / ours,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ImagesPerSecond => "images/s",
            Self::Seconds => "s",
            Self::Megabytes => "MB",
        })
    }
}

/// One comparison.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: Unit,
    /// The name of our figure.
    pub(super) ours: String,
    /// The names of the peers' figures; the best of them counts.
    pub(super) peers: Vec<String>,
    /// The ratio that was asked for, if one was.
    pub(super) asked: Option<f64>,
}

/// What is measured together.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: Name,
    pub(super) rows: Vec<Row>,
    /// What has to run before anything is measured.
    pub(super) prepare: Vec<Program>,
    programs: Vec<Program>,
}

/// Where everything lies that is needed to measure.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) panal: PathBuf,
    pub(super) python: PathBuf,
    /// The folder of the peer's lab.py and pipeline.py.
    pub(super) peers: PathBuf,
    /// The folder of the peers' scripts that are ours.
    pub(super) ours: PathBuf,
    pub(super) data: PathBuf,
    pub(super) weights: PathBuf,
    pub(super) scratch: PathBuf,
    /// What steps run on, and what they compute in.
    pub(super) place: Place,
    /// The memory of what they run on.
    pub(super) memory_gb: f64,
}

/// Where the steps of networks are measured. The other suites run on the CPU, as their peers do.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(super) struct Place {
    /// What `step` runs on, for both: cpu, or cuda
    #[arg(long, value_name = "cpu|cuda", default_value = "cpu", value_parser = ["cpu", "cuda"])]
    pub(super) device: String,
    /// What `step` computes in, for both: f32, or bf16 (mixed precision; autocast for the peer)
    #[arg(long, value_name = "f32|bf16", default_value = "f32", value_parser = ["f32", "bf16"])]
    pub(super) precision: String,
    /// Training steps from CUDA graphs, for both: recorded ones here, torch.compile's reduce-overhead there; needs `--device cuda`
    #[arg(long)]
    pub(super) cuda_graphs: bool,
}

impl Place {
    /// The CPU in single precision.
    pub(super) fn is_usual(&self) -> bool {
        self.label().is_empty()
    }

    /// What sets a row apart from that of the CPU in single precision.
    fn label(&self) -> String {
        let parts = [(&self.device, "cpu"), (&self.precision, "f32")];
        let graphs = self.cuda_graphs.then(|| ", CUDA graphs".to_owned());
        parts.iter().filter(|(part, usual)| part != usual).map(|(part, _)| format!(", {part}")).chain(graphs).collect()
    }
}

impl Tools {
    /// On the CPU, where the peers are.
    fn panal(&self, args: &[&str], read: Read) -> Program {
        self.panal_on("cpu", args, read)
    }

    fn panal_on(&self, device: &str, args: &[&str], read: Read) -> Program {
        let common = ["--device", device, "--quiet", "--json"];
        let args = args.iter().chain(&common).map(ToString::to_string).collect();
        Program { program: self.panal.clone(), args, read }
    }

    /// A row of the lab on the images of `data`, under settings that make it the lab of `who`.
    fn panal_lab(&self, who: &'static str, (number, row): Numbered, data: &Path, settings: &[&str]) -> Program {
        // Data and settings differ, and so do the folders.
        let data_name = data.file_name().unwrap_or_default();
        let results = self.scratch.join("results").join(data_name).join(format!("{who}-{number}"));
        let [data, weights, results] = [data, &self.weights, &results].map(|path| path.display().to_string());
        let init = format!("row.{number}.init={}", if row.contains("random") { "random" } else { &weights });
        let args = ["lab", "--preset", "tutorial", "--model", "mobilenet_v2", "--data", &data, "--row", row];
        let args = [&args[..], &["--seeds", "1", "--seed", "0", "--results", &results, "--set", &init], settings];
        self.panal(&args.concat(), Read::Lab(who, row))
    }

    /// The peer's row of the same name.
    fn pytorch_lab(&self, (_, row): Numbered, data: &Path) -> Program {
        let [data, weights] = [data, &self.weights].map(|path| path.display().to_string());
        let args = ["--data", &data, "--weights", &weights, "--seeds", "1", "--channels-last", "--rows", row];
        self.python(&self.peers.join("lab.py"), &args, Read::Lab("PyTorch", row))
    }

    fn python(&self, script: &Path, args: &[&str], read: Read) -> Program {
        let script = script.display().to_string();
        let args = std::iter::once(script).chain(args.iter().map(ToString::to_string)).collect();
        Program { program: self.python.clone(), args, read }
    }
}

/// The suite of that name.
pub(super) fn suite(name: Name, tools: &Tools) -> Result<Suite> {
    match name {
        Name::Pipeline => Ok(pipeline(tools)),
        Name::Lab => Ok(lab(tools)),
        Name::Photos => Ok(photos(tools)),
        Name::Step => Ok(step(tools)),
        Name::Predict => predict(tools),
    }
}

fn pipeline(tools: &Tools) -> Suite {
    let train = tools.data.join("train").display().to_string();
    let (mut rows, mut programs) = (Vec::new(), Vec::new());
    for (transform, peers, from_files) in [
        ("evaluation", &["eval pil", "eval dali"][..], 3.0),
        ("supervised", &["sup pil", "sup v2 tensor", "sup dali"], 1.8),
        ("simclr", &["simclr2 pil", "simclr2 v2 tensor"], 5.0),
    ] {
        // The median of the passes counts, as with the peers.
        for (place, asked, flags) in
            [("files", from_files, &["--passes", "3"][..]), ("memory", 8.0, &["--passes", "5", "--cached"])]
        {
            let name = format!("{transform}, from {place}");
            // The peers have two workers.
            let args = [&["bench", "pipeline", &train, "--threads", "2", "--transform", transform], flags].concat();
            let (unit, asked) = (Unit::ImagesPerSecond, Some(asked));
            // SimCLR from memory was not asked for.
            let asked = asked.filter(|_| (transform, place) != ("simclr", "memory"));
            let peers = peers.iter().map(ToString::to_string).collect();
            rows.push(Row { unit, asked, peers, ours: format!("panal {name}"), name: name.clone() });
            programs.push(tools.panal(&args, Read::Bench(format!("panal {name}"))));
        }
    }
    let data = tools.data.display().to_string();
    const TORCHVISION: &[&str] = &["eval pil", "sup pil", "sup v2 tensor", "simclr2 pil", "simclr2 v2 tensor"];
    const DALI: &[&str] = &["eval dali", "sup dali"];
    for (script, names) in [(tools.peers.join("pipeline.py"), TORCHVISION), (tools.ours.join("dali.py"), DALI)] {
        programs.push(tools.python(&script, &[&data], Read::Lines(String::new(), names)));
    }
    Suite { name: Name::Pipeline, rows, prepare: Vec::new(), programs }
}

/// A row of the lab with its number.
type Numbered = (usize, &'static str);

/// The rows of the lab, named alike and in this order in panal's preset `tutorial` and in the peer's script.
const LAB: [&str; 5] = [
    "full fine-tuning, transfer",
    "full fine-tuning, random init",
    "linear probing",
    "linear probing + 3 augmentations",
    "linear probing 5 + fine-tuning 3",
];

fn lab(tools: &Tools) -> Suite {
    let (mut rows, mut programs) = (Vec::new(), Vec::new());
    for (row, asked) in LAB.into_iter().enumerate().zip([Some(1.5), None, Some(10.0), Some(2.5), None]) {
        programs.push(tools.panal_lab("panal", row, &tools.data, &[]));
        programs.push(tools.pytorch_lab(row, &tools.data));
        rows.push(Row { asked, ..lab_row("panal", row, "") });
    }
    Suite { name: Name::Lab, rows, prepare: Vec::new(), programs }
}

/// Photographs as a phone takes them, read as they are and reduced once; the peer reads them as they are. Panal decodes on every
/// core and the peer by two workers, so that on more than two cores the ratios say that too.
fn photos(tools: &Tools) -> Suite {
    /// So many of each class and split: of more, PyTorch's rows take long.
    const EACH: &str = "24";
    let data = tools.scratch.join("photos");
    let args = [tools.data.display().to_string(), data.display().to_string()];
    let enlarge = tools.python(&tools.ours.join("enlarge.py"), &[&args[0], &args[1], EACH], Read::Nothing);
    let [transfer, _, probing, augmented, _] = LAB;
    let (mut rows, mut programs) = (Vec::new(), Vec::new());
    for row in LAB.into_iter().enumerate().filter(|(_, row)| [transfer, probing, augmented].contains(row)) {
        programs.push(tools.panal_lab("panal", row, &data, &[]));
        programs.push(tools.panal_lab("panal-reduced", row, &data, &["--set", "shorter_side=1024"]));
        programs.push(tools.pytorch_lab(row, &data));
        rows.push(lab_row("panal", row, ""));
        rows.push(lab_row("panal-reduced", row, ", reduced to 1024"));
    }
    Suite { name: Name::Photos, rows, prepare: vec![enlarge], programs }
}

/// A row of the lab by `who`, with what sets it apart, beside the peer's.
fn lab_row(who: &str, (_, row): Numbered, apart: &str) -> Row {
    let (ours, peers) = (format!("{who} {row} seconds"), vec![format!("PyTorch {row} seconds")]);
    Row { name: format!("{row}{apart}"), unit: Unit::Seconds, ours, peers, asked: None }
}

/// The networks of `step`, and how many GB PyTorch takes to train them on 256 images in f32 on a CPU; a GPU and bf16 take less.
const TRAINED_ON_256: [(&str, f64); 4] =
    [("resnet18", 6.7), ("resnet50", 26.9), ("mobilenet_v2", 23.9), ("efficientnet_b0", 26.6)];

/// So many times that memory has to be there.
const SPARE: f64 = 1.2;

fn step(tools: &Tools) -> Suite {
    let (mut rows, mut programs) = (Vec::new(), Vec::new());
    let Place { device, precision, cuda_graphs } = &tools.place;
    let compiled: (_, &[_]) = if *cuda_graphs {
        ("reduce-overhead", &["reduce-overhead", "reduce-overhead memory"])
    } else {
        ("compile", &["compile", "compile memory"])
    };
    for (arch, gigabytes) in TRAINED_ON_256 {
        for (mode, word) in [("training", "train"), ("evaluation", "eval")] {
            // A pass in evaluation is not recorded.
            let batches = [1, 16, 64, 256].into_iter().filter(|_| !cuda_graphs || word == "train");
            let fits = |batch: &i32| *batch < 256 || word == "eval" || gigabytes * SPARE < tools.memory_gb;
            for batch in batches.filter(fits) {
                let name = format!("{arch}, {mode}, batch {batch}{}", tools.place.label());
                let batch = batch.to_string();
                let mut args = vec!["bench", "step", arch, "--batch", &batch, "--steps", "5", "--precision", precision];
                args.extend((word == "eval").then_some("--eval"));
                args.extend(cuda_graphs.then_some("--cuda-graphs"));
                programs.push(tools.panal_on(device, &args, Read::Bench(format!("panal {name}"))));
                for (how, names) in [("eager", &["eager", "eager memory"][..]), compiled] {
                    let args = [arch, word, &batch, "5", how, device, precision];
                    let read = Read::Lines(format!("PyTorch {name} "), names);
                    programs.push(tools.python(&tools.ours.join("step.py"), &args, read));
                    let (unit, ours) = (Unit::ImagesPerSecond, format!("panal {name}"));
                    let (suffix, asked) = if how == "eager" { ("", 1.0) } else { (", against compile", 0.9) };
                    let peers = vec![format!("PyTorch {name} {how}")];
                    rows.push(Row { name: format!("{name}{suffix}"), unit, ours, peers, asked: Some(asked) });
                }
                // Of the device that computes.
                rows.push(Row {
                    name: format!("{name}, memory"),
                    unit: Unit::Megabytes,
                    ours: format!("panal {name} memory"),
                    peers: vec![format!("PyTorch {name} eager memory")],
                    asked: Some(1.0),
                });
            }
        }
    }
    Suite { name: Name::Step, rows, prepare: Vec::new(), programs }
}

fn predict(tools: &Tools) -> Result<Suite> {
    let (data, weights) = (tools.data.display().to_string(), tools.weights.display().to_string());
    // A model to predict with, and one image alone.
    let model = tools.scratch.join("model");
    let (init, out) = (format!("row.2.init={weights}"), model.display().to_string());
    let args = ["train", &data, "--preset", "tutorial", "--row", "linear probing", "--model", "mobilenet_v2"];
    let args = [&args[..], &["--set", &init, "--out", &out]].concat();
    let train = tools.panal(&args, Read::Nothing);
    let mut images = jpegs(&tools.data)?;
    images.sort();
    let first = images.first().context("the data hold no .jpg")?;
    let one = tools.scratch.join("one");
    fs::create_dir_all(&one)?;
    fs::copy(first, one.join("image.jpg"))?;
    let (one, model) = (one.display().to_string(), model.join("model.safetensors").display().to_string());
    let out = tools.scratch.join("predictions.csv").display().to_string();

    let (mut rows, mut programs) = (Vec::new(), Vec::new());
    for (name, folder, count) in [("a folder", &data, images.len()), ("one image", &one, 1)] {
        let unit = if count == 1 { Unit::Seconds } else { Unit::ImagesPerSecond };
        let args = ["predict", &model, folder, "--out", &out];
        programs.push(tools.panal(&args, Read::Clock(format!("panal {name}"), count)));
        let script = tools.ours.join("predict.py");
        let args = [weights.as_str(), folder, "32", &out];
        programs.push(tools.python(&script, &args, Read::Clock(format!("PyTorch {name}"), count)));
        let (ours, peers) = (format!("panal {name} {unit}"), vec![format!("PyTorch {name} {unit}")]);
        rows.push(Row { name: name.into(), unit, ours, peers, asked: None });
    }
    Ok(Suite { name: Name::Predict, rows, prepare: vec![train], programs })
}

/// Every `.jpg` below the folder.
fn jpegs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(jpegs(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "jpg") {
            found.push(path);
        }
    }
    Ok(found)
}

impl Suite {
    /// Leaves out the rows that aren't wanted, and the programs that only they need.
    pub(super) fn keep(&mut self, wants: impl Fn(&str) -> bool) {
        self.rows.retain(|row| wants(&row.name));
        let needed: Vec<&String> = self.rows.iter().flat_map(|row| row.peers.iter().chain([&row.ours])).collect();
        self.programs.retain(|program| program.read.names().iter().any(|name| needed.contains(&name)));
    }

    /// Runs what has to be there first, and then every program once a round. After each of the last round `keep` has what is measured.
    pub(super) fn run(
        &self,
        rounds: u32,
        say: &dyn Fn(&str),
        keep: &mut dyn FnMut(&[Measured]) -> Result<()>,
    ) -> Result<Vec<Measured>> {
        for program in self.prepare.iter().filter(|_| !self.programs.is_empty()) {
            say(&format!("{}, first: {}", self.name, program.words()));
            program.run()?;
        }
        let none = |program: &Program| Measured { command: program.words(), rounds: Vec::new(), busy: Vec::new() };
        let mut measured: Vec<Measured> = self.programs.iter().map(none).collect();
        for round in 1..=rounds {
            for (number, program) in self.programs.iter().enumerate() {
                let what = program.read.names().into_iter().next().unwrap_or_default();
                let place = format!("{} of {}", number + 1, self.programs.len());
                say(&format!("{}, round {round} of {rounds}, program {place}: {what}", self.name));
                let busy = machine::busy(LOOK);
                if let Some(share) = busy.filter(|share| *share > BUSY) {
                    let percent = 100.0 * share;
                    say(&format!(
                        "  other work takes {percent:.0} % of the processors: measure again without it (`--row`)"
                    ));
                }
                measured[number].busy.extend(busy);
                let figures = program.run()?;
                figures.iter().for_each(|(name, figure)| say(&format!("  {name}: {figure:.1}")));
                measured[number].rounds.push(figures);
                if round == rounds {
                    keep(&measured)?;
                }
            }
        }
        Ok(measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::record::Comparison;

    fn tools() -> Tools {
        let path = |name: &str| PathBuf::from(name);
        Tools {
            panal: path("panal"),
            python: path("python3"),
            peers: path("peers"),
            ours: path("ours"),
            data: path("data"),
            weights: path("weights.safetensors"),
            scratch: path("scratch"),
            place: Place { device: "cpu".into(), precision: "f32".into(), cuda_graphs: false },
            memory_gb: 24.0,
        }
    }

    #[test]
    fn networks_are_trained_on_256_images_where_there_is_memory_for_it() {
        let trained = |memory_gb| {
            let mut step = step(&Tools { memory_gb, ..tools() });
            step.keep(|row| row.ends_with("training, batch 256"));
            step.rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
        };
        assert_eq!(trained(8.0), [""; 0]);
        assert_eq!(trained(24.0), ["resnet18, training, batch 256"]);
        assert_eq!(trained(80.0).len(), 4);
    }

    #[test]
    fn one_row_keeps_the_programs_that_it_needs() {
        let mut lab = lab(&tools());
        lab.keep(|row| row == "linear probing");
        let commands: Vec<String> = lab.programs.iter().map(Program::words).collect();
        assert_eq!(commands.len(), 2, "{commands:#?}");
        assert!(
            commands[0].starts_with("panal lab") && commands[1].starts_with("python3 peers/lab.py"),
            "{commands:?}"
        );

        let mut step = step(&tools());
        step.keep(|row| row == "mobilenet_v2, training, batch 16");
        let commands: Vec<String> = step.programs.iter().map(Program::words).collect();
        assert_eq!(commands.len(), 2, "{commands:#?}");
        assert!(commands[1].ends_with("eager cpu f32"), "{commands:?}");
    }

    #[test]
    fn large_photographs_are_read_whole_and_reduced_under_the_settings_of_their_row() {
        let mut photos = photos(&tools());
        assert_eq!((photos.rows.len(), photos.programs.len()), (6, 9));
        assert_eq!(photos.prepare[0].words(), "python3 ours/enlarge.py data scratch/photos 24");
        photos.keep(|row| row == "linear probing + 3 augmentations, reduced to 1024");
        let commands: Vec<String> = photos.programs.iter().map(Program::words).collect();
        assert_eq!(commands.len(), 2, "{commands:#?}");
        let settings = ["--data scratch/photos", "row.3.init=weights.safetensors", "--set shorter_side=1024"];
        assert!(settings.iter().all(|part| commands[0].contains(part)), "{commands:?}");
        assert!(commands[1].contains("peers/lab.py --data scratch/photos"), "{commands:?}");
        assert_eq!(photos.rows[0].ours, "panal-reduced linear probing + 3 augmentations seconds");
    }

    #[test]
    #[cfg(unix)]
    fn rows_that_are_complete_are_kept_when_a_later_program_fails() {
        let program = |begin: &str, script: &str| Program {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            read: Read::Lines(begin.into(), &["eager"]),
        };
        let row = |ours: &str, peer: &str| Row {
            name: ours.into(),
            unit: Unit::ImagesPerSecond,
            ours: format!("{ours} eager"),
            peers: vec![format!("{peer} eager")],
            asked: None,
        };
        let print = "echo eager 2.0 img/s";
        // The last one fails in the second round.
        let place = tempfile::tempdir().unwrap();
        let once = place.path().join("once");
        fs::create_dir(&once).unwrap();
        let fails = format!("{print}; rmdir {}", once.display());
        let programs = vec![program("a ", print), program("b ", print), program("c ", &fails)];
        let suite = Suite { name: Name::Step, rows: vec![row("a", "b"), row("c", "a")], prepare: Vec::new(), programs };
        let mut kept = Vec::new();
        let mut keep = |measured: &[Measured]| {
            kept.push(Comparison::so_far(&suite, measured, 2).len());
            Ok(())
        };
        assert!(suite.run(2, &|_| (), &mut keep).is_err());
        assert_eq!(kept, [0, 1]);
    }

    #[test]
    #[cfg(unix)]
    fn what_programs_need_is_prepared_once_and_not_where_there_are_none() {
        let place = tempfile::tempdir().unwrap();
        let made = place.path().join("made");
        let program = |script: &str, read| Program {
            program: "sh".into(),
            args: vec!["-c".into(), script.replace("MADE", &made.display().to_string())],
            read,
        };
        // A second time it fails.
        let prepare = vec![program("mkdir MADE", Read::Nothing)];
        let programs = vec![program("test -d MADE && echo eager 2.0 img/s", Read::Lines(String::new(), &["eager"]))];
        let row = Row {
            name: "r".into(),
            unit: Unit::ImagesPerSecond,
            ours: "eager".into(),
            peers: vec!["eager".into()],
            asked: None,
        };
        let mut suite = Suite { name: Name::Step, rows: vec![row], prepare, programs };
        let measured = suite.run(2, &|_| (), &mut |_| Ok(())).unwrap();
        assert_eq!((measured.len(), measured[0].rounds.len()), (1, 2));
        assert!(suite.run(1, &|_| (), &mut |_| Ok(())).is_err(), "what fails to prepare ends it");

        fs::remove_dir(&made).unwrap();
        suite.keep(|_| false);
        assert!(suite.run(2, &|_| (), &mut |_| Ok(())).unwrap().is_empty() && !made.exists());
    }

    #[test]
    fn steps_on_a_gpu_are_rows_of_their_own_for_both() {
        let place = Place { device: "cuda".into(), precision: "bf16".into(), cuda_graphs: false };
        let mut step = step(&Tools { place, ..tools() });
        step.keep(|row| row.starts_with("resnet50, training, batch 64"));
        let names: Vec<&str> = step.rows.iter().map(|row| row.name.as_str()).collect();
        let name = "resnet50, training, batch 64, cuda, bf16";
        assert_eq!(names, [name.to_owned(), format!("{name}, against compile"), format!("{name}, memory")]);
        let commands: Vec<String> = step.programs.iter().map(Program::words).collect();
        assert_eq!(commands.len(), 3, "{commands:#?}");
        assert!(commands[0].contains("--precision bf16 --device cuda"), "{commands:?}");
        assert!(commands[1].ends_with("eager cuda bf16") && commands[2].ends_with("compile cuda bf16"), "{commands:?}");
    }

    #[test]
    fn steps_from_cuda_graphs_are_held_against_those_of_torch_compile() {
        let place = Place { device: "cuda".into(), precision: "f32".into(), cuda_graphs: true };
        let mut step = step(&Tools { place, ..tools() });
        assert!(step.rows.iter().all(|row| row.name.contains("training") && row.name.contains("cuda, CUDA graphs")));
        step.keep(|row| row.starts_with("mobilenet_v2, training, batch 16,"));
        let commands: Vec<String> = step.programs.iter().map(Program::words).collect();
        assert_eq!(commands.len(), 3, "{commands:#?}");
        assert!(commands[0].contains("--precision f32 --cuda-graphs --device cuda"), "{commands:?}");
        assert!(commands[2].ends_with("reduce-overhead cuda f32"), "{commands:?}");
    }

    #[test]
    fn better_is_more_than_one_whichever_way_the_unit_counts() {
        assert_eq!(Unit::ImagesPerSecond.ratio(20.0, 10.0), 2.0);
        assert_eq!(Unit::Seconds.ratio(5.0, 10.0), 2.0);
        assert_eq!(Unit::Megabytes.ratio(10.0, 5.0), 0.5);
    }
}
