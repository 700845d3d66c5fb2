//! Operators of libtorch that tch does not bind, called by name through libtorch's stable C interface
//! (`torch/csrc/stable/c/shim.h`, there since libtorch 2.10). The only unsafe code of this crate.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

use tch::{TchError, Tensor};

/// An argument, in the order of the operator's schema.
pub(crate) enum Argument<'a> {
    /// `Tensor[]`.
    Tensors(Vec<&'a Tensor>),
    /// `float`.
    Float(f64),
    /// `bool`.
    Bool(bool),
    /// Of an optional type, left out.
    Absent,
}

/// The release whose interface and schemas are meant, as `TORCH_ABI_VERSION` writes it; a later libtorch adapts to it.
const VERSION: u64 = 2 << 56 | 11 << 48;

/// A tensor or a list, owned by whoever holds the pointer.
type Handle = *mut c_void;

#[allow(unsafe_code)]
unsafe extern "C" {
    fn aoti_torch_new_tensor_handle(original: *const c_void, new: *mut Handle) -> i32;
    fn torch_new_list_reserve_size(size: usize, list: *mut Handle) -> i32;
    fn torch_list_push_back(list: Handle, element: u64) -> i32;
    fn torch_call_dispatcher(name: *const c_char, overload: *const c_char, stack: *mut u64, version: u64) -> i32;
}

/// Calls the operator `name` (such as `aten::_fused_sgd_`, without an overload) that returns nothing. The arguments must be those of its schema,
/// in number and type; libtorch writes what it finds wrong with their values to standard error.
///
/// # Errors
/// Where libtorch refuses.
pub(crate) fn call(name: &CStr, arguments: &[Argument<'_>]) -> Result<(), TchError> {
    let mut stack = arguments.iter().map(Argument::value).collect::<Result<Vec<_>, _>>()?;
    // SAFETY: both names end with a 0, and the stack holds a value for every argument, each made as the interface asks
    // (`stableivalue_conversions.h`); the call takes the lists over. Nothing is returned, so that nothing is written back.
    #[allow(unsafe_code)]
    let status = unsafe { torch_call_dispatcher(name.as_ptr(), c"".as_ptr(), stack.as_mut_ptr(), VERSION) };
    check(status, name)
}

impl Argument<'_> {
    fn value(&self) -> Result<u64, TchError> {
        match self {
            Self::Tensors(tensors) => list(tensors),
            Self::Float(value) => Ok(value.to_bits()),
            Self::Bool(value) => Ok(u64::from(*value)),
            Self::Absent => Ok(0),
        }
    }
}

/// A new list of new references to the tensors.
#[allow(unsafe_code)]
fn list(tensors: &[&Tensor]) -> Result<u64, TchError> {
    let mut list = null_mut();
    // SAFETY: the pointer written to is valid for the call.
    check(unsafe { torch_new_list_reserve_size(tensors.len(), &raw mut list) }, c"a list")?;
    for tensor in tensors {
        let mut handle = null_mut();
        // SAFETY: tch's tensors are pointers to libtorch's `at::Tensor`, and so are the handles of this interface; the tensor
        // lives through the call, which makes a reference of its own.
        check(unsafe { aoti_torch_new_tensor_handle(tensor.as_ptr().cast(), &raw mut handle) }, c"a tensor's handle")?;
        // SAFETY: the list was made above and is not given away yet; it takes the handle over.
        check(unsafe { torch_list_push_back(list, handle as u64) }, c"a list's element")?;
    }
    Ok(list as u64)
}

fn check(status: i32, what: &CStr) -> Result<(), TchError> {
    match status {
        0 => Ok(()),
        _ => {
            Err(TchError::Torch(format!("libtorch refused {}; it says why on standard error", what.to_string_lossy())))
        }
    }
}
