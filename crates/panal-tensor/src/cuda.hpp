// libtorch's CUDA, looked up by name in the libtorch_cuda.so that the program has opened, so that neither that library nor CUDA's headers
// are needed to compile. The names are those of libtorch 2.11: ATen/cuda/CUDAGraph.h, torch/csrc/stable/c/shim.h and
// torch/csrc/inductor/aoti_torch/c/shim.h. No exception leaves C++: each function that Rust calls returns null, or what went wrong, for the
// caller to free.

#pragma once

#ifdef __linux__
#include <dlfcn.h>
#endif

#include <cstring>
#include <exception>
#include <string>
#include <type_traits>

namespace panal {

inline char *message(const std::string &text) { return strdup(text.c_str()); }

// Does `work`; what it throws becomes a message.
template <typename Work>
char *caught(Work work) {
    try {
        return work();
    } catch (const std::exception &thrown) {
        return strdup(thrown.what());
    } catch (...) {
        return strdup("an exception without a message");
    }
}

// libtorch_cuda.so is opened on Linux alone.
inline void *find([[maybe_unused]] const char *name) {
#ifdef __linux__
    return dlsym(RTLD_DEFAULT, name);
#else
    return nullptr;
#endif
}

// Calls a function that returns Result; a member function takes its object first. A number that it returns is an error unless 0.
template <typename Result, typename... Parameters>
char *call(const char *name, Parameters... arguments) {
    return caught([&]() -> char * {
        const auto function = reinterpret_cast<Result (*)(Parameters...)>(find(name));
        if (function == nullptr) {
            return message(std::string("no libtorch_cuda.so is loaded that has ") + name);
        }
        if constexpr (std::is_void_v<Result>) {
            function(arguments...);
        } else if (function(arguments...) != 0) {
            return message(std::string(name) + " failed; libtorch says why on standard error");
        }
        return nullptr;
    });
}

}  // namespace panal
