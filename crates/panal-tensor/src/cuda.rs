//! What tch does not bind of libtorch's CUDA. It is C++ and throws: `cuda.cpp` calls it and catches.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

use tch::{Device, TchError, Tensor};

use crate::TensorError;
use crate::error::Doing;

/// Memory of a CUDA device, in bytes: what this process has of it, by libtorch's allocator, and what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// In tensors.
    pub used: u64,
    /// In tensors at most, so far.
    pub most_used: u64,
    /// Had of the device, for tensors and for later ones.
    pub held: u64,
    /// Had of the device at most, so far.
    pub most_held: u64,
    /// Left on the device.
    pub free: u64,
}

/// The memory of a CUDA device; `None` for another kind of device.
///
/// # Errors
/// [`TensorError::Torch`] where [`register_cuda`](crate::register_cuda) has not opened the backend, or the device was not used yet.
pub fn device_memory(device: Device) -> Result<Option<DeviceMemory>, TensorError> {
    let doing = "ask for the memory of a CUDA device";
    let Device::Cuda(number) = device else { return Ok(None) };
    let _current = CurrentDevice::enter(number)?;
    let number = device_number(number, doing)?;
    let mut bytes = [0; 5];
    // SAFETY: there is room for the five numbers that are written.
    #[allow(unsafe_code)]
    check(unsafe { ffi::panal_memory(number, bytes.as_mut_ptr()) }, doing)?;
    let [used, most_used, held, most_held, free] = bytes.map(|bytes| u64::try_from(bytes).unwrap_or_default());
    Ok(Some(DeviceMemory { used, most_used, held, most_held, free }))
}

/// Whether the GPU's memory grows in place, so that what is freed serves tensors of any size: a training step of a ResNet-50 on 64 images has 3.3 GB
/// of the device then, and 4.0 in pieces. Changes nothing where the environment says how libtorch is to have its memory.
pub(crate) fn let_memory_grow(grow: bool) {
    if ["PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"].iter().all(|name| std::env::var_os(name).is_none()) {
        let settings = if grow { c"expandable_segments:True" } else { c"expandable_segments:False" };
        // SAFETY: the settings are a C string. Where they are refused, memory is had in pieces.
        #[allow(unsafe_code)]
        let _ = check(unsafe { ffi::panal_allocator_set(settings.as_ptr()) }, "set the allocator");
    }
}

/// A CUDA device that is the current one of this thread, until this is dropped.
#[derive(Debug)]
pub(crate) struct CurrentDevice(*mut c_void);

impl CurrentDevice {
    pub(crate) fn enter(number: usize) -> Result<Self, TensorError> {
        let doing = "turn to a CUDA device";
        let (number, mut guard) = (device_number(number, doing)?, null_mut());
        // SAFETY: the pointer that is written to is valid for the call.
        #[allow(unsafe_code)]
        check(unsafe { ffi::panal_device_enter(number, &raw mut guard) }, doing)?;
        Ok(Self(guard))
    }

    /// Gives this thread the device's context, for the driver's own functions; libtorch leaves that to the first use of the CUDA runtime.
    pub(crate) fn bind(number: usize) -> Result<(), TensorError> {
        let doing = "give a thread a CUDA device";
        let number = device_number(number, doing)?;
        // SAFETY: it takes a number.
        #[allow(unsafe_code)]
        check(unsafe { ffi::panal_device_bind(number) }, doing)
    }
}

impl Drop for CurrentDevice {
    fn drop(&mut self) {
        // SAFETY: the guard is that of `enter`, on the thread that it is of.
        #[allow(unsafe_code)]
        let _ = check(unsafe { ffi::panal_device_leave(self.0) }, "turn back to another CUDA device");
    }
}

/// `[length]` f32 on the CPU, of any values, in page-locked memory, which libtorch keeps for the next one.
#[allow(unsafe_code)]
pub(crate) fn page_locked(length: usize) -> Result<Tensor, TensorError> {
    let doing = "lock pages of memory";
    let length = i64::try_from(length).map_err(|_| TchError::Torch(format!("{length} values"))).doing(doing)?;
    let mut tensor = null_mut();
    // SAFETY: the pointer that is written to is valid for the call, and what is written there is a tensor of nobody else's.
    unsafe {
        check(ffi::panal_page_locked(length, &raw mut tensor), doing)?;
        Ok(Tensor::from_ptr(tensor.cast()))
    }
}

/// A device's number as libtorch has it.
fn device_number(number: usize, doing: &str) -> Result<i8, TensorError> {
    i8::try_from(number).map_err(|_| TchError::Torch(format!("no device {number}"))).doing(doing)
}

/// What a call came to; its message is freed.
#[allow(unsafe_code)]
pub(crate) fn check(message: *mut c_char, doing: &str) -> Result<(), TensorError> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a message is a C string from `malloc`, and this is its only use.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        ffi::free(message.cast());
        text
    };
    Err(TchError::Torch(text)).doing(doing)
}

/// The functions of `cuda.cpp`: null, or a message.
#[allow(unsafe_code)]
pub(crate) mod ffi {
    use super::{c_char, c_void};

    unsafe extern "C" {
        pub(crate) fn panal_graph_new(graph: *mut c_void) -> *mut c_char;
        pub(crate) fn panal_graph_begin(graph: *mut c_void) -> *mut c_char;
        pub(crate) fn panal_graph_end(graph: *mut c_void) -> *mut c_char;
        pub(crate) fn panal_graph_play(graph: *mut c_void) -> *mut c_char;
        pub(crate) fn panal_graph_delete(graph: *mut c_void) -> *mut c_char;
        pub(crate) fn panal_stream_current(device: i32, stream: *mut *mut c_void) -> *mut c_char;
        pub(crate) fn panal_stream_from_pool(device: i32, stream: *mut *mut c_void) -> *mut c_char;
        pub(crate) fn panal_stream_wait(stream: *mut c_void, device: i32) -> *mut c_char;
        pub(crate) fn panal_stream_enter(stream: *mut c_void, device: i32, guard: *mut *mut c_void) -> *mut c_char;
        pub(crate) fn panal_stream_leave(guard: *mut c_void) -> *mut c_char;
        pub(crate) fn panal_device_enter(device: i8, guard: *mut *mut c_void) -> *mut c_char;
        pub(crate) fn panal_device_bind(device: i8) -> *mut c_char;
        pub(crate) fn panal_device_leave(guard: *mut c_void) -> *mut c_char;
        pub(crate) fn panal_workspaces_clear() -> *mut c_char;
        pub(crate) fn panal_allocator_set(settings: *const c_char) -> *mut c_char;
        pub(crate) fn panal_memory(device: i8, bytes: *mut i64) -> *mut c_char;
        pub(crate) fn panal_page_locked(length: i64, tensor: *mut *mut c_void) -> *mut c_char;
        pub(crate) fn free(message: *mut c_void);
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr)] // a test that skips says so
mod tests {
    use super::*;
    use crate::DeviceChoice;

    #[test]
    fn memory_is_page_locked_where_there_is_cuda() {
        let Ok(device) = DeviceChoice::Cuda(0).resolve() else {
            assert!(page_locked(60).is_err());
            eprintln!("skipped: no CUDA device");
            return;
        };
        let tensor = page_locked(60).unwrap();
        assert!(tensor.f_is_pinned(device).unwrap());
        assert_eq!((tensor.size(), tensor.kind(), tensor.device()), (vec![60], tch::Kind::Float, Device::Cpu));
    }
}
