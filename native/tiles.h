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

// Calls work(i, job) for each row i of [row, row+rows) x [col, col+cols), cols <= kStrip. The job has the weights and
// their delta, null without factors; `work` says what it wants of them, hands the job to the kernel and returns
// whether all was finite.
template <class Work>
bool each_strip(const Call &call, int64_t row, int rows, int64_t col, int cols, Work work) {
    const uint8_t *source = call.at(row, col);
    const int64_t row_bytes = call.row_bytes();
    float delta[kRows * kStrip];
    bool good = true;
    for (int i = 0; i < rows; ++i) {
        if (call.adapter && i % kRows == 0)
            call.kernel.delta({call.adapter, call.w.cols, row + i, col, std::min(kRows, rows - i), cols, delta});
        StripJob job{};
        job.type = call.w.type;
        job.source = source + i * row_bytes;
        job.col = col;
        job.cols = cols;
        job.key = row_key(call.w.seed, row + i);
        job.delta = call.adapter ? delta + i % kRows * kStrip : nullptr;
        good &= work(i, job);
    }
    return good;
}

// Weights [row, row+rows) x [col, col+cols) -> out[rows][stride]; cols <= kStrip.
inline bool tile(const Call &call, int64_t row, int rows, int64_t col, int cols, float *out, int64_t stride) {
    return each_strip(call, row, rows, col, cols, [&](int i, StripJob &job) {
        job.weights = out + i * stride;
        return call.kernel.strip(job);
    });
}

