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

/* What training steps run on (cpu, cuda, metal) by EDGESLEEP_DEVICE (auto, or one of these), and why: the card's name,
 * or what speaks against a card. The words are good until the next call on this thread. */
void es_device(const char **which, const char **why);

/* Rows [row0, row1) as stored, f32 [row1-row0, cols]; and chosen rows, f32 [count, cols]. */
int es_dequantize(const es_matrix *w, int64_t row0, int64_t row1, float *out);
int es_gather(const es_matrix *w, const int64_t *ids, int64_t count, float *out);

/* The effective weight w' of rows [row0, row1). A null adapter, or rank 0, means D = 0. */
int es_effective(const es_matrix *w, const es_adapter *adapter, int64_t row0, int64_t row1, float *out);
int es_effective_bf16(const es_matrix *w, const es_adapter *adapter, int64_t row0, int64_t row1, uint16_t *out);

/* The same as packed bytes of the same type and size. */
int es_merge(const es_matrix *w, const es_adapter *adapter, int64_t row0, int64_t row1, uint8_t *out, es_moves *moves);

/* y[n, rows] = x[n, cols] @ w'^T, and its input gradient dx[n, cols] = dy[n, rows] @ w'. If not `exact`, inputs are
 * first rounded to 8 bits (127 steps of the largest of 32) where the type is one of Q4_0, Q4_1, Q5_0, Q5_1, Q4_K and
 * Q5_K, and for the gradient inputs to 33 and weights of any type to 31 steps of the largest of 32 rows; for all this,
 * sizes have to be multiples of 32, else the product is exact. */
int es_linear(const es_matrix *w, const es_adapter *adapter, int exact, const float *x, int64_t n, float *y);
int es_linear_grad(const es_matrix *w, const es_adapter *adapter, int exact, const float *dy, int64_t n, float *dx);

/* A transformer of the llama family. Pointers are borrowed for the life of the network.
 *
 * `turns` and `local_turns` are the rotary frequencies, [turned / 2]: radians per position in global and in local
 * layers. `halves`: pairs are (j, j + turned/2) and not (2j, 2j + 1). Layer i is local, seeing `window` tokens, where
 * window > 0 and i % local_every < local_every - 1. */
typedef struct {
    int32_t layers, width, heads, kv_heads, head_width, turned, halves, gelu, window, local_every;
    float epsilon, attention_scale, embedding_scale;
    const double *turns, *local_turns;
} es_shape;

enum { ES_Q = 0, ES_K, ES_V, ES_O, ES_GATE, ES_UP, ES_DOWN, ES_MATRICES };
enum { ES_ATTN_NORM = 0, ES_Q_NORM, ES_K_NORM, ES_POST_ATTN_NORM, ES_FFN_NORM, ES_POST_FFN_NORM, ES_NORMS };

/* One layer: biases and norms that the architecture lacks are null. */
typedef struct {
    es_matrix matrices[ES_MATRICES];
    const float *biases[ES_MATRICES];
    const float *norms[ES_NORMS];
} es_layer;

/* The factors of one matrix and where their gradients are added, of the same shapes. */
typedef struct {
    es_adapter adapter;
    float *a_gradient, *b_gradient;
} es_trained;

/* Rows of tokens end to end: token i belongs to the row that begins at starts[i] <= i. The first `shared` tokens are
 * the common beginning of all rows, computed once: the others follow it in their row, and see it. */
typedef struct {
    int64_t count, shared;
    const int32_t *tokens, *starts;
} es_batch;

/* Wanted next tokens: at places[i] < count, `listed` ids with their probabilities, [places, listed]; what these leave
 * of 1 is the mass of all other tokens together. Entries without probability at the end of a list are filling. A place
 * may be listed more than once. */
typedef struct {
    int64_t count;
    int32_t listed;
    const int32_t *places, *ids;
    const float *probs;
} es_targets;

typedef struct es_network es_network;

/* `exact`: all products in f32; else those of the layers in 8 bits, as in es_linear, and gates are kept in 8 bits. */
es_network *es_network_new(const es_shape *shape, const es_layer *layers, const es_matrix *embedding,
                           const es_matrix *head, const float *norm, int exact, int *error);
void es_network_free(es_network *network);

/* Put factors on all matrices, [layers * ES_MATRICES]. With `copy` the rounded weights are kept packed (as large as the
 * matrices in the file) from one es_network_round to the next; without, they are formed whenever they are used. With
 * `remember` what a layer's gradient needs is kept for all layers (bf16 where not in 8 bits), without it is computed
 * again. */
int es_network_attach(es_network *network, const es_trained *trained, int copy, int remember);
/* Rounds layers [first, last) anew: to be called for all of them before the first batch, and when factors have changed.
 */
int es_network_round(es_network *network, int32_t first, int32_t last);

/* Losses in nats per target, [count]: -sum_k p_k log q_k - p_tail log q_tail; and `scale` times the gradient of their
 * sum is added to the gradients. A null `losses` is not allowed. */
int es_network_learn(es_network *network, const es_batch *batch, const es_targets *targets, float scale, float *losses);
/* The likeliest next tokens after chosen places and their probabilities, both [places, listed], likeliest first. */
int es_network_top(es_network *network, const es_batch *batch, const int32_t *places, int64_t count, int32_t listed,
                   int32_t *ids, float *probs);
/* All logits after every token, [count, vocabulary]. */
int es_network_logits(es_network *network, const es_batch *batch, float *logits);

/* Room for `texts` texts of up to `room` tokens each, all empty; what earlier ones held is dropped, as it is when
 * factors are put on or rounded. */
int es_network_write(es_network *network, int32_t texts, int32_t room);
/* Each of the tokens is added to its text, in this order; the logits after those at places, [wanted, vocabulary]. After
 * an error the texts are what they were. */
int es_network_extend(es_network *network, int64_t count, const int32_t *tokens, const int32_t *texts,
                      const int32_t *places, int64_t wanted, float *logits);
/* The first `texts` texts become what text 0 is. */
int es_network_share(es_network *network, int32_t texts);

/* One step of Adam on `count` values; `step` counts from 1; the gradient is first multiplied by `clip`. */
int es_adam(int64_t count, int64_t step, float rate, float beta1, float beta2, float epsilon, float clip,
            const float *gradient, float *value, float *first, float *second);

#ifdef __cplusplus
}
#endif
#endif
