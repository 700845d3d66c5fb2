//! `panal predict`: what is on images, with probabilities. One batch is in memory at a time, however many images there are.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, anyhow, bail};
use panal_data::{Pipeline, is_image_name, keyed_rng};
use panal_models::Folded;
use panal_tensor::pixels_to_tensor;
use panal_trainers::TrainError;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;
use tch::{Device, Kind};

use crate::cli::{Global, PredictArgs};
use crate::console::Console;
use crate::saved::{Card, Saved};
use crate::{device, interrupt, saved, unfinished};

/// What is said of one image.
#[derive(Serialize)]
struct Prediction<'a> {
    image: String,
    class: &'a str,
    probability: f32,
    /// The most probable classes, best first.
    top: Vec<ClassProbability<'a>>,
}

#[derive(Serialize)]
struct ClassProbability<'a> {
    class: &'a str,
    probability: f32,
}

/// What predicts.
struct Network {
    folded: Folded<'static>,
    card: Card,
    pipeline: Pipeline,
    device: Device,
}

pub(crate) fn run(args: &PredictArgs, global: &Global, console: &Console) -> Result<()> {
    let format = Format::of(args.out.as_deref(), global.json)?;
    let files = gather(&args.images)?;
    let device = device::choose(global)?;
    let Saved { card, model, pipeline } = saved::read(&args.model, device)?;
    let network = Network { folded: model.into_folded()?, card, pipeline, device };
    let mut buffer = Vec::new();
    let stop = interrupt::watch();
    let mut output = Output::open(args.out.as_deref(), format, args.top.min(network.card.classes.len()))?;
    let bar = console.bar(files.len() as u64, "{bar:24} {pos}/{len} images, {per_sec}, {eta} left");
    for (done, paths) in files.chunks(args.batch).enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Err(TrainError::Interrupted { steps: done as u64, checkpoint: None }.into());
        }
        for prediction in predict(&network, paths, args, &mut buffer)? {
            output.write(&prediction)?;
        }
        bar.inc(paths.len() as u64);
    }
    bar.finish_and_clear();
    output.finish()?;
    if let Some(path) = args.out.as_ref().filter(|_| global.json) {
        println!("{:#}", json!({ "images": files.len(), "predictions": path }));
    }
    Ok(())
}

/// Every image file that the arguments name, folders searched through, in order.
pub(crate) fn gather(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            // Whatever it is called: whether it is an image shows when it is decoded.
            std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        // As a data set's folder is searched.
        let seen =
            |entry: &walkdir::DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
        for entry in walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter().filter_entry(seen) {
            let entry = entry.with_context(|| format!("cannot search {}", path.display()))?;
            if entry.file_type().is_file() && is_image_name(&entry.file_name().to_string_lossy()) {
                files.push(entry.into_path());
            }
        }
        if files.len() == before {
            bail!("{} holds no images (.jpg, .png, .webp, .bmp ...)", path.display());
        }
    }
    Ok(files)
}

/// Predictions for the images at `paths`; those that cannot be decoded end it, or are left out with a warning.
fn predict<'a>(
    network: &'a Network,
    paths: &[PathBuf],
    args: &PredictArgs,
    buffer: &mut Vec<f32>,
) -> Result<Vec<Prediction<'a>>> {
    let (card, pipeline) = (&network.card, &network.pipeline);
    let (height, width) = pipeline.size();
    let (height, width) = (height as usize, width as usize);
    let place = height * width * 3;
    // Every image into its own place; those behind a bad one move up.
    buffer.resize(paths.len() * place, 0.0);
    let decode = |(pixels, path): (&mut [f32], &PathBuf)| {
        pipeline.apply(&card.read_image(path)?, &mut keyed_rng(0, &[]), pixels);
        Ok::<_, panal_data::DataError>(())
    };
    let decoded: Vec<_> = buffer.par_chunks_exact_mut(place).zip(paths).map(decode).collect();
    let mut kept = Vec::with_capacity(paths.len());
    for (index, result) in decoded.into_iter().enumerate() {
        match result {
            Ok(()) => {
                buffer.copy_within(index * place..(index + 1) * place, kept.len() * place);
                kept.push(&paths[index]);
            }
            Err(error) if args.skip_bad => tracing::warn!("left out: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    if kept.is_empty() {
        return Ok(Vec::new());
    }
    let images = pixels_to_tensor(&buffer[..kept.len() * place], [kept.len(), height, width], network.device)?;
    let probabilities = network.folded.logits(&images)?.f_softmax(1, Kind::Float)?;
    let rows = Vec::<Vec<f32>>::try_from(probabilities.f_to_device(Device::Cpu)?)?;
    kept.iter().zip(rows).map(|(path, row)| judge(path, &row, &network.card.classes, args.top)).collect()
}

fn judge<'a>(path: &Path, probabilities: &[f32], classes: &'a [String], top: usize) -> Result<Prediction<'a>> {
    let mut ranked: Vec<_> = classes
        .iter()
        .zip(probabilities)
        .map(|(class, &probability)| ClassProbability { class: class.as_str(), probability })
        .collect();
    ranked.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    ranked.truncate(top);
    let best = ranked.first().ok_or_else(|| anyhow!("the model has no classes"))?;
    Ok(Prediction { image: path.display().to_string(), class: best.class, probability: best.probability, top: ranked })
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Text,
    Csv,
    Json,
}

