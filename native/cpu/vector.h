// The fast kernels, written once over a vector type.
//
// Owns the shape of the loops; an instruction set's file supplies the vector V
// (width, load, fma ...) and includes this. Leaves the meaning to ref.cpp.
// Must stay true: per output the same operations in the same order as ref, so
// the bytes are equal; no library code, and all in an unnamed namespace, so that
// no function built for one processor is linked into a call from another.
#pragma once

#include "layers.h"

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

// Sums of an account, a strip at a time.
template <class V>
struct Account {
    int64_t moved = 0, clamped = 0;
    typename V::f squares = V::all(0.0f), dot = V::all(0.0f);

    void add_to(const StripJob &job) const {
        float lanes[2][V::width];
        V::store(lanes[0], squares);
        V::store(lanes[1], dot);
        for (int i = 0; i < V::width; ++i) {
            job.moves->delta_squares += lanes[0][i];
            job.moves->change_dot += lanes[1][i];
        }
        job.moves->codes += job.cols;
        job.moves->moved += moved;
        job.moves->clamped += clamped;
    }
};

template <class V>
void stored_strip(const Strip &strip, const StripJob &job) {
    for (int j = 0; j < job.cols; j += V::width)
        V::store(job.weights + j, V::add(V::mul(V::codes(strip.code + j), V::all(strip.step[j / kGroup])),
                                         V::all(strip.offset[j / kGroup])));
}

template <class V, bool merging, class Block>
void moved_strip(Block, const Strip &strip, const StripJob &job, int8_t *codes) {
    // An inverse of 0 leaves floor(u) = 0: a block without a step stays.
    float inverse[kStrip / kGroup];
    for (int g = 0; g < job.cols / kGroup; ++g) inverse[g] = strip.step[g] == 0.0f ? 0.0f : 1.0f / strip.step[g];
    const typename V::f low = V::all(Block::low), high = V::all(Block::high);
    typename V::i columns = V::ramp((uint32_t)job.col * kColumn, kColumn);
    Account<V> account;
    for (int j = 0; j < job.cols; j += V::width) {
        const int g = j / kGroup;
        const typename V::f u = dither_lanes<V>(job.key, columns), delta = V::load(job.delta + j);
        const typename V::f old = V::codes(strip.code + j), step = V::all(strip.step[g]);
        const typename V::f wanted = V::add(old, V::floor(V::fma(delta, V::all(inverse[g]), u)));
        const typename V::f code = V::min(V::max(wanted, low), high);
        const typename V::f offset = V::all(strip.offset[g]), weight = V::add(V::mul(code, step), offset);
        if (!merging || job.weights) V::store(job.weights + j, weight);
        if (merging) V::store_codes(codes + j, code);
        if (merging && job.moves) {
            account.moved += V::differ(code, old);
            account.clamped += V::differ(code, wanted);
            account.squares = V::fma(delta, delta, account.squares);
            account.dot = V::fma(V::mul(V::sub(code, old), step), delta, account.dot);
        }
        columns = V::plus(columns, V::all_ints(kColumn * V::width));
    }
    if (merging && job.moves) account.add_to(job);
}

template <class V, class Block>
bool affine_strip(Block block, const StripJob &job) {
    Strip strip;
    const bool good = unpack(block, job.source, job.cols, strip);
    if (job.strip) {
        if (job.delta) moved_strip<V, true>(block, strip, job, strip.code);
        *job.strip = strip;
        return good;
    }
    if (!job.packed) {
        job.delta ? moved_strip<V, false>(block, strip, job, nullptr) : stored_strip<V>(strip, job);
        return good;
    }
    int8_t codes[kStrip];
    moved_strip<V, true>(block, strip, job, codes);
    pack(block, codes, job);
    return good;
}

template <class V>
bool strip(const StripJob &job) {
    bool good = true;
    const auto affine = [&](auto block) { good = affine_strip<V>(block, job); };
    if (!with_block(job.type, affine)) with_float(job.type, [&](auto type) { good = float_strip(type, job); });
    return good;
}

