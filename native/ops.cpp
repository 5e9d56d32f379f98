// The operations of the ABI, cut into strips, tiles and pieces for threads.
//
// Owns validation and the order in which pieces are computed and summed. Leaves
// the arithmetic on a piece to the selected kernel. Must stay true: bad input is
// an error code before anything is written; scratch is of fixed size, so the
// weights are never copied whole; sums run in one order whatever the threads.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>
#include <vector>

#include "blocks.h"

namespace edgesleep {
namespace {

struct Layout {
    int weights = 0, bytes = 0;
};

Layout layout(int32_t type) {
    Layout found;
    with_float(type, [&](auto value) { found = {1, value.bytes}; });
    with_block(type, [&](auto block) { found = {block.weights, block.bytes}; });
    return found;
}

// One call's arguments, checked, with what every piece of it needs.
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

// Largest absolute value, or infinity when one is not finite.
float largest(const float *values, int64_t count) {
    uint32_t top = 0;
    for (int64_t i = 0; i < count; ++i) top = std::max(top, bits(values[i]) & 0x7fffffffu);
    return top >= 0x7f800000u ? INFINITY : from_bits(top);
}

int check_matrix(const es_matrix *w, int64_t row0, int64_t row1) {
    if (!w || w->rows < 0 || w->cols < 0 || (!w->data && w->rows)) return ES_SHAPE;
    const Layout block = layout(w->type);
    if (!block.weights) return ES_TYPE;
    return w->cols % block.weights || row0 < 0 || row0 > row1 || row1 > w->rows ? ES_SHAPE : ES_OK;
}

// Under this bound no D, and no D / s with a 16-bit scale s, can leave the range of f32.
int check_adapter(const es_adapter *adapter, const es_matrix &w, int64_t row0, int64_t row1) {
    if (!adapter) return ES_OK;
    if (adapter->rank < 0 || (adapter->rank && (!adapter->a || !adapter->b))) return ES_SHAPE;
    const int64_t rank = adapter->rank;
    const double product =
        (double)rank * largest(adapter->a, rank * w.cols) * largest(adapter->b + row0 * rank, (row1 - row0) * rank);
    const double scale = std::fabs((double)adapter->scale);
    return product <= 0x1p100 && scale <= 0x1p100 && product * scale <= 0x1p100 ? ES_OK : ES_ADAPTER;
}

// Checks the arguments and runs body(call), which returns an error code; nothing is thrown past it.
template <class Body>
int checked(const es_matrix *w, const es_adapter *adapter, int64_t row0, int64_t row1, Body body) {
    if (int error = check_matrix(w, row0, row1)) return error;
    if (int error = check_adapter(adapter, *w, row0, row1)) return error;
    const Kernel *kernel = selected();
    if (!kernel) return ES_KERNEL;
    const bool moves = adapter && adapter->rank;
    try {
        return body(Call{*kernel, *w, moves ? adapter : nullptr, layout(w->type)});
    } catch (const std::bad_alloc &) {
        return ES_MEMORY;
    }
}

template <class Work>
void each(int64_t count, Work work) {
    parallel(count, [](void *context, int64_t i) { (*static_cast<Work *>(context))(i); }, &work);
}

// Weights [row, row+rows) x [col, col+cols) -> out[rows][stride]; cols <= kStrip.
bool tile(const Call &call, int64_t row, int rows, int64_t col, int cols, float *out, int64_t stride) {
    float delta[kRows * kStrip];
    bool good = true;
    for (int r = 0; r < rows; r += kRows) {
        const int count = std::min(kRows, rows - r);
        if (call.adapter) call.kernel.delta({call.adapter, call.w.cols, row + r, col, count, cols, delta});
        for (int i = r; i < r + count; ++i)
            good &= call.kernel.strip({call.w.type, call.at(row + i, col), col, cols, row_key(call.w.seed, row + i),
                                       call.adapter ? delta + (i - r) * kStrip : nullptr, out + i * stride, nullptr});
    }
    return good;
}

// Calls work(first row, rows, first column, columns) for pieces of rows [row0, row1), in parallel.
template <class Work>
void each_piece(const es_matrix &w, int64_t row0, int64_t row1, Work work) {
    constexpr int kPiece = 32;
    each((row1 - row0 + kPiece - 1) / kPiece, [&](int64_t i) {
        const int64_t row = row0 + i * kPiece;
        const int rows = (int)std::min<int64_t>(kPiece, row1 - row);
        for (int64_t col = 0; col < w.cols; col += kStrip)
            work(row, rows, col, (int)std::min<int64_t>(kStrip, w.cols - col));
    });
}

int64_t offset(const Call &call, int64_t row, int64_t row0, int64_t col) { return (row - row0) * call.w.cols + col; }

// Packs new codes over a copy of the blocks, and counts.
template <class Block>
void merge_codes(Block block, const StripJob &job, uint8_t *out, es_moves &moves) {
    Strip old;
    unpack(block, job.source, job.cols, old);
    for (int j = 0; j < job.cols; j += Block::weights)
        block.pack(job.codes + j, out + j / Block::weights * Block::bytes);
    for (int j = 0; j < job.cols; ++j) {
        const int code = job.codes[j];
        moves.moved += code != old.code[j];
        const float step = old.step[j / kGroup];
        if (step == 0.0f || (code != Block::low && code != Block::high)) continue;
        const float wanted =
            old.code[j] + std::floor(std::fmaf(job.delta[j], 1.0f / step, dither(job.key, job.col + j)));
        moves.clamped += wanted < Block::low || wanted > Block::high;
    }
}

// Where D = 0 the bytes stay, whatever they are.
template <class Float>
void merge_floats(Float type, const StripJob &job, uint8_t *out, es_moves &moves) {
    for (int j = 0; j < job.cols; ++j) {
        uint8_t *at = out + j * Float::bytes;
        if (job.delta[j] != 0.0f) type.write(job.weights[j], at);
        moves.moved += memcmp(at, job.source + j * Float::bytes, Float::bytes) != 0;
    }
}

// One strip of the merge: packed bytes, and what moved.
bool merge_strip(const Call &call, int64_t row, int64_t col, int cols, const float *delta, uint8_t *out,
                 es_moves &moves) {
    float before[kStrip], after[kStrip];
    int8_t codes[kStrip];
    StripJob job{call.w.type, call.at(row, col), col, cols, row_key(call.w.seed, row), nullptr, before, nullptr};
    call.kernel.strip(job);
    job.delta = delta;
    job.weights = after;
    job.codes = codes;
    const bool good = call.kernel.strip(job);
    memcpy(out, job.source, (size_t)(cols / call.block.weights) * call.block.bytes);
    with_block(job.type, [&](auto block) { merge_codes(block, job, out, moves); });
    with_float(job.type, [&](auto type) { merge_floats(type, job, out, moves); });
    for (int j = 0; j < cols; ++j) {
        moves.delta_squares += (double)delta[j] * delta[j];
        moves.change_dot += ((double)after[j] - before[j]) * delta[j];
    }
    moves.codes += cols;
    return good;
}

void add(es_moves &total, const es_moves &part) {
    total.codes += part.codes;
    total.moved += part.moved;
    total.clamped += part.clamped;
    total.delta_squares += part.delta_squares;
    total.change_dot += part.change_dot;
}

// y tile by tile of kLanes output columns: the tile's weights are laid out [k][kLanes] for the product.
bool linear_piece(const Call &call, int64_t row, const float *x, int64_t n, float *y) {
    alignas(64) float rows_first[kTile], columns_first[kTile] = {};
    const int rows = (int)std::min<int64_t>(kLanes, call.w.rows - row);
    bool good = true;
    for (int64_t col = 0; col < call.w.cols; col += kStrip) {
        const int cols = (int)std::min<int64_t>(kStrip, call.w.cols - col);
        good &= tile(call, row, rows, col, cols, rows_first, kStrip);
        for (int j0 = 0; j0 < cols; j0 += 16)  // by 16, so that a line of the source is used up while it is near
            for (int i = 0; i < rows; ++i)
                for (int j = j0; j < std::min(j0 + 16, cols); ++j)
                    columns_first[j * kLanes + i] = rows_first[i * kStrip + j];
        call.kernel.product({n, rows, cols, x + col, call.w.cols, columns_first, kLanes, y + row, call.w.rows});
    }
    return good;
}

// dx for `width` columns from `col` on; the rows of w are summed in order.
bool grad_piece(const Call &call, int64_t col, int width, const float *dy, int64_t n, float *dx) {
    alignas(64) float weights[kTile] = {};
    const int cols = (int)std::min<int64_t>(width, call.w.cols - col), height = kTile / width;
    bool good = true;
    for (int64_t row = 0; row < call.w.rows; row += height) {
        const int rows = (int)std::min<int64_t>(height, call.w.rows - row);
        good &= tile(call, row, rows, col, cols, weights, width);
        call.kernel.product({n, cols, rows, dy + row, call.w.rows, weights, width, dx + col, call.w.cols});
    }
    return good;
}

}  // namespace
}  // namespace edgesleep

