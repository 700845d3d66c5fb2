// batch_norm.cu on the CPU, for tests: as much of CUDA as it uses. Blocks are computed one after another; the threads of a block take turns,
// each going on to the next place where they wait for one another. Those that wait at different places end the process with a word about it; a
// wait that is missing shows in the results, where it shows.

#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

namespace {

struct Dim {
    unsigned x, y;
};

constexpr int kThreadsOfBlock = 256;
constexpr int kThreadsOfWarp = 32;
constexpr std::size_t kStack = 1 << 16;

Dim blockIdx, blockDim, gridDim, threadIdx;

// A block's threads: where each stands, the line at which it waits (0 when it has ended), and what it last showed the others of its warp and
// the time before, by how often it has shown something.
struct Block {
    ucontext_t caller, threads[kThreadsOfBlock];
    int waits[kThreadsOfBlock];
    float shown[2][kThreadsOfBlock];
    int shows[kThreadsOfBlock];
    // Whose turn it is, which turn of the round that is, and whether the round goes from the last thread to the first.
    int current, turn;
    bool backwards;
    void (*kernel)(void **);
    void **arguments;

    int thread(int number) const { return backwards ? kThreadsOfBlock - 1 - number : number; }

    void give(int number) {
        turn = number;
        current = thread(turn);
        threadIdx = {current % blockDim.x, current / blockDim.x};
    }
};

Block *block;

[[noreturn]] void refuse(const char *why, int line) {
    std::fprintf(stderr, "batch_norm.cu, line %d: %s\n", line, why);
    std::abort();
}

// Looks whether the threads of these turns have all come to the same line.
void check(int first, int size, int line) {
    for (int turn = first; turn < first + size; ++turn) {
        const int other = block->waits[block->thread(turn)];
        if (other != line) {
            refuse("not all threads wait here", line > 0 ? line : other);
        }
    }
}

// A thread waits for the others of its warp or block, of so many threads. After a round of a block the next one is in the other order, so that
// either of two threads comes first at times.
void meet(int size, int line) {
    ucontext_t &own = block->threads[block->current];
    block->waits[block->current] = line;
    const int next = block->turn + 1, first = next - size;
    const bool last = next % size == 0;
    if (last) {
        check(first, size, line);
        block->backwards ^= size == kThreadsOfBlock;
    }
    block->give(last ? first : next);
    ucontext_t &other = block->threads[block->current];
    if (&other != &own) {
        swapcontext(&own, &other);
    }
}

// What another thread of the warp shows.
float of_other(float value, unsigned distance, int line) {
    if (distance >= kThreadsOfWarp) {
        refuse("that thread is of another warp", line);
    }
    const int thread = block->current, place = block->shows[thread]++ % 2;
    block->shown[place][thread] = value;
    meet(kThreadsOfWarp, line);
    return block->shown[place][thread ^ distance];
}

void begin() {
    block->kernel(block->arguments);
    block->waits[block->current] = 0;
}

void run_block(char *stacks) {
    std::memset(block->shows, 0, sizeof block->shows);
    for (int thread = 0; thread < kThreadsOfBlock; ++thread) {
        ucontext_t &context = block->threads[thread];
        getcontext(&context);
        context.uc_stack.ss_sp = stacks + thread * kStack;
        context.uc_stack.ss_size = kStack;
        context.uc_link = &block->caller;
        makecontext(&context, begin, 0);
    }
    block->backwards = (blockIdx.x + blockIdx.y) % 2 == 1;
    // The first turn goes on from thread to thread until one ends; then each ends in its own.
    for (block->give(0);; block->give(block->turn + 1)) {
        swapcontext(&block->caller, &block->threads[block->current]);
        if (block->turn + 1 == kThreadsOfBlock) {
            break;
        }
    }
    check(0, kThreadsOfBlock, 0);
}

// A kernel by the addresses of its arguments.
template <auto kKernel>
struct Called;

template <typename... Types, void (*kKernel)(Types...)>
struct Called<kKernel> {
    static void with(void **arguments) { spread(arguments, std::index_sequence_for<Types...>()); }

    template <std::size_t... kNumbers>
    static void spread(void **arguments, std::index_sequence<kNumbers...>) {
        kKernel(*static_cast<Types *>(arguments[kNumbers])...);
    }
};

template <typename To, typename From>
To as(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

float __int_as_float(int bits) { return as<float>(bits); }
float __uint_as_float(unsigned int bits) { return as<float>(bits); }
unsigned int __float_as_uint(float value) { return as<unsigned int>(value); }
float __ldcg(const float *from) { return *from; }
void __threadfence() {}

unsigned int atomicInc(unsigned int *counter, unsigned int last) {
    const unsigned int before = *counter;
    *counter = before >= last ? 0 : before + 1;
    return before;
}

}  // namespace

// Standard headers may have INFINITY.
#undef INFINITY
#define __device__
#define __global__
#define __shared__ static
#define __launch_bounds__(threads)
#define __syncthreads() meet(kThreadsOfBlock, __LINE__)
#define __shfl_xor_sync(mask, value, distance) of_other(value, distance, __LINE__)
#define __expf(value) __builtin_expf(value)
#define rsqrtf(value) (1 / __builtin_sqrtf(value))

#include "../batch_norm.cu"

extern "C" {

// In the place of CUlaunchKernel, for blocks of kThreadsOfBlock threads. Every other grid is gone through from its end.
int emulated_launch(void *kernel, unsigned across, unsigned down, unsigned, unsigned packs, unsigned rows, unsigned, unsigned, void *,
                    void **arguments, void **) {
    static std::mutex one_at_a_time;
    const std::lock_guard<std::mutex> guard(one_at_a_time);
    static const std::unique_ptr<Block> memory(new Block());
    static const std::unique_ptr<char[]> stacks(new char[kThreadsOfBlock * kStack]);
    if (packs * rows != kThreadsOfBlock) {
        return 1;
    }
    block = memory.get();
    block->kernel = reinterpret_cast<void (*)(void **)>(kernel);
    block->arguments = arguments;
    gridDim = {across, down};
    blockDim = {packs, rows};
    static bool backwards = false;
    backwards = !backwards;
    for (unsigned i = 0; i < across * down; ++i) {
        const unsigned number = backwards ? across * down - 1 - i : i;
        blockIdx = {number % across, number / across};
        run_block(stacks.get());
    }
    return 0;
}

#ifdef BF16
unsigned emulated_word(float low, float high) { return word(low, high); }
#endif

// The kernels, in the order of PanalNormKernels of batch_norm.cpp.
void emulated_kernels(void **kernels) {
    void (*const all[])(void **) = {Called<statistics>::with, Called<normalise>::with, Called<parameter_gradients>::with,
                                    Called<input_gradients>::with};
    for (int i = 0; i < 4; ++i) {
        kernels[i] = reinterpret_cast<void *>(all[i]);
    }
}

}  // extern "C"
