// The kernels of batch_norm.cu on the CPU, by libtorch's own threads: the same steps over the same matrices, for f32 and activations that clamp.
//
// A matrix is divided into parts of whole rows, so many as its size asks for and never as there are threads, so that the sums and with them
// the results are the same however many compute. In the second kernel each thread goes through its parts from the end: what it read last in the
// first is still in the cache then. Where channels are few, several rows are taken as one long row.

#include <cstdint>

#ifdef __linux__
#include <ATen/TensorIterator.h>
#include <ATen/ops/empty.h>
#endif

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

// Compiled with AVX2 and without; which of both runs is chosen when the program starts. Vectors of 512 bits were slower where they were tried.
#define PANAL_VECTORS
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#undef PANAL_VECTORS
#define PANAL_VECTORS __attribute__((target_clones("avx2", "default")))
#endif
#endif

#ifdef __linux__
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// As in batch_norm.cpp.
struct Activation {
    float low, high;
};

// Holds values between two bounds: none, ReLU, ReLU6. `shut` and `full` are no numbers where there is no bound, so that nothing lies beyond.
struct Clamp {
    float low, high, shut, full;

    explicit Clamp(Activation activation)
        : low(activation.low),
          high(activation.high),
          shut(low > -kInfinity ? low : std::nanf("")),
          full(high < kInfinity ? high : std::nanf("")) {}

    float of(float z) const { return z < low ? low : z > high ? high : z; }

    // The gradient of `z`, from that of the result: nothing beyond a bound, even of one that is infinite.
    float back(float gradient, float z) const { return ((z <= shut) | (z >= full)) ? 0 : gradient; }
};

// Elements and rows of a part at least, parts at most, and floats of a long row at least.
constexpr std::int64_t kPart = 1 << 14;
constexpr std::int64_t kRows = 24;
constexpr std::int64_t kParts = 64;
constexpr std::int64_t kLong = 64;
// Rows of which sums are f32; they are added to sums of doubles.
constexpr std::int64_t kFloats = 256;

// A matrix of so many rows, and how it is gone through.
struct Matrix {
    std::int64_t rows, channels;
    // Rows that are taken as one.
    std::int64_t joined;
    std::int64_t parts;

    Matrix(std::int64_t rows, std::int64_t channels)
        : rows(rows),
          channels(channels),
          joined(std::max<std::int64_t>(1, kLong / channels)),
          parts(std::clamp<std::int64_t>(std::min(rows * channels / kPart, rows / kRows), 1, kParts)) {}

    // The first row of a part.
    std::int64_t first(std::int64_t part) const { return rows * part / parts; }

    // The values of each channel, once for every row that is taken as one.
    std::vector<float> spread(const float *values) const {
        std::vector<float> all(joined * channels);
        for (std::int64_t i = 0; i < joined; ++i) {
            std::copy_n(values, channels, all.data() + i * channels);
        }
        return all;
    }

    // Calls `work` with each part, on libtorch's threads, each of which goes through its own from the first or from the last.
    template <bool kFromEnd, typename Work>
    void each_part(Work work) const {
        at::Tensor places = at::empty({parts}, at::kByte);
        const char *begin = static_cast<const char *>(places.data_ptr());
        auto iterator = at::TensorIterator::nullary_op(places);
        iterator.for_each(
            [&](char **data, const std::int64_t *, std::int64_t size, std::int64_t lines) {
                const std::int64_t first = data[0] - begin, count = size * lines;
                for (std::int64_t i = 0; i < count; ++i) {
                    work(first + (kFromEnd ? count - 1 - i : i));
                }
            },
            1);
    }

    // Calls `work` with where each long row of a part begins and its length, both in elements.
    template <typename Work>
    void each_row(std::int64_t part, Work work) const {
        const std::int64_t end = first(part + 1) * channels, length = joined * channels;
        for (std::int64_t at = first(part) * channels; at < end; at += length) {
            work(at, std::min(length, end - at));
        }
    }
};

// Two sums of each channel over all rows: `add(at, length, one, other)` adds a long row's.
template <typename Add>
std::vector<double> sums(const Matrix &matrix, Add add) {
    const std::int64_t length = matrix.joined * matrix.channels, channels = matrix.channels;
    std::vector<double> of_parts(matrix.parts * 2 * channels);
    matrix.each_part<false>([&](std::int64_t part) {
        double *const whole = of_parts.data() + part * 2 * channels;
        std::vector<float> some(2 * length);
        std::int64_t taken = 0;
        const auto drain = [&] {
            for (std::int64_t row = 0; row < length; row += channels) {
                for (std::int64_t i = 0; i < channels; ++i) {
                    whole[i] += some[row + i];
                    whole[channels + i] += some[length + row + i];
                }
            }
            std::fill(some.begin(), some.end(), 0.0f);
            taken = 0;
        };
        matrix.each_row(part, [&](std::int64_t at, std::int64_t elements) {
            add(at, elements, some.data(), some.data() + length);
            if (++taken == kFloats) {
                drain();
            }
        });
        drain();
    });
    std::vector<double> all(2 * channels);
    for (std::int64_t part = 0; part < matrix.parts; ++part) {
        for (std::int64_t i = 0; i < 2 * channels; ++i) {
            all[i] += of_parts[part * 2 * channels + i];
        }
    }
    return all;
}

