// Batch norm in training and what follows it, as one operation of libtorch's autograd: its memory, and the launches of batch_norm.cu, or on the CPU of batch_norm_host.cpp.

#include "cuda.hpp"

#ifdef __linux__
#include <ATen/core/grad_mode.h>
#include <c10/core/DeviceGuard.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
#endif

#include <algorithm>
#include <cstdint>
#include <optional>

extern "C" {

// CUlaunchKernel's type: grid, block, shared memory, stream, parameters, none.
using Launch = int (*)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);

// What was compiled for a device, or stands for it on the CPU; `width` is the number of elements of a pack of 16 bytes.
struct PanalNormKernels {
    void *statistics, *normalise, *parameter_gradients, *input_gradients;
    Launch launch;
    std::int32_t processors, width;
};

// A layer: dense f32 of `channels`, the number of batches (a scalar i64), and as many counters (i32) as channels, all 0, which belong to this
// layer alone.
struct PanalNormLayer {
    void *weight, *bias, *running_mean, *running_var, *batches, *counters;
    float momentum, eps;
    // The bounds between which the activation holds its values.
    float low, high;
};

}  // extern "C"

#ifdef __linux__
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

// As in batch_norm.cu.
constexpr int kThreads = 256;
constexpr int kPacks = 8;

// How rows are divided among blocks: so many blocks for each of the device's processors at most, so many rows for each of a thread's at
// least. Measured on an H100: with more blocks of the sums the last block has more to add, and blocks in which a thread has little to do begin late.
struct Division {
    int blocks, rows;
};
constexpr Division kStatistics{2, 8};
constexpr Division kParameterGradients{1, 8};
constexpr Division kElements{2, 4};

struct Grid {
    unsigned across, down, packs, rows;
};

Grid grid(const at::Tensor &x, const PanalNormKernels &kernels, Division division) {
    const auto above = [](int dividend, int divisor) { return (dividend + divisor - 1) / divisor; };
    const int packs = static_cast<int>(x.size(1)) / kernels.width;
    int across = 1;
    while (across < packs && across < kPacks) {
        across *= 2;
    }
    const int columns = above(packs, across);
    const int down = kThreads / across;
    const int rows = static_cast<int>(x.numel() / x.size(1));
    const int blocks = std::min(above(rows, down * division.rows), kernels.processors * division.blocks / columns);
    return {static_cast<unsigned>(columns), static_cast<unsigned>(std::max(blocks, 1)), static_cast<unsigned>(across),
            static_cast<unsigned>(down)};
}

// The stream that is current; none on a CPU.
void *current_stream(const at::Tensor &x) {
    if (!x.is_cuda()) {
        return nullptr;
    }
    static const auto current = reinterpret_cast<int (*)(std::int32_t, void **)>(panal::find("aoti_torch_get_current_cuda_stream"));
    void *stream = nullptr;
    TORCH_CHECK(current != nullptr && current(x.device().index(), &stream) == 0, "there is no CUDA stream");
    return stream;
}

// Gives a kernel to the stream that is current.
template <typename... Arguments>
void launch(const PanalNormKernels &kernels, void *kernel, const at::Tensor &x, const Grid &grid, Arguments... arguments) {
    void *stream = current_stream(x);
    void *pointers[] = {&arguments...};
    const int error = kernels.launch(kernel, grid.across, grid.down, 1, grid.packs, grid.rows, 1, 0, stream, pointers, nullptr);
    TORCH_CHECK(error == 0, "a kernel of batch norm could not be launched: CUDA error ", error);
}

void *data(const at::Tensor &tensor) { return tensor.defined() ? tensor.data_ptr() : nullptr; }

const at::Tensor &tensor(void *pointer) { return *static_cast<at::Tensor *>(pointer); }

// Channels last, at an address that packs can be read from.
at::Tensor in_packs(const at::Tensor &tensor) {
    const at::Tensor dense = tensor.contiguous(kChannelsLast);
    return reinterpret_cast<std::uintptr_t>(dense.data_ptr()) % 16 == 0 ? dense : dense.clone();
}

// Refuses what the kernels would read or write past, or take for something else.
void check(const at::Tensor &x, const PanalNormLayer &layer) {
    const auto is = [&](void *pointer, const char *name, at::ScalarType type, std::int64_t length) {
        const at::Tensor &own = tensor(pointer);
        TORCH_CHECK(own.scalar_type() == type && own.numel() == length && own.is_contiguous() && own.device() == x.device(), name,
                    " of a batch norm over ", x.sizes(), " on ", x.device(), " is ", own.sizes(), " of ", own.scalar_type(), " on ",
                    own.device(), ": it is to be ", length, " of ", type, " in a row, on the same device");
    };
    const std::int64_t channels = x.size(1);
    is(layer.weight, "the weight", at::kFloat, channels);
    is(layer.bias, "the bias", at::kFloat, channels);
    is(layer.running_mean, "the running mean", at::kFloat, channels);
    is(layer.running_var, "the running variance", at::kFloat, channels);
    is(layer.batches, "the number of batches", at::kLong, 1);
    is(layer.counters, "the array of counters", at::kInt, channels);
}

struct Activation {
    float low, high;
};

at::Tensor floats(const at::Tensor &like, at::IntArrayRef shape) { return at::empty(shape, like.options().dtype(at::kFloat)); }

// Sums of blocks, on their way to the last one.
at::Tensor partial(const at::Tensor &x, const Grid &grid) { return floats(x, {grid.down, 2, x.size(1)}); }

