//! `panal explain`: pictures of where in an image the evidence for a class lies, by Grad-CAM.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use image::{RgbImage, imageops};
use panal_data::keyed_rng;
use panal_trainers::TrainError;
use rayon::prelude::*;
use serde_json::{Value, json};
use tch::{Device, Kind};

use crate::cli::{ExplainArgs, Global};
use crate::console::Console;
use crate::predict::gather;
use crate::saved::Saved;
use crate::{device, interrupt, looks, overlay, saved, suggest};

/// Images at a time; gradients are kept meanwhile.
const BATCH: usize = 8;

pub(crate) fn run(args: &ExplainArgs, global: &Global, console: &Console) -> Result<()> {
    let files = gather(&args.images)?;
    let saved = saved::read(&args.model, device::choose(global)?)?;
    if saved.pipeline.is_random() {
        bail!("{}: its transform draws at random, so an input cannot be shown as it was", args.model.display());
    }
    let class = args.class.as_deref().map(|name| known(name, &saved)).transpose()?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let stop = interrupt::watch();
    // Pictures take their places together, once the last is made.
    let staged = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(&args.out);
    let staged = staged.with_context(|| format!("cannot write in {}", args.out.display()))?;
    let (mut names, mut said) = (HashSet::new(), Vec::new());
    let bar = console.bar(files.len() as u64, "{bar:24} {pos}/{len} images, {per_sec}, {eta} left");
    for (done, paths) in files.chunks(BATCH).enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Err(TrainError::Interrupted { steps: done as u64, checkpoint: None }.into());
        }
        let card = &saved.card;
        let read: Vec<_> = paths.par_iter().map(|path| (path, card.read_image(path))).collect();
        let mut images = Vec::new();
        for (path, image) in read {
            match image {
                Ok(image) => images.push((path, image)),
                Err(error) if args.skip_bad => tracing::warn!("left out: {error}"),
                Err(error) => return Err(error.into()),
            }
        }
        let explained = explain(&saved, &images, class)?;
        let named: Vec<_> = explained.iter().map(|it| (it, name(it, &card.classes, &mut names))).collect();
        named.par_iter().try_for_each(|(explained, name)| {
            let saved = explained.picture.save(staged.path().join(name));
            saved.with_context(|| format!("cannot write {}", args.out.join(name).display()))
        })?;
        said.extend(named.iter().map(|(it, name)| it.say(&card.classes, &args.out.join(name), global.json)));
        bar.inc(paths.len() as u64);
    }
    bar.finish_and_clear();
    for name in &names {
        let place = args.out.join(name);
        std::fs::rename(staged.path().join(name), &place)
            .with_context(|| format!("cannot write {}", place.display()))?;
    }
    if global.json {
        println!("{:#}", Value::Array(said));
    } else {
        said.iter().filter_map(Value::as_str).for_each(|line| println!("{line}"));
    }
    Ok(())
}

fn known(name: &str, saved: &Saved) -> Result<usize> {
    let classes = &saved.card.classes;
    classes.iter().position(|class| class == name).with_context(|| {
        let hint = suggest::nearest(name, classes.iter().map(String::as_str));
        format!("--class: the model knows no class `{name}`{hint}; its classes are {}", classes.join(", "))
    })
}

/// One image, the class that it was asked about, and the answer.
struct Explained {
    image: PathBuf,
    class: usize,
    probability: f32,
    /// Whether anything speaks for the class.
    found: bool,
    /// What the network was given, and beside it the same with the evidence over it.
    picture: RgbImage,
}

/// Asks each image about `class`, or about the one that is most probable for it.
fn explain(saved: &Saved, images: &[(&PathBuf, RgbImage)], class: Option<usize>) -> Result<Vec<Explained>> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let device = saved.model.device();
    let view = |i: usize, place: &mut [f32]| {
        saved.pipeline.apply(&images[i].1, &mut keyed_rng(0, &[]), place);
        Ok(())
    };
    let input = looks::inputs(saved.pipeline.size(), images.len(), view, device)?;
    let probabilities = tch::no_grad(|| saved.model.forward_eval(&input))?.f_softmax(1, Kind::Float)?;
    let best = Vec::<i64>::try_from(probabilities.f_argmax(1, false)?.f_to_device(Device::Cpu)?)?;
    let classes: Vec<usize> = best.iter().map(|&best| class.unwrap_or(best as usize)).collect();
    let maps = looks::maps(&saved.model.grad_cam(&input, &classes)?.maps)?;
    let probabilities = Vec::<Vec<f32>>::try_from(probabilities.f_to_device(Device::Cpu)?)?;
    let pixels = Vec::<Vec<f32>>::try_from(input.f_to_device(Device::Cpu)?.f_permute([0, 2, 3, 1])?.f_flatten(1, -1)?)?;
    let explained = images.iter().zip(pixels).zip(maps).enumerate().map(|(i, (((path, _), pixels), map))| {
        let view = overlay::picture(&pixels, saved.pipeline.size(), &saved.card.transform);
        Explained {
            image: (*path).clone(),
            class: classes[i],
            probability: probabilities[i][classes[i]],
            found: map.values.iter().any(|&value| value > 0.0),
            picture: side_by_side(&view, &overlay::over(&view, &map)),
        }
    });
    Ok(explained.collect())
}

impl Explained {
    /// A line for people, or an object for programs.
    fn say(&self, classes: &[String], picture: &Path, json: bool) -> Value {
        let class = &classes[self.class];
        if json {
            return json!({
                "image": self.image, "class": class, "probability": self.probability, "evidence": self.found, "picture": picture,
            });
        }
        let nothing = if self.found { "" } else { " (nothing in it speaks for that class)" };
        let (image, picture) = (self.image.display(), picture.display());
        json!(format!("{image}  {class} {:.4}{nothing}  {picture}", self.probability))
    }
}

/// A name of its own for each picture: that of the image and of the class, and a number where two would be the same.
fn name(explained: &Explained, classes: &[String], taken: &mut HashSet<String>) -> String {
    let stem = explained.image.file_stem().unwrap_or_default().to_string_lossy();
    let class: String = classes[explained.class]
        .chars()
        .map(|c| if c.is_alphanumeric() || "-_ .".contains(c) { c } else { '_' })
        .collect();
    let numbered = |number: usize| match number {
        1 => format!("{stem}-{class}.png"),
        number => format!("{stem}-{class}-{number}.png"),
    };
    let mut number = 1;
    while !taken.insert(numbered(number)) {
        number += 1;
    }
    numbered(number)
}

fn side_by_side(left: &RgbImage, right: &RgbImage) -> RgbImage {
    let (width, height) = left.dimensions();
    let mut both = RgbImage::new(2 * width, height);
    imageops::replace(&mut both, left, 0, 0);
    imageops::replace(&mut both, right, i64::from(width), 0);
    both
}
