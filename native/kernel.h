// What a kernel for one instruction set has to provide.
//
// Owns the operations that all else is built from, and the size and lay-out of
// the pieces they work on. Leaves validation, threads and the order of the
// pieces to ops.cpp and network.cpp. Must stay true: plain data and function pointers only,
// because files built for different processors include this header.
#pragma once

#include <stdint.h>

#include "edgesleep.h"

namespace edgesleep {

// A strip is a piece of one row: the largest block, so that all scratch is of fixed size.
constexpr int kStrip = 256;
// Rows whose deltas are formed together, so that A is read once for all of them.
constexpr int kRows = 4;

// D[row..row+rows, col..col+cols] -> out[rows][kStrip]; rows <= kRows, cols <= kStrip.
struct DeltaJob {
    const es_adapter *adapter;
    int64_t stride;  // columns of A
    int64_t row, col;
    int rows, cols;
    float *out;
};

// One strip of codes; step and offset for every 16 weights, the smallest group of any type.
constexpr int kGroup = 16;
struct Strip {
    int8_t code[kStrip];
    float step[kStrip / kGroup];
    float offset[kStrip / kGroup];
};

// `cols` weights of one row from `source` on, which starts at column `col`.
struct StripJob {
    int32_t type;
    const uint8_t *source;
    int64_t col;
    int cols;
    uint32_t key;        // of the row's dither
    const float *delta;  // null: weights as stored
    float *weights;      // out, f32 [cols]; null when not wanted
    uint8_t *packed;     // out, the blocks with their new codes; null when not wanted
    es_moves *moves;     // what moved is added here; null when not wanted
    Strip *strip;        // out, new codes on the old grid, of affine types; null when not wanted
};

// Activations lie in panels: blocks of kTokens tokens, in each block feature after feature, kTokens values each. So
// tokens are the lanes of every vector, and a matrix meets its input with neither of them transposed.
constexpr int kTokens = 16;
// Rows or columns of a matrix that are worked on together: whole groups of every kernel's registers.
constexpr int kPiece = 48;

// For each of `blocks` token blocks, row i of `rows` and token t:
//   c[block][i][t] += sum over chunks and steps of a[i, step, chunk] * b[block, chunk][step][t]
// summed with fma in that order, chunks outside.
struct ProductJob {
    int rows, steps, chunks;
    int64_t blocks;
    const float *a;
    int64_t a_row, a_step, a_chunk;
    const float *b;
    int64_t b_chunk, b_block;
    float *c;
    int64_t c_row, c_block;
};

// Products of small integers. The steps of a sum come in groups of kDots, each with a scale of its own for every row
// and every token, and inside a group in fours, which lie side by side for each row and each token.
constexpr int kDots = 32;
// The codes of a tile of weights, which sums over up to kStrip steps, are [row][step], its scales [row][group]; if it
// is turned, [step / 4][row][4] and [group][row], with room for kTurned rows: an odd number of cache lines.
constexpr int kTurned = kStrip + 16;
// In bytes from row to row and from four to four; in floats from row to row and from group to group.
struct TileStrides {
    int row, four, step_row, step_group;
};
constexpr TileStrides kTileStrides[2] = {{kStrip, 4, kStrip / kDots, 1}, {4, 4 * kTurned, 1, kTurned}};

// Values [step][kTokens] as integers of at most `most`: code = value / scale, to nearest, in [step / 4][kTokens][4].
struct CodeJob {
    int groups, most;
    bool above;  // codes from 0 to 2 most, else from -most to most
    const float *x;
    int64_t x_step;
    uint8_t *code;
    int64_t code_four;   // bytes from four to four
    float *scale, *sum;  // [group][kTokens]; sum: of what the codes stand for, or null
    int64_t scale_group;
};

// For each of `blocks` token blocks, row i of `rows` and token t:
//   c[block][i][t] += sum over groups of (sum over steps of a * b) * scale[group][t] * step[i, group]
//                     + offset[i, group] * sum[group][t]
// with fma in that order, and the inner sum in integers: exact, as long as `fours` products of fours fit in 16 bits.
struct DotJob {
    int rows, groups, fours;
    int64_t blocks;
    bool turned;
    const uint8_t *a;
    const float *step, *offset;
    const uint8_t *b;  // signed
    const float *scale, *sum;
    int64_t b_block, scale_block;
    float *c;
    int64_t c_block;  // rows lie kTokens apart
};

// What a layer does to one token block besides products; layers.h has the loops and the formulas.
struct NormJob {
    int width;
    float epsilon;
    const float *x, *weight;
};
struct TurnJob {
    int pairs, stride;       // pair j is rows j * (halves ? 1 : 2) and that plus stride
    const float *cos, *sin;  // [pairs][kTokens]
    bool halves, back;       // back: the other way round, which is the gradient
};
struct SoftmaxJob {
    int keys;
    float scale;
    // The keys that each token sees, [kTokens], ends included: some of the shared beginning and some of its own row.
    const int32_t *shared_first, *shared_last, *first, *last;
    int all_first, all_last;  // those that all tokens see
};
// One query on the keys of its text: keys and values are bf16, `stride` from one to the next, `width` a whole number of
// kTokens.
struct LookJob {
    int width, keys;
    int64_t stride;
    float scale;
    const float *query;
    const uint16_t *key, *value;
};
struct HeadJob {
    int rows, width;
    float *largest, *total;  // [kTokens], running over tiles
    float *sum;              // [width][kTokens], what has been summed so far with these weights
};
struct AdamJob {
    int64_t count;
    float rate, beta1, beta2, epsilon, correction1, correction2, clip;
    const float *gradient;
    float *value, *first, *second;
};
struct Layers {
    void (*norm)(const NormJob &, float *y);
    void (*norm_back)(const NormJob &, const float *dy, float *dx);  // adds to dx
    void (*turn)(const TurnJob &, float *x);
    void (*gate)(int rows, bool gelu, const float *gate, const float *up, float *y);
    void (*gate_back)(int rows, bool gelu, float *y, float *gate, float *up);  // gradients for values and back
    void (*softmax)(const SoftmaxJob &, float *scores, float *log_total);
    void (*softmax_back)(const SoftmaxJob &, const float *log_total, const float *mean, float *scores, float *dscores);
    void (*look)(const LookJob &, float *mixed);
    void (*head)(const HeadJob &, float *logits);  // leaves exp(logit - largest)
    void (*narrow)(int64_t count, const float *x, uint16_t *y);
    void (*widen)(int64_t count, const uint16_t *x, float *y);
    void (*adam)(const AdamJob &);
    void (*encode)(const CodeJob &);
    void (*decode)(int groups, const uint8_t *code, const float *scale, float *x);
};

struct Kernel {
    const char *name;
    bool (*runs)();
    void (*delta)(const DeltaJob &);
    bool (*strip)(const StripJob &);  // false: a weight or a block's scale is not finite
    void (*product)(const ProductJob &);
    void (*dots)(const DotJob &);
    const Layers &layers;
};

extern const Kernel kRef;
#ifdef EDGESLEEP_X86
extern const Kernel kAvx2, kAvx2Vnni, kAvx512, kAvx512Vnni;
#endif
#ifdef EDGESLEEP_ARM
extern const Kernel kNeon, kNeonDotprod, kNeonI8mm;
#endif

// The selected kernel, or null when the forced one cannot run.
const Kernel *selected();

// Calls work(context, i) for each i in [0, count) on the threads that es_set_threads allows.
void parallel(int64_t count, void (*work)(void *context, int64_t i), void *context);

bool cpu_has_avx2();         // AVX2, FMA and F16C, with operating system support
bool cpu_has_avx2_vnni();    // AVX-VNNI on top
bool cpu_has_avx512();       // AVX2, and F, BW, DQ and VL on top
bool cpu_has_avx512_vnni();  // VNNI on top
bool cpu_has_neon();         // with fused multiply-add, as every 64-bit ARM has
bool cpu_has_dotprod();
bool cpu_has_i8mm();

}  // namespace edgesleep
