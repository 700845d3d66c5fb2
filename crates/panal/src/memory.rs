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

/// `mi_option_arena_reserve` of mimalloc.h: how many KiB are asked of the system at a time, twice as many after every 8 times.
const ARENA_RESERVE: mi_option_t = 23;

/// KiB that are asked for at a time where nothing is known: in small stretches of memory what is kept fragments less.
const LEAST: u64 = 128 << 10;

/// KiB that are asked for at a time, at most.
const MOST: u64 = 4 << 20;

/// Never gives freed memory back, and asks for little at a time. MIMALLOC_PURGE_DELAY and MIMALLOC_ARENA_RESERVE say otherwise. To be called before there are threads.
#[allow(unsafe_code)]
pub(crate) fn keep() {
    // SAFETY: the calls write two numbers into mimalloc's table of options, and no other thread is there to read them.
    unsafe {
        mi_option_set_default(PURGE_DELAY, -1);
        mi_option_set_default(ARENA_RESERVE, LEAST as _);
    }
}

/// From now on asks for memory by the size of a batch: a tensor that fits no stretch of memory has one of its own, and leaves a hole for smaller
/// ones. MIMALLOC_ARENA_RESERVE says otherwise.
#[allow(unsafe_code)]
pub(crate) fn expect(images: usize, (height, width): (u32, u32)) {
    // SAFETY: the call writes one aligned word of mimalloc's table, plain C as its own setters are; a thread that asks for memory meanwhile
    // reads the one or the other value, and either is right.
    unsafe { mi_option_set_default(ARENA_RESERVE, stretch(images, height, width) as _) }
}

/// KiB of 64 channels of f32 at a quarter of the pixels, which are the first activations of a ResNet, to the next power of 2.
fn stretch(images: usize, height: u32, width: u32) -> u64 {
    let bytes = images as f64 * f64::from(height) * f64::from(width) * (4.0 * 64.0 / 4.0);
    ((bytes / 1024.0).ceil() as u64).clamp(LEAST, MOST).next_power_of_two()
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
        let options = || unsafe { (mi_option_get(PURGE_DELAY), mi_option_get(ARENA_RESERVE)) };
        if ["MIMALLOC_PURGE_DELAY", "MIMALLOC_ARENA_RESERVE"].iter().all(|name| std::env::var_os(name).is_none()) {
            assert_eq!(options(), (1000, 1 << 20), "mimalloc's own defaults: an option has another number now");
            keep();
            assert_eq!(options(), (-1, LEAST as _));
            expect(256, (224, 224));
            assert_eq!(options(), (-1, 1 << 20));
        }
    }

    #[test]
    fn stretches_grow_with_the_batch() {
        let mib = |images, side| stretch(images, side, side) >> 10;
        assert_eq!([1, 16, 64, 128, 256, 4096].map(|images| mib(images, 224)), [128, 128, 256, 512, 1024, 4096]);
        assert_eq!([mib(512, 32), mib(usize::MAX, u32::MAX)], [128, 4096]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn tensors_live_in_this_allocators_memory() {
        let tensor = Tensor::ones([1 << 20], (Kind::Float, Device::Cpu));
        // SAFETY: mimalloc only looks the address up.
        assert!(unsafe { mi_is_in_heap_region(tensor.data_ptr()) });
    }
}
