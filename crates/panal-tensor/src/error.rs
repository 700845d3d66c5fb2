//! The errors of this crate, and the wrapper that keeps libtorch's own ones readable. No other logic.

use std::fmt::Display;
use std::path::PathBuf;

use tch::TchError;

/// What went wrong between Rust and libtorch. Every message names the thing, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// A libtorch call failed. Only the first line of its message is kept: the rest is a C++ backtrace.
    #[error("libtorch failed to {doing}: {message}")]
    Torch {
        /// What was being done, as a verb phrase.
        doing: String,
        /// libtorch's message, first line.
        message: String,
    },
    /// Text that names no device.
    #[error("`{0}` is no device: use auto, cpu, cuda, cuda:N or mps")]
    DeviceName(String),
    /// Text that names no precision.
    #[error("`{0}` is no precision: use f32 or bf16")]
    PrecisionName(String),
    /// A device that was asked for cannot be used.
    #[error("device {device} cannot be used: {found}\n  = {remedy}")]
    DeviceAbsent {
        /// The device as it was asked for.
        device: String,
        /// What was found in its place.
        found: String,
        /// What to do about it.
        remedy: String,
    },
    /// A device computes, and computes wrongly.
    #[error("device {device} multiplied a small matrix wrongly: its results cannot be trusted, use another device")]
    DeviceWrong {
        /// The device.
        device: String,
    },
    /// There is less memory on a CUDA device than a graph may take.
    #[error(
        "a CUDA graph may take {needed} bytes of the GPU beside as many for steps without it, and {free} are free for both"
    )]
    GraphRoom {
        /// What a step takes.
        needed: u64,
        /// What is left for it, and what libtorch keeps for later.
        free: u64,
    },
    /// A number of threads that libtorch cannot use.
    #[error("threads must be between 1 and {max}, got {got}", max = i32::MAX)]
    Threads {
        /// The number asked for.
        got: usize,
    },
    /// A buffer whose length does not agree with its shape.
    #[error("{what}: shape {shape:?} needs {expected} values, got {got}")]
    Length {
        /// Which buffer.
        what: String,
        /// The shape it was said to have.
        shape: Vec<i64>,
        /// Values that the shape needs.
        expected: String,
        /// Values that are there.
        got: usize,
    },
    /// Two tensors of one store, or of one file to write, with the same name.
    #[error("tensor `{0}` is there twice: names must be unique")]
    Duplicate(String),
    /// A name that the store does not hold.
    #[error("there is no tensor `{0}` in the store")]
    Unknown(String),
    /// An initialisation that cannot be drawn.
    #[error("initialisation of `{name}`: {reason}")]
    Init {
        /// The parameter.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A tensor in a file whose shape is not the network's.
    #[error(
        "tensor `{name}` in {origin}: expected shape {expected:?}, got {got:?}\n  = these weights are for another architecture or another number of classes"
    )]
    ShapeMismatch {
        /// The tensor.
        name: String,
        /// Where the values come from.
        origin: String,
        /// The store's shape.
        expected: Vec<i64>,
        /// The file's shape.
        got: Vec<i64>,
    },
    /// A NaN or an infinity among weights.
    #[error(
        "tensor `{name}` in {origin}: the value at index {index:?} is {value}{after}\n  = the file is damaged or its training diverged: use other weights"
    )]
    NotFinite {
        /// The tensor.
        name: String,
        /// Where the values come from.
        origin: String,
        /// Position of the first such value, row-major.
        index: Vec<i64>,
        /// The value.
        value: f64,
        /// Empty, or that it became so by conversion to the store's element type.
        after: &'static str,
    },
    /// A weight file cannot be read.
    #[error("cannot read weights {path}: {fault}")]
    ReadWeights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// A weight file cannot be written.
    #[error("cannot write weights {path}: {fault}")]
    WriteWeights {
        /// The file.
        path: PathBuf,
        /// Why not.
        fault: FileFault,
    },
}

/// What is wrong with a weight file; the file's name stands in the [`TensorError`] around it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// The operating system's answer.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The file ends too early.
    #[error("{part} needs {needed} bytes and {left} are left: the file is cut off, fetch it again")]
    Truncated {
        /// What was being read.
        part: String,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that are there.
        left: u64,
    },
    /// The file breaks its format's rules.
    #[error("{0}: the file is damaged, fetch it again")]
    Malformed(String),
    /// The file wants code to be run.
    #[error(
        "holds a call to {0}: refused, since no code of a weight file is ever run\n  = save the plain weights with `torch.save(model.state_dict(), path)`"
    )]
    Refused(String),
    /// The file is sound as far as can be seen, but of a kind that is not read or written here.
    #[error("{0}")]
    Unsupported(String),
    /// libtorch could not make the tensor.
    #[error("libtorch failed to {doing}: {message}")]
    Torch {
        /// What was being done.
        doing: String,
        /// libtorch's message, first line.
        message: String,
    },
}

impl FileFault {
    /// Adds the name of the file that was read.
    pub(crate) fn reading(self, path: impl Into<PathBuf>) -> TensorError {
        TensorError::ReadWeights { path: path.into(), fault: self }
    }

    /// Adds the name of the file that was to be written.
    pub(crate) fn writing(self, path: impl Into<PathBuf>) -> TensorError {
        TensorError::WriteWeights { path: path.into(), fault: self }
    }
}

/// Says what libtorch was doing when it failed.
pub trait Doing<T> {
    /// Wraps libtorch's error; `what` completes "libtorch failed to ...".
    ///
    /// # Errors
    /// [`TensorError::Torch`] where `self` is an error.
    fn doing(self, what: impl Display) -> Result<T, TensorError>;
}

impl<T> Doing<T> for Result<T, TchError> {
    fn doing(self, what: impl Display) -> Result<T, TensorError> {
        self.map_err(|error| TensorError::Torch { doing: what.to_string(), message: first_line(&error) })
    }
}

/// The same for the faults of a file.
pub(crate) trait FaultDoing<T> {
    fn fault(self, what: impl Display) -> Result<T, FileFault>;
}

impl<T> FaultDoing<T> for Result<T, TchError> {
    fn fault(self, what: impl Display) -> Result<T, FileFault> {
        self.map_err(|error| FileFault::Torch { doing: what.to_string(), message: first_line(&error) })
    }
}

fn first_line(error: &TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
