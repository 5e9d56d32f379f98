// Products with a packed matrix on tensor cores and simdgroup matrices: inputs in bf16, sums in f32.
//
// Owns the tile of 16 x 16 outputs that 32 threads make together, in three forms, and the product made of them. Leaves
// the exact product to products.h. Must stay true: both inputs are rounded to nearest even in bf16 first; the plain
// form is the meaning, for cards without such units and for the emulator; the others may sum in another order.
#pragma once

#include "products.h"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define EDGESLEEP_TENSOR_CORES
#include <cuda_bf16.h>
#include <mma.h>
#endif

namespace edgesleep_device {

// A tile's inputs lie [row][step] and [token][step], kStep steps at a time; the strides keep rows of both, and of the
// sums, off each other's banks and at the alignment that the units ask for.
ES_CONSTANT int kCorner = 16, kStep = 32, kStride = kStep + 8, kSumStride = kSide + 4, kTogether = 32;
using Halves = Tile<uint16_t, kSide * kStride>;
using CornerSums = Tile<float, kSide * kSumStride>;
struct TilesShared {
    alignas(32) Halves left;
    alignas(32) Halves right;
    alignas(32) CornerSums sums;
};

#if defined(EDGESLEEP_TENSOR_CORES)
using Corner = nvcuda::wmma::fragment<nvcuda::wmma::accumulator, kCorner, kCorner, kCorner, float>;

DEVICE void clear(Corner &corner) { nvcuda::wmma::fill_fragment(corner, 0.0f); }
DEVICE void multiply(TilesShared &shared, int left, int right, int, Corner &corner) {
    using namespace nvcuda::wmma;
    fragment<matrix_a, kCorner, kCorner, kCorner, __nv_bfloat16, row_major> a;
    fragment<matrix_b, kCorner, kCorner, kCorner, __nv_bfloat16, col_major> b;
    load_matrix_sync(a, (const __nv_bfloat16 *)(shared.left + left), kStride);
    load_matrix_sync(b, (const __nv_bfloat16 *)(shared.right + right), kStride);
    mma_sync(corner, a, b, corner);
}
DEVICE void put(TilesShared &shared, int at, int, Corner &corner) {
    nvcuda::wmma::store_matrix_sync(shared.sums + at, corner, kSumStride, nvcuda::wmma::mem_row_major);
}
#elif defined(__METAL_VERSION__)
struct Corner {  // quarters of 8 x 8
    simdgroup_matrix<float, 8, 8> quarter[2][2];
};

inline void clear(thread Corner &corner) {
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j) corner.quarter[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
}
inline void multiply(threadgroup TilesShared &shared, int left, int right, int, thread Corner &corner) {
    for (int k = 0; k < kCorner; k += 8) {
        simdgroup_matrix<bfloat, 8, 8> a[2], b[2];
        for (int i = 0; i < 2; ++i) {
            simdgroup_load(a[i], (threadgroup const bfloat *)(shared.left + left + i * 8 * kStride + k), kStride);
            simdgroup_load(b[i], (threadgroup const bfloat *)(shared.right + right + i * 8 * kStride + k), kStride,
                           ulong2(0, 0), true);
        }
        for (int i = 0; i < 2; ++i)
            for (int j = 0; j < 2; ++j)
                simdgroup_multiply_accumulate(corner.quarter[i][j], a[i], b[j], corner.quarter[i][j]);
    }
}
inline void put(threadgroup TilesShared &shared, int at, int, thread Corner &corner) {
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j)
            simdgroup_store(corner.quarter[i][j], shared.sums + at + i * 8 * kSumStride + j * 8, kSumStride);
}
#else
struct Corner {  // of 256 sums, the thread's own eight
    float own[8];
};

