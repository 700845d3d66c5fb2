//! Compiles `src/graph.cpp` against the headers of the libtorch that torch-sys links.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=src/graph.cpp");
    println!("cargo::rerun-if-env-changed=LIBTORCH_INCLUDE");
    // torch-sys says where the libraries are; the headers lie beside them, unless it was told otherwise.
    let root = std::env::var_os("LIBTORCH_INCLUDE").map(PathBuf::from);
    let root = root.or_else(|| Some(PathBuf::from(std::env::var_os("DEP_TCH_LIBTORCH_LIB")?).parent()?.to_owned()));
    let headers = root.map(|root| root.join("include"));
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .includes(headers)
        .file("src/graph.cpp")
        .compile("panal_graph");
}
