/* The C ABI of the native kernel: dithered grid rounding of ggml tensors.
 *
 * Owns the records and error codes that every caller sees, and the arithmetic
 * in words. Leaves the block layouts to blocks.h and the loops to ops.cpp and
 * cpu/. Must stay true: nothing prints, aborts or throws across this border,
 * and every kernel gives the same bytes for the same arguments.
 *
 * With D = scale * (B @ A), each affine weight w = s*q + o becomes
 *
 *     q' = clamp(q + floor(fma(D, 1/s, u)), q_min, q_max)      w' = s*q' + o
 *
 * in f32. B @ A is summed with fma in the order of the rank, from 0, and then
 * multiplied by scale once. A block with s = 0 stays as it is. F16, BF16 and
 * F32 weights become w + D rounded to nearest even, and keep their bytes
 * where D = 0. Products of matrices are summed with fma in order, from 0.
 *
 * The dither of element (row i, column j) in a tensor with a 64-bit seed:
 *
 *     key = splitmix64(seed + (i + 1) * 0x9E3779B97F4A7C15) >> 32
 *     h   = lowbias32(key ^ (uint32)(j * 0x9E3779B9))
 *     u   = ((h >> 9) + 0.5) * 2^-23
 *
 * 23 bits and not 24: k + 0.5 must be exact in f32, else the largest u is 1.
 */
#ifndef EDGESLEEP_H
#define EDGESLEEP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A ggml tensor of `rows` rows, packed as in a GGUF; `type` is ggml's id. */
typedef struct {
    int32_t type;
    int64_t rows;
    int64_t cols;
    const uint8_t *data;
    uint64_t seed;
} es_matrix;

/* D = scale * (b @ a); a is f32 [rank, cols], b is f32 [rows, rank], row-major. */
typedef struct {
    int32_t rank;
    float scale;
    const float *a;
    const float *b;
} es_adapter;

/* What a merge did: `moved` weights changed, `clamped` wanted a code beyond the grid. */
typedef struct {
    int64_t codes;
    int64_t moved;
    int64_t clamped;
    double delta_squares; /* sum of D^2 */
    double change_dot;    /* sum of (w' - w) * D */
} es_moves;

enum {
    ES_OK = 0,
    ES_TYPE,    /* no affine grid is known for this tensor type */
    ES_SHAPE,   /* rows, columns or range are out of bounds, or a pointer is missing */
    ES_ADAPTER, /* the adapter holds NaN or infinity, or its delta may exceed 2^100 */
    ES_WEIGHT,  /* the tensor holds NaN or infinity, or would after the merge */
    ES_KERNEL,  /* the forced kernel is unknown or cannot run on this machine */
    ES_MEMORY,  /* out of memory */
};

const char *es_message(int error);

/* Weights per block and bytes per block of a type that can be merged. */
int es_block(int32_t type, int32_t *weights, int32_t *bytes);

/* Kernels from the fastest down. A null name picks the first that runs here, or the one in EDGESLEEP_KERNEL. */
int es_kernel_count(void);
const char *es_kernel_name(int index);
int es_kernel_runs(int index);
int es_select(const char *name);
const char *es_selected(void); /* null when the forced kernel cannot run */
void es_set_threads(int32_t threads);

/* Rows [row0, row1) as stored, f32 [row1-row0, cols]; and chosen rows, f32 [count, cols]. */
int es_dequantize(const es_matrix *w, int64_t row0, int64_t row1, float *out);
int es_gather(const es_matrix *w, const int64_t *ids, int64_t count, float *out);

/* The effective weight w' of rows [row0, row1). A null adapter, or rank 0, means D = 0. */
int es_effective(const es_matrix *w, const es_adapter *adapter, int64_t row0, int64_t row1, float *out);
int es_effective_bf16(const es_matrix *w, const es_adapter *adapter, int64_t row0, int64_t row1, uint16_t *out);

/* The same as packed bytes of the same type and size. */
int es_merge(const es_matrix *w, const es_adapter *adapter, int64_t row0, int64_t row1, uint8_t *out, es_moves *moves);

/* y[n, rows] = x[n, cols] @ w'^T, and its input gradient dx[n, cols] = dy[n, rows] @ w'. */
int es_linear(const es_matrix *w, const es_adapter *adapter, const float *x, int64_t n, float *y);
int es_linear_grad(const es_matrix *w, const es_adapter *adapter, const float *dy, int64_t n, float *dx);

#ifdef __cplusplus
}
#endif
#endif
