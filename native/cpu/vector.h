// The fast kernels, written once over a vector type.
//
// Owns the shape of the loops; an instruction set's file supplies the vector V
// (width, load, fma ...) and includes this. Leaves the meaning to ref.cpp.
// Must stay true: per output the same operations in the same order as ref, so
// the bytes are equal; no library code, and all in an unnamed namespace, so that
// no function built for one processor is linked into a call from another.
#pragma once

#include "../blocks.h"

namespace edgesleep {
namespace {

// kRows rows x two vectors of D at once: eight sums in registers, each A loaded once.
template <class V, int rows>
inline void delta_rows(const DeltaJob &job) {
    const es_adapter &adapter = *job.adapter;
    const float *b = adapter.b + job.row * adapter.rank;
    const typename V::f scale = V::all(adapter.scale);
    int j = 0;
    for (; j + 2 * V::width <= job.cols; j += 2 * V::width) {
        typename V::f left[rows], right[rows];
        for (int i = 0; i < rows; ++i) left[i] = right[i] = V::all(0.0f);
        for (int k = 0; k < adapter.rank; ++k) {
            const float *a = adapter.a + k * job.stride + job.col + j;
            const typename V::f first = V::load(a), second = V::load(a + V::width);
            for (int i = 0; i < rows; ++i) {
                const typename V::f factor = V::all(b[i * adapter.rank + k]);
                left[i] = V::fma(factor, first, left[i]);
                right[i] = V::fma(factor, second, right[i]);
            }
        }
        for (int i = 0; i < rows; ++i) {
            V::store(job.out + i * kStrip + j, V::mul(left[i], scale));
            V::store(job.out + i * kStrip + j + V::width, V::mul(right[i], scale));
        }
    }
    for (; j < job.cols; ++j)  // only float types have rows that end inside a vector
        for (int i = 0; i < rows; ++i) {
            float sum = 0.0f;
            for (int k = 0; k < adapter.rank; ++k)
                sum = __builtin_fmaf(b[i * adapter.rank + k], adapter.a[k * job.stride + job.col + j], sum);
            job.out[i * kStrip + j] = sum * adapter.scale;
        }
}

template <class V>
void delta(const DeltaJob &job) {
    static_assert(kRows == 4);
    switch (job.rows) {
        case 4: return delta_rows<V, 4>(job);
        case 3: return delta_rows<V, 3>(job);
        case 2: return delta_rows<V, 2>(job);
        default: return delta_rows<V, 1>(job);
    }
}

// The dither of V::width columns; `columns` holds col * kColumn for each lane.
template <class V>
inline typename V::f dither_lanes(uint32_t key, typename V::i columns) {
    typename V::i x = V::flip(columns, V::all_ints(key));
    x = V::times(V::flip(x, V::template right<16>(x)), V::all_ints(0x7feb352du));
    x = V::times(V::flip(x, V::template right<15>(x)), V::all_ints(0x846ca68bu));
    x = V::flip(x, V::template right<16>(x));
    return V::fma(V::to_float(V::template right<9>(x)), V::all(0x1p-23f), V::all(0x1p-24f));
}

template <class V, class Block>
bool affine_strip(Block block, const StripJob &job) {
    Strip strip;
    const bool good = unpack(block, job.source, job.cols, strip);
    if (!job.delta) {
        for (int j = 0; j < job.cols; j += V::width)
            V::store(job.weights + j, V::add(V::mul(V::codes(strip.code + j), V::all(strip.step[j / kGroup])),
                                             V::all(strip.offset[j / kGroup])));
        if (job.codes) __builtin_memcpy(job.codes, strip.code, (size_t)job.cols);
        return good;
    }
    // An inverse of 0 leaves floor(u) = 0: a block without a step stays.
    float inverse[kStrip / kGroup];
    for (int g = 0; g < job.cols / kGroup; ++g) inverse[g] = strip.step[g] == 0.0f ? 0.0f : 1.0f / strip.step[g];
    const typename V::f low = V::all(Block::low), high = V::all(Block::high);
    typename V::i columns = V::ramp((uint32_t)job.col * kColumn, kColumn);
    for (int j = 0; j < job.cols; j += V::width) {
        const int g = j / kGroup;
        const typename V::f u = dither_lanes<V>(job.key, columns);
        const typename V::f move = V::floor(V::fma(V::load(job.delta + j), V::all(inverse[g]), u));
        const typename V::f code = V::min(V::max(V::add(V::codes(strip.code + j), move), low), high);
        V::store(job.weights + j, V::add(V::mul(code, V::all(strip.step[g])), V::all(strip.offset[g])));
        if (job.codes) V::store_codes(job.codes + j, code);
        columns = V::plus(columns, V::all_ints(kColumn * V::width));
    }
    return good;
}

template <class V>
bool strip(const StripJob &job) {
    bool good = true;
    const auto affine = [&](auto block) { good = affine_strip<V>(block, job); };
    if (!with_block(job.type, affine)) with_float(job.type, [&](auto type) { good = float_strip(type, job); });
    return good;
}

// `rows` x V::columns vectors of c stay in registers while k runs.
template <class V, int rows>
inline void product_block(const ProductJob &job, const float *a, const float *b, float *c, int64_t ldc) {
    typename V::f sum[rows][V::columns];
    for (int i = 0; i < rows; ++i)
        for (int v = 0; v < V::columns; ++v) sum[i][v] = V::load(c + i * ldc + v * V::width);
    for (int k = 0; k < job.k; ++k, b += job.ldb) {
        typename V::f right[V::columns];
        for (int v = 0; v < V::columns; ++v) right[v] = V::load(b + v * V::width);
        for (int i = 0; i < rows; ++i) {
            const typename V::f left = V::all(a[i * job.lda + k]);
            for (int v = 0; v < V::columns; ++v) sum[i][v] = V::fma(left, right[v], sum[i][v]);
        }
    }
    for (int i = 0; i < rows; ++i)
        for (int v = 0; v < V::columns; ++v) V::store(c + i * ldc + v * V::width, sum[i][v]);
}

// The same where c has fewer columns than the registers hold: through a copy.
template <class V, int rows>
inline void product_edge(const ProductJob &job, const float *a, const float *b, float *c, int columns) {
    constexpr int wide = V::columns * V::width;
    float copy[rows * wide] = {};
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j) copy[i * wide + j] = c[i * job.ldc + j];
    product_block<V, rows>(job, a, b, copy, wide);
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j) c[i * job.ldc + j] = copy[i * wide + j];
}

template <class V, int rows>
inline void product_rows(const ProductJob &job, int64_t i, int j) {
    const float *a = job.a + i * job.lda, *b = job.b + j;
    float *c = job.c + i * job.ldc + j;
    if (job.n - j >= V::columns * V::width)
        product_block<V, rows>(job, a, b, c, job.ldc);
    else
        product_edge<V, rows>(job, a, b, c, job.n - j);
}

template <class V>
void product(const ProductJob &job) {
    static_assert(kLanes % (V::columns * V::width) == 0);
    for (int j = 0; j < job.n; j += V::columns * V::width) {
        int64_t i = 0;
        for (; i + V::rows <= job.m; i += V::rows) product_rows<V, V::rows>(job, i, j);
        for (; i < job.m; ++i) product_rows<V, 1>(job, i, j);
    }
}

}  // namespace
}  // namespace edgesleep
