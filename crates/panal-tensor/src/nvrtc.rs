//! Kernels compiled on the GPU's machine, by the NVRTC and the driver that libtorch itself uses. What they compute is the caller's business.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use libloading::Library;

use crate::device::{libtorch_folder, mapped_library, why_not_opened};

/// Kernels of one compilation, loaded on the device that was current; they stay there for good.
#[derive(Debug)]
pub(crate) struct Module<const N: usize> {
    /// In the order of their names.
    pub(crate) kernels: [*mut c_void; N],
    /// `cuLaunchKernel`.
    pub(crate) launch: *const c_void,
    /// The device's multiprocessors.
    pub(crate) processors: i32,
}

/// Compiles a CUDA source with these macros defined, for the device that is current on this thread.
///
/// # Errors
/// The compiler's first error, or what of the libraries is missing or fails.
pub(crate) fn compile<const N: usize>(source: &CStr, macros: &[&str], names: [&CStr; N]) -> Result<Module<N>, String> {
    let cuda = Cuda::open()?;
    let [major, minor, processors] = cuda.attributes([75, 76, 16])?;
    let mut options =
        vec![format!("--gpu-architecture=sm_{major}{minor}"), "--std=c++17".into(), "--split-compile=0".into()];
    options.extend(macros.iter().map(|name| format!("-D{name}")));
    let image = cuda.compile(source, &options)?;
    let module = cuda.load(&image)?;
    let mut kernels = [null_mut(); N];
    for (kernel, name) in kernels.iter_mut().zip(names) {
        *kernel = cuda.kernel(module, name)?;
    }
    let launch = *cuda.symbol::<*const c_void>("cuLaunchKernel")?;
    // What was loaded is used for good.
    std::mem::forget(cuda);
    Ok(Module { kernels, launch, processors })
}

/// NVRTC and the driver, in one handle. Both give 0 or the number of an error.
struct Cuda(Library);

/// A program of NVRTC's, or a module or kernel of the driver's.
type Handle = *mut c_void;

