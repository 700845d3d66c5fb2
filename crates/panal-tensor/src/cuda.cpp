// libtorch's CUDA graphs and streams, looked up by name in the libtorch_cuda.so that the program has opened, so that neither that
// library nor CUDA's headers are needed to compile this, and its allocator. The names are those of libtorch 2.11: ATen/cuda/CUDAGraph.h,
// torch/csrc/stable/c/shim.h and torch/csrc/inductor/aoti_torch/c/shim.h. No exception leaves this file: each function returns
// null, or what went wrong, for the caller to free.

#ifdef __linux__
#include <ATen/ops/empty.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

namespace {

// c10::MempoolId_t; {0, 0} asks for a pool of the graph's own.
using Pool = std::pair<unsigned long long, unsigned long long>;

// cudaStreamCaptureModeThreadLocal: other threads may turn to the device meanwhile.
constexpr int kThreadLocal = 1;

char *message(const std::string &text) { return strdup(text.c_str()); }

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
void *find([[maybe_unused]] const char *name) {
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

// Does `work` with the allocator of CUDA devices.
template <typename Work>
char *with_allocator([[maybe_unused]] Work work) {
#ifdef __linux__
    return caught([&]() -> char * {
        work(*c10::getDeviceAllocator(c10::DeviceType::CUDA));
        return nullptr;
    });
#else
    return message("CUDA is opened on Linux alone");
#endif
}

}  // namespace

extern "C" {

// A graph in the memory at `graph`, of which libtorch's takes 104 bytes.
char *panal_graph_new(void *graph) { return call<void>("_ZN2at4cuda9CUDAGraphC1Eb", graph, false); }

// Gives the memory that the allocator keeps for later back first: while a graph is recorded it cannot.
char *panal_graph_begin(void *graph) {
    char *kept = with_allocator([](auto &allocator) { allocator.emptyCache(); });
    if (kept != nullptr) {
        return kept;
    }
    return call<void>("_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode", graph, Pool(0, 0), kThreadLocal);
}

char *panal_graph_end(void *graph) { return call<void>("_ZN2at4cuda9CUDAGraph11capture_endEv", graph); }

char *panal_graph_play(void *graph) { return call<void>("_ZN2at4cuda9CUDAGraph6replayEv", graph); }

char *panal_graph_delete(void *graph) { return call<void>("_ZN2at4cuda9CUDAGraphD1Ev", graph); }

char *panal_stream_current(std::int32_t device, void **stream) {
    return call<std::int32_t>("aoti_torch_get_current_cuda_stream", device, stream);
}

char *panal_stream_from_pool(std::int32_t device, void **stream) {
    return call<std::int32_t>("torch_get_cuda_stream_from_pool", false, device, stream);
}

char *panal_stream_wait(void *stream, std::int32_t device) {
    return call<std::int32_t>("torch_cuda_stream_synchronize", stream, device);
}

char *panal_stream_enter(void *stream, std::int32_t device, void **guard) {
    return call<std::int32_t>("aoti_torch_create_cuda_stream_guard", stream, device, guard);
}

char *panal_stream_leave(void *guard) { return call<std::int32_t>("aoti_torch_delete_cuda_stream_guard", guard); }

// Five numbers of bytes: in tensors now and at most, of the device now and at most, of all the allocator's pools together; and left on
// the device, by the CUDA runtime.
char *panal_memory(std::int8_t device, std::int64_t *bytes) {
    std::size_t free = 0, total = 0;
    if (char *why = call<int>("cudaMemGetInfo", &free, &total)) {
        return why;
    }
    return with_allocator([=](auto &allocator) {
        const auto stats = allocator.getDeviceStats(device);
        const std::int64_t numbers[] = {stats.allocated_bytes[0].current, stats.allocated_bytes[0].peak,
                                        stats.reserved_bytes[0].current, stats.reserved_bytes[0].peak,
                                        static_cast<std::int64_t>(free)};
        std::memcpy(bytes, numbers, sizeof numbers);
    });
}

// A tensor of so many f32, as torch-sys has them, in page-locked memory.
char *panal_page_locked([[maybe_unused]] std::int64_t length, [[maybe_unused]] void **tensor) {
#ifdef __linux__
    return caught([=]() -> char * {
        *tensor = new at::Tensor(at::empty({length}, at::TensorOptions().dtype(at::kFloat).pinned_memory(true)));
        return nullptr;
    });
#else
    return message("CUDA is opened on Linux alone");
#endif
}

}  // extern "C"
