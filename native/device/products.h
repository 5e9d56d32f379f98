// Products of matrices: a packed matrix forwards and backwards, and the low-rank ones of the factors.
//
// Owns the tile that all of them are summed in. Leaves how weights are read to grids.h. Must stay true: every output is
// summed with fma in the order of the sum, from 0 or from what it held, as ref does, so that the numbers are equal;
// beyond the edges are zeros, which are not summed.
#pragma once

#include "arguments.h"
#include "grids.h"

namespace edgesleep_device {

// A block makes kSide x kSide outputs, each thread kOwn x kOwn of them, kDepth steps of the sum at a time.
ES_CONSTANT int kSide = 64, kDepth = 16, kOwn = 4, kAcross = kSide / kOwn;
// One more than a row, so that a column of it does not lie in one bank of shared memory.
ES_CONSTANT int kPadded = kSide + 1;
struct ProductShared {
    Tile<float, kDepth * kPadded> left, right;
};

struct Sums {
    float own[kOwn][kOwn];
};

// Thread t has rows t / kAcross + i * kAcross and columns t % kAcross + j * kAcross of the block's outputs.
DEVICE int own_row(int worker, int i) { return worker / kAcross + i * kAcross; }
DEVICE int own_col(int worker, int j) { return worker % kAcross + j * kAcross; }

DEVICE void add_steps(SHARED(ProductShared) shared, int worker, int steps, PRIVATE Sums &sums) {
    for (int k = 0; k < steps; ++k) {
        float left[kOwn], right[kOwn];
        for (int i = 0; i < kOwn; ++i) {
            left[i] = shared.left[k * kPadded + own_row(worker, i)];
            right[i] = shared.right[k * kPadded + own_col(worker, i)];
        }
        for (int i = 0; i < kOwn; ++i)
            for (int j = 0; j < kOwn; ++j) sums.own[i][j] = fused(left[i], right[j], sums.own[i][j]);
    }
}

// The tile's weights w[row0.., sum0..], or turned w[sum0.., row0..] with `back`: rows of the output are then columns.
DEVICE void load_weights(ARGUMENTS(LinearArgs) args, SHARED(ProductShared) shared, int worker, int row0, int sum0) {
    const int64_t row_bytes = bytes_of_row(args.type, args.cols);
    constexpr int runs = kSide * kDepth / kRun;
    for (int index = worker; index < runs; index += kThreads) {
        const int across = args.back ? kSide / kRun : kDepth / kRun;
        const int row = (args.back ? sum0 : row0) + index / across;
        const int col = (args.back ? row0 : sum0) + index % across * kRun;
        Run run;
        read_weights(args.type, args.source + row * row_bytes, col, row < args.rows ? args.cols : 0, run);
        for (int i = 0; i < kRun; ++i) {
            const int k = args.back ? row - sum0 : col + i - sum0, r = args.back ? col + i - row0 : row - row0;
            shared.left[k * kPadded + r] = run.weight[i];
        }
    }
}

// Grid: pieces of kSide outputs of a token, pieces of kSide tokens.
DEVICE void linear(ARGUMENTS(LinearArgs) args, Place place, SHARED(ProductShared) shared) {
    const int row0 = place.x * kSide, token0 = place.y * kSide;
    const int outputs = args.back ? args.cols : args.rows, sum = args.back ? args.rows : args.cols;
    Sums sums;
    for (int i = 0; i < kOwn; ++i)
        for (int j = 0; j < kOwn; ++j) {
            const int row = row0 + own_row(place.worker, i), token = token0 + own_col(place.worker, j);
            const bool held = args.add && row < outputs && token < args.n;
            sums.own[i][j] = held ? (float)args.y[(int64_t)token * outputs + row] : 0.0f;
        }
    for (int sum0 = 0; sum0 < sum; sum0 += kDepth) {
        load_weights(args, shared, place.worker, row0, sum0);
        for (int index = place.worker; index < kSide * kDepth; index += kThreads) {
            const int token = token0 + index / kDepth, k = sum0 + index % kDepth;
            const bool inside = token < args.n && k < sum;
            shared.right[index % kDepth * kPadded + index / kDepth] =
                inside ? (float)args.x[(int64_t)token * sum + k] : 0.0f;
        }
        barrier();
        add_steps(shared, place.worker, lesser(kDepth, sum - sum0), sums);
        barrier();
    }
    for (int i = 0; i < kOwn; ++i)
        for (int j = 0; j < kOwn; ++j) {
            const int row = row0 + own_row(place.worker, i), token = token0 + own_col(place.worker, j);
            if (row >= outputs || token >= args.n) continue;
            const float bias = args.bias ? (float)args.bias[row] : 0.0f;
            args.y[(int64_t)token * outputs + row] = args.bias ? sums.own[i][j] + bias : sums.own[i][j];
        }
}

// Grid: pieces of kSide columns, pieces of kSide rows.
DEVICE void product(ARGUMENTS(ProductArgs) args, Place place, SHARED(ProductShared) shared) {
    const int col0 = place.x * kSide, row0 = place.y * kSide;
    Sums sums;
    for (int i = 0; i < kOwn; ++i)
        for (int j = 0; j < kOwn; ++j) sums.own[i][j] = 0.0f;
    for (int sum0 = 0; sum0 < args.sum; sum0 += kDepth) {
        for (int index = place.worker; index < kSide * kDepth; index += kThreads) {
            // Neighbouring threads take neighbouring places in memory: along the sum, or across it.
            const bool along_a = args.a_sum == 1, along_b = args.b_sum == 1;
            const int ka = along_a ? index % kDepth : index / kSide, row = along_a ? index / kDepth : index % kSide;
            const int kb = along_b ? index % kDepth : index / kSide, col = along_b ? index / kDepth : index % kSide;
            const bool in_a = row0 + row < args.rows && sum0 + ka < args.sum;
            const bool in_b = col0 + col < args.cols && sum0 + kb < args.sum;
            shared.left[ka * kPadded + row] =
                in_a ? (float)args.a[(row0 + row) * args.a_row + (sum0 + ka) * args.a_sum] : 0.0f;
            shared.right[kb * kPadded + col] =
                in_b ? (float)args.b[(col0 + col) * args.b_col + (sum0 + kb) * args.b_sum] : 0.0f;
        }
        barrier();
        add_steps(shared, place.worker, lesser(kDepth, args.sum - sum0), sums);
        barrier();
    }
    for (int i = 0; i < kOwn; ++i)
        for (int j = 0; j < kOwn; ++j) {
            const int row = row0 + own_row(place.worker, i), col = col0 + own_col(place.worker, j);
            if (row >= args.rows || col >= args.cols) continue;
            const int64_t at = row * args.c_row + col * args.c_col;
            const float made = args.scale * sums.own[i][j];
            args.c[at] = args.add ? args.c[at] + made : made;
        }
}

}  // namespace edgesleep_device
