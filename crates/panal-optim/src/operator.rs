//! Operators of libtorch that tch does not bind, called by name through libtorch's stable C interface
//! (`torch/csrc/stable/c/shim.h`, there since libtorch 2.10). The only unsafe code of this crate.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;

use tch::{TchError, Tensor};

/// An argument of an operator.
enum Argument<'a> {
    /// `Tensor[]`.
    Tensors(&'a [&'a Tensor]),
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

/// Tensors that a fused step takes side by side: of one length, or left out; dense, and each with its neighbours of one layout, type and device.
pub(crate) type Tensors<'a> = &'a [&'a Tensor];

/// `_fused_sgd_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] momentum_buffer_list, *, float weight_decay, float momentum, float lr,
/// float dampening, bool nesterov, bool maximize, bool is_first_step, Tensor? grad_scale=None, Tensor? found_inf=None) -> ()`,
/// without dampening, and with buffers that are filled already.
pub(crate) fn fused_sgd(
    [parameters, gradients, buffers]: [Tensors<'_>; 3],
    weight_decay: f64,
    momentum: f64,
    lr: f64,
    nesterov: bool,
) -> Result<(), TchError> {
    use Argument::*;
    let arguments = [
        Tensors(parameters),
        Tensors(gradients),
        Tensors(buffers),
        Float(weight_decay),
        Float(momentum),
        Float(lr),
        Float(0.0),
        Bool(nesterov),
        Bool(false),
        Bool(false),
        Absent,
        Absent,
    ];
    // SAFETY: the arguments are those of the schema above, in number and type, and it returns nothing.
    #[allow(unsafe_code)]
    unsafe {
        call(c"aten::_fused_sgd_", &arguments)
    }
}

/// `_fused_adamw_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs, Tensor(e!)[] max_exp_avg_sqs,
/// Tensor[] state_steps, *, float lr, float beta1, float beta2, float weight_decay, float eps, bool amsgrad, bool maximize,
/// Tensor? grad_scale=None, Tensor? found_inf=None) -> ()`, without AMSGrad. `counts` are scalars, this step included.
pub(crate) fn fused_adamw(
    [parameters, gradients, first, second, counts]: [Tensors<'_>; 5],
    lr: f64,
    [beta1, beta2]: [f64; 2],
    weight_decay: f64,
    eps: f64,
) -> Result<(), TchError> {
    use Argument::*;
    let arguments = [
        Tensors(parameters),
        Tensors(gradients),
        Tensors(first),
        Tensors(second),
        Tensors(&[]),
        Tensors(counts),
        Float(lr),
        Float(beta1),
        Float(beta2),
        Float(weight_decay),
        Float(eps),
        Bool(false),
        Bool(false),
        Absent,
        Absent,
    ];
    // SAFETY: as in `fused_sgd`.
    #[allow(unsafe_code)]
    unsafe {
        call(c"aten::_fused_adamw_", &arguments)
    }
}

/// Calls the operator `name`, without an overload. libtorch writes what it finds wrong with values to standard error.
///
/// # Safety
/// The arguments must be those of the operator's schema, in number and type, and it must return nothing.
#[allow(unsafe_code)]
unsafe fn call(name: &CStr, arguments: &[Argument<'_>]) -> Result<(), TchError> {
    let mut stack = arguments.iter().map(Argument::value).collect::<Result<Vec<_>, _>>()?;
    // SAFETY: both names end with a 0, and the stack holds a value for every argument, each made as the interface asks
    // (`stableivalue_conversions.h`). The call takes the lists over; where it knows no such operator they leak.
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