#[allow(unsafe_code)] // each call is of the type that NVRTC's and the driver's documentation gives it, with pointers that are valid for it
impl Cuda {
    /// By way of the library that libtorch opens for this: it names both, and its run path leads to NVRTC.
    fn open() -> Result<Self, String> {
        // SAFETY: the libraries' initialisers are meant to run at any time in a process; libtorch does the same.
        let open = |path| unsafe { Library::new(path) }.map_err(|error| why_not_opened(&error));
        let folder = libtorch_folder().ok_or("where libtorch lies is not known")?;
        let library = open(folder.join("libcaffe2_nvrtc.so"))?;
        // NVRTC looks for this one along the library path alone, which need not lead to it.
        let nvrtc = mapped_library(|name| name.starts_with("libnvrtc"));
        let beside = nvrtc.as_ref().and_then(|path| path.parent()).map(std::fs::read_dir);
        for entry in beside.into_iter().flatten().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("libnvrtc-builtins.so") {
                std::mem::forget(open(entry.path())?);
            }
        }
        Ok(Self(library))
    }

    fn symbol<T>(&self, name: &str) -> Result<libloading::Symbol<'_, T>, String> {
        // SAFETY: the callers below give each name the type of its function.
        unsafe { self.0.get(name) }.map_err(|error| why_not_opened(&error))
    }

    /// Attributes of the device that is current.
    fn attributes<const N: usize>(&self, numbers: [c_int; N]) -> Result<[c_int; N], String> {
        let current = self.symbol::<unsafe extern "C" fn(*mut c_int) -> c_int>("cuCtxGetDevice")?;
        let ask = self.symbol::<unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int>("cuDeviceGetAttribute")?;
        let (mut device, mut values) = (0, [0; N]);
        check("cuCtxGetDevice", unsafe { current(&raw mut device) })?;
        for (value, number) in values.iter_mut().zip(numbers) {
            check("cuDeviceGetAttribute", unsafe { ask(value, number, device) })?;
        }
        Ok(values)
    }

    /// The machine code of a source.
    fn compile(&self, source: &CStr, options: &[String]) -> Result<Vec<u8>, String> {
        type Create = unsafe extern "C" fn(
            *mut Handle,
            *const c_char,
            *const c_char,
            c_int,
            *const *const c_char,
            *const *const c_char,
        ) -> c_int;
        let create = self.symbol::<Create>("nvrtcCreateProgram")?;
        let run =
            self.symbol::<unsafe extern "C" fn(Handle, c_int, *const *const c_char) -> c_int>("nvrtcCompileProgram")?;
        let destroy = self.symbol::<unsafe extern "C" fn(*mut Handle) -> c_int>("nvrtcDestroyProgram")?;
        let options: Vec<CString> =
            options.iter().map(|option| CString::new(option.as_str()).expect("options have no NUL")).collect();
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).expect("a few options");
        let mut program = null_mut();
        let name = c"panal.cu".as_ptr();
        check("nvrtcCreateProgram", unsafe { create(&raw mut program, source.as_ptr(), name, 0, null(), null()) })?;
        let image = match unsafe { run(program, count, pointers.as_ptr()) } {
            0 => self.text(program, ["nvrtcGetCUBINSize", "nvrtcGetCUBIN"]),
            code => {
                let log = self.text(program, ["nvrtcGetProgramLogSize", "nvrtcGetProgramLog"]).unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                let lines = || log.trim_matches(['\0', '\n']).lines();
                let why = lines().find(|line| line.contains("error")).or(lines().next()).unwrap_or_default();
                Err(format!("nvrtcCompileProgram gave error {code}: {why}"))
            }
        };
        let _ = unsafe { destroy(&raw mut program) };
        image
    }

    /// What a program has to give: its length, and then itself.
    fn text(&self, program: Handle, [length, itself]: [&str; 2]) -> Result<Vec<u8>, String> {
        let ask = self.symbol::<unsafe extern "C" fn(Handle, *mut usize) -> c_int>(length)?;
        let get = self.symbol::<unsafe extern "C" fn(Handle, *mut c_char) -> c_int>(itself)?;
        let mut bytes = 0;
        check(length, unsafe { ask(program, &raw mut bytes) })?;
        let mut text = vec![0; bytes];
        check(itself, unsafe { get(program, text.as_mut_ptr().cast()) })?;
        Ok(text)
    }

    fn load(&self, image: &[u8]) -> Result<Handle, String> {
        let load = self.symbol::<unsafe extern "C" fn(*mut Handle, *const c_void) -> c_int>("cuModuleLoadData")?;
        let mut module = null_mut();
        check("cuModuleLoadData", unsafe { load(&raw mut module, image.as_ptr().cast()) })?;
        Ok(module)
    }

    fn kernel(&self, module: Handle, name: &CStr) -> Result<Handle, String> {
        type Get = unsafe extern "C" fn(*mut Handle, Handle, *const c_char) -> c_int;
        let get = self.symbol::<Get>("cuModuleGetFunction")?;
        let mut kernel = null_mut();
        check("cuModuleGetFunction", unsafe { get(&raw mut kernel, module, name.as_ptr()) })?;
        Ok(kernel)
    }
}

fn check(what: &str, code: c_int) -> Result<(), String> {
    if code == 0 { Ok(()) } else { Err(format!("{what} gave error {code}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;
    use crate::cuda::CurrentDevice;

    #[test]
    fn what_is_missing_or_wrong_is_told_on_cuda_too() {
        let cuda = DeviceChoice::Cuda(0).resolve().is_ok();
        if cuda {
            CurrentDevice::bind(0).unwrap();
        }
        let error = compile(c"extern \"C\" __global__ void f() { g(); }", &[], [c"f"]).unwrap_err();
        // Without a device it depends on what of the libraries is there.
        assert!(!cuda || error.contains("identifier \"g\" is undefined"), "{error}");
        assert!(!error.is_empty() && !error.contains('\n'), "{error}");
    }
}
