//! `panal device`: which devices truly work; and the choice of one for every other command.

use anyhow::Result;
use panal_tensor::{DeviceChoice, Precision};
use serde_json::json;
use tch::Device;

use crate::cli::Global;

/// The device that the command line asks for, with CUDA registered where its libraries are.
pub(crate) fn choose(global: &Global) -> Result<Device> {
    let device = global.device.resolve()?;
    tracing::info!("device: {}", panal_tensor::device_name(device));
    Ok(device)
}

/// Warns of what a device is slow at.
pub(crate) fn mind(device: Device, precisions: impl IntoIterator<Item = Precision>) {
    if device == Device::Cpu && precisions.into_iter().any(|precision| precision == Precision::Bf16) {
        tracing::warn!(
            "bf16 on the CPU: slower than f32, but for ResNets and probing where the processor multiplies in it (AMX, AVX-512 BF16)"
        );
    }
}

/// Limits the threads of libtorch and of image loading.
pub(crate) fn set_threads(threads: Option<u16>) -> Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
    Ok(panal_tensor::set_threads(threads.into())?)
}

/// Threads for loading images.
pub(crate) fn loader_threads(global: &Global) -> Option<usize> {
    global.threads.map(usize::from)
}

/// By whose kernels a CUDA device trains batch norms, in either precision.
fn batch_norm(device: Device) -> Vec<String> {
    let kernels = |precision: Precision| match panal_tensor::fused_norm_works(device, precision.kind()) {
        Ok(()) => format!("{precision} by panal's kernels"),
        Err(error) => format!("{precision} by libtorch's, which are slower: {error}"),
    };
    [Precision::F32, Precision::Bf16].map(kernels).to_vec()
}

/// Warns where training on a GPU was slower than it could be.
pub(crate) fn tell_trouble() {
    if let Some(why) = panal_tensor::fused_norm_trouble() {
        tracing::warn!(
            "batch norms were trained by libtorch's kernels, which are slower; panal's cannot be had: {why}"
        );
    }
}

/// Multiplies a tensor on each device and says what came of it.
pub(crate) fn run(global: &Global) -> Result<()> {
    let registered = panal_tensor::register_cuda();
    let libtorch = panal_tensor::libtorch_version().unwrap_or_else(|| "of unknown version".into());
    let try_device =
        |choice: DeviceChoice| match choice.resolve().and_then(|device| panal_tensor::probe(device).map(|()| device)) {
            Ok(device) => json!({
                "device": choice.to_string(),
                "usable": true,
                "name": panal_tensor::device_name(device),
                "batch_norm": device.is_cuda().then(|| batch_norm(device)),
            }),
            Err(error) => json!({ "device": choice.to_string(), "usable": false, "why": error.to_string() }),
        };
    let report = json!({
        "panal": env!("CARGO_PKG_VERSION"),
        "libtorch": libtorch,
        "cuda_libraries": registered.to_string(),
        "threads": tch::get_num_threads(),
        "devices": [try_device(DeviceChoice::Cpu), try_device(DeviceChoice::Cuda(0)), try_device(DeviceChoice::Mps)],
        "auto": panal_tensor::device_name(DeviceChoice::Auto.resolve()?),
    });
    if global.json {
        println!("{report:#}");
        return Ok(());
    }
    println!("libtorch {libtorch}, CUDA libraries: {registered}");
    for device in report["devices"].as_array().into_iter().flatten() {
        let state = device["name"].as_str().or(device["why"].as_str()).unwrap_or_default();
        println!(
            "{:6}  {}  {state}",
            device["device"].as_str().unwrap_or_default(),
            if device["usable"] == true { "works" } else { "no   " }
        );
        for precision in device["batch_norm"].as_array().into_iter().flatten() {
            println!("               batch norm in {}", precision.as_str().unwrap_or_default());
        }
    }
    println!("auto    {}", report["auto"].as_str().unwrap_or_default());
    Ok(())
}
