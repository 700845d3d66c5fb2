//! Compiles the C++ against the headers of the libtorch that torch-sys links.

use std::env::{self, var_os};
use std::path::PathBuf;

fn main() {
    const SOURCES: [&str; 3] = ["src/batch_norm.cpp", "src/batch_norm_host.cpp", "src/cuda.cpp"];
    SOURCES.iter().chain(&["src/cuda.hpp"]).for_each(|file| println!("cargo::rerun-if-changed={file}"));
    let told = ["LIBTORCH_USE_PYTORCH", "LIBTORCH_INCLUDE", "LIBTORCH"];
    told.iter().for_each(|name| println!("cargo::rerun-if-env-changed={name}"));
    // Where torch-sys looks: what it was told, else beside the libraries, of which it says where they are.
    let root = match told.map(var_os) {
        [None, Some(root), _] | [None, None, Some(root)] => Some(PathBuf::from(root)),
        _ => var_os("DEP_TCH_LIBTORCH_LIB").and_then(|lib| Some(PathBuf::from(lib).parent()?.to_owned())),
    };
    let mut build = cc::Build::new();
    // Nobody asks which operations made something that is no number; loops with a condition become vectors so.
    build.cpp(true).std("c++17").warnings(false).flag_if_supported("-fno-trapping-math");
    // Loops are made vectors at this level alone; a program that is built for debugging trains as fast.
    build.opt_level(3);
    // Tests compile the kernels of a GPU with it, and with what it is given.
    let compiler = build.get_compiler().to_command();
    let words = [compiler.get_program()].into_iter().chain(compiler.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    println!("cargo::rustc-env=PANAL_CXX={}", words.join("\u{1f}"));
    // Documentation alone is made without libtorch, and on Linux alone are its headers needed.
    if root.is_none() && env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        return;
    }
    let headers = root.map(|root| root.join("include"));
    build.includes(headers).files(SOURCES).compile("panal_cuda");
}