// The same rows and columns as packed blocks of the same type, put at `out` as they lie in the tensor from `row` on.
inline bool pack_tile(const Call &call, int64_t row, int rows, int64_t col, int cols, uint8_t *out, es_moves *moves) {
    static constexpr float kNoDelta[kStrip] = {};
    const int64_t row_bytes = call.row_bytes();
    out += call.at(row, col) - call.at(row, 0);
    return each_strip(call, row, rows, col, cols, [&](int i, StripJob &job) {
        if (!job.delta) job.delta = kNoDelta;
        job.packed = out + i * row_bytes;
        job.moves = moves ? moves + i : nullptr;
        return call.kernel.strip(job);
    });
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

// --- products in 8 bits

// Sizes of codes for which eight fours add up within 16 bits, or four with codes of five bits. Inputs of a forward
// product meet the file's own codes; in the gradient, where the scales of the file lie across the sum, the weights are
// encoded anew.
constexpr int kInputMost = 127, kWeightMost = 31, kGradientMost = 33;
static_assert(8 * 2 * 15 * kInputMost < 1 << 15 && 4 * 2 * 31 * kInputMost < 1 << 15);
static_assert(8 * 2 * 2 * kWeightMost * kGradientMost < 1 << 15);

// A panel as integers, as kernel.h says; empty where the product is to be made in f32.
struct Codes {
    std::vector<uint8_t> codes;
    std::vector<float> scales, sums;
    int64_t features = 0;

    bool empty() const { return !features; }

    void encode(const Kernel &kernel, const Panel &x, int most) {
        features = x.features % kDots ? 0 : x.features;
        const size_t size = (size_t)(features * x.blocks * kTokens);
        if (codes.size() < size) codes.resize(size), scales.resize(size / kDots), sums.resize(size / kDots);
        if (empty()) return;
        each(x.blocks, [&](int64_t i) {
            const int64_t at = i * x.stride(), groups = features / kDots;
            kernel.layers.encode({(int)groups, most, false, x.at(i), kTokens, codes.data() + at, 4 * kTokens,
                                  scales.data() + at / kDots, sums.data() + at / kDots, kTokens});
        });
    }
};

// The ends of a grid whose scales hold for kDots weights and whose codes leave room; {0, 0} for any other type.
struct Grid {
    int low = 0, high = 0;
};
inline Grid grid(int32_t type) {
    Grid found;
    with_block(type, [&](auto block) {
        if (block.high - block.low < 32 && block.group == kDots) found = {block.low, block.high};
    });
    return found;
}

// A tile of codes and what they mean, in either of the lay-outs of kernel.h.
struct CodeTile {
    alignas(64) uint8_t code[kStrip * kTurned];
    float step[kStrip / kDots * kTurned], offset[kStrip / kDots * kTurned];
};

// The file's own codes of w' [row, row+rows) x [col, col+cols), rows <= kPiece.
inline bool code_tile(const Call &call, int64_t row, int rows, int64_t col, int cols, CodeTile &out) {
    const int low = grid(call.w.type).low;
    // Copies of what the loops use: bytes may be written to whatever has an address.
    return each_strip(call, row, rows, col, cols, [&call, &out, cols, low](int i, StripJob &job) {
        Strip strip;
        job.strip = &strip;
        const bool good = call.kernel.strip(job);
        uint8_t *code = out.code + i * kStrip;
        for (int j = 0; j < cols; ++j) code[j] = (uint8_t)(strip.code[j] - low);
        for (int g = 0; g < cols / kDots; ++g) {
            const float step = strip.step[g * (kDots / kGroup)], offset = strip.offset[g * (kDots / kGroup)];
            out.step[i * (kStrip / kDots) + g] = step;
            out.offset[i * (kStrip / kDots) + g] = offset + step * (float)low;
        }
        return good;
    });
}

// w'^T [col, col+cols) x [row, row+rows) in codes of its own, turned; whole groups of rows, whole blocks of tokens
// of columns, which are the lanes here.
inline bool turned_tile(const Call &call, int64_t row, int rows, int64_t col, int cols, CodeTile &out) {
    alignas(64) float weights[kDots * kStrip];
    bool good = true;
    for (int group = 0; group < rows / kDots; ++group) {
        good &= tile(call, row + group * kDots, kDots, col, cols, weights, kStrip);
        float *step = out.step + group * kTurned, *offset = out.offset + group * kTurned;
        for (int j = 0; j < cols; j += kTokens)
            call.kernel.layers.encode({1, kWeightMost, true, weights + j, kStrip,
                                       out.code + group * kDots * kTurned + 4 * j, 4 * kTurned, step + j, nullptr, 0});
        for (int j = 0; j < cols; ++j) offset[j] = -(float)kWeightMost * step[j];
    }
    return good;
}

// Adds to rows [row, row+rows) of y what columns [col, col+cols) give.
inline bool forward_codes(const Call &call, int64_t row, int rows, int64_t col, int cols, const Codes &x,
                          const Panel &y) {
    thread_local CodeTile tile;
    const bool good = code_tile(call, row, rows, col, cols, tile);
    const Grid grid = edgesleep::grid(call.w.type);
    const int64_t stride = x.features * kTokens, at = col * kTokens;
    call.kernel.dots({rows, cols / kDots, grid.high - grid.low < 16 ? 8 : 4, y.blocks, false, tile.code, tile.step,
                      tile.offset, x.codes.data() + at, x.scales.data() + at / kDots, x.sums.data() + at / kDots,
                      stride, stride / kDots, y.at(0, row), y.stride()});
    return good;
}

// Adds to columns [col, col+cols) of dx what rows [row, row+rows) of w'^T dy give; rows <= kStrip.
inline bool backward_codes(const Call &call, int64_t row, int rows, int64_t col, int cols, const Codes &dy,
                           const Panel &dx) {
    thread_local CodeTile tile;
    const bool good = turned_tile(call, row, rows, col, cols, tile);
    const int64_t stride = dy.features * kTokens, at = row * kTokens;
    call.kernel.dots({cols, rows / kDots, 8, dx.blocks, true, tile.code, tile.step, tile.offset, dy.codes.data() + at,
                      dy.scales.data() + at / kDots, dy.sums.data() + at / kDots, stride, stride / kDots, dx.at(0, col),
                      dx.stride()});
    return good;
}

// --- pieces of a product

// Rows [row, row+rows) of y = w' x; rows <= kPiece.
inline bool forward_piece(const Call &call, int64_t row, int rows, const Panel &x, const Codes &codes, const Panel &y) {
    alignas(64) float weights[kPiece * kStrip];
    const bool coded = !codes.empty() && grid(call.w.type).high;
    bool good = true;
    for (int64_t block = 0; block < x.blocks; ++block) std::fill_n(y.at(block, row), rows * kTokens, 0.0f);
    for (int64_t col = 0; col < call.w.cols; col += kStrip) {
        const int cols = (int)std::min<int64_t>(kStrip, call.w.cols - col);
        if (coded) {
            good &= forward_codes(call, row, rows, col, cols, codes, y);
            continue;
        }
        good &= tile(call, row, rows, col, cols, weights, kStrip);
        call.kernel.product({rows, cols, 1, x.blocks, weights, kStrip, 1, 0, x.at(0, col), 0, x.stride(), y.at(0, row),
                             kTokens, y.stride()});
    }
    return good;
}

// Adds columns [col, col+cols) of w'^T dy to dx; cols <= kStrip. The rows of w' are summed in order.
inline bool backward_piece(const Call &call, int64_t col, int cols, const Panel &dy, const Codes &codes,
                           const Panel &dx) {
    alignas(64) float weights[kPiece * kStrip];
    bool good = true;
    if (!codes.empty() && call.w.cols % kDots == 0) {
        for (int64_t row = 0; row < call.w.rows; row += kStrip)
            good &= backward_codes(call, row, (int)std::min<int64_t>(kStrip, call.w.rows - row), col, cols, codes, dx);
        return good;
    }
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
