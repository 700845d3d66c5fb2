// Batch norm in training and what follows it, in two kernels forward and two backward, compiled on the GPU's machine when first needed.
//
// Images lie channels last: `x` is a matrix of `rows` (batch, height, width) by channels, of which a thread takes one pack of 16 bytes in
// each of its rows. A block is threads (packs, rows), a power of two of each and kThreads in all; blockIdx.x says which packs, and blocks
// of other blockIdx.y share the rows. The second kernel goes through the rows from the end: what the first one read last is still in the
// cache then. Sums and parameters are f32.
//
// Compiled with BF16 defined for elements of bfloat16, else for f32; with SILU for that activation, else for those that clamp.

typedef long long int64;

#define INFINITY __int_as_float(0x7f800000)

// The first two are those of batch_norm.cpp.
constexpr int kThreads = 256;
// Packs of a block at most: with more the last block has more to sum, alone.
constexpr int kPacks = 8;
// Rows that a thread loads before it computes the first of them.
constexpr int kFlight = 4;
constexpr int kWarp = 32;

struct alignas(16) Pack {
    unsigned int words[4];
};

#ifdef BF16
constexpr int kWidth = 8;

__device__ void unpack(const Pack &pack, float (&values)[kWidth]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        values[2 * i] = __uint_as_float(pack.words[i] << 16);
        values[2 * i + 1] = __uint_as_float(pack.words[i] & 0xffff0000u);
    }
}

// Two elements in a word, each rounded to the nearest; 0x7fff is no number. From Ampere on there is an instruction for it.
__device__ unsigned int word(float low, float high) {
#if __CUDA_ARCH__ >= 800
    unsigned int both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
#else
    const auto rounded = [](float value) {
        const unsigned int bits = __float_as_uint(value);
        return value != value ? 0x7fffu : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    };
    return rounded(low) | rounded(high) << 16;
#endif
}

__device__ Pack packed(const float (&values)[kWidth]) {
    Pack pack;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        pack.words[i] = word(values[2 * i], values[2 * i + 1]);
    }
    return pack;
}
#else
constexpr int kWidth = 4;

__device__ void unpack(const Pack &pack, float (&values)[kWidth]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        values[i] = __uint_as_float(pack.words[i]);
    }
}

__device__ Pack packed(const float (&values)[kWidth]) {
    Pack pack;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        pack.words[i] = __float_as_uint(values[i]);
    }
    return pack;
}
#endif

// What follows the normalisation: values are held between two bounds (none, ReLU, ReLU6), or it is SiLU. Not a number stays so.
struct Activation {
    float low, high;

    __device__ float of(float z) const {
#ifdef SILU
        return z / (1 + __expf(-z));
#else
        return z < low ? low : z > high ? high : z;
#endif
    }

    __device__ float slope(float z) const {
#ifdef SILU
        const float sigmoid = 1 / (1 + __expf(-z));
        return sigmoid * (1 + z * (1 - sigmoid));
#else
        return (z <= low && low > -INFINITY) || (z >= high && high < INFINITY) ? 0 : 1;
#endif
    }

    // The gradient of `z`, from that of the result: nothing beyond a bound, even of one that is infinite.
    __device__ float back(float gradient, float z) const {
#ifdef SILU
        return gradient * slope(z);
#else
        return slope(z) == 0 ? 0 : gradient;
#endif
    }
};

// The place of a thread: its pack of channels, and its first row and the step from one to the next.
struct Place {
    int rows, packs;
    int pack, channel, row, step;
    bool active;

    __device__ Place(int rows, int packs)
        : rows(rows),
          packs(packs),
          pack(blockIdx.x * blockDim.x + threadIdx.x),
          channel(pack * kWidth),
          row(blockIdx.y * blockDim.y + threadIdx.y),
          step(gridDim.y * blockDim.y),
          active(pack < packs) {}
};

// Calls `use` for each row of a thread with where its pack lies, and with the pack of each matrix; one that is null is left out.
template <bool kFromEnd, int kMatrices, typename Use>
__device__ void each_row(const Place &place, const Pack *const (&matrices)[kMatrices], Use use) {
#pragma unroll 1
    for (int first = place.row; first < place.rows; first += kFlight * place.step) {
        Pack flight[kFlight][kMatrices];
        int64 at[kFlight];
#pragma unroll
        for (int i = 0; i < kFlight; ++i) {
            const int row = first + i * place.step;
            at[i] = row < place.rows ? (int64)(kFromEnd ? place.rows - 1 - row : row) * place.packs + place.pack : -1;
#pragma unroll
            for (int matrix = 0; matrix < kMatrices; ++matrix) {
                if (at[i] >= 0 && matrices[matrix] != nullptr) {
                    flight[i][matrix] = matrices[matrix][at[i]];
                }
            }
        }
#pragma unroll
        for (int i = 0; i < kFlight; ++i) {
            if (at[i] >= 0) {
                use(at[i], flight[i]);
            }
        }
    }
}

