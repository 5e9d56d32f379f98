// What each kernel is given.
//
// Owns the records that host and device share. Leaves their meaning to the kernels, beside which they are explained.
// Must stay true: members of 8 bytes first, then those of 4, in even number, so that every compiler lays them out
// alike. Activations are [tokens][features]; matrices lie packed as in a GGUF.
#pragma once

#include "dialect.h"

namespace edgesleep_device {

// out = w' of all rows as packed blocks, as es_merge writes it.
struct RoundArgs {
    Global<const uint8_t> source;
    Global<const float> a, b;
    Global<uint8_t> packed;
    Global<int32_t> damaged;  // [row groups][strips]: 1 where a weight would not be finite, else 0
    uint64_t seed;
    int32_t type, rows, cols, rank;
    float scale;
    int32_t unused;
};

// out[i] = scale * row ids[i] of the matrix.
struct RowsArgs {
    Global<const uint8_t> source;
    Global<const int32_t> ids;
    Global<float> out;
    int32_t type, cols, count;
    float scale;
};

// y[n, rows] = x[n, cols] w^T + bias, or with `back` y[n, cols] = x[n, rows] w; adds to what y holds where told so.
struct LinearArgs {
    Global<const uint8_t> source;
    Global<const float> x, bias;
    Global<float> y;
    int32_t type, rows, cols, n, back, add;
};

// c[i, j] = scale * sum_k a[i, k] b[k, j], added to what c holds where told so; strides in elements.
struct ProductArgs {
    Global<const float> a, b;
    Global<float> c;
    int64_t a_row, a_sum, b_sum, b_col, c_row, c_col;
    int32_t rows, cols, sum, add;
    float scale;
    int32_t unused;
};

// Rows of `width`: y = x / rms(x) * weight. For the gradient, dy is given, and y is added to or replaced.
struct NormArgs {
    Global<const float> x, weight, dy;
    Global<float> y;
    int32_t rows, width, add;
    float epsilon;
};

// Turns pairs of features of x [tokens][heads][head_width] in place.
struct TurnArgs {
    Global<const float> cos, sin;  // [tokens][pairs]
    Global<float> x;
    int32_t tokens, heads, head_width, pairs, halves, back;
};

// Elementwise: y = x s(x) u; for the gradient y is given as that of the product, and all three are replaced.
struct GateArgs {
    Global<float> gate, up, y;
    int64_t count;
    int32_t gelu, unused;
};

// y = a + b
struct AddArgs {
    Global<const float> a, b;
    Global<float> y;
    int64_t count;
};

// Rows of x at places, to y in order; or with `back` rows of x added to those places of y, [tokens].
struct PlacesArgs {
    Global<const float> x;
    Global<const int32_t> places;
    Global<float> y;
    int32_t tokens, count, width, back;
};

// Token t sees key k <= t where k >= first[t], or where shared_first[t] <= k < shared.
struct AttentionArgs {
    Global<const float> q, k, v;
    Global<const int32_t> first, shared_first;
    Global<float> mixed, log_total;    // out, of the forward pass; [tokens][heads]
    Global<const float> mean, dmixed;  // of the gradient; mean [tokens][heads] = sum of mixed * dmixed
    Global<float> dq, dk, dv;          // out, of the gradient
    int32_t tokens, heads, kv_heads, width, shared;
    float scale;
};

// mean[row] = sum over width of x * y.
struct DotsArgs {
    Global<const float> x, y;
    Global<float> out;
    int32_t rows, width;
};

// Losses of targets (edgesleep.h, es_targets), and logits [count][vocabulary] replaced by scale times their gradient.
struct LossArgs {
    Global<const int32_t> ids;
    Global<const float> probs;
    Global<float> logits, losses;
    int32_t count, listed, vocabulary;
    float scale;
};

struct AdamArgs {
    Global<const float> gradient;
    Global<float> value, first, second;
    int64_t count;
    float rate, beta1, beta2, epsilon, correction1, correction2, clip;
    int32_t unused;
};

}  // namespace edgesleep_device
