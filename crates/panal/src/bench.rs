//! `panal bench`: how many images a second this machine loads, or computes. What they are worth is not asked here.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use panal_data::augment::Op;
use panal_data::transforms::{RandomHorizontalFlip, RandomResizedCrop, Size};
use panal_data::{AugmentSpec, BadFiles, Cached, DataSource, ImageFolder, Loader, LoaderSpec, keyed_rng};
use panal_models::{Arch, Classifier, ModelSpec};
use panal_optim::{Optimizer, OptimizerSpec, ParamGroup};
use panal_tensor::{SideStream, batch_to_tensors, device_memory, device_name, pixels_for};
use panal_trainers::Passes;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::cli::{Bench, Global, PipelineArgs, Recipe, StepArgs};
use crate::reading::CACHE_BYTES;
use crate::{device, memory};

/// Height and width of the images that a pipeline makes.
const SIDE: u32 = 224;

/// Steps before those that are timed; in the third a CUDA graph is recorded.
const WARM_UP: usize = 2;
const WARM_UP_GRAPHS: usize = 3;

pub(crate) fn run(bench: &Bench, global: &Global) -> Result<()> {
    let report = match bench {
        Bench::Pipeline(args) => pipeline(args, global)?,
        Bench::Step(args) => step(args, global)?,
    };
    if global.json {
        println!("{report:#}");
        return Ok(());
    }
    let rates = report["images_per_second"].as_array().cloned().unwrap_or_default();
    let mut rates: Vec<f64> = rates.iter().filter_map(Value::as_f64).collect();
    rates.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) = (rates.first(), rates.last()) else { return Ok(()) };
    println!("{}: {:.1} images/s ({low:.1} to {high:.1})", report["what"], rates[rates.len() / 2]);
    Ok(())
}

/// Every image of a folder through a loader and into tensors on the device.
fn pipeline(args: &PipelineArgs, global: &Global) -> Result<Value> {
    let device = device::choose(global)?;
    let folder = ImageFolder::open(&args.data, BadFiles::Unchecked)?;
    // A run knows the digests of its files by the time that it loads them.
    folder.digest()?;
    let source: Arc<dyn DataSource> =
        if args.cached { Arc::new(Cached::new(Arc::new(folder), CACHE_BYTES)) } else { Arc::new(folder) };
    let (augment, views) = match args.transform {
        Recipe::Evaluation => (AugmentSpec::plain(256, SIDE), 1),
        Recipe::Supervised => {
            let crop = Op::RandomResizedCrop(RandomResizedCrop::new(Size::Side(SIDE)));
            (AugmentSpec::new(vec![crop, Op::RandomHorizontalFlip(RandomHorizontalFlip { p: 0.5 })]), 1)
        }
        Recipe::Simclr => (AugmentSpec::simclr(SIDE, 1.0), 2),
    };
    let images = source.len();
    let spec = LoaderSpec {
        views,
        batch: args.batch.min(images),
        shuffle: true,
        threads: device::loader_threads(global),
        ..LoaderSpec::default()
    };
    let mut seconds = Vec::new();
    let loader = Loader::new(source, augment.check()?, spec)?.writing_to(pixels_for(device));
    let first = usize::from(args.cached);
    for pass in 0..first + args.passes {
        let clock = Instant::now();
        let mut last = None;
        for batch in loader.epoch(pass as u64) {
            last = Some(batch_to_tensors(batch?, device)?);
        }
        // A GPU may still be receiving; reading what was sent last waits for it.
        if let Some((_, labels)) = last {
            labels.f_int64_value(&[0])?;
        }
        seconds.push(clock.elapsed().as_secs_f64());
    }
    let what = format!("{:?}, from {}", args.transform, if args.cached { "memory" } else { "files" }).to_lowercase();
    Ok(report(&what, images, &seconds[first..], peak_memory()))
}

/// Steps of a network with random weights on random pixels.
fn step(args: &StepArgs, global: &Global) -> Result<Value> {
    let device = device::choose(global)?;
    ensure!(
        device.is_cuda() || !args.cuda_graphs,
        "--cuda-graphs needs a CUDA device, and this is {}",
        device_name(device)
    );
    let arch: Arch = args.model.parse()?;
    memory::expect(args.batch, (args.size as u32, args.size as u32));
    let network = Classifier::new(&ModelSpec::new(arch, 2), device, 0)?;
    let (batch, side) = (args.batch as i64, args.size as i64);
    let pixels = Tensor::f_randn([batch, side, side, 3], (Kind::Float, device))?.f_permute([0, 3, 1, 2])?;
    let images = args.precision.of(&pixels)?;
    drop(pixels);
    let labels = Tensor::f_zeros([batch], (Kind::Int64, device))?;
    let seconds = if args.eval {
        let folded = network.into_folded()?;
        timed(WARM_UP, args.steps, |_| Ok(folded.logits(&images)?))?
    } else {
        let groups = vec![ParamGroup { name: "all".into(), params: network.trainable(), lr_scale: 1.0 }];
        let mut optimizer = Optimizer::new(&OptimizerSpec::default(), groups)?;
        let stream = if args.cuda_graphs { SideStream::enter(device)? } else { None };
        let mut passes = Passes::new(&network, 0.0, stream.as_ref());
        timed(if args.cuda_graphs { WARM_UP_GRAPHS } else { WARM_UP }, args.steps, |number| {
            let mut rng = keyed_rng(0, &[number as u64]);
            let (loss, _) = passes.run(&images, &labels, &mut optimizer, &mut rng)?;
            passes.trouble().map_or(Ok(()), Err)?;
            optimizer.step(1e-3)?;
            Ok(loss)
        })?
    };
    let mode = if args.eval { "evaluation" } else { "training" };
    let graphs = if args.cuda_graphs { ", CUDA graphs" } else { "" };
    let what = format!("{arch}, {mode}, batch {batch}, {}{graphs}", args.precision);
    let memory = device_memory(device)?.map(|memory| memory.most_held).or_else(peak_memory);
    Ok(report(&what, args.batch, &seconds, memory))
}

/// Seconds of steps, each to the end of what it gave the device, after some that are not timed.
fn timed(warm_up: usize, steps: usize, mut step: impl FnMut(usize) -> Result<Tensor>) -> Result<Vec<f64>> {
    let mut seconds = Vec::new();
    for number in 0..warm_up + steps {
        let clock = Instant::now();
        // A GPU works behind; reading a value waits for it.
        let _ = step(number)?.f_sum(Kind::Float)?.f_to_device(Device::Cpu)?;
        seconds.push(clock.elapsed().as_secs_f64());
    }
    Ok(seconds.split_off(warm_up))
}

/// Figures of what was measured; the memory, in bytes, is the most that was in use, of the GPU where steps ran on one.
fn report(what: &str, images: usize, seconds: &[f64], memory: Option<u64>) -> Value {
    let rates: Vec<f64> = seconds.iter().map(|seconds| images as f64 / seconds).collect();
    json!({ "what": what, "images": images, "seconds": seconds, "images_per_second": rates, "peak_memory_bytes": memory })
}

/// The most memory that this process ever had in use, in bytes; `None` where the system does not tell.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
