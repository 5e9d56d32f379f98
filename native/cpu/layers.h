// What a layer does besides matrix products, on one block of kTokens tokens.
//
// Owns the formulas of norm, rotary turn, gated activation, softmax, attention of one query, the head's
// running softmax and Adam, and their gradients, and the codes of 8-bit products. Written once on a vector
// as wide as a register of the file that includes this; tokens do not meet, and contraction is off, so every
// kernel gives the same numbers. Must stay true: all in an unnamed namespace, each file its own copy; no library call
// but sqrt and log, one lane at a time.
#pragma once

#include <math.h>

#include "../blocks.h"

namespace edgesleep {
namespace {

// Tokens of a block that are worked on together. GCC spills vectors that are wider than its registers.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Lanes __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));

inline Lanes load(const float *at) {
    Lanes x;
    memcpy(&x, at, sizeof x);
    return x;
}
inline void store(float *at, const Lanes &x) { memcpy(at, &x, sizeof x); }
inline Lanes all(float x) { return Lanes{} + x; }
inline Ints ints(const int32_t *at) {
    Ints x;
    memcpy(&x, at, sizeof x);
    return x;
}
inline Lanes larger(const Lanes &x, const Lanes &y) { return x > y ? x : y; }

// e^x by 2^n e^r with |r| <= ln 2 / 2 and a polynomial (Cephes), to about 2 ulp; x is cut to [-87, 88].
inline Lanes exponential(Lanes x) {
    x = x > 88.0f ? all(88.0f) : x;
    x = x < -87.0f ? all(-87.0f) : x;
    const Lanes n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
    const Lanes r = x - n * 0.693359375f + n * 2.12194440e-4f;
    Lanes p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const Ints power = (__builtin_convertvector(n, Ints) + 127) << 23;
    Lanes scale;
    memcpy(&scale, &power, sizeof scale);
    return (p * r * r + r + 1.0f) * scale;
}

inline Lanes inverse_rms(const NormJob &job, int t) {
    Lanes squares{};
    for (int f = 0; f < job.width; ++f) {
        const Lanes x = load(job.x + f * kTokens + t);
        squares += x * x;
    }
    squares = squares / (float)job.width + job.epsilon;
    for (int i = 0; i < kLanes; ++i) squares[i] = 1.0f / sqrtf(squares[i]);
    return squares;
}

// RMSNorm (arXiv:1910.07467): y = x / rms(x) * weight. y may be x.
void norm(const NormJob &job, float *y) {
    for (int t = 0; t < kTokens; t += kLanes) {
        const Lanes inverse = inverse_rms(job, t);
        for (int f = 0; f < job.width; ++f)
            store(y + f * kTokens + t, load(job.x + f * kTokens + t) * inverse * job.weight[f]);
    }
}

void norm_back(const NormJob &job, const float *dy, float *dx) {
    for (int t = 0; t < kTokens; t += kLanes) {
        const Lanes inverse = inverse_rms(job, t);
        Lanes dot{};
        for (int i = t, f = 0; f < job.width; ++f, i += kTokens) dot += load(dy + i) * load(job.x + i) * job.weight[f];
        const Lanes pull = dot * inverse * inverse * inverse / (float)job.width;
        for (int i = t, f = 0; f < job.width; ++f, i += kTokens)
            store(dx + i, load(dx + i) + load(dy + i) * inverse * job.weight[f] - load(job.x + i) * pull);
    }
}

// Rotary positions (arXiv:2104.09864): each pair of features is turned by its token's angle.
void turn(const TurnJob &job, float *x) {
    for (int j = 0; j < job.pairs; ++j) {
        float *first = x + (job.halves ? j : 2 * j) * kTokens, *second = first + job.stride * kTokens;
        for (int t = 0; t < kTokens; t += kLanes) {
            const Lanes cos = load(job.cos + j * kTokens + t), sine = load(job.sin + j * kTokens + t);
            const Lanes sin = job.back ? -sine : sine, a = load(first + t), b = load(second + t);
            store(first + t, a * cos - b * sin);
            store(second + t, a * sin + b * cos);
        }
    }
}

// y = x s(g(x)) with s the logistic function: SiLU has g = x, the tanh form of GELU g = 1.5958 (x + 0.044715 x^3).
inline Lanes logistic(const Lanes &x, bool gelu) {
    const Lanes g = gelu ? 1.5957691216f * (x + 0.044715f * x * x * x) : x;
    return 1.0f / (1.0f + exponential(-g));
}

void gate(int rows, bool gelu, const float *gate, const float *up, float *y) {
    for (int i = 0; i < rows * kTokens; i += kLanes) {
        const Lanes x = load(gate + i);
        store(y + i, x * logistic(x, gelu) * load(up + i));
    }
}

void gate_back(int rows, bool gelu, float *y, float *gate, float *up) {
    for (int i = 0; i < rows * kTokens; i += kLanes) {
        const Lanes x = load(gate + i), u = load(up + i), d = load(y + i);
        const Lanes s = logistic(x, gelu);
        store(y + i, x * s * u);
        const Lanes slope = gelu ? 1.5957691216f * (1.0f + 0.134145f * x * x) : all(1.0f);
        store(gate + i, d * u * (s + x * s * (1.0f - s) * slope));
        store(up + i, d * x * s);
    }
}

// x where the tokens from t on see the key, else `otherwise`.
inline Lanes where_seen(const SoftmaxJob &job, int key, int t, const Lanes &x, float otherwise) {
    if (key >= job.all_first && key <= job.all_last) return x;
    const Ints shared = (ints(job.shared_first + t) <= key) & (ints(job.shared_last + t) >= key);
    const Ints own = (ints(job.first + t) <= key) & (ints(job.last + t) >= key);
    return (shared | own) ? x : all(otherwise);
}

// Over the keys that each token sees; scores are [keys][kTokens].
void softmax(const SoftmaxJob &job, float *scores, float *log_total) {
    for (int t = 0; t < kTokens; t += kLanes) {
        Lanes largest = all(-1e30f), total{};
        for (int j = 0; j < job.keys; ++j) {
            const Lanes score = load(scores + j * kTokens + t) * job.scale;
            largest = larger(largest, where_seen(job, j, t, score, -1e30f));
        }
        for (int j = 0; j < job.keys; ++j) {
            const Lanes p = exponential(load(scores + j * kTokens + t) * job.scale - largest);
            const Lanes kept = where_seen(job, j, t, p, 0.0f);
            total += kept;
            store(scores + j * kTokens + t, kept);
        }
        const Lanes share = 1.0f / total;
        for (int i = t; i < t + job.keys * kTokens; i += kTokens) store(scores + i, load(scores + i) * share);
        for (int i = 0; i < kLanes; ++i) log_total[t + i] = largest[i] + logf(total[i]);
    }
}

// Turns scores into probabilities p again and dp into the scores' gradient scale * p * (dp - mean).
void softmax_back(const SoftmaxJob &job, const float *log_total, const float *mean, float *scores, float *dscores) {
    for (int j = 0; j < job.keys; ++j)
        for (int t = 0; t < kTokens; t += kLanes) {
            float *score = scores + j * kTokens + t, *dscore = dscores + j * kTokens + t;
            const Lanes p = exponential(load(score) * job.scale - load(log_total + t));
            const Lanes kept = where_seen(job, j, t, p, 0.0f);
            store(score, kept);
            store(dscore, kept * (load(dscore) - load(mean + t)) * job.scale);
        }
}

inline Lanes load_bf16(const uint16_t *at) {
    typedef uint16_t Halves __attribute__((vector_size(2 * kLanes)));
    Halves halves;
    memcpy(&halves, at, sizeof halves);
    const Ints bits = __builtin_convertvector(halves, Ints) << 16;
    Lanes x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// query . key, summed kTokens features apart first.
inline float dot(const LookJob &job, const uint16_t *key) {
    float parts[kTokens], dot = 0.0f;
    for (int t = 0; t < kTokens; t += kLanes) {
        Lanes sum{};
        for (int f = t; f < job.width; f += kTokens) sum += load(job.query + f) * load_bf16(key + f);
        store(parts + t, sum);
    }
    for (int t = 0; t < kTokens; ++t) dot += parts[t];
    return dot;
}

// mixed = softmax(scale q k^T) v for one query, kTokens keys at a time, as `head` does with tiles.
void look(const LookJob &job, float *mixed) {
    float largest = -1e30f, total = 0.0f;
    for (int f = 0; f < job.width; f += kLanes) store(mixed + f, Lanes{});
    for (int first = 0; first < job.keys; first += kTokens) {
        const int count = job.keys - first < kTokens ? job.keys - first : kTokens;
        const uint16_t *key = job.key + first * job.stride, *value = job.value + first * job.stride;
        float weights[kTokens] = {}, top = largest;
        for (int i = 0; i < count; ++i) {
            weights[i] = dot(job, key + i * job.stride) * job.scale;
            top = weights[i] > top ? weights[i] : top;
        }
        for (int i = 0; i < kTokens; i += kLanes) store(weights + i, exponential(load(weights + i) - top));
        const float shrink = exponential(all(largest - top))[0];
        largest = top;
        total *= shrink;
        for (int i = 0; i < count; ++i) total += weights[i];
        for (int f = 0; f < job.width; f += kLanes) {
            Lanes sum = load(mixed + f) * shrink;
            for (int i = 0; i < count; ++i) sum += weights[i] * load_bf16(value + i * job.stride + f);
            store(mixed + f, sum);
        }
    }
    for (int f = 0; f < job.width; f += kLanes) store(mixed + f, load(mixed + f) / total);
}

// One tile of the vocabulary: when a larger logit appears, what was summed before shrinks (arXiv:2205.14135).
void head(const HeadJob &job, float *logits) {
    for (int t = 0; t < kTokens; t += kLanes) {
        const Lanes before = load(job.largest + t);
        Lanes largest = before, total = load(job.total + t);
        for (int i = 0; i < job.rows; ++i) largest = larger(largest, load(logits + i * kTokens + t));
        bool grew = false;
        for (int i = 0; i < kLanes; ++i) grew |= largest[i] > before[i];
        if (grew) {
            const Lanes shrink = exponential(before - largest);
            for (int i = t; i < t + job.width * kTokens; i += kTokens) store(job.sum + i, load(job.sum + i) * shrink);
            total *= shrink;
            store(job.largest + t, largest);
        }
        for (int i = t; i < t + job.rows * kTokens; i += kTokens) {
            const Lanes weight = exponential(load(logits + i) - largest);
            total += weight;
            store(logits + i, weight);
        }
        store(job.total + t, total);
    }
}

void narrow(int64_t count, const float *x, uint16_t *y) {
    for (int64_t i = 0; i < count; ++i) y[i] = to_bf16(x[i]);
}

void widen(int64_t count, const uint16_t *x, float *y) {
    for (int64_t i = 0; i < count; ++i) y[i] = from_bits((uint32_t)x[i] << 16);
}

// Adam (arXiv:1412.6980); the gradient is first multiplied by `clip`.
void adam(const AdamJob &job) {
    for (int64_t i = 0; i < job.count; ++i) {
        const float g = job.gradient[i] * job.clip;
        job.first[i] = job.beta1 * job.first[i] + (1.0f - job.beta1) * g;
        job.second[i] = job.beta2 * job.second[i] + (1.0f - job.beta2) * g * g;
        const float spread = sqrtf(job.second[i] * job.correction2) + job.epsilon;
        job.value[i] -= job.rate * (job.first[i] * job.correction1) / spread;
    }
}

// The largest size of a group per lane; NaN and infinity are larger than any number.
inline Lanes largest_size(const float *x, int64_t step) {
    Ints top{};
    for (int k = 0; k < kDots; ++k) {
        Ints size;
        memcpy(&size, x + k * step, sizeof size);
        size &= 0x7fffffff;
        top = size > top ? size : top;
    }
    Lanes found;
    memcpy(&found, &top, sizeof found);
    return found;
}

// The codes of one group of steps, as far as a register reaches. Adding 1.5 * 2^23 leaves the nearest whole number in
// the low bits of a float.
inline void encode_group(const CodeJob &job, const float *x, uint8_t *code, float *scale, float *sum) {
    const Lanes middle = all(12582912.0f) + (job.above ? (float)job.most : 0.0f);
    const Lanes top = largest_size(x, job.x_step), step = top / (float)job.most;
    const Lanes inverse = top > 1e-30f ? (float)job.most / top : all(0.0f);
    Lanes total{};
    for (int k = 0; k < kDots; k += 4, code += job.code_four) {
        Ints four{};
        for (int i = 0; i < 4; ++i, x += job.x_step) {
            const Lanes near = load(x) * inverse + middle;
            Ints bits;
            memcpy(&bits, &near, sizeof bits);
            four |= (bits & 255) << (8 * i);
            total += near - middle;
        }
        memcpy(code, &four, sizeof four);
    }
    store(scale, step);
    if (sum) store(sum, total * step);
}

void encode(const CodeJob &job) {
    for (int g = 0; g < job.groups; ++g)
        for (int t = 0; t < kTokens; t += kLanes) {
            const int64_t at = g * job.scale_group + t;
            encode_group(job, job.x + g * kDots * job.x_step + t, job.code + g * (kDots / 4) * job.code_four + 4 * t,
                         job.scale + at, job.sum ? job.sum + at : nullptr);
        }
}

// [step / 4][kTokens][4] back to [step][kTokens].
void decode(int groups, const uint8_t *code, const float *scale, float *x) {
    for (int k = 0; k < groups * kDots; k += 4)
        for (int t = 0; t < kTokens; t += kLanes) {
            Ints four;
            memcpy(&four, code + k * kTokens + 4 * t, sizeof four);
            const Lanes step = load(scale + k / kDots * kTokens + t);
            for (int i = 0; i < 4; ++i) {
                const Ints signed_code = four << (24 - 8 * i) >> 24;
                store(x + (k + i) * kTokens + t, __builtin_convertvector(signed_code, Lanes) * step);
            }
        }
}

constexpr Layers kLayers = {norm, norm_back, turn,   gate,  gate_back, softmax, softmax_back,
                            look, head,      narrow, widen, adam,      encode,  decode};

}  // namespace
}  // namespace edgesleep
