//! Measures the peak memory and the time of `nt_xent_tiled`, forward and backward, and the peak memory of what is measured
//! beside it. The functions themselves live in the library.
//!
//! `cargo xtask cargo run --release --example tiled_memory -- 65536 128` (rows, numbers a row); Linux only.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program to be run by hand")]

use std::time::Instant;

use tch::Tensor;

/// A line of `/proc/self/status`, in MiB.
fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().unwrap());
    let (rows, width) = (arguments.next().unwrap_or(65_536), arguments.next().unwrap_or(128));
    // The fractions of multiples of the golden ratio: even, and the same on every run.
    let numbers: Vec<f32> = (0..rows * width).map(|i| ((i as f64 * 0.618_033_988_75).fract() - 0.5) as f32).collect();
    let z = Tensor::from_slice(&numbers).reshape([rows as i64, width as i64]).set_requires_grad(true);
    drop(numbers);
    // Loads what libtorch loads at the first product.
    panal_losses::nt_xent_tiled(&z.narrow(0, 0, 64), 0.1).unwrap().backward();

    let before = memory("VmRSS:");
    let start = Instant::now();
    let loss = panal_losses::nt_xent_tiled(&z, 0.1).unwrap();
    let forward = start.elapsed();
    loss.backward();
    let all = start.elapsed();
    let extra = memory("VmHWM:") - before;
    println!("{rows} x {width}, {} threads: loss {:.6}", tch::get_num_threads(), loss.double_value(&[]));
    println!("{before:.0} MiB before, {extra:.0} MiB more at the peak, gradient of z included");
    println!("{:.1} s forward, {:.1} s with backward", forward.as_secs_f64(), all.as_secs_f64());

    let (top1, top5) = panal_losses::contrastive_accuracy(&z).unwrap();
    let uniformity = panal_losses::uniformity(&z).unwrap();
    println!("accuracy {top1:.4}, {top5:.4}, uniformity {uniformity:.4}: {:.0} MiB more", memory("VmHWM:") - before);
}
