// The few words in which CUDA, the Metal language and the emulator differ.
//
// Owns address spaces, shared memory, barriers and a thread's place. Leaves what is computed to the other headers of
// this folder, which use nothing else of any of the three. Must stay true: a kernel is a function of (arguments, place,
// shared memory); outside its own registers it goes through Global and Tile alone, so that the emulator sees all.
#pragma once

#include "../layouts.h"

// UNROLL: before a loop whose turns index a thread's own array, which else would not stay in registers; ROLLED: before
// one whose turns are large. PRIVATE: what a
// reference to a thread's own variable is called. ARGUMENTS and SHARED: how a kernel's body gets both.
#if defined(__METAL_VERSION__)
#define DEVICE inline
#define PRIVATE thread
#define ARGUMENTS(Type) constant Type &
#define SHARED(Type) threadgroup Type &
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("clang loop unroll(disable)")
#elif defined(__CUDACC__)
#define DEVICE __host__ __device__ __forceinline__
#define PRIVATE
#define ARGUMENTS(Type) const Type &
#define SHARED(Type) Type &
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("unroll 1")
#else
#define DEVICE inline
#define PRIVATE
#define ARGUMENTS(Type) const Type &
#define SHARED(Type) Type &
#define UNROLL
#define ROLLED
#endif

#if defined(EDGESLEEP_EMULATED)
#include "../emu/memory.h"
#endif

namespace edgesleep_device {

using namespace edgesleep;

// Where a thread stands: its block in the grid, and itself in the block.
struct Place {
    int x, y, z, worker;
};

#if defined(EDGESLEEP_EMULATED)
template <class T>
using Global = emu::Pointer<T>;
template <class T, int size>
using Tile = emu::Tile<T, size>;
inline void barrier() { emu::barrier(); }
#elif defined(__METAL_VERSION__)
using namespace metal;
template <class T>
using Global = device T *;
template <class T, int size>
using Tile = T[size];
inline void barrier() { threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device); }
#else
template <class T>
using Global = T *;
template <class T, int size>
using Tile = T[size];
DEVICE void barrier() {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#endif
}
#endif

// Functions that every home has, exact or correctly rounded but for exponential and logarithm.
#if defined(__METAL_VERSION__)
inline float fused(float a, float b, float c) { return metal::fma(a, b, c); }
inline float down(float x) { return metal::floor(x); }
inline float root(float x) { return metal::precise::sqrt(x); }
inline float exponential(float x) { return metal::precise::exp(x); }
inline float logarithm(float x) { return metal::precise::log(x); }
#else
#if !defined(__CUDACC__)
}  // namespace edgesleep_device
#include <math.h>
namespace edgesleep_device {
#endif
DEVICE float fused(float a, float b, float c) { return fmaf(a, b, c); }
DEVICE float down(float x) { return floorf(x); }
DEVICE float root(float x) { return sqrtf(x); }
DEVICE float exponential(float x) { return expf(x); }
DEVICE float logarithm(float x) { return logf(x); }
#endif
DEVICE float larger(float a, float b) { return a > b ? a : b; }
DEVICE int lesser(int a, int b) { return a < b ? a : b; }

ES_CONSTANT int kThreads = 256;  // of every block

DEVICE int pieces(int64_t count, int size) { return (int)((count + size - 1) / size); }

struct NoShared {};

// Sum or maximum over the threads of a block, for all of them; `room` may be used again at once.
struct Reduction {
    Tile<float, kThreads> value;
};

DEVICE float sum_of_block(SHARED(Reduction) room, int worker, float own) {
    barrier();  // what was read from it before
    room.value[worker] = own;
    barrier();
    for (int reach = kThreads / 2; reach > 0; reach /= 2) {
        if (worker < reach) room.value[worker] = room.value[worker] + room.value[worker + reach];
        barrier();
    }
    return room.value[0];
}

DEVICE float largest_of_block(SHARED(Reduction) room, int worker, float own) {
    barrier();
    room.value[worker] = own;
    barrier();
    for (int reach = kThreads / 2; reach > 0; reach /= 2) {
        if (worker < reach) room.value[worker] = larger(room.value[worker], room.value[worker + reach]);
        barrier();
    }
    return room.value[0];
}

}  // namespace edgesleep_device