DEVICE float from_bf16(uint16_t word) { return from_bits((uint32_t)word << 16); }
DEVICE void clear(Corner &corner) { UNROLL for (int i = 0; i < 8; ++i) corner.own[i] = 0.0f; }
DEVICE void multiply(TilesShared &shared, int left, int right, int worker, Corner &corner) {
    UNROLL for (int i = 0; i < 8; ++i) {
        const int index = worker % kTogether * 8 + i;
        for (int k = 0; k < kCorner; ++k)
            corner.own[i] = fused(from_bf16(shared.left[left + index / kCorner * kStride + k]),
                                  from_bf16(shared.right[right + index % kCorner * kStride + k]), corner.own[i]);
    }
}
DEVICE void put(TilesShared &shared, int at, int worker, Corner &corner) {
    UNROLL for (int i = 0; i < 8; ++i) {
        const int index = worker % kTogether * 8 + i;
        shared.sums[at + index / kCorner * kSumStride + index % kCorner] = corner.own[i];
    }
}
#endif

// Both inputs of the steps from sum0 on, in bf16, zeros beyond the edges.
DEVICE void load_halves(ARGUMENTS(LinearArgs) args, SHARED(TilesShared) shared, int worker, int row0, int token0,
                        int sum0, int sum) {
    const int64_t row_bytes = bytes_of_row(args.type, args.cols);
    constexpr int runs = kSide * kStep / kRun;
    for (int index = worker; index < runs; index += kThreads) {
        const int across = args.back ? kSide / kRun : kStep / kRun;
        const int row = (args.back ? sum0 : row0) + index / across;
        const int col = (args.back ? row0 : sum0) + index % across * kRun;
        Run run;
        read_weights(args.type, args.source + row * row_bytes, col, row < args.rows ? args.cols : 0, run);
        for (int i = 0; i < kRun; ++i) {
            const int k = args.back ? row - sum0 : col + i - sum0, r = args.back ? col + i - row0 : row - row0;
            shared.left[r * kStride + k] = to_bf16(run.weight[i]);
        }
    }
    for (int index = worker; index < kSide * kStep; index += kThreads) {
        const int token = token0 + index / kStep, k = sum0 + index % kStep;
        const bool inside = token < args.n && k < sum;
        shared.right[index / kStep * kStride + index % kStep] =
            to_bf16(inside ? (float)args.x[(int64_t)token * sum + k] : 0.0f);
    }
}

// As `linear`. Of the block's 4 x 4 corners, each 32 threads make two beside each other.
DEVICE void linear_bf16(ARGUMENTS(LinearArgs) args, Place place, SHARED(TilesShared) shared) {
    const int row0 = place.x * kSide, token0 = place.y * kSide, group = place.worker / kTogether;
    const int outputs = args.back ? args.cols : args.rows, sum = args.back ? args.rows : args.cols;
    const int row = group % 4 * kCorner, token = group / 4 * 2 * kCorner;
    Corner first, second;
    clear(first);
    clear(second);
    for (int sum0 = 0; sum0 < sum; sum0 += kStep) {
        load_halves(args, shared, place.worker, row0, token0, sum0, sum);
        barrier();
        for (int k = 0; k < kStep; k += kCorner) {
            multiply(shared, row * kStride + k, token * kStride + k, place.worker, first);
            multiply(shared, row * kStride + k, (token + kCorner) * kStride + k, place.worker, second);
        }
        barrier();
    }
    put(shared, row * kSumStride + token, place.worker, first);
    put(shared, row * kSumStride + token + kCorner, place.worker, second);
    barrier();
    for (int index = place.worker; index < kSide * kSide; index += kThreads) {
        const int r = index % kSide, t = index / kSide;
        if (row0 + r >= outputs || token0 + t >= args.n) continue;
        const int64_t at = (int64_t)(token0 + t) * outputs + row0 + r;
        float made = shared.sums[r * kSumStride + t];
        if (args.add) made = made + args.y[at];
        args.y[at] = args.bias ? made + args.bias[row0 + r] : made;
    }
}

}  // namespace edgesleep_device