// `rows` rows of `blocks` token blocks stay in registers while the sum runs.
template <class V, int rows, int blocks>
inline void product_rows(const ProductJob &job, const float *a, const float *b, float *c) {
    constexpr int vectors = kTokens / V::width;
    typename V::f sum[rows][blocks * vectors];
    for (int i = 0; i < rows; ++i)
        for (int v = 0; v < blocks * vectors; ++v)
            sum[i][v] = V::load(c + i * job.c_row + v / vectors * job.c_block + v % vectors * V::width);
    for (int chunk = 0; chunk < job.chunks; ++chunk) {
        const float *left = a + chunk * job.a_chunk, *right = b + chunk * job.b_chunk;
        for (int step = 0; step < job.steps; ++step, left += job.a_step, right += kTokens) {
            typename V::f tokens[blocks * vectors];
            for (int v = 0; v < blocks * vectors; ++v)
                tokens[v] = V::load(right + v / vectors * job.b_block + v % vectors * V::width);
            for (int i = 0; i < rows; ++i) {
                const typename V::f weight = V::all(left[i * job.a_row]);
                for (int v = 0; v < blocks * vectors; ++v) sum[i][v] = V::fma(weight, tokens[v], sum[i][v]);
            }
        }
    }
    for (int i = 0; i < rows; ++i)
        for (int v = 0; v < blocks * vectors; ++v)
            V::store(c + i * job.c_row + v / vectors * job.c_block + v % vectors * V::width, sum[i][v]);
}

// The rows that are left over, fewer than a full group.
template <class V, int rows, int blocks>
inline void product_rest(const ProductJob &job, int left, const float *a, const float *b, float *c) {
    if constexpr (rows > 0) {
        if (left == rows) return product_rows<V, rows, blocks>(job, a, b, c);
        product_rest<V, rows - 1, blocks>(job, left, a, b, c);
    }
}

template <class V, int blocks>
inline void product_blocks(const ProductJob &job, const float *b, float *c) {
    int i = 0;
    for (; i + V::rows <= job.rows; i += V::rows)
        product_rows<V, V::rows, blocks>(job, job.a + i * job.a_row, b, c + i * job.c_row);
    product_rest<V, V::rows - 1, blocks>(job, job.rows - i, job.a + i * job.a_row, b, c + i * job.c_row);
}

template <class V>
void product(const ProductJob &job) {
    int64_t block = 0;
    for (; block + V::blocks <= job.blocks; block += V::blocks)
        product_blocks<V, V::blocks>(job, job.b + block * job.b_block, job.c + block * job.c_block);
    for (; block < job.blocks; ++block)
        product_blocks<V, 1>(job, job.b + block * job.b_block, job.c + block * job.c_block);
}

// One group of `rows` rows and `blocks` token blocks: the sums in integers. Where an instruction adds fours to 32 bits
// (V::whole) it does; else pairs are added in 16 bits, `fours` times. V::tiled does it in its own way.
template <class V, int rows, int blocks, int fours, bool turned>
inline void dot_group(const uint8_t *a, const uint8_t *b, int64_t b_block,
                      typename V::i (&total)[rows][blocks * kTokens / V::width]) {
    constexpr TileStrides stride = kTileStrides[turned];
    constexpr int in_block = kTokens / V::width, vectors = blocks * in_block;
    if constexpr (V::tiled) return V::template group<rows, turned>(a, b, total);
    for (int first = 0; first < kDots / 4; first += fours) {
        typename V::i pairs[rows][vectors];
#pragma GCC unroll 8
        for (int k = 0; k < fours; ++k)
            for (int i = 0; i < rows; ++i) {
                uint32_t four;
                memcpy(&four, a + i * stride.row + (first + k) * stride.four, 4);
                const typename V::i left = V::all_ints(four);
                for (int v = 0; v < vectors; ++v) {
                    const typename V::i right = V::load_bytes(b + v / in_block * b_block +
                                                              ((first + k) * kTokens + v % in_block * V::width) * 4);
                    if constexpr (V::whole)
                        total[i][v] = V::dot(first + k ? total[i][v] : V::all_ints(0), left, right);
                    else
                        pairs[i][v] = k ? V::plus_pairs(pairs[i][v], V::pairs(left, right)) : V::pairs(left, right);
                }
            }
        if constexpr (!V::whole)
            for (int i = 0; i < rows; ++i)
                for (int v = 0; v < vectors; ++v)
                    total[i][v] = first ? V::plus(total[i][v], V::join(pairs[i][v])) : V::join(pairs[i][v]);
    }
}

