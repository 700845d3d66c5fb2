//! Device names, what `auto` settles on, and errors where there is no such device.

use panal_data::Batch;
use panal_tensor::{
    CudaRegistration, DeviceChoice, TensorError, batch_to_tensors, device_memory, device_name, libtorch_folder,
    libtorch_version, pixels_for, probe, register_cuda, set_threads,
};
use tch::Device;

#[test]
fn names_are_read_and_written() {
    for (text, choice) in [
        ("auto", DeviceChoice::Auto),
        ("cpu", DeviceChoice::Cpu),
        ("cuda", DeviceChoice::Cuda(0)),
        ("cuda:0", DeviceChoice::Cuda(0)),
        ("cuda:3", DeviceChoice::Cuda(3)),
        ("mps", DeviceChoice::Mps),
    ] {
        assert_eq!(text.parse::<DeviceChoice>().unwrap(), choice);
        assert_eq!(choice.to_string().parse::<DeviceChoice>().unwrap(), choice);
        let json = serde_json::to_string(&choice).unwrap();
        assert_eq!(serde_json::from_str::<DeviceChoice>(&json).unwrap(), choice);
    }
    for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda:128", "CPU", "cuda:99999999999999999999"] {
        let error = text.parse::<DeviceChoice>().unwrap_err();
        assert_eq!(error.to_string(), format!("`{text}` is no device: use auto, cpu, cuda, cuda:N or mps"));
    }
}

#[test]
fn the_cpu_computes() {
    probe(Device::Cpu).unwrap();
    assert_eq!(DeviceChoice::Cpu.resolve().unwrap(), Device::Cpu);
}

/// Whatever `auto` settles on computes; without a GPU that is the CPU.
#[test]
fn auto_settles_on_what_works() {
    let device = DeviceChoice::Auto.resolve().unwrap();
    probe(device).unwrap();
    println!("auto: {}, CUDA: {}", device_name(device), register_cuda());
    if cfg!(target_os = "linux")
        && matches!(register_cuda(), CudaRegistration::NotPresent | CudaRegistration::Failed(_))
    {
        assert_eq!(device, Device::Cpu);
    }
}

/// The answer agrees with what lies beside libtorch, and a failure says why.
#[cfg(target_os = "linux")]
#[test]
fn the_cuda_backend_is_opened_where_it_is() {
    let beside = libtorch_folder().unwrap().join("libtorch_cuda.so").exists();
    match register_cuda() {
        CudaRegistration::AlreadyLoaded | CudaRegistration::Registered => {}
        CudaRegistration::NotPresent => assert!(!beside),
        CudaRegistration::Failed(why) => assert!(why.contains(".so"), "{why}"),
    }
}

/// A device number that no machine has: the error says what is there and what to do.
#[test]
fn an_absent_device_is_an_error_with_a_remedy() {
    let error = DeviceChoice::Cuda(99).resolve().unwrap_err();
    assert!(matches!(&error, TensorError::DeviceAbsent { device, .. } if device == "cuda:99"), "{error:?}");
    let message = error.to_string();
    assert!(message.starts_with("device cuda:99 cannot be used: "), "{message}");
    assert!(message.contains("NVIDIA driver") && message.contains("libtorch_cuda.so"), "{message}");
    assert!(message.contains("--device cpu"), "{message}");
    if !cfg!(target_os = "macos") {
        assert!(DeviceChoice::Mps.resolve().unwrap_err().to_string().contains("no MPS backend"));
    }
}

#[test]
fn threads_are_set_within_range() {
    set_threads(1).unwrap();
    assert_eq!(tch::get_num_threads(), 1);
    assert_eq!(set_threads(0).unwrap_err().to_string(), "threads must be between 1 and 2147483647, got 0");
    assert!(set_threads(usize::MAX).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn the_libtorch_that_runs_is_found_on_disk() {
    assert!(libtorch_folder().unwrap().join("libtorch_cpu.so").exists());
    // The version stands in files beside the library that an installation may leave out.
    if let Some(version) = libtorch_version() {
        assert!(version.starts_with("2.11.0"), "{version}");
    }
}

#[test]
fn a_batch_reaches_a_cuda_device_from_page_locked_memory() {
    let Ok(device) = DeviceChoice::Cuda(0).resolve() else {
        eprintln!("skipped: no CUDA device");
        return;
    };
    let mut pixels = pixels_for(device)(2 * 4 * 5 * 3);
    (0..).zip(pixels.iter_mut()).for_each(|(at, value): (u8, _)| *value = f32::from(at));
    let batch = |pixels| Batch { pixels, views: 1, height: 4, width: 5, labels: vec![1, 0], indices: vec![7, 3] };
    let want = batch_to_tensors(batch(pixels.to_vec().into()), Device::Cpu).unwrap();
    let got = batch_to_tensors(batch(pixels), device).unwrap();
    assert_eq!((got.0.device(), got.0.stride()), (device, want.0.stride()));
    assert!(got.0.to(Device::Cpu).equal(&want.0) && got.1.to(Device::Cpu).equal(&want.1));
    let memory = device_memory(device).unwrap().unwrap();
    assert!(0 < memory.used && memory.used <= memory.most_used && memory.most_used <= memory.most_held, "{memory:?}");
    assert!(memory.held <= memory.most_held && 0 < memory.free, "{memory:?}");
}

#[test]
fn the_memory_of_a_device_that_is_none_is_not_told() {
    assert_eq!(device_memory(Device::Cpu).unwrap(), None);
    if DeviceChoice::Cuda(0).resolve().is_err() {
        let error = device_memory(Device::Cuda(0)).unwrap_err().to_string();
        assert!(error.starts_with("libtorch failed to turn to a CUDA device: "), "{error}");
    }
}