__device__ void load(const float *from, int channel, float (&values)[kWidth]) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
        values[i] = from[channel + i];
    }
}

// Two sums of each of a thread's channels.
constexpr int kSums = 2 * kWidth;

// Sums over the rows of threads of a block; thread row 0 has them.
__device__ void sum_block(float (&sums)[kSums]) {
    __shared__ float shared[kThreads / kWarp][kPacks * kSums];
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (int other = blockDim.x; other < kWarp; other *= 2) {
#pragma unroll
        for (int i = 0; i < kSums; ++i) {
            sums[i] += __shfl_xor_sync(0xffffffffu, sums[i], other);
        }
    }
    __syncthreads();
    if (thread % kWarp < blockDim.x) {
#pragma unroll
        for (int i = 0; i < kSums; ++i) {
            shared[thread / kWarp][threadIdx.x * kSums + i] = sums[i];
        }
    }
    __syncthreads();
    for (int i = thread; i < blockDim.x * kSums; i += kThreads) {
        float sum = 0;
        for (int warp = 0; warp < kThreads / kWarp; ++warp) {
            sum += shared[warp][i];
        }
        shared[0][i] = sum;
    }
    __syncthreads();
    if (threadIdx.y == 0) {
#pragma unroll
        for (int i = 0; i < kSums; ++i) {
            sums[i] = shared[0][threadIdx.x * kSums + i];
        }
    }
}

// Sums over all blocks that share these channels, by way of `partial: [gridDim.y, packs, kSums]`. True for the threads that have them: thread
// row 0 of the block that comes last. `done` counts those that came, and is 0 before and after.
__device__ bool sum_grid(float (&sums)[kSums], const Place &place, float *partial, unsigned int *done) {
    sum_block(sums);
    const bool first = threadIdx.y == 0 && place.active;
    if (gridDim.y == 1) {
        return first;
    }
    const auto of_block = [&](int block) { return &partial[((int64)block * place.packs + place.pack) * kSums]; };
    if (first) {
#pragma unroll
        for (int i = 0; i < kSums; ++i) {
            of_block(blockIdx.y)[i] = sums[i];
        }
        __threadfence();
    }
    __shared__ bool last;
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        last = atomicInc(&done[blockIdx.x], gridDim.y - 1) == gridDim.y - 1;
        __threadfence();
    }
    __syncthreads();
    if (!last) {
        return false;
    }
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
        sums[i] = 0;
    }
    if (place.active) {
        for (int block = threadIdx.y; block < gridDim.y; block += blockDim.y) {
#pragma unroll
            for (int i = 0; i < kSums; ++i) {
                sums[i] += __ldcg(&of_block(block)[i]);
            }
        }
    }
    sum_block(sums);
    return first;
}

// Mean and 1 / sqrt(variance + eps) of each channel; the running statistics and the number of batches follow. Sums are of the distances to
// the first row: a mean far from 0 takes nothing from the variance, unless that row lies hundreds of standard deviations off.
extern "C" __global__ void __launch_bounds__(kThreads)
    statistics(const Pack *x, int rows, int packs, float *partial, unsigned int *done, float *mean, float *inverse,
               float *running_mean, float *running_var, int64 *batches, float momentum, float eps) {
    const Place place(rows, packs);
    float first[kWidth], sums[kSums] = {};
    if (place.active) {
        unpack(x[place.pack], first);
        each_row<false>(place, {x}, [&](int64, const Pack(&pack)[1]) {
            float values[kWidth];
            unpack(pack[0], values);
#pragma unroll
            for (int i = 0; i < kWidth; ++i) {
                const float distance = values[i] - first[i];
                sums[i] += distance;
                sums[kWidth + i] += distance * distance;
            }
        });
    }
    if (!sum_grid(sums, place, partial, done)) {
        return;
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
        const int channel = place.channel + i;
        const float shift = sums[i] / rows;
        const float difference = sums[kWidth + i] / rows - shift * shift;
        const float variance = difference < 0 ? 0 : difference;
        mean[channel] = first[i] + shift;
        inverse[channel] = rsqrtf(variance + eps);
        running_mean[channel] += momentum * (first[i] + shift - running_mean[channel]);
        running_var[channel] += momentum * (variance * (rows / (rows - 1.0f)) - running_var[channel]);
    }
    if (place.pack == 0) {
        *batches += 1;
    }
}

