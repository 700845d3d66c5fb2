//! The bridge to libtorch: devices, memory format, named parameters, weight files. No network, loss or training here.
#![doc = include_str!("../README.md")]

mod batch_norm;
mod cuda;
mod device;
mod error;
mod graph;
mod images;
mod init;
mod memory_format;
mod nvrtc;
mod precision;
mod raw;
mod store;
mod weights;

pub use batch_norm::{Activation, FusedNorm, NormLayer, fused_norm_trouble, fused_norm_works};
pub use cuda::{DeviceMemory, device_memory};
pub use device::{
    CudaRegistration, DeviceChoice, device_model, device_name, libtorch_folder, libtorch_version, probe, register_cuda,
    set_threads,
};
pub use error::{Doing, FileFault, TensorError};
pub use graph::{DeviceGraph, SideStream};
pub use images::{batch_to_tensors, labels_to_tensor, pixels_for, pixels_to_tensor, to_device};
pub use init::Init;
pub use memory_format::{channels_last, is_channels_last};
pub use precision::Precision;
pub use store::{LoadOptions, LoadReport, Role, Store};
pub use weights::{Weights, parse_weights, read_weights, write_safetensors};
