// Sixteen lanes of AVX-512 (F, BW, DQ, VL), for vector.h.
//
// Owns the instructions. Leaves the loops to vector.h and the meaning to ref.cpp.
// Must stay true: no library code inside; all in an unnamed namespace.
#pragma once

#include <immintrin.h>

#include "vector.h"

namespace edgesleep {
namespace {

struct Avx512 {
    using f = __m512;
    using i = __m512i;
    static constexpr int width = 16, rows = 12, blocks = 2;  // 24 sums of 32 registers
    static constexpr int dot_rows = 6;                       // 12 sums of a group, and 12 of all groups
    static constexpr bool whole = false, tiled = false;

    static f load(const float *at) { return _mm512_loadu_ps(at); }
    static void store(float *at, f x) { _mm512_storeu_ps(at, x); }
    static f all(float x) { return _mm512_set1_ps(x); }
    static f add(f x, f y) { return _mm512_add_ps(x, y); }
    static f mul(f x, f y) { return _mm512_mul_ps(x, y); }
    static f fma(f x, f y, f z) { return _mm512_fmadd_ps(x, y, z); }
    static f floor(f x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
    static f min(f x, f y) { return _mm512_min_ps(x, y); }
    static f max(f x, f y) { return _mm512_max_ps(x, y); }
    static f sub(f x, f y) { return _mm512_sub_ps(x, y); }
    static int differ(f x, f y) { return __builtin_popcount(_mm512_cmp_ps_mask(x, y, _CMP_NEQ_UQ)); }

    static i all_ints(uint32_t x) { return _mm512_set1_epi32((int)x); }
    static i plus(i x, i y) { return _mm512_add_epi32(x, y); }
    static i times(i x, i y) { return _mm512_mullo_epi32(x, y); }
    static i flip(i x, i y) { return _mm512_xor_si512(x, y); }
    template <int count>
    static i right(i x) {
        return _mm512_srli_epi32(x, count);
    }
    static f to_float(i x) { return _mm512_cvtepi32_ps(x); }
    static i ramp(uint32_t first, uint32_t step) {
        const i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        return plus(all_ints(first), times(lanes, all_ints(step)));
    }

    static f codes(const int8_t *at) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)at)));
    }
    static void store_codes(int8_t *at, f x) {
        _mm_storeu_si128((__m128i *)at, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
    }

    static i load_bytes(const uint8_t *at) { return _mm512_loadu_si512(at); }
    static i pairs(i unsigned_bytes, i signed_bytes) { return _mm512_maddubs_epi16(unsigned_bytes, signed_bytes); }
    static i plus_pairs(i x, i y) { return _mm512_add_epi16(x, y); }
    static i join(i pairs) { return _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)); }
};

}  // namespace
}  // namespace edgesleep