// What takes x to the activation, channel by channel.
struct Norm {
    float center[kWidth], scale[kWidth], offset[kWidth];

    __device__ Norm(int channel, const float *mean, const float *inverse, const float *weight, const float *bias) {
        load(mean, channel, center);
        load(inverse, channel, scale);
        load(weight, channel, offset);
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
            scale[i] *= offset[i];
        }
        load(bias, channel, offset);
    }
};

// activation(weight (x - mean) inverse + bias + shortcut); `shortcut` may be null.
extern "C" __global__ void __launch_bounds__(kThreads)
    normalise(const Pack *x, const Pack *shortcut, Pack *y, int rows, int packs, const float *mean, const float *inverse,
              const float *weight, const float *bias, Activation activation) {
    const Place place(rows, packs);
    if (!place.active) {
        return;
    }
    const Norm norm(place.channel, mean, inverse, weight, bias);
    each_row<true>(place, {x, shortcut}, [&](int64 at, const Pack(&pack)[2]) {
        float values[kWidth], added[kWidth] = {};
        unpack(pack[0], values);
        if (shortcut != nullptr) {
            unpack(pack[1], added);
        }
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
            values[i] = activation.of((values[i] - norm.center[i]) * norm.scale[i] + norm.offset[i] + added[i]);
        }
        y[at] = packed(values);
    });
}

// Gradients of weight and bias. With a shortcut the result `y` is given, of which the activation's slope can be told, and the gradient of what
// goes into the activation is written to `dz`, the shortcut's; else both are null. The gradient of the result is `dy`, and `also` added to it
// unless that is null.
extern "C" __global__ void __launch_bounds__(kThreads)
    parameter_gradients(const Pack *dy, const Pack *also, const Pack *x, const Pack *y, Pack *dz, int rows, int packs, float *partial,
                        unsigned int *done, const float *mean, const float *inverse, const float *weight, const float *bias,
                        Activation activation, float *dweight, float *dbias) {
    const Place place(rows, packs);
    float sums[kSums] = {};
    if (place.active) {
        const Norm norm(place.channel, mean, inverse, weight, bias);
        each_row<false>(place, {dy, also, x, y}, [&](int64 at, const Pack(&pack)[4]) {
            float gradients[kWidth], added[kWidth] = {}, values[kWidth], results[kWidth] = {};
            unpack(pack[0], gradients);
            unpack(pack[2], values);
            if (also != nullptr) {
                unpack(pack[1], added);
            }
            if (y != nullptr) {
                unpack(pack[3], results);
            }
#pragma unroll
            for (int i = 0; i < kWidth; ++i) {
                values[i] -= norm.center[i];
                const float z = y != nullptr ? results[i] : values[i] * norm.scale[i] + norm.offset[i];
                gradients[i] = activation.back(gradients[i] + added[i], z);
                sums[i] += gradients[i];
                sums[kWidth + i] += gradients[i] * values[i];
            }
            if (dz != nullptr) {
                dz[at] = packed(gradients);
            }
        });
    }
    if (!sum_grid(sums, place, partial, done)) {
        return;
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
        const int channel = place.channel + i;
        dbias[channel] = sums[i];
        dweight[channel] = sums[kWidth + i] * inverse[channel];
    }
}

// The gradient of `x`, from that of the result, or, where `before` is set, of what goes into the activation.
extern "C" __global__ void __launch_bounds__(kThreads)
    input_gradients(const Pack *dy, const Pack *x, Pack *dx, int before, int rows, int packs, const float *mean, const float *inverse,
                    const float *weight, const float *bias, Activation activation, const float *dweight, const float *dbias) {
    const Place place(rows, packs);
    if (!place.active) {
        return;
    }
    const Norm norm(place.channel, mean, inverse, weight, bias);
    float constant[kWidth], linear[kWidth];
    load(dbias, place.channel, constant);
    load(dweight, place.channel, linear);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
        constant[i] *= norm.scale[i] / rows;
        linear[i] *= norm.scale[i] * inverse[place.channel + i] / rows;
    }
    each_row<true>(place, {dy, x}, [&](int64 at, const Pack(&pack)[2]) {
        float gradients[kWidth], values[kWidth];
        unpack(pack[0], gradients);
        unpack(pack[1], values);
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
            values[i] -= norm.center[i];
            const float gradient = before ? gradients[i] : activation.back(gradients[i], values[i] * norm.scale[i] + norm.offset[i]);
            gradients[i] = norm.scale[i] * gradient - constant[i] - linear[i] * values[i];
        }
        dx[at] = packed(gradients);
    });
}