struct BatchNorm : torch::autograd::Function<BatchNorm> {
    // With a shortcut the result comes twice, in the same memory, for two uses whose gradients are added where they are needed.
    static variable_list forward(AutogradContext *context, const at::Tensor &given, const at::Tensor &weight, const at::Tensor &bias,
                                 const std::optional<at::Tensor> &shortcut, const PanalNormLayer &layer, const PanalNormKernels *kernels) {
        check(given, layer);
        const at::Tensor x = in_packs(given), added = shortcut.has_value() ? in_packs(*shortcut) : at::Tensor();
        const at::Tensor y = at::empty_like(x), counters = tensor(layer.counters);
        const at::Tensor mean = floats(x, {x.size(1)}), inverse = floats(x, {x.size(1)});
        const int channels = static_cast<int>(x.size(1)), rows = static_cast<int>(x.numel() / channels), packs = channels / kernels->width;
        const Activation activation{layer.low, layer.high};

        const Grid sums = grid(x, *kernels, kStatistics);
        const at::Tensor sums_of_blocks = partial(x, sums);
        launch(*kernels, kernels->statistics, x, sums, data(x), rows, packs, data(sums_of_blocks), data(counters), data(mean), data(inverse),
               data(tensor(layer.running_mean)), data(tensor(layer.running_var)), data(tensor(layer.batches)), layer.momentum, layer.eps);
        launch(*kernels, kernels->normalise, x, grid(x, *kernels, kElements), data(x), data(added), data(y), rows, packs, data(mean),
               data(inverse), data(weight), data(bias), activation);

        context->set_materialize_grads(false);
        context->save_for_backward({x, added.defined() ? y : at::Tensor(), mean, inverse, weight, bias, counters});
        context->saved_data["kernels"] = reinterpret_cast<std::int64_t>(kernels);
        context->saved_data["low"] = static_cast<double>(layer.low);
        context->saved_data["high"] = static_cast<double>(layer.high);
        if (!added.defined()) {
            return {y};
        }
        const at::Tensor same = y.variable_data();
        // Whoever writes to either is found out in the backward pass.
        torch::autograd::impl::set_version_counter(same, torch::autograd::impl::version_counter(y));
        return {y, same};
    }

    // The gradients are let go as soon as they have been read: with a residual block's two, memory is needed most here.
    static variable_list backward(AutogradContext *context, variable_list &gradients) {
        TORCH_CHECK(!at::GradMode::is_enabled(), "batch norm as one operation has no second derivative");
        at::Tensor dy, also;
        for (at::Tensor &gradient : gradients) {
            if (gradient.defined()) {
                (dy.defined() ? also : dy) = in_packs(gradient);
                gradient.reset();
            }
        }
        if (!dy.defined()) {
            return variable_list(6);
        }
        const variable_list saved = context->get_saved_variables();
        c10::OptionalDeviceGuard guard;
        if (saved[0].is_cuda()) {
            guard.reset_device(saved[0].device());
        }
        const at::Tensor &x = saved[0], &y = saved[1], &mean = saved[2], &inverse = saved[3], &weight = saved[4], &bias = saved[5];
        const auto *kernels = reinterpret_cast<const PanalNormKernels *>(context->saved_data["kernels"].toInt());
        const auto bound = [&](const char *name) { return static_cast<float>(context->saved_data[name].toDouble()); };
        const Activation activation{bound("low"), bound("high")};
        const int channels = static_cast<int>(x.size(1)), rows = static_cast<int>(x.numel() / channels), packs = channels / kernels->width;
        const at::Tensor dz = y.defined() ? at::empty_like(x) : at::Tensor();
        const at::Tensor dweight = at::empty_like(weight), dbias = at::empty_like(bias);

        const Grid sums = grid(x, *kernels, kParameterGradients);
        const at::Tensor sums_of_blocks = partial(x, sums);
        launch(*kernels, kernels->parameter_gradients, x, sums, data(dy), data(also), data(x), data(y), data(dz), rows, packs,
               data(sums_of_blocks), data(saved[6]), data(mean), data(inverse), data(weight), data(bias), activation, data(dweight),
               data(dbias));
        if (dz.defined()) {
            dy.reset();
            also.reset();
        }
        at::Tensor dx;
        if (context->needs_input_grad(0)) {
            dx = at::empty_like(x);
            launch(*kernels, kernels->input_gradients, x, grid(x, *kernels, kElements), data(dz.defined() ? dz : dy), data(x), data(dx),
                   static_cast<int>(dz.defined()), rows, packs, data(mean), data(inverse), data(weight), data(bias), activation,
                   data(dweight), data(dbias));
        }
        return {dx, dweight, dbias, dz, at::Tensor(), at::Tensor()};
    }
};

}  // namespace
#endif

extern "C" {

// A layer over `x`, and `shortcut` unless that is null; tensors are torch-sys's. The result, or its two handles, are the caller's.
char *panal_batch_norm([[maybe_unused]] void *x, [[maybe_unused]] void *shortcut, [[maybe_unused]] const PanalNormLayer *layer,
                       [[maybe_unused]] const PanalNormKernels *kernels, [[maybe_unused]] void **results) {
#ifdef __linux__
    return panal::caught([=]() -> char * {
        const std::optional<at::Tensor> added = shortcut == nullptr ? std::nullopt : std::optional(tensor(shortcut));
        const variable_list made = BatchNorm::apply(tensor(x), tensor(layer->weight), tensor(layer->bias), added, *layer, kernels);
        for (std::size_t i = 0; i < made.size(); ++i) {
            results[i] = new at::Tensor(made[i]);
        }
        return nullptr;
    });
#else
    return panal::message("CUDA is opened on Linux alone");
#endif
}

}  // extern "C"
