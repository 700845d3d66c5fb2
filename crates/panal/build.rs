//! Writes libtorch's folder into the programs built here as a run path, so that they start without any environment
//! variable, and find `libtorch_cuda.so` there if it is beside the rest; and the compiler's version, for run records.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    if let Ok(said) = std::process::Command::new(rustc).arg("--version").output() {
        println!("cargo:rustc-env=PANAL_RUSTC_VERSION={}", String::from_utf8_lossy(&said.stdout).trim());
    }
    // torch-sys has `links = "tch"`, and says where it found libtorch.
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // A run path of the newer kind comes after LD_LIBRARY_PATH, so that a user can still put another libtorch first.
        println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags");
    }
}
