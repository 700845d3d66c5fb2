//! What tch does not bind of libtorch's CUDA. It is C++ and throws: `cuda.cpp` calls it and catches.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

use tch::{Device, TchError, Tensor};

use crate::TensorError;
use crate::error::Doing;

/// The most memory that libtorch ever had of a CUDA device in this process, in bytes, what it kept for later among it; `None` for another device.
///
/// # Errors
/// [`TensorError::Torch`] where [`register_cuda`](crate::register_cuda) has not opened the backend, or the device was not used yet.
pub fn peak_device_memory(device: Device) -> Result<Option<u64>, TensorError> {
    let doing = "ask for the memory of a CUDA device";
    let Device::Cuda(number) = device else { return Ok(None) };
    let number = i8::try_from(number).map_err(|_| TchError::Torch(format!("no device {number}"))).doing(doing)?;
    let mut bytes = 0;
    // SAFETY: the number that is written to is valid for the call.
    #[allow(unsafe_code)]
    check(unsafe { ffi::panal_memory_peak(number, &raw mut bytes) }, doing)?;
    Ok(u64::try_from(bytes).ok())
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
        pub(crate) fn panal_memory_peak(device: i8, bytes: *mut i64) -> *mut c_char;
        pub(crate) fn panal_page_locked(length: i64, tensor: *mut *mut c_void) -> *mut c_char;
        pub(crate) fn free(message: *mut c_void);
    }
}
