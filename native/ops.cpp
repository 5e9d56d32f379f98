// The operations of the ABI on one matrix.
//
// Owns validation, the merge and its account. Leaves pieces to tiles.h and the
// arithmetic to the selected kernel. Must stay true: bad input is an error code
// before anything is written.
#include <cmath>
#include <new>

#include "tiles.h"

namespace edgesleep {
namespace {

// Largest absolute value, or infinity when one is not finite.
float largest(const float *values, int64_t count) {
    uint32_t top = 0;
    for (int64_t i = 0; i < count; ++i) top = std::max(top, bits(values[i]) & 0x7fffffffu);
    return top >= 0x7f800000u ? INFINITY : from_bits(top);
}

}  // namespace

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

namespace {

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

int64_t offset(const Call &call, int64_t row, int64_t row0, int64_t col) { return (row - row0) * call.w.cols + col; }

// An input and an output panel of zeros.
struct Panels {
    std::vector<float> memory;
    Panel in, out;
    Panels(int64_t n, int64_t in_features, int64_t out_features)
        : memory((size_t)((n + kTokens - 1) / kTokens * kTokens * (in_features + out_features))),
          in{memory.data(), in_features, (n + kTokens - 1) / kTokens},
          out{memory.data() + in.blocks * in.stride(), out_features, in.blocks} {}
};

void add(es_moves &total, const es_moves &part) {
    total.codes += part.codes;
    total.moved += part.moved;
    total.clamped += part.clamped;
    total.delta_squares += part.delta_squares;
    total.change_dot += part.change_dot;
}

}  // namespace

int round_into(const es_matrix &w, const es_adapter &adapter, uint8_t *out) {
    return checked(&w, &adapter, 0, w.rows, [&](const Call &call) {
        std::atomic<bool> good{true};
        each_piece(w, 0, w.rows, [&](int64_t row, int rows, int64_t col, int cols) {
            if (!pack_tile(call, row, rows, col, cols, out + row * call.row_bytes(), nullptr)) good = false;
        });
        return good ? ES_OK : ES_WEIGHT;
    });
}

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
            uint8_t *target = out + (row - row0) * call.row_bytes();
            if (!pack_tile(call, row, rows, col, cols, target, by_row.data() + (row - row0))) good = false;
        });
        *moves = {};
        for (const es_moves &part : by_row) add(*moves, part);
        return good ? ES_OK : ES_WEIGHT;
    });
}

int es_linear(const es_matrix *w, const es_adapter *adapter, int exact, const float *x, int64_t n, float *y) {
    return checked(w, adapter, 0, w ? w->rows : 0, [&](const Call &call) {
        std::atomic<bool> good{true};
        Panels panels(n, w->cols, w->rows);
        fold(x, n, panels.in);
        Codes codes;
        if (!exact && grid(w->type).high) codes.encode(call.kernel, panels.in, kInputMost);
        each((w->rows + kPiece - 1) / kPiece, [&](int64_t i) {
            const int64_t row = i * kPiece;
            const int rows = (int)std::min<int64_t>(kPiece, w->rows - row);
            if (!forward_piece(call, row, rows, panels.in, codes, panels.out)) good = false;
        });
        unfold(panels.out, n, y);
        return good ? ES_OK : ES_WEIGHT;
    });
}

int es_linear_grad(const es_matrix *w, const es_adapter *adapter, int exact, const float *dy, int64_t n, float *dx) {
    return checked(w, adapter, 0, w ? w->rows : 0, [&](const Call &call) {
        std::atomic<bool> good{true};
        Panels panels(n, w->rows, w->cols);
        fold(dy, n, panels.in);
        Codes codes;
        if (!exact) codes.encode(call.kernel, panels.in, kGradientMost);
        const int width = column_piece(call);
        each((w->cols + width - 1) / width, [&](int64_t i) {
            const int64_t col = i * width;
            const int cols = (int)std::min<int64_t>(width, w->cols - col);
            if (!backward_piece(call, col, cols, panels.in, codes, panels.out)) good = false;
        });
        unfold(panels.out, n, dx);
        return good ? ES_OK : ES_WEIGHT;
    });
}
}
