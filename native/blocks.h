// The quantized types of ggml as affine grids: w = step * code + offset.
//
// Owns the reading and writing of every block (ggml's ggml-common.h and
// ggml-quants.c). Leaves sizes, conversions and the dither to layouts.h, and
// what is done with codes to the kernels. Must stay true: codes are centred (Q4_0: nibble - 8), so that
// step * code has ggml's own sign of zero; step * code is exact in f32 for every
// type, so dequantizing equals ggml bit for bit however its compiler contracts;
// pack writes codes only, never a scale; the host is little-endian, as a GGUF is. All is in an unnamed namespace: each
// file that includes this for its own processor must keep its own copy.
#pragma once

#include <stdint.h>
#include <string.h>
#ifdef __F16C__
#include <immintrin.h>
#endif

#include "kernel.h"
#include "layouts.h"

namespace edgesleep {
namespace {

inline uint16_t read16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, 2);
    return value;
}
inline void write16(uint16_t value, uint8_t *at) { memcpy(at, &value, 2); }
// A block's scale. Rows of halves are read by `from_half`, of which compilers make vectors.
inline float read_half(const uint8_t *at) {
#ifdef __F16C__
    return _cvtsh_ss(read16(at));
#else
    return from_half(read16(at));
#endif
}

static_assert(((float)(0xffffffffu >> 9) + 0.5f) * 0x1p-23f < 1.0f, "the largest u must stay below 1");

// Every affine type has its layout and
//   unpack(block, code, step, offset): false when a scale is not finite
//   pack(code, block): the inverse, for the codes

inline void fill(float *group, int count, float value) {
    for (int i = 0; i < count; ++i) group[i] = value;
}

// Half a block of 32 codes; compilers do not find these vectors in a loop by themselves.
typedef uint8_t Sixteen __attribute__((vector_size(16)));

// Byte j holds code j in its low and code j + 16 in its high four bits.
inline void unpack_four(const uint8_t *qs, uint8_t zero, int8_t *code) {
    Sixteen pairs;
    memcpy(&pairs, qs, 16);
    const Sixteen low = (pairs & 15) - zero, high = (pairs >> 4) - zero;
    memcpy(code, &low, 16);
    memcpy(code + 16, &high, 16);
}

inline void pack_four(const int8_t *code, uint8_t zero, uint8_t *qs) {
    Sixteen low, high;
    memcpy(&low, code, 16);
    memcpy(&high, code + 16, 16);
    const Sixteen pairs = (low + zero) | (high + zero) << 4;
    memcpy(qs, &pairs, 16);
}

struct BlockQ4_0 : LayoutQ4_0 {
    static bool unpack(const uint8_t *block, int8_t *code, float *step, float *offset) {
        const float d = read_half(block);
        fill(step, 2, d);
        fill(offset, 2, kNoOffset);
        unpack_four(block + 2, 8, code);
        return finite(d);
    }
    static void pack(const int8_t *code, uint8_t *block) { pack_four(code, 8, block + 2); }
};

struct BlockQ4_1 : LayoutQ4_1 {
    static bool unpack(const uint8_t *block, int8_t *code, float *step, float *offset) {
        const float d = read_half(block), m = read_half(block + 2);
        fill(step, 2, d);
        fill(offset, 2, m);
        unpack_four(block + 4, 0, code);
        return finite(d) && finite(m);
    }
    static void pack(const int8_t *code, uint8_t *block) { pack_four(code, 0, block + 4); }
};

// Q5_0 and Q5_1 keep four bits of each code in qs and the fifth in qh.
inline Sixteen fifth_bits(const uint8_t *qh) {
    const uint8_t a = qh[0], b = qh[1];
    const Sixteen spread = {a, a, a, a, a, a, a, a, b, b, b, b, b, b, b, b};
    const Sixteen bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    return (Sixteen)((spread & bit) != 0) & 16;
}

inline void unpack_five(const uint8_t *qh, const uint8_t *qs, uint8_t zero, int8_t *code) {
    Sixteen pairs;
    memcpy(&pairs, qs, 16);
    const Sixteen low = ((pairs & 15) | fifth_bits(qh)) - zero, high = (pairs >> 4 | fifth_bits(qh + 2)) - zero;
    memcpy(code, &low, 16);
    memcpy(code + 16, &high, 16);
}

// Bit 4 of eight codes, gathered into one byte: each lands in the top byte of the product once.
inline uint8_t fifth_byte(const Sixteen &codes, int first) {
    uint64_t eight;
    memcpy(&eight, (const uint8_t *)&codes + first, 8);
    return (uint8_t)(((eight >> 4 & 0x0101010101010101u) * 0x0102040810204080u) >> 56);
}