impl Format {
    fn of(out: Option<&Path>, json: bool) -> Result<Self> {
        match out.map(|path| path.extension().and_then(|extension| extension.to_str())) {
            None if json => Ok(Self::Json),
            None => Ok(Self::Text),
            Some(Some("json")) => Ok(Self::Json),
            Some(Some("csv")) => Ok(Self::Csv),
            Some(_) => bail!("--out must end in .csv or .json, got {}", out.unwrap_or(Path::new("")).display()),
        }
    }
}

/// Standard output, or a file that takes its name only once it is whole.
struct Output {
    sink: Box<dyn Write>,
    file: Option<(tempfile::TempPath, PathBuf)>,
    format: Format,
    empty: bool,
}

impl Output {
    /// Of each image so many classes are told.
    fn open(out: Option<&Path>, format: Format, top: usize) -> Result<Self> {
        let (sink, file): (Box<dyn Write>, _) = match out {
            None => (Box::new(io::stdout().lock()), None),
            Some(path) => {
                let (file, temp) = unfinished::beside(path)?.into_parts();
                (Box::new(io::BufWriter::new(file)), Some((temp, path.to_owned())))
            }
        };
        let mut output = Self { sink, file, format, empty: true };
        match format {
            Format::Text => {}
            Format::Csv => {
                let more = (2..=top).flat_map(|rank| [format!("class_{rank}"), format!("probability_{rank}")]);
                let columns = ["image", "class", "probability"].map(str::to_owned).into_iter().chain(more);
                output.text(&csv_line(columns)?)?;
            }
            Format::Json => output.text("[")?,
        }
        Ok(output)
    }

    fn write(&mut self, prediction: &Prediction<'_>) -> Result<()> {
        let text = match self.format {
            Format::Text => {
                let classes = prediction.top.iter().map(|top| format!("{} {:.4}", top.class, top.probability));
                format!("{}  {}\n", prediction.image, classes.collect::<Vec<_>>().join("  "))
            }
            Format::Csv => {
                let classes = prediction.top.iter().flat_map(|top| [top.class.to_owned(), top.probability.to_string()]);
                csv_line([prediction.image.clone()].into_iter().chain(classes))?
            }
            Format::Json => format!("{}\n  {}", if self.empty { "" } else { "," }, serde_json::to_string(prediction)?),
        };
        self.empty = false;
        self.text(&text)
    }

    fn finish(mut self) -> Result<()> {
        if self.format == Format::Json {
            self.text("\n]\n")?;
        }
        self.sink.flush().context("cannot write the predictions")?;
        drop(self.sink);
        if let Some((temp, path)) = self.file {
            temp.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<()> {
        match self.sink.write_all(text.as_bytes()) {
            // Nobody reads on, as behind `| head`.
            Err(error) if self.file.is_none() && error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            written => written.context("cannot write the predictions"),
        }
    }
}

/// One line of CSV.
fn csv_line(fields: impl IntoIterator<Item = String>) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields)?;
    Ok(String::from_utf8(writer.into_inner()?)?)
}