template <class V, int rows, int blocks, int fours, bool turned>
inline void dot_rows(const DotJob &job, int row, int64_t block) {
    constexpr TileStrides stride = kTileStrides[turned];
    constexpr int in_block = kTokens / V::width, vectors = blocks * in_block;
    const int64_t b_block = job.b_block, scale_block = job.scale_block, c_block = job.c_block;
    const uint8_t *a = job.a + row * stride.row, *b = job.b + block * b_block;
    const float *step = job.step + row * stride.step_row, *offset = job.offset + row * stride.step_row;
    const float *scale = job.scale + block * scale_block, *sum = job.sum + block * scale_block;
    float *c = job.c + block * c_block + row * kTokens;
    typename V::f found[rows][vectors];
    for (int i = 0; i < rows; ++i)
        for (int v = 0; v < vectors; ++v)
            found[i][v] = V::load(c + v / in_block * c_block + i * kTokens + v % in_block * V::width);
    for (int g = 0; g < job.groups; ++g) {
        typename V::i total[rows][vectors];
        dot_group<V, rows, blocks, fours, turned>(a, b, b_block, total);
        for (int i = 0; i < rows; ++i)
            for (int v = 0; v < vectors; ++v) {
                const int64_t own = v / in_block * scale_block + v % in_block * V::width;
                const typename V::f dots = V::mul(V::to_float(total[i][v]), V::load(scale + own));
                found[i][v] = V::fma(dots, V::all(step[i * stride.step_row]), found[i][v]);
                found[i][v] = V::fma(V::load(sum + own), V::all(offset[i * stride.step_row]), found[i][v]);
            }
        a += kDots / 4 * stride.four;
        b += kDots * kTokens;
        step += stride.step_group;
        offset += stride.step_group;
        scale += kTokens;
        sum += kTokens;
    }
    for (int i = 0; i < rows; ++i)
        for (int v = 0; v < vectors; ++v)
            V::store(c + v / in_block * c_block + i * kTokens + v % in_block * V::width, found[i][v]);
}

template <class V, int blocks, int fours, bool turned>
inline void dot_block(const DotJob &job, int64_t block) {
    int row = 0;
    for (; row + V::dot_rows <= job.rows; row += V::dot_rows)
        dot_rows<V, V::dot_rows, blocks, fours, turned>(job, row, block);
    for (; row < job.rows; ++row) dot_rows<V, 1, blocks, fours, turned>(job, row, block);
}

template <class V, int fours, bool turned>
void dot_blocks(const DotJob &job) {
    int64_t block = 0;
    for (; block + V::blocks <= job.blocks; block += V::blocks) dot_block<V, V::blocks, fours, turned>(job, block);
    for (; block < job.blocks; ++block) dot_block<V, 1, fours, turned>(job, block);
}

template <class V>
void dots(const DotJob &job) {
    if (job.turned) return job.fours == 8 ? dot_blocks<V, 8, true>(job) : dot_blocks<V, 4, true>(job);
    job.fours == 8 ? dot_blocks<V, 8, false>(job) : dot_blocks<V, 4, false>(job);
}

template <class V>
constexpr Kernel kernel_of(const char *name, bool (*runs)()) {
    return {name, runs, delta<V>, strip<V>, product<V>, dots<V>, kLayers};
}

}  // namespace
}  // namespace edgesleep
