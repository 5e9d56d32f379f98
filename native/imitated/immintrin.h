// AVX-512, its VNNI and AVX-VNNI in plain C++: the self-test of their kernels on processors without them.
//
// Owns what the instructions in native/cpu/ mean, after Intel's Intrinsics Guide. Leaves all others to the compiler's
// header of the same name. Must stay true: in no build but that test's, since it is a hundred times slower.
#pragma once

#include_next <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wpsabi"  // these vectors never leave one file

namespace imitated {
namespace {

typedef int32_t Words __attribute__((vector_size(64)));
typedef uint32_t Naturals __attribute__((vector_size(64)));
typedef int16_t Shorts __attribute__((vector_size(64)));

template <class To, class From>
inline To as(const From &x) {
    static_assert(sizeof(To) == sizeof(From));
    To y;
    memcpy(&y, &x, sizeof y);
    return y;
}
template <class To>
inline To read(const void *at) {
    To x;
    memcpy(&x, at, sizeof x);
    return x;
}

inline __m512 loadu_ps(const void *at) { return read<__m512>(at); }
inline __m512i loadu_si512(const void *at) { return read<__m512i>(at); }
inline void storeu_ps(void *at, __m512 x) { memcpy(at, &x, sizeof x); }
inline __m512 set1_ps(float x) { return __m512{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }  // {} + x loses -0
inline __m512i set1_epi32(int x) { return as<__m512i>(Words{} + x); }
inline __m512i set1_epi16(short x) { return as<__m512i>(Shorts{} + x); }
template <class... Int>
inline __m512i setr_epi32(Int... x) {
    return as<__m512i>(Words{x...});
}

inline __m512 add_ps(__m512 x, __m512 y) { return x + y; }
inline __m512 sub_ps(__m512 x, __m512 y) { return x - y; }
inline __m512 mul_ps(__m512 x, __m512 y) { return x * y; }
inline __m512 min_ps(__m512 x, __m512 y) { return x < y ? x : y; }
inline __m512 max_ps(__m512 x, __m512 y) { return x > y ? x : y; }
inline __m512 fmadd_ps(__m512 x, __m512 y, __m512 z) {
    for (int i = 0; i < 16; ++i) z[i] = __builtin_fmaf(x[i], y[i], z[i]);
    return z;
}
template <int how>
inline __m512 roundscale_ps(__m512 x) {
    static_assert(how == (_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
    for (int i = 0; i < 16; ++i) x[i] = floorf(x[i]);
    return x;
}
template <int how>
inline __mmask16 cmp_ps_mask(__m512 x, __m512 y) {
    static_assert(how == _CMP_NEQ_UQ);
    int mask = 0;
    for (int i = 0; i < 16; ++i) mask |= !(x[i] == y[i]) << i;
    return (__mmask16)mask;
}

inline __m512i add_epi32(__m512i x, __m512i y) { return as<__m512i>(as<Naturals>(x) + as<Naturals>(y)); }
inline __m512i mullo_epi32(__m512i x, __m512i y) { return as<__m512i>(as<Naturals>(x) * as<Naturals>(y)); }
inline __m512i srli_epi32(__m512i x, unsigned count) { return as<__m512i>(as<Naturals>(x) >> count); }
inline __m512i xor_si512(__m512i x, __m512i y) { return x ^ y; }
inline __m512i add_epi16(__m512i x, __m512i y) {
    Shorts sum;
    for (int i = 0; i < 32; ++i) sum[i] = (int16_t)(as<Shorts>(x)[i] + as<Shorts>(y)[i]);
    return as<__m512i>(sum);
}

inline __m512 cvtepi32_ps(__m512i x) { return __builtin_convertvector(as<Words>(x), __m512); }
inline __m512i cvtps_epi32(__m512 x) {
    Words y;
    for (int i = 0; i < 16; ++i) y[i] = (int32_t)nearbyintf(x[i]);
    return as<__m512i>(y);
}
inline __m512i cvtepi8_epi32(__m128i x) {
    Words y;
    for (int i = 0; i < 16; ++i) y[i] = read<int8_t>((const char *)&x + i);
    return as<__m512i>(y);
}
inline __m128i cvtepi32_epi8(__m512i x) {
    int8_t y[16];
    for (int i = 0; i < 16; ++i) y[i] = (int8_t)as<Words>(x)[i];
    return read<__m128i>(y);
}

// Bytes i of a register, without and with sign.
template <class Register>
inline int plain(const Register &x, int i) {
    return read<uint8_t>((const char *)&x + i);
}
template <class Register>
inline int with_sign(const Register &x, int i) {
    return read<int8_t>((const char *)&x + i);
}
inline __m512i maddubs_epi16(__m512i x, __m512i y) {
    Shorts pairs;
    for (int i = 0; i < 32; ++i) {
        const int sum = plain(x, 2 * i) * with_sign(y, 2 * i) + plain(x, 2 * i + 1) * with_sign(y, 2 * i + 1);
        pairs[i] = (int16_t)(sum < -32768 ? -32768 : sum > 32767 ? 32767 : sum);
    }
    return as<__m512i>(pairs);
}
inline __m512i madd_epi16(__m512i x, __m512i y) {
    const Shorts left = as<Shorts>(x), right = as<Shorts>(y);
    Words sums;
    for (int i = 0; i < 16; ++i) sums[i] = left[2 * i] * right[2 * i] + left[2 * i + 1] * right[2 * i + 1];
    return as<__m512i>(sums);
}
template <class Register>
inline Register dpbusd(Register total, Register x, Register y) {
    int32_t sums[sizeof total / 4];
    memcpy(sums, &total, sizeof total);
    for (int i = 0; i < (int)sizeof total; ++i) sums[i / 4] += plain(x, i) * with_sign(y, i);
    return read<Register>(sums);
}

}  // namespace
}  // namespace imitated

// Some of these are macros in the compiler's header, some functions for processors that have them.
#undef _mm512_roundscale_ps
#undef _mm512_cmp_ps_mask
#undef _mm512_setr_epi32
#define _mm512_roundscale_ps(x, how) imitated::roundscale_ps<(how)>(x)
#define _mm512_cmp_ps_mask(x, y, how) imitated::cmp_ps_mask<(how)>(x, y)
#define _mm512_dpbusd_epi32 imitated::dpbusd<__m512i>
#define _mm256_dpbusd_avx_epi32 imitated::dpbusd<__m256i>
#define _mm512_loadu_ps imitated::loadu_ps
#define _mm512_loadu_si512 imitated::loadu_si512
#define _mm512_storeu_ps imitated::storeu_ps
#define _mm512_set1_ps imitated::set1_ps
#define _mm512_set1_epi32 imitated::set1_epi32
#define _mm512_set1_epi16 imitated::set1_epi16
#define _mm512_setr_epi32 imitated::setr_epi32
#define _mm512_add_ps imitated::add_ps
#define _mm512_sub_ps imitated::sub_ps
#define _mm512_mul_ps imitated::mul_ps
#define _mm512_min_ps imitated::min_ps
#define _mm512_max_ps imitated::max_ps
#define _mm512_fmadd_ps imitated::fmadd_ps
#define _mm512_add_epi32 imitated::add_epi32
#define _mm512_mullo_epi32 imitated::mullo_epi32
#define _mm512_xor_si512 imitated::xor_si512
#define _mm512_srli_epi32 imitated::srli_epi32
#define _mm512_add_epi16 imitated::add_epi16
#define _mm512_cvtepi32_ps imitated::cvtepi32_ps
#define _mm512_cvtps_epi32 imitated::cvtps_epi32
#define _mm512_cvtepi8_epi32 imitated::cvtepi8_epi32
#define _mm512_cvtepi32_epi8 imitated::cvtepi32_epi8
#define _mm512_maddubs_epi16 imitated::maddubs_epi16
#define _mm512_madd_epi16 imitated::madd_epi16
