//! CUDA graphs: what a GPU was given to do, recorded once and played again with one call. What is recorded is the caller's business.
//!
//! tch binds none of it, and what libtorch has is C++ and throws: `graph.cpp` calls it and catches.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

use tch::TchError;

use crate::TensorError;
use crate::error::Doing;

/// A CUDA stream of this thread's own, on which everything runs that the thread gives the device while this lives. A graph can be recorded
/// on no other.
#[derive(Debug)]
pub struct SideStream {
    device: i32,
    before: *mut c_void,
}

impl SideStream {
    /// Goes on on a new stream, once the device is done with what it was given before.
    ///
    /// # Errors
    /// [`TensorError::Torch`] where there is no such CUDA device, or [`register_cuda`](crate::register_cuda) has not opened the backend.
    pub fn enter(device: usize) -> Result<Self, TensorError> {
        let doing = "enter a CUDA stream";
        let device = i32::try_from(device).map_err(|_| TchError::Torch(format!("no device {device}"))).doing(doing)?;
        let (mut before, mut stream) = (null_mut(), null_mut());
        // SAFETY: the pointers that are written to are valid for the calls, and the streams are libtorch's own, which live as long as it.
        #[allow(unsafe_code)]
        unsafe {
            check(ffi::panal_stream_current(device, &raw mut before), doing)?;
            check(ffi::panal_stream_new(device, &raw mut stream), doing)?;
            check(ffi::panal_stream_wait(before, device), doing)?;
            check(ffi::panal_stream_enter(stream, device), doing)?;
        }
        Ok(Self { device, before })
    }
}

impl Drop for SideStream {
    fn drop(&mut self) {
        let (mut stream, doing) = (null_mut(), "leave a CUDA stream");
        // SAFETY: as in `enter`. Where the device has failed there is nobody to tell; its next call says so.
        #[allow(unsafe_code)]
        let _ = unsafe {
            check(ffi::panal_stream_current(self.device, &raw mut stream), doing)
                .and_then(|()| check(ffi::panal_stream_wait(stream, self.device), doing))
                .and_then(|()| check(ffi::panal_stream_enter(self.before, self.device), doing))
        };
    }
}

/// Work of a CUDA device that was recorded, and its memory. It belongs to the thread that recorded it.
#[derive(Debug)]
pub struct DeviceGraph {
    /// From a box, that of libtorch's object, which knows its own address.
    object: *mut Object,
}

/// Room for libtorch's object: 104 bytes, aligned to 8.
type Object = [u64; 64];

impl DeviceGraph {
    /// Records what `work` gives the device, which does none of it yet: it is done when the graph is played. To be called on a
    /// [`SideStream`].
    ///
    /// What `work` reads must lie on the device and stay where it is. Tensors that it makes get memory of the graph's own: those that are kept
    /// are written anew each time it is played. It must not wait for the device, read from it or send it anything from the CPU.
    ///
    /// # Errors
    /// What `work` fails with; [`TensorError::Torch`] where it did what cannot be recorded, or there is no CUDA.
    #[allow(unsafe_code)]
    pub fn record<T, E: From<TensorError>>(work: impl FnOnce() -> Result<T, E>) -> Result<(Self, T), E> {
        let doing = "record a CUDA graph";
        let object = Box::into_raw(Box::new([0; 64]));
        // SAFETY: there is room for the object, in memory that does not move.
        if let Err(error) = check(unsafe { ffi::panal_graph_new(object.cast()) }, doing) {
            // SAFETY: the room came from a box, and no object is in it.
            drop(unsafe { Box::from_raw(object) });
            return Err(error.into());
        }
        let graph = Self { object };
        // SAFETY: the object was made above; beginning and end are on one thread.
        check(unsafe { ffi::panal_graph_begin(object.cast()) }, doing)?;
        let made = work();
        // SAFETY: as above.
        let ended = check(unsafe { ffi::panal_graph_end(object.cast()) }, doing);
        let made = made?;
        ended?;
        Ok((graph, made))
    }

    /// Gives the device all of it again, on the stream that is current; it is done when that stream comes to it.
    ///
    /// # Errors
    /// [`TensorError::Torch`] where the device has failed.
    pub fn play(&mut self) -> Result<(), TensorError> {
        // SAFETY: the object was made and recorded into.
        #[allow(unsafe_code)]
        check(unsafe { ffi::panal_graph_play(self.object.cast()) }, "play a CUDA graph")
    }
}

impl Drop for DeviceGraph {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the object was made, in room from a box, and is not used again. That its device has failed is told elsewhere.
        unsafe {
            let _ = check(ffi::panal_graph_delete(self.object.cast()), "drop a CUDA graph");
            drop(Box::from_raw(self.object));
        }
    }
}

/// What a call came to; its message is freed.
#[allow(unsafe_code)]
fn check(message: *mut c_char, doing: &str) -> Result<(), TensorError> {
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

/// The functions of `graph.cpp`: null, or a message.
#[allow(unsafe_code)]
mod ffi {
    use super::{c_char, c_void};

    unsafe extern "C" {
        pub(super) fn panal_graph_new(graph: *mut c_void) -> *mut c_char;
        pub(super) fn panal_graph_begin(graph: *mut c_void) -> *mut c_char;
        pub(super) fn panal_graph_end(graph: *mut c_void) -> *mut c_char;
        pub(super) fn panal_graph_play(graph: *mut c_void) -> *mut c_char;
        pub(super) fn panal_graph_delete(graph: *mut c_void) -> *mut c_char;
        pub(super) fn panal_stream_current(device: i32, stream: *mut *mut c_void) -> *mut c_char;
        pub(super) fn panal_stream_new(device: i32, stream: *mut *mut c_void) -> *mut c_char;
        pub(super) fn panal_stream_wait(stream: *mut c_void, device: i32) -> *mut c_char;
        pub(super) fn panal_stream_enter(stream: *mut c_void, device: i32) -> *mut c_char;
        pub(super) fn free(message: *mut c_void);
    }
}