using namespace edgesleep;

extern "C" {

int es_block(int32_t type, int32_t *weights, int32_t *bytes) {
    const Layout block = layout(type);
    if (!block.weights) return ES_TYPE;
    *weights = block.weights;
    *bytes = block.bytes;
    return ES_OK;
}

int es_dequantize(const es_matrix *w, int64_t row0, int64_t row1, float *out) {
    return checked(w, nullptr, row0, row1, [&](const Call &call) {
        each_piece(*w, row0, row1, [&](int64_t row, int rows, int64_t col, int cols) {
            tile(call, row, rows, col, cols, out + offset(call, row, row0, col), w->cols);
        });
        return ES_OK;
    });
}

int es_gather(const es_matrix *w, const int64_t *ids, int64_t count, float *out) {
    return checked(w, nullptr, 0, 0, [&](const Call &call) {
        for (int64_t i = 0; i < count; ++i)
            if (ids[i] < 0 || ids[i] >= w->rows) return ES_SHAPE;
        each(count, [&](int64_t i) {
            for (int64_t col = 0; col < w->cols; col += kStrip)
                tile(call, ids[i], 1, col, (int)std::min<int64_t>(kStrip, w->cols - col), out + i * w->cols + col, 0);
        });
        return ES_OK;
    });
}

int es_effective(const es_matrix *w, const es_adapter *adapter, int64_t row0, int64_t row1, float *out) {
    return checked(w, adapter, row0, row1, [&](const Call &call) {
        std::atomic<bool> good{true};
        each_piece(*w, row0, row1, [&](int64_t row, int rows, int64_t col, int cols) {
            if (!tile(call, row, rows, col, cols, out + offset(call, row, row0, col), w->cols)) good = false;
        });
        return good ? ES_OK : ES_WEIGHT;
    });
}

int es_effective_bf16(const es_matrix *w, const es_adapter *adapter, int64_t row0, int64_t row1, uint16_t *out) {
    return checked(w, adapter, row0, row1, [&](const Call &call) {
        std::atomic<bool> good{true};
        each_piece(*w, row0, row1, [&](int64_t row, int rows, int64_t col, int cols) {
            alignas(64) float weights[kRows * kStrip];
            for (int r = 0; r < rows; r += kRows) {
                const int count = std::min(kRows, rows - r);
                if (!tile(call, row + r, count, col, cols, weights, kStrip)) good = false;
                for (int i = 0; i < count; ++i)
                    for (int j = 0; j < cols; ++j)
                        out[offset(call, row + r + i, row0, col) + j] = to_bf16(weights[i * kStrip + j]);
            }
        });
        return good ? ES_OK : ES_WEIGHT;
    });
}

int es_merge(const es_matrix *w, const es_adapter *adapter, int64_t row0, int64_t row1, uint8_t *out, es_moves *moves) {
    return checked(w, adapter, row0, row1, [&](const Call &call) {
        std::atomic<bool> good{true};
        std::vector<es_moves> by_row((size_t)(row1 - row0));
        each_piece(*w, row0, row1, [&](int64_t row, int rows, int64_t col, int cols) {
            for (int64_t i = row; i < row + rows; ++i) {
                float delta[kStrip] = {};
                if (call.adapter) call.kernel.delta({call.adapter, w->cols, i, col, 1, cols, delta});
                uint8_t *target = out + (i - row0) * call.row_bytes() + (call.at(i, col) - call.at(i, 0));
                if (!merge_strip(call, i, col, cols, delta, target, by_row[(size_t)(i - row0)])) good = false;
            }
        });
        *moves = {};
        for (const es_moves &part : by_row) add(*moves, part);
        return good ? ES_OK : ES_WEIGHT;
    });
}

int es_linear(const es_matrix *w, const es_adapter *adapter, const float *x, int64_t n, float *y) {
    return checked(w, adapter, 0, w ? w->rows : 0, [&](const Call &call) {
        std::atomic<bool> good{true};
        std::fill(y, y + n * w->rows, 0.0f);
        each((w->rows + kLanes - 1) / kLanes, [&](int64_t i) {
            if (!linear_piece(call, i * kLanes, x, n, y)) good = false;
        });
        return good ? ES_OK : ES_WEIGHT;
    });
}

int es_linear_grad(const es_matrix *w, const es_adapter *adapter, const float *dy, int64_t n, float *dx) {
    return checked(w, adapter, 0, w ? w->rows : 0, [&](const Call &call) {
        std::atomic<bool> good{true};
        const int width = call.block.weights == kStrip ? kStrip : kLanes;
        std::fill(dx, dx + n * w->cols, 0.0f);
        each((w->cols + width - 1) / width, [&](int64_t i) {
            if (!grad_piece(call, i * width, width, dy, n, dx)) good = false;
        });
        return good ? ES_OK : ES_WEIGHT;
    });
}
}