inline void pack_five(const int8_t *code, uint8_t zero, uint8_t *qh, uint8_t *qs) {
    Sixteen low, high;
    memcpy(&low, code, 16);
    memcpy(&high, code + 16, 16);
    low += zero;
    high += zero;
    const Sixteen pairs = (low & 15) | high << 4;
    memcpy(qs, &pairs, 16);
    for (int j = 0; j < 4; ++j) qh[j] = fifth_byte(j < 2 ? low : high, j % 2 * 8);
}

struct BlockQ5_0 : LayoutQ5_0 {
    static bool unpack(const uint8_t *block, int8_t *code, float *step, float *offset) {
        const float d = read_half(block);
        fill(step, 2, d);
        fill(offset, 2, kNoOffset);
        unpack_five(block + 2, block + 6, 16, code);
        return finite(d);
    }
    static void pack(const int8_t *code, uint8_t *block) { pack_five(code, 16, block + 2, block + 6); }
};

struct BlockQ5_1 : LayoutQ5_1 {
    static bool unpack(const uint8_t *block, int8_t *code, float *step, float *offset) {
        const float d = read_half(block), m = read_half(block + 2);
        fill(step, 2, d);
        fill(offset, 2, m);
        unpack_five(block + 4, block + 8, 0, code);
        return finite(d) && finite(m);
    }
    static void pack(const int8_t *code, uint8_t *block) { pack_five(code, 0, block + 4, block + 8); }
};

struct BlockQ8_0 : LayoutQ8_0 {
    static bool unpack(const uint8_t *block, int8_t *code, float *step, float *offset) {
        const float d = read_half(block);
        fill(step, 2, d);
        fill(offset, 2, kNoOffset);
        memcpy(code, block + 2, 32);
        return finite(d);
    }
    static void pack(const int8_t *code, uint8_t *block) { memcpy(block + 2, code, 32); }
};

// Two bits of each code of Q2_K and Q3_K: byte l of each half holds weights l, l+32, l+64 and l+96.
inline void unpack_two(const uint8_t *qs, int8_t *code) {
    for (int half = 0; half < 2; ++half)
        for (int j = 0; j < 4; ++j)
            for (int l = 0; l < 32; ++l) code[half * 128 + j * 32 + l] = qs[half * 32 + l] >> (2 * j) & 3;
}

inline void pack_two(const uint8_t *low, uint8_t *qs) {
    for (int half = 0; half < 2; ++half)
        for (int l = 0; l < 32; ++l) {
            const uint8_t *at = low + half * 128 + l;
            qs[half * 32 + l] = (uint8_t)(at[0] | at[32] << 2 | at[64] << 4 | at[96] << 6);
        }
}

struct BlockQ2_K : LayoutQ2_K {
    static bool unpack(const uint8_t *block, int8_t *code, float *step, float *offset) {
        const float d = read_half(block + 80), dmin = read_half(block + 82);
        for (int g = 0; g < 16; ++g) {
            step[g] = d * (float)(block[g] & 15);
            offset[g] = -(dmin * (float)(block[g] >> 4));
        }
        unpack_two(block + 16, code);
        return finite(d) && finite(dmin);
    }
    static void pack(const int8_t *code, uint8_t *block) {
        uint8_t low[256];
        memcpy(low, code, 256);
        pack_two(low, block + 16);
    }
};

struct BlockQ3_K : LayoutQ3_K {
    static bool unpack(const uint8_t *block, int8_t *code, float *step, float *offset) {
        const float d = read_half(block + 108);
        const uint8_t *scales = block + 96;
        for (int g = 0; g < 16; ++g) {
            const int low4 = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4;
            const int high2 = scales[8 + g % 4] >> (2 * (g / 4)) & 3;
            step[g] = d * (float)((low4 | high2 << 4) - 32);
            offset[g] = kNoOffset;
        }
        unpack_two(block + 32, code);
        for (int j = 0; j < 8; ++j)  // a set bit in hmask means: do not subtract 4
            for (int l = 0; l < 32; ++l) code[j * 32 + l] = (int8_t)(code[j * 32 + l] + ((block[l] >> j & 1) << 2) - 4);
        return finite(d);
    }
    static void pack(const int8_t *code, uint8_t *block) {
        uint8_t low[256];
        memset(block, 0, 32);
        for (int j = 0; j < 8; ++j)
            for (int l = 0; l < 32; ++l) {
                const int q = code[j * 32 + l] + 4;
                low[j * 32 + l] = (uint8_t)(q & 3);
                block[l] = (uint8_t)(block[l] | q >> 2 << j);
            }
        pack_two(low, block + 32);
    }
};

