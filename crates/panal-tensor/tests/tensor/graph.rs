//! CUDA graphs: what they do on a GPU, and what is said where there is none.

#![allow(unsafe_code)]

use panal_tensor::{DeviceChoice, DeviceGraph, SideStream, TensorError};
use tch::{Device, Kind, Tensor};

#[test]
fn a_cuda_graph_needs_cuda() {
    assert!(SideStream::enter(Device::Cpu).unwrap().is_none());
    if DeviceChoice::Cuda(0).resolve().is_ok() {
        eprintln!("skipped: here is a CUDA device");
        return;
    }
    let error = SideStream::enter(Device::Cuda(0)).unwrap_err().to_string();
    assert!(error.starts_with("libtorch failed to enter a CUDA stream: "), "{error}");
}

#[test]
fn a_cuda_graph_does_what_was_recorded_each_time_it_is_played() {
    let Ok(device) = DeviceChoice::Cuda(0).resolve() else {
        eprintln!("skipped: no CUDA device");
        return;
    };
    let stream = SideStream::enter(device).unwrap().unwrap();
    let counter = Tensor::zeros([3], (Kind::Float, device));
    let product = |x: &Tensor| x.f_mul(x).map_err(|error| error.to_string());
    // What no graph can hold is set up.
    let _ = product(&counter).unwrap();
    let work = || {
        let _ = counter.shallow_clone().g_add_scalar_(1.0);
        Ok::<_, TensorError>(product(&counter).unwrap())
    };
    // SAFETY: the counter outlives the graph.
    let (mut graph, square) = unsafe { DeviceGraph::record(&stream, work) }.unwrap();
    assert_eq!(Vec::<f32>::try_from(&counter).unwrap(), [0.0; 3], "it was done while it was recorded");
    for times in 1..4u8 {
        graph.play().unwrap();
        assert_eq!(Vec::<f32>::try_from(&square).unwrap(), [f32::from(times * times); 3]);
    }

    // Reading from the device cannot be recorded, and afterwards all goes on.
    // SAFETY: as above.
    let failed =
        unsafe { DeviceGraph::record(&stream, || Ok::<_, TensorError>(counter.f_double_value(&[0]).is_err())) };
    assert!(failed.is_err() || failed.is_ok_and(|(_, refused)| refused));
    let square = product(&counter).unwrap();
    assert_eq!(Vec::<f32>::try_from(&square).unwrap(), [9.0; 3]);
    // SAFETY: as above.
    let (mut graph, square) = unsafe { DeviceGraph::record(&stream, work) }.unwrap();
    graph.play().unwrap();
    assert_eq!(Vec::<f32>::try_from(&square).unwrap(), [16.0; 3]);
}
