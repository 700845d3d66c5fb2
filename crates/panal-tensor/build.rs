//! Compiles `src/graph.cpp`.

fn main() {
    println!("cargo::rerun-if-changed=src/graph.cpp");
    cc::Build::new().cpp(true).std("c++17").file("src/graph.cpp").compile("panal_graph");
}
