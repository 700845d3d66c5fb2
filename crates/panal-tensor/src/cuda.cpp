// libtorch's CUDA graphs, streams and allocator.

#include "cuda.hpp"

#ifdef __linux__
#include <ATen/ops/empty.h>
#include <c10/core/AllocatorConfig.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DeviceGuard.h>
#endif

#include <cstddef>
#include <cstdint>
#include <utility>

using panal::call;
using panal::caught;
using panal::message;

namespace {

// c10::MempoolId_t; {0, 0} asks for a pool of the graph's own.
using Pool = std::pair<unsigned long long, unsigned long long>;

// cudaStreamCaptureModeThreadLocal: other threads may turn to the device meanwhile.
constexpr int kThreadLocal = 1;

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

// Makes a device the current one of this thread, until it is left.
char *panal_device_enter([[maybe_unused]] std::int8_t device, [[maybe_unused]] void **guard) {
#ifdef __linux__
    return caught([=]() -> char * {
        *guard = new c10::OptionalDeviceGuard(c10::Device(c10::DeviceType::CUDA, device));
        return nullptr;
    });
#else
    return message("CUDA is opened on Linux alone");
#endif
}

char *panal_device_leave([[maybe_unused]] void *guard) {
#ifdef __linux__
    return caught([=]() -> char * {
        delete static_cast<c10::OptionalDeviceGuard *>(guard);
        return nullptr;
    });
#else
    return nullptr;
#endif
}

// Gives this thread the context of its current device, which libtorch leaves to the first use of the CUDA runtime.
char *panal_device_bind(std::int8_t device) { return call<int>("cudaSetDevice", static_cast<int>(device)); }

// Frees the memory that cuBLAS has for each stream it was used on.
char *panal_workspaces_clear() { return call<void>("_ZN2at4cuda21clearCublasWorkspacesEv"); }

// Settings of libtorch's allocator, as in PYTORCH_ALLOC_CONF.
char *panal_allocator_set([[maybe_unused]] const char *settings) {
#ifdef __linux__
    return caught([=]() -> char * {
        c10::CachingAllocator::setAllocatorSettings(settings);
        return nullptr;
    });
#else
    return message("CUDA is opened on Linux alone");
#endif
}

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
