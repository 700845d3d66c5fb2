//! CUDA graphs: what a GPU was given to do, recorded once and played again with one call. What is recorded is the caller's business.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

use tch::{Device, TchError};

use crate::TensorError;
use crate::cuda::{check, ffi};
use crate::error::Doing;

thread_local! {
    /// The streams that this thread has of libtorch's pool, and of which device each is: libtorch keeps memory for every stream it has used.
    static STREAMS: RefCell<Vec<(i32, *mut c_void)>> = const { RefCell::new(Vec::new()) };
}

/// How many graphs there are in the process, being recorded or to be played; one whose recording failed is counted for good.
static GRAPHS: Mutex<usize> = Mutex::new(0);

fn count_graphs(change: impl FnOnce(&mut usize)) {
    change(&mut GRAPHS.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Frees cuBLAS's memory of streams, 33 MB each on an H100, so that one that is left keeps none; unless there is a graph, which may play in it.
fn clear_workspaces() {
    count_graphs(|graphs| {
        if *graphs == 0 {
            // SAFETY: beside graphs, only a thread that is just giving the device a matrix product knows where that memory lies, and what this thread
            // gave it is done; others are asked not to. Where it cannot be freed it is kept.
            #[allow(unsafe_code)]
            let _ = check(unsafe { ffi::panal_workspaces_clear() }, "free cuBLAS's memory");
        }
    });
}

/// A stream of libtorch's pool, the same each time, on which everything runs that this thread gives a CUDA device while this lives; the device
/// is the current one then. A graph can be recorded on no other stream. Of two, the later is to be dropped first. While one is entered or dropped, no other
/// thread may give a CUDA device work.
#[derive(Debug)]
pub struct SideStream {
    device: i32,
    stream: *mut c_void,
    guard: *mut c_void,
}

impl SideStream {
    /// Goes on on another stream, once the device is done with what it was given before; `None` where it is no CUDA device.
    ///
    /// # Errors
    /// [`TensorError::Torch`] where there is no such CUDA device, or [`register_cuda`](crate::register_cuda) has not opened the backend.
    pub fn enter(device: Device) -> Result<Option<Self>, TensorError> {
        let doing = "enter a CUDA stream";
        let Device::Cuda(device) = device else { return Ok(None) };
        let device = i32::try_from(device).map_err(|_| TchError::Torch(format!("no device {device}"))).doing(doing)?;
        let known = STREAMS.with_borrow(|streams| streams.iter().find(|(of, _)| *of == device).copied());
        let [mut before, mut guard] = [null_mut(); 2];
        let mut stream = known.map_or(null_mut(), |(_, stream)| stream);
        // SAFETY: the pointers that are written to are valid for the calls, and the streams are libtorch's own, which live as long as it.
        #[allow(unsafe_code)]
        unsafe {
            check(ffi::panal_stream_current(device, &raw mut before), doing)?;
            if known.is_none() {
                check(ffi::panal_stream_from_pool(device, &raw mut stream), doing)?;
                STREAMS.with_borrow_mut(|streams| streams.push((device, stream)));
            }
            check(ffi::panal_stream_wait(before, device), doing)?;
            clear_workspaces();
            check(ffi::panal_stream_enter(stream, device, &raw mut guard), doing)?;
        }
        Ok(Some(Self { device, stream, guard }))
    }
}

impl Drop for SideStream {
    fn drop(&mut self) {
        let doing = "leave a CUDA stream";
        // SAFETY: stream and guard are those of `enter`, on the thread that they are of. Where the device has failed there is nobody to
        // tell; its next call says so.
        #[allow(unsafe_code)]
        unsafe {
            let _ = check(ffi::panal_stream_wait(self.stream, self.device), doing);
            clear_workspaces();
            let _ = check(ffi::panal_stream_leave(self.guard), doing);
        }
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
    /// Records what `work` gives the device, which does none of it yet: it is done when the graph is played. The stream is the one that
    /// was entered last.
    ///
    /// Tensors that `work` makes get memory of the graph's own: those that are kept are written anew each time it is played. It must not wait for
    /// the device, read from it or send it anything from the CPU.
    ///
    /// # Errors
    /// What `work` fails with; [`TensorError::Torch`] where it did what cannot be recorded, or there is no CUDA.
    ///
    /// # Safety
    /// Every tensor that `work` reads or writes and did not make must live, where it is, until the graph is played for the last time.
    #[allow(unsafe_code)]
    pub unsafe fn record<T, E: From<TensorError>>(
        _: &SideStream,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let recording = Recording::begin()?;
        let made = work();
        let graph = recording.end();
        let made = made?;
        Ok((graph?, made))
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
            count_graphs(|graphs| *graphs -= 1);
        }
    }
}

/// A recording under way. Where it does not end well its object stays for good: the allocator may go on asking it.
struct Recording(*mut Object);

impl Recording {
    const DOING: &str = "record a CUDA graph";

    #[allow(unsafe_code)]
    fn begin() -> Result<Self, TensorError> {
        let object = Box::into_raw(Box::new([0; 64]));
        // SAFETY: there is room for the object, in memory that does not move.
        unsafe {
            check(ffi::panal_graph_new(object.cast()), Self::DOING)?;
            count_graphs(|graphs| *graphs += 1);
            check(ffi::panal_graph_begin(object.cast()), Self::DOING)?;
        }
        Ok(Self(object))
    }

    fn end(self) -> Result<DeviceGraph, TensorError> {
        let object = self.0;
        std::mem::forget(self);
        // SAFETY: the object was made and its recording begun, on this thread.
        #[allow(unsafe_code)]
        check(unsafe { ffi::panal_graph_end(object.cast()) }, Self::DOING)?;
        Ok(DeviceGraph { object })
    }
}

impl Drop for Recording {
    /// Only where what was to be recorded panicked: nothing else on this stream can be done until a recording ends.
    fn drop(&mut self) {
        // SAFETY: as in `end`.
        #[allow(unsafe_code)]
        let _ = check(unsafe { ffi::panal_graph_end(self.0.cast()) }, Self::DOING);
    }
}
