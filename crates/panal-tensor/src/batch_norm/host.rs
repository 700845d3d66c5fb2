//! Stand-ins for the kernels of `batch_norm.cu`, for f32 without SiLU, by one thread of the CPU. What is tested with them is everything around them.

use std::ffi::{c_int, c_uint, c_void};

use super::Kernels;

pub(super) fn kernels() -> &'static Kernels {
    let kernels = [1, 2, 3, 4].map(|number: usize| number as *mut c_void);
    Box::leak(Box::new(Kernels { kernels, launch: launch as *const c_void, processors: 3, width: 4 }))
}

/// The arguments of a launch.
#[derive(Clone, Copy)]
struct Arguments(*const *const c_void);

#[allow(unsafe_code)]
impl Arguments {
    fn get<T: Copy>(self, number: usize) -> T {
        // SAFETY: the arguments are those of batch_norm.cpp, of the types of batch_norm.cu.
        unsafe { *(*self.0.add(number)).cast::<T>() }
    }

    /// Where packs can be read from; `None` where it is null.
    fn address(self, number: usize) -> Option<*mut f32> {
        let address: *mut f32 = self.get(number);
        assert!((address as usize).is_multiple_of(16), "argument {number}");
        (!address.is_null()).then_some(address)
    }

    /// A tensor that is read.
    fn of(self, number: usize, length: usize) -> Option<&'static [f32]> {
        // SAFETY: the tensors have as many elements, live through the launch, and are not written to in it.
        self.address(number).map(|address| unsafe { std::slice::from_raw_parts(address, length) })
    }

    /// A tensor that is written to, by nobody else.
    fn to(self, number: usize, length: usize) -> Option<&'static mut [f32]> {
        // SAFETY: the tensors have as many elements, live through the launch, and are in memory of their own.
        self.address(number).map(|address| unsafe { std::slice::from_raw_parts_mut(address, length) })
    }
}

#[allow(clippy::too_many_arguments)] // cuLaunchKernel's
extern "C" fn launch(
    kernel: *mut c_void,
    across: c_uint,
    down: c_uint,
    _: c_uint,
    packs: c_uint,
    rows: c_uint,
    _: c_uint,
    _: c_uint,
    stream: *mut c_void,
    arguments: *const *const c_void,
    _: *const c_void,
) -> c_int {
    assert!(stream.is_null() && across > 0 && down > 0 && packs * rows == 256 && packs <= 8);
    let arguments = Arguments(arguments);
    match kernel as usize {
        1 => statistics(arguments),
        2 => normalise(arguments),
        3 => parameter_gradients(arguments),
        4 => input_gradients(arguments),
        other => panic!("kernel {other}"),
    }
    0
}

/// Rows and channels, from the places of rows and packs.
fn sizes(arguments: Arguments, at: usize) -> (usize, usize) {
    let [rows, packs] = [at, at + 1].map(|at| arguments.get::<c_int>(at) as usize);
    (rows, 4 * packs)
}

fn statistics(arguments: Arguments) {
    let (rows, channels) = sizes(arguments, 1);
    let x = arguments.of(0, rows * channels).unwrap();
    let [mean, inverse, running_mean, running_var] = [5, 6, 7, 8].map(|number| arguments.to(number, channels).unwrap());
    let (momentum, eps): (f32, f32) = (arguments.get(10), arguments.get(11));
    for channel in 0..channels {
        let column = || x.iter().skip(channel).step_by(channels);
        let average = |values: &mut dyn Iterator<Item = f32>| (values.map(f64::from).sum::<f64>() / rows as f64) as f32;
        mean[channel] = average(&mut column().copied());
        let var = average(&mut column().map(|x| (x - mean[channel]).powi(2)));
        inverse[channel] = (var + eps).sqrt().recip();
        running_mean[channel] += momentum * (mean[channel] - running_mean[channel]);
        running_var[channel] += momentum * (var * rows as f32 / (rows as f32 - 1.0) - running_var[channel]);
    }
    let batches: *mut i64 = arguments.get(9);
    // SAFETY: a scalar, which lives through the launch.
    #[allow(unsafe_code)]
    unsafe {
        *batches += 1;
    }
}

fn normalise(arguments: Arguments) {
    let (rows, channels) = sizes(arguments, 3);
    let [x, shortcut] = [0, 1].map(|number| arguments.of(number, rows * channels));
    let [mean, inverse, weight, bias] = [5, 6, 7, 8].map(|number| arguments.of(number, channels).unwrap());
    let [low, high]: [f32; 2] = arguments.get(9);
    for (at, y) in arguments.to(2, rows * channels).unwrap().iter_mut().enumerate() {
        let channel = at % channels;
        let z = (x.unwrap()[at] - mean[channel]) * inverse[channel] * weight[channel] + bias[channel];
        *y = (z + shortcut.map_or(0.0, |shortcut| shortcut[at])).clamp(low, high);
    }
}

/// The gradient of what goes into an activation, from that of its result.
fn back(gradient: f32, z: f32, [low, high]: [f32; 2]) -> f32 {
    let shut = (z <= low && low > f32::NEG_INFINITY) || (z >= high && high < f32::INFINITY);
    if shut { 0.0 } else { gradient }
}

fn parameter_gradients(arguments: Arguments) {
    let (rows, channels) = sizes(arguments, 5);
    let [dy, also, x, y] = [0, 1, 2, 3].map(|number| arguments.of(number, rows * channels));
    let mut dz = arguments.to(4, rows * channels);
    let [mean, inverse, weight, bias] = [9, 10, 11, 12].map(|number| arguments.of(number, channels).unwrap());
    let [dweight, dbias] = [14, 15].map(|number| arguments.to(number, channels).unwrap());
    let bounds = arguments.get(13);
    let mut sums = vec![[0.0; 2]; channels];
    for at in 0..rows * channels {
        let channel = at % channels;
        let normed = (x.unwrap()[at] - mean[channel]) * inverse[channel];
        let z = y.map_or(normed * weight[channel] + bias[channel], |y| y[at]);
        let gradient = back(dy.unwrap()[at] + also.map_or(0.0, |also| also[at]), z, bounds);
        sums[channel][0] += f64::from(gradient);
        sums[channel][1] += f64::from(gradient * normed);
        if let Some(dz) = &mut dz {
            dz[at] = gradient;
        }
    }
    for (channel, [bias, weight]) in sums.into_iter().enumerate() {
        (dbias[channel], dweight[channel]) = (bias as f32, weight as f32);
    }
}

fn input_gradients(arguments: Arguments) {
    let (rows, channels) = sizes(arguments, 4);
    let [dy, x] = [0, 1].map(|number| arguments.of(number, rows * channels).unwrap());
    let dx = arguments.to(2, rows * channels).unwrap();
    let [mean, inverse, weight, bias, dweight, dbias] =
        [6, 7, 8, 9, 11, 12].map(|number| arguments.of(number, channels).unwrap());
    let (before, bounds) = (arguments.get::<c_int>(3) != 0, arguments.get(10));
    for at in 0..rows * channels {
        let channel = at % channels;
        let normed = (x[at] - mean[channel]) * inverse[channel];
        let gradient = if before { dy[at] } else { back(dy[at], normed * weight[channel] + bias[channel], bounds) };
        let mean_gradient = (dbias[channel] + normed * dweight[channel]) / rows as f32;
        dx[at] = weight[channel] * inverse[channel] * (gradient - mean_gradient);
    }
}
