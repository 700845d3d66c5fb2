//! The allocator of this program and of libtorch inside it: memory that was freed is kept for the next tensor.
//!
//! libtorch frees every activation and asks for it anew in the next step. The C library's allocator gives blocks of that
//! size back to the system, which clears each page again at its next touch: a third of a training step on the CPU.
//! mimalloc (its `override` feature takes the place of malloc for all libraries) keeps them. Huge pages stay off
//! (`no_thp`): finding them costs the system more than they save here.

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h: milliseconds until freed memory is given back.
const PURGE_DELAY: mi_option_t = 15;

/// Never gives freed memory back, unless MIMALLOC_PURGE_DELAY says otherwise. To be called before there are threads.
#[allow(unsafe_code)]
pub(crate) fn keep() {
    // SAFETY: the call writes one number into mimalloc's table of options, and no other thread is there to read it.
    unsafe { mi_option_set_default(PURGE_DELAY, -1) }
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use libmimalloc_sys::{mi_is_in_heap_region, mi_option_get};
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn freed_memory_is_kept() {
        // SAFETY: as in `keep`; the other tests here set and read no option.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            assert_eq!(delay(), 1000, "mimalloc's own default: the option has another number now");
            keep();
            assert_eq!(delay(), -1);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn tensors_live_in_this_allocators_memory() {
        let tensor = Tensor::ones([1 << 20], (Kind::Float, Device::Cpu));
        // SAFETY: mimalloc only looks the address up.
        assert!(unsafe { mi_is_in_heap_region(tensor.data_ptr()) });
    }
}
