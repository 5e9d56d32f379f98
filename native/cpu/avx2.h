// Eight lanes of AVX2 with FMA, for vector.h.
//
// Owns the instructions. Leaves the loops to vector.h and the meaning to ref.cpp.
// Must stay true: no library code inside; all in an unnamed namespace.
#pragma once

#include <immintrin.h>

#include "vector.h"

namespace edgesleep {
namespace {

struct Avx2 {
    using f = __m256;
    using i = __m256i;
    static constexpr int width = 8, rows = 6, blocks = 1;  // 12 sums of 16 registers
    static constexpr int dot_rows = 4;                     // 8 sums of pairs, and what is added to them
    static constexpr bool whole = false, tiled = false;

    static f load(const float *at) { return _mm256_loadu_ps(at); }
    static void store(float *at, f x) { _mm256_storeu_ps(at, x); }
    static f all(float x) { return _mm256_set1_ps(x); }
    static f add(f x, f y) { return _mm256_add_ps(x, y); }
    static f mul(f x, f y) { return _mm256_mul_ps(x, y); }
    static f fma(f x, f y, f z) { return _mm256_fmadd_ps(x, y, z); }
    static f floor(f x) { return _mm256_floor_ps(x); }
    static f min(f x, f y) { return _mm256_min_ps(x, y); }
    static f max(f x, f y) { return _mm256_max_ps(x, y); }
    static f sub(f x, f y) { return _mm256_sub_ps(x, y); }
    static int differ(f x, f y) {
        return __builtin_popcount((unsigned)_mm256_movemask_ps(_mm256_cmp_ps(x, y, _CMP_NEQ_UQ)));
    }

    static i all_ints(uint32_t x) { return _mm256_set1_epi32((int)x); }
    static i plus(i x, i y) { return _mm256_add_epi32(x, y); }
    static i times(i x, i y) { return _mm256_mullo_epi32(x, y); }
    static i flip(i x, i y) { return _mm256_xor_si256(x, y); }
    template <int count>
    static i right(i x) {
        return _mm256_srli_epi32(x, count);
    }
    static f to_float(i x) { return _mm256_cvtepi32_ps(x); }
    static i ramp(uint32_t first, uint32_t step) {
        return plus(all_ints(first), times(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), all_ints(step)));
    }

    static f codes(const int8_t *at) {
        return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)at)));
    }
    static void store_codes(int8_t *at, f x) {
        const i words = _mm256_cvtps_epi32(x);
        const __m128i shorts = _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        _mm_storel_epi64((__m128i *)at, _mm_packs_epi16(shorts, shorts));
    }

    static i load_bytes(const uint8_t *at) { return _mm256_loadu_si256((const __m256i *)at); }
    static i pairs(i unsigned_bytes, i signed_bytes) { return _mm256_maddubs_epi16(unsigned_bytes, signed_bytes); }
    static i plus_pairs(i x, i y) { return _mm256_add_epi16(x, y); }
    static i join(i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }
};

}  // namespace
}  // namespace edgesleep