// What takes x to the activation, for each element of a long row.
struct Norm {
    std::vector<float> center, scale, offset;

    Norm(const Matrix &matrix, const float *mean, const float *inverse, const float *weight, const float *bias)
        : center(matrix.spread(mean)), scale(matrix.spread(inverse)), offset(matrix.spread(bias)) {
        const std::vector<float> weights = matrix.spread(weight);
        for (std::size_t i = 0; i < scale.size(); ++i) {
            scale[i] *= weights[i];
        }
    }
};

// Places in long rows, one element after another: what is read, and the constants of each.
using In = const float *__restrict;
using Out = float *__restrict;

PANAL_VECTORS void add_distances(std::int64_t length, In x, In from, Out sum, Out squares) {
    for (std::int64_t i = 0; i < length; ++i) {
        const float distance = x[i] - from[i];
        sum[i] += distance;
        squares[i] += distance * distance;
    }
}

PANAL_VECTORS void write_normal(std::int64_t length, In x, In center, In scale, In offset, Clamp clamp, Out y) {
    for (std::int64_t i = 0; i < length; ++i) {
        y[i] = clamp.of((x[i] - center[i]) * scale[i] + offset[i]);
    }
}

PANAL_VECTORS void write_joined(std::int64_t length, In x, In shortcut, In center, In scale, In offset, Clamp clamp, Out y) {
    for (std::int64_t i = 0; i < length; ++i) {
        y[i] = clamp.of((x[i] - center[i]) * scale[i] + offset[i] + shortcut[i]);
    }
}

PANAL_VECTORS void add_gradients(std::int64_t length, In dy, In x, In center, In scale, In offset, Clamp clamp, Out sum, Out products) {
    for (std::int64_t i = 0; i < length; ++i) {
        const float value = x[i] - center[i];
        const float gradient = clamp.back(dy[i], value * scale[i] + offset[i]);
        sum[i] += gradient;
        products[i] += gradient * value;
    }
}

PANAL_VECTORS void add_joined_gradients(std::int64_t length, In dy, In x, In y, In center, Clamp clamp, Out dz, Out sum, Out products) {
    for (std::int64_t i = 0; i < length; ++i) {
        const float gradient = clamp.back(dy[i], y[i]);
        dz[i] = gradient;
        sum[i] += gradient;
        products[i] += gradient * (x[i] - center[i]);
    }
}

PANAL_VECTORS void add_joined_gradients(std::int64_t length, In dy, In also, In x, In y, In center, Clamp clamp, Out dz, Out sum, Out products) {
    for (std::int64_t i = 0; i < length; ++i) {
        const float gradient = clamp.back(dy[i] + also[i], y[i]);
        dz[i] = gradient;
        sum[i] += gradient;
        products[i] += gradient * (x[i] - center[i]);
    }
}

PANAL_VECTORS void write_inputs(std::int64_t length, In dy, In x, In center, In scale, In offset, In constant, In linear, Clamp clamp, Out dx) {
    for (std::int64_t i = 0; i < length; ++i) {
        const float value = x[i] - center[i];
        const float gradient = clamp.back(dy[i], value * scale[i] + offset[i]);
        dx[i] = scale[i] * gradient - constant[i] - linear[i] * value;
    }
}

// The arguments of a launch, by number and type.
struct Arguments {
    void **all;

    template <typename Type>
    Type get(int number) const {
        return *static_cast<Type *>(all[number]);
    }

    float *floats(int number) const { return get<float *>(number); }

    Matrix matrix(int rows) const { return {get<int>(rows), 4 * static_cast<std::int64_t>(get<int>(rows + 1))}; }
};

void statistics(Arguments arguments) {
    const float *x = arguments.floats(0);
    const Matrix matrix = arguments.matrix(1);
    float *mean = arguments.floats(5), *inverse = arguments.floats(6), *running_mean = arguments.floats(7), *running_var = arguments.floats(8);
    const float momentum = arguments.get<float>(10), eps = arguments.get<float>(11);
    // Of distances to the first row, so that a mean far from 0 takes nothing from the variance.
    const std::vector<float> from = matrix.spread(x);
    const std::vector<double> both = sums(matrix, [&](std::int64_t at, std::int64_t length, float *sum, float *squares) {
        add_distances(length, x + at, from.data(), sum, squares);
    });
    const double rows = static_cast<double>(matrix.rows);
    for (std::int64_t i = 0; i < matrix.channels; ++i) {
        const double shift = both[i] / rows, difference = both[matrix.channels + i] / rows - shift * shift;
        const float variance = static_cast<float>(difference < 0 ? 0 : difference);
        mean[i] = static_cast<float>(x[i] + shift);
        inverse[i] = 1 / std::sqrt(variance + eps);
        running_mean[i] += momentum * (mean[i] - running_mean[i]);
        running_var[i] += momentum * (static_cast<float>(variance * (rows / (rows - 1))) - running_var[i]);
    }
    *arguments.get<std::int64_t *>(9) += 1;
}