// The eight 6-bit scales and mins of Q4_K and Q5_K (get_scale_min_k4 in ggml-quants.c).
inline bool unpack_six(const uint8_t *block, float *step, float *offset) {
    const float d = read_half(block), dmin = read_half(block + 2);
    const uint8_t *q = block + 4;
    for (int j = 0; j < 8; ++j) {
        const int scale = j < 4 ? q[j] & 63 : (q[j + 4] & 15) | q[j - 4] >> 6 << 4;
        const int min = j < 4 ? q[j + 4] & 63 : q[j + 4] >> 4 | q[j] >> 6 << 4;
        fill(step + 2 * j, 2, d * (float)scale);
        fill(offset + 2 * j, 2, -(dmin * (float)min));
    }
    return finite(d) && finite(dmin);
}

struct BlockQ4_K : LayoutQ4_K {
    static bool unpack(const uint8_t *block, int8_t *code, float *step, float *offset) {
        for (int c = 0; c < 4; ++c)
            for (int l = 0; l < 32; ++l) {
                code[c * 64 + l] = block[16 + c * 32 + l] & 15;
                code[c * 64 + l + 32] = block[16 + c * 32 + l] >> 4;
            }
        return unpack_six(block, step, offset);
    }
    static void pack(const int8_t *code, uint8_t *block) {
        for (int c = 0; c < 4; ++c)
            for (int l = 0; l < 32; ++l)
                block[16 + c * 32 + l] = (uint8_t)(code[c * 64 + l] | code[c * 64 + l + 32] << 4);
    }
};

struct BlockQ5_K : LayoutQ5_K {
    static bool unpack(const uint8_t *block, int8_t *code, float *step, float *offset) {
        const uint8_t *qh = block + 16, *qs = block + 48;
        for (int c = 0; c < 4; ++c)
            for (int l = 0; l < 32; ++l) {
                code[c * 64 + l] = (int8_t)((qs[c * 32 + l] & 15) | (qh[l] >> (2 * c) & 1) << 4);
                code[c * 64 + l + 32] = (int8_t)(qs[c * 32 + l] >> 4 | (qh[l] >> (2 * c + 1) & 1) << 4);
            }
        return unpack_six(block, step, offset);
    }
    static void pack(const int8_t *code, uint8_t *block) {
        uint8_t *qh = block + 16, *qs = block + 48;
        memset(qh, 0, 32);
        for (int c = 0; c < 4; ++c)
            for (int l = 0; l < 32; ++l) {
                const int first = code[c * 64 + l], second = code[c * 64 + l + 32];
                qs[c * 32 + l] = (uint8_t)((first & 15) | (second & 15) << 4);
                qh[l] = (uint8_t)(qh[l] | first >> 4 << (2 * c) | second >> 4 << (2 * c + 1));
            }
    }
};

struct BlockQ6_K : LayoutQ6_K {
    static bool unpack(const uint8_t *block, int8_t *code, float *step, float *offset) {
        const float d = read_half(block + 208);
        for (int g = 0; g < 16; ++g) {
            step[g] = d * (float)(int8_t)block[192 + g];
            offset[g] = kNoOffset;
        }
        for (int half = 0; half < 2; ++half) {
            const uint8_t *ql = block + 64 * half, *qh = block + 128 + 32 * half;
            int8_t *out = code + 128 * half;
            for (int l = 0; l < 32; ++l) {
                out[l] = (int8_t)(((ql[l] & 15) | (qh[l] & 3) << 4) - 32);
                out[l + 32] = (int8_t)(((ql[l + 32] & 15) | (qh[l] >> 2 & 3) << 4) - 32);
                out[l + 64] = (int8_t)((ql[l] >> 4 | (qh[l] >> 4 & 3) << 4) - 32);
                out[l + 96] = (int8_t)((ql[l + 32] >> 4 | (qh[l] >> 6 & 3) << 4) - 32);
            }
        }
        return finite(d);
    }
    static void pack(const int8_t *code, uint8_t *block) {
        for (int half = 0; half < 2; ++half) {
            uint8_t *ql = block + 64 * half, *qh = block + 128 + 32 * half;
            for (int l = 0; l < 32; ++l) {
                int q[4];
                for (int j = 0; j < 4; ++j) q[j] = code[128 * half + l + 32 * j] + 32;
                ql[l] = (uint8_t)((q[0] & 15) | (q[2] & 15) << 4);
                ql[l + 32] = (uint8_t)((q[1] & 15) | (q[3] & 15) << 4);
                qh[l] = (uint8_t)(q[0] >> 4 | q[1] >> 4 << 2 | q[2] >> 4 << 4 | q[3] >> 4 << 6);
            }
        }
    }
};

