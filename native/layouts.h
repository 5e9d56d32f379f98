// What a block of weights looks like and how its dither is drawn, for processors and graphics cards alike.
//
// Owns ggml's type ids, the sizes of every block, the conversions of 16-bit floats and the integer hash. Leaves how a
// block is read to blocks.h (vectors of a processor) and device/grids.h (one weight at a time). Must stay true: plain
// enough for C++17, CUDA and the Metal language, which knows neither double nor memcpy; the same numbers in all of
// them. Functions are in an unnamed namespace: each file that includes this for its own processor must keep its own
// copy.
#pragma once

#if defined(__METAL_VERSION__)
#include <metal_stdlib>
#define ES_INLINE inline
#define ES_CONSTANT static constant constexpr const
#elif defined(__CUDACC__)
#include <stdint.h>
#define ES_INLINE __host__ __device__ inline
#define ES_CONSTANT static constexpr
#else
#include <stdint.h>
#define ES_INLINE inline
#define ES_CONSTANT static constexpr
#endif
#if !defined(__METAL_VERSION__) && !defined(__CUDA_ARCH__)
#include <string.h>
#endif

namespace edgesleep {

enum Type : int32_t {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    BF16 = 30,
};

// Weights and bytes per block, how many weights share a scale, and the ends of the grid.
template <int weights_, int bytes_, int group_, int low_, int high_>
struct AffineLayout {
    ES_CONSTANT int weights = weights_, bytes = bytes_, group = group_, low = low_, high = high_;
};
using LayoutQ4_0 = AffineLayout<32, 18, 32, -8, 7>;      // d, qs[16]
using LayoutQ4_1 = AffineLayout<32, 20, 32, 0, 15>;      // d, m, qs[16]
using LayoutQ5_0 = AffineLayout<32, 22, 32, -16, 15>;    // d, qh[4], qs[16]
using LayoutQ5_1 = AffineLayout<32, 24, 32, 0, 31>;      // d, m, qh[4], qs[16]
using LayoutQ8_0 = AffineLayout<32, 34, 32, -128, 127>;  // d, qs[32]
using LayoutQ2_K = AffineLayout<256, 84, 16, 0, 3>;      // scales[16], qs[64], d, dmin
using LayoutQ3_K = AffineLayout<256, 110, 16, -4, 3>;    // hmask[32], qs[64], scales[12], d
using LayoutQ4_K = AffineLayout<256, 144, 32, 0, 15>;    // d, dmin, scales[12], qs[128]
using LayoutQ5_K = AffineLayout<256, 176, 32, 0, 31>;    // d, dmin, scales[12], qh[32], qs[128]
using LayoutQ6_K = AffineLayout<256, 210, 16, -32, 31>;  // ql[128], qh[64], scales[16], d

namespace {

// x + -0.0 is x for every x, +0.0 would turn -0.0 into 0.0.
ES_CONSTANT float kNoOffset = -0.0f;
ES_CONSTANT uint32_t kColumn = 0x9E3779B9u;  // of the dither, from one column to the next

ES_INLINE uint32_t bits(float value) {
#if defined(__METAL_VERSION__)
    return as_type<uint32_t>(value);
#elif defined(__CUDA_ARCH__)
    return __float_as_uint(value);
#else
    uint32_t word;
    memcpy(&word, &value, 4);
    return word;
#endif
}

ES_INLINE float from_bits(uint32_t word) {
#if defined(__METAL_VERSION__)
    return as_type<float>(word);
#elif defined(__CUDA_ARCH__)
    return __uint_as_float(word);
#else
    float value;
    memcpy(&value, &word, 4);
    return value;
#endif
}

ES_INLINE bool finite(float value) { return (bits(value) & 0x7f800000u) != 0x7f800000u; }

ES_INLINE float from_half(uint16_t h) {
    const uint32_t shifted = (h & 0x7fffu) << 13, exponent = shifted & 0x0f800000u;
    const float normal = from_bits(shifted + (exponent == 0x0f800000u ? 0x70000000u : 0x38000000u));
    const float subnormal = from_bits(shifted + 0x38800000u) - from_bits(0x38800000u);
    return from_bits(bits(exponent ? normal : subnormal) | (h & 0x8000u) << 16);
}

// To nearest even, for values that are not NaN.
ES_INLINE uint16_t to_half(float value) {
    const uint32_t sign = bits(value) >> 16 & 0x8000u, word = bits(value) & 0x7fffffffu;
    const uint32_t normal = (word + 0xc8000fffu + (word >> 13 & 1)) >> 13;
    // Adding 0.5 lets the hardware round to the subnormal grid of 2^-24.
    const uint32_t subnormal = bits(from_bits(word) + 0.5f) - 0x3f000000u;
    const uint32_t magnitude = word >= 0x477ff000u ? 0x7c00u : word < 0x38800000u ? subnormal : normal;
    return (uint16_t)(sign | magnitude);
}

ES_INLINE uint16_t to_bf16(float value) {
    const uint32_t word = bits(value);
    return (uint16_t)((word + 0x7fffu + (word >> 16 & 1)) >> 16);
}

ES_INLINE uint32_t row_key(uint64_t seed, int64_t row) {
    uint64_t z = seed + ((uint64_t)row + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

ES_INLINE float dither(uint32_t key, int64_t col) {
    uint32_t x = key ^ (uint32_t)col * kColumn;
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    x ^= x >> 16;
    return ((float)(x >> 9) + 0.5f) * 0x1p-23f;
}

}  // namespace
}  // namespace edgesleep
