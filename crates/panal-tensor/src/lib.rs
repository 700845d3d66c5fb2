//! The bridge to libtorch: devices, memory format, named parameters, weight files.