// Calls visit(Block{}) for an affine type; false for any other.
template <class Visit>
inline bool with_block(int32_t type, Visit visit) {
    switch (type) {
        case Q4_0: visit(BlockQ4_0{}); return true;
        case Q4_1: visit(BlockQ4_1{}); return true;
        case Q5_0: visit(BlockQ5_0{}); return true;
        case Q5_1: visit(BlockQ5_1{}); return true;
        case Q8_0: visit(BlockQ8_0{}); return true;
        case Q2_K: visit(BlockQ2_K{}); return true;
        case Q3_K: visit(BlockQ3_K{}); return true;
        case Q4_K: visit(BlockQ4_K{}); return true;
        case Q5_K: visit(BlockQ5_K{}); return true;
        case Q6_K: visit(BlockQ6_K{}); return true;
        default: return false;
    }
}

// `cols` weights, a whole number of blocks, into one strip. False when a scale is not finite.
template <class Block>
inline bool unpack(Block, const uint8_t *source, int cols, Strip &strip) {
    bool good = true;
    for (int j = 0, g = 0; j < cols; j += Block::weights, g = j / kGroup, source += Block::bytes)
        good &= Block::unpack(source, strip.code + j, strip.step + g, strip.offset + g);
    return good;
}

// The float types as if each weight were a block of its own.
struct FloatF32 {
    static constexpr int bytes = 4;
    static float read(const uint8_t *at) {
        float value;
        memcpy(&value, at, 4);
        return value;
    }
    static void write(float value, uint8_t *at) { memcpy(at, &value, 4); }
    static float round(float value) { return value; }
};

struct FloatF16 {
    static constexpr int bytes = 2;
    static float read(const uint8_t *at) { return from_half(read16(at)); }
    static void write(float value, uint8_t *at) { write16(to_half(value), at); }
    static float round(float value) { return from_half(to_half(value)); }
};

struct FloatBF16 {
    static constexpr int bytes = 2;
    static float read(const uint8_t *at) { return from_bits((uint32_t)read16(at) << 16); }
    static void write(float value, uint8_t *at) { write16(to_bf16(value), at); }
    static float round(float value) { return from_bits((uint32_t)to_bf16(value) << 16); }
};

// Calls visit(Float{}) for a float type; false for any other.
template <class Visit>
inline bool with_float(int32_t type, Visit visit) {
    switch (type) {
        case F32: visit(FloatF32{}); return true;
        case F16: visit(FloatF16{}); return true;
        case BF16: visit(FloatBF16{}); return true;
        default: return false;
    }
}

// The job's blocks with other codes.
template <class Block>
inline void pack(Block, const int8_t *codes, const StripJob &job) {
    memcpy(job.packed, job.source, (size_t)(job.cols / Block::weights * Block::bytes));
    for (int j = 0; j < job.cols; j += Block::weights)
        Block::pack(codes + j, job.packed + j / Block::weights * Block::bytes);
}

// The float types of a strip job, plain enough for a compiler to make vectors of; every kernel shares it.
template <class Float>
inline bool float_strip(Float, const StripJob &job) {
    float stored[kStrip], made[kStrip];
    for (int j = 0; j < job.cols; ++j) stored[j] = Float::read(job.source + j * Float::bytes);
    memcpy(made, stored, (size_t)job.cols * sizeof(float));
    for (int j = 0; j < job.cols && job.delta; ++j) {
        const float moved = Float::round(stored[j] + job.delta[j]);
        made[j] = job.delta[j] == 0.0f ? stored[j] : moved;
    }
    uint32_t top = 0;
    for (int j = 0; j < job.cols; ++j) top |= (bits(made[j]) & 0x7f800000u) == 0x7f800000u;
    if (job.weights) memcpy(job.weights, made, (size_t)job.cols * sizeof(float));
    if (!job.packed) return !top;
    for (int j = 0; j < job.cols; ++j) {
        uint8_t *at = job.packed + j * Float::bytes;
        // Where D = 0 the bytes stay, whatever they are.
        memcpy(at, job.source + j * Float::bytes, Float::bytes);
        if (job.delta[j] != 0.0f) Float::write(made[j], at);
        if (!job.moves) continue;
        job.moves->codes += 1;
        job.moves->moved += memcmp(at, job.source + j * Float::bytes, Float::bytes) != 0;
        job.moves->delta_squares += (double)job.delta[j] * job.delta[j];
        job.moves->change_dot += ((double)made[j] - stored[j]) * job.delta[j];
    }
    return !top;
}

}  // namespace
}  // namespace edgesleep