void normalise(Arguments arguments) {
    const float *x = arguments.floats(0), *shortcut = arguments.floats(1);
    float *y = arguments.floats(2);
    const Matrix matrix = arguments.matrix(3);
    const Norm norm(matrix, arguments.floats(5), arguments.floats(6), arguments.floats(7), arguments.floats(8));
    const float *center = norm.center.data(), *scale = norm.scale.data(), *offset = norm.offset.data();
    const Clamp clamp(arguments.get<Activation>(9));
    matrix.each_part<true>([&](std::int64_t part) {
        matrix.each_row(part, [&](std::int64_t at, std::int64_t length) {
            if (shortcut == nullptr) {
                write_normal(length, x + at, center, scale, offset, clamp, y + at);
            } else {
                write_joined(length, x + at, shortcut + at, center, scale, offset, clamp, y + at);
            }
        });
    });
}

void parameter_gradients(Arguments arguments) {
    const float *dy = arguments.floats(0), *also = arguments.floats(1), *x = arguments.floats(2), *y = arguments.floats(3);
    float *dz = arguments.floats(4);
    const Matrix matrix = arguments.matrix(5);
    const float *inverse = arguments.floats(10);
    const Norm norm(matrix, arguments.floats(9), inverse, arguments.floats(11), arguments.floats(12));
    const float *center = norm.center.data(), *scale = norm.scale.data(), *offset = norm.offset.data();
    const Clamp clamp(arguments.get<Activation>(13));
    float *dweight = arguments.floats(14), *dbias = arguments.floats(15);
    const std::vector<double> both = sums(matrix, [&](std::int64_t at, std::int64_t length, float *sum, float *products) {
        if (y == nullptr) {
            add_gradients(length, dy + at, x + at, center, scale, offset, clamp, sum, products);
        } else if (also == nullptr) {
            add_joined_gradients(length, dy + at, x + at, y + at, center, clamp, dz + at, sum, products);
        } else {
            add_joined_gradients(length, dy + at, also + at, x + at, y + at, center, clamp, dz + at, sum, products);
        }
    });
    for (std::int64_t i = 0; i < matrix.channels; ++i) {
        dbias[i] = static_cast<float>(both[i]);
        dweight[i] = static_cast<float>(both[matrix.channels + i] * inverse[i]);
    }
}

void input_gradients(Arguments arguments) {
    const float *dy = arguments.floats(0), *x = arguments.floats(1);
    float *dx = arguments.floats(2);
    const bool before = arguments.get<int>(3) != 0;
    const Matrix matrix = arguments.matrix(4);
    const Norm norm(matrix, arguments.floats(6), arguments.floats(7), arguments.floats(8), arguments.floats(9));
    const float *center = norm.center.data(), *scale = norm.scale.data(), *offset = norm.offset.data();
    const Clamp clamp(before ? Activation{-kInfinity, kInfinity} : arguments.get<Activation>(10));
    const std::vector<float> inverse = matrix.spread(arguments.floats(7));
    std::vector<float> constant = matrix.spread(arguments.floats(12)), linear = matrix.spread(arguments.floats(11));
    const float rows = static_cast<float>(matrix.rows);
    for (std::size_t i = 0; i < constant.size(); ++i) {
        constant[i] *= scale[i] / rows;
        linear[i] *= scale[i] * inverse[i] / rows;
    }
    matrix.each_part<true>([&](std::int64_t part) {
        matrix.each_row(part, [&](std::int64_t at, std::int64_t length) {
            write_inputs(length, dy + at, x + at, center, scale, offset, constant.data(), linear.data(), clamp, dx + at);
        });
    });
}

}  // namespace
#endif

extern "C" {

// In the place of CUlaunchKernel: `kernel` is one of these functions. Only the arguments count.
int panal_launch_on_host([[maybe_unused]] void *kernel, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                         [[maybe_unused]] void **arguments, void **) {
#ifdef __linux__
    reinterpret_cast<void (*)(Arguments)>(kernel)(Arguments{arguments});
#endif
    return 0;
}

// The kernels, in the order of PanalNormKernels of batch_norm.cpp; untouched where there are none.
void panal_host_kernels([[maybe_unused]] void **kernels) {
#ifdef __linux__
    void (*const all[])(Arguments) = {statistics, normalise, parameter_gradients, input_gradients};
    for (int i = 0; i < 4; ++i) {
        kernels[i] = reinterpret_cast<void *>(all[i]);
    }
#endif
}

}  // extern "C"
