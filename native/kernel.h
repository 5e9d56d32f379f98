// What a kernel for one instruction set has to provide.
//
// Owns the three operations that the loops of ops.cpp are built from, and the
// size of the pieces they work on. Leaves validation, threads and the order of
// the pieces to ops.cpp. Must stay true: plain data and function pointers only,
// because files built for different processors include this header.
#pragma once

#include <stdint.h>

#include "edgesleep.h"

namespace edgesleep {

// A strip is a piece of one row: the largest block, so that all scratch is of fixed size.
constexpr int kStrip = 256;
// A matrix product works on tiles of at most this many weights (64 KiB: they stay in the second cache).
constexpr int kTile = 64 * kStrip;
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

// `cols` weights of one row from `source` on, which starts at column `col`.
struct StripJob {
    int32_t type;
    const uint8_t *source;
    int64_t col;
    int cols;
    uint32_t key;        // of the row's dither
    const float *delta;  // null: weights as stored
    float *weights;      // out, f32 [cols]
    int8_t *codes;       // out, centred codes [cols]; null when not wanted
};

// c[m, n] += a[m, k] @ b[k, n]. b is readable up to the next multiple of kLanes columns.
constexpr int kLanes = 64;
struct ProductJob {
    int64_t m;
    int n, k;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    float *c;
    int64_t ldc;
};

struct Kernel {
    const char *name;
    bool (*runs)();
    void (*delta)(const DeltaJob &);
    bool (*strip)(const StripJob &);  // false: a weight or a block's scale is not finite
    void (*product)(const ProductJob &);
};

extern const Kernel kRef;
#ifdef EDGESLEEP_X86
extern const Kernel kAvx2;
extern const Kernel kAvx512;
#endif

// The selected kernel, or null when the forced one cannot run.
const Kernel *selected();

// Calls work(context, i) for each i in [0, count) on the threads that es_set_threads allows.
void parallel(int64_t count, void (*work)(void *context, int64_t i), void *context);

bool cpu_has_avx2();    // AVX2, FMA and F16C, with operating system support
bool cpu_has_avx512();  // F, BW, DQ and VL on top

}  // namespace edgesleep
