// Matrices piece by piece, and their products with panels of activations.
//
// Owns the order in which weights are formed and summed. Leaves the arithmetic
// on a piece to the selected kernel and validation to ops.cpp. Must stay true:
// scratch is of fixed size, so the weights are never copied whole; every output
// is summed in one order, whatever the threads and the pieces.
#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#include "blocks.h"

namespace edgesleep {

struct Layout {
    int weights = 0, bytes = 0;
};

inline Layout layout(int32_t type) {
    Layout found;
    with_float(type, [&](auto value) { found = {1, value.bytes}; });
    with_block(type, [&](auto block) { found = {block.weights, block.bytes}; });
    return found;
}

// A checked matrix with its delta, and what every piece of work on it needs.
struct Call {
    const Kernel &kernel;
    const es_matrix &w;
    const es_adapter *adapter;  // null: no delta
    Layout block;

    int64_t row_bytes() const { return w.cols / block.weights * block.bytes; }
    const uint8_t *at(int64_t row, int64_t col) const {
        return w.data + row * row_bytes() + col / block.weights * block.bytes;
    }
};

int check_matrix(const es_matrix *w, int64_t row0, int64_t row1);
int check_adapter(const es_adapter *adapter, const es_matrix &w, int64_t row0, int64_t row1);
// All of a matrix with its factors as packed blocks, without an account; an error code as es_merge.
int round_into(const es_matrix &w, const es_adapter &adapter, uint8_t *out);

template <class Work>
void each(int64_t count, Work work) {
    parallel(count, [](void *context, int64_t i) { (*static_cast<Work *>(context))(i); }, &work);
}

// Weights [row, row+rows) x [col, col+cols) -> out[rows][stride]; cols <= kStrip.
inline bool tile(const Call &call, int64_t row, int rows, int64_t col, int cols, float *out, int64_t stride) {
    float delta[kRows * kStrip];
    bool good = true;
    for (int r = 0; r < rows; r += kRows) {
        const int count = std::min(kRows, rows - r);
        if (call.adapter) call.kernel.delta({call.adapter, call.w.cols, row + r, col, count, cols, delta});
        for (int i = r; i < r + count; ++i)
            good &= call.kernel.strip({call.w.type, call.at(row + i, col), col, cols, row_key(call.w.seed, row + i),
                                       call.adapter ? delta + (i - r) * kStrip : nullptr, out + i * stride, nullptr,
                                       nullptr});
    }
    return good;
}

// The same rows and columns as packed blocks of the same type, put at `out` as they lie in the tensor from `row` on.
inline bool pack_tile(const Call &call, int64_t row, int rows, int64_t col, int cols, uint8_t *out, es_moves *moves) {
    float delta[kRows * kStrip] = {};
    bool good = true;
    for (int r = 0; r < rows; r += kRows) {
        const int count = std::min(kRows, rows - r);
        if (call.adapter) call.kernel.delta({call.adapter, call.w.cols, row + r, col, count, cols, delta});
        for (int i = r; i < r + count; ++i)
            good &= call.kernel.strip({call.w.type, call.at(row + i, col), col, cols, row_key(call.w.seed, row + i),
                                       delta + (i - r) * kStrip, nullptr,
                                       out + (call.at(row + i, col) - call.at(row, 0)), moves ? moves + i : nullptr});
    }
    return good;
}

// Calls work(first row, rows, first column, columns) for pieces of rows [row0, row1), in parallel.
template <class Work>
void each_piece(const es_matrix &w, int64_t row0, int64_t row1, Work work) {
    constexpr int kPieceRows = 32;
    each((row1 - row0 + kPieceRows - 1) / kPieceRows, [&](int64_t i) {
        const int64_t row = row0 + i * kPieceRows;
        const int rows = (int)std::min<int64_t>(kPieceRows, row1 - row);
        for (int64_t col = 0; col < w.cols; col += kStrip)
            work(row, rows, col, (int)std::min<int64_t>(kStrip, w.cols - col));
    });
}

// Activations of `features` x 16 tokens a block; kernel.h has the lay-out.
struct Panel {
    float *data;
    int64_t features, blocks;

    int64_t stride() const { return features * kTokens; }
    float *at(int64_t block, int64_t feature = 0) const { return data + block * stride() + feature * kTokens; }
    Panel from(int64_t feature) const { return {at(0, feature), features, blocks}; }  // the rest of every block
};

// Rows of tokens as a panel, with zeros after the last one, and back.
inline void fold(const float *rows, int64_t n, const Panel &panel) {
    for (int64_t t = 0; t < n; ++t)
        for (int64_t f = 0; f < panel.features; ++f)
            panel.at(t / kTokens, f)[t % kTokens] = rows[t * panel.features + f];
}

inline void unfold(const Panel &panel, int64_t n, float *rows) {
    for (int64_t t = 0; t < n; ++t)
        for (int64_t f = 0; f < panel.features; ++f)
            rows[t * panel.features + f] = panel.at(t / kTokens, f)[t % kTokens];
}

// Rows [row, row+rows) of y = w' x; rows <= kPiece. y's own stride is given, since y may be part of a panel.
inline bool forward_piece(const Call &call, int64_t row, int rows, const Panel &x, float *y, int64_t y_stride) {
    alignas(64) float weights[kPiece * kStrip];
    bool good = true;
    for (int64_t block = 0; block < x.blocks; ++block) std::fill_n(y + block * y_stride, rows * kTokens, 0.0f);
    for (int64_t col = 0; col < call.w.cols; col += kStrip) {
        const int cols = (int)std::min<int64_t>(kStrip, call.w.cols - col);
        good &= tile(call, row, rows, col, cols, weights, kStrip);
        call.kernel.product(
            {rows, cols, 1, x.blocks, weights, kStrip, 1, 0, x.at(0, col), 0, x.stride(), y, kTokens, y_stride});
    }
    return good;
}

// Adds columns [col, col+cols) of w'^T dy to dx; cols <= kStrip. The rows of w' are summed in order.
inline bool backward_piece(const Call &call, int64_t col, int cols, const Panel &dy, const Panel &dx) {
    alignas(64) float weights[kPiece * kStrip];
    bool good = true;
    for (int64_t row = 0; row < call.w.rows; row += kPiece) {
        const int rows = (int)std::min<int64_t>(kPiece, call.w.rows - row);
        good &= tile(call, row, rows, col, cols, weights, kStrip);
        call.kernel.product({cols, rows, 1, dy.blocks, weights, 1, kStrip, 0, dy.at(0, row), 0, dy.stride(),
                             dx.at(0, col), kTokens, dx.stride()});
    }
    return good;
}

// Columns of a backward piece: whole blocks of the type and whole groups of registers, in enough pieces for all
// threads.
inline int column_piece(const Call &call) {
    return call.block.weights == kStrip ? kStrip : call.block.weights == 1 ? kPiece : 2 * kPiece;
}

}  // namespace edgesleep
