// The quantized types one weight at a time.
//
// Owns how a thread reads a weight's code, step and offset, and how it makes a byte of a block from new codes. Leaves
// the sizes to layouts.h. Must stay true: the same numbers as blocks.h, which reads whole blocks; codes are centred in
// the same way; a byte that holds a scale stays what it is.
#pragma once

#include "dialect.h"

namespace edgesleep_device {

using Bytes = Global<const uint8_t>;

struct Grid {
    float step, offset;
};

DEVICE float half_at(Bytes block, int at) {
    const uint32_t low = block[at], high = block[at + 1];
    return from_half((uint16_t)(low | high << 8));
}
DEVICE int nibble(Bytes block, int at, int high) { return high ? (int)block[at] >> 4 : (int)block[at] & 15; }
DEVICE int bit_of(Bytes block, int at, int which) { return (int)block[at] >> which & 1; }

// A new code as the block stores it, `zero` above the centred one.
template <class Codes>
DEVICE int stored(Codes codes, int at, int zero) {
    return (int)codes[at] + zero;
}

// Each type: its layout; grid(block, j) and code(block, j) of weight j; byte(codes, i, old): byte i of the new block.
template <class Layout, int head, int zero>
struct Four : Layout {  // four bits: byte j holds codes j and j + 16
    DEVICE static Grid grid(Bytes block, int) {
        Grid found = {half_at(block, 0), kNoOffset};
        if (head == 4) found.offset = half_at(block, 2);
        return found;
    }
    DEVICE static int code(Bytes block, int j) { return nibble(block, head + j % 16, j / 16) - zero; }
    template <class Codes>
    DEVICE static int byte(Codes codes, int i, int old) {
        return i < head ? old : stored(codes, i - head, zero) | stored(codes, i - head + 16, zero) << 4;
    }
};
using GridQ4_0 = Four<LayoutQ4_0, 2, 8>;
using GridQ4_1 = Four<LayoutQ4_1, 4, 0>;

template <class Layout, int head, int zero>
struct Five : Layout {  // the fifth bits come first, 32 of them
    DEVICE static Grid grid(Bytes block, int j) { return Four<Layout, head, zero>::grid(block, j); }
    DEVICE static int code(Bytes block, int j) {
        return (nibble(block, head + 4 + j % 16, j / 16) | bit_of(block, head + j / 8, j % 8) << 4) - zero;
    }
    template <class Codes>
    DEVICE static int byte(Codes codes, int i, int old) {
        if (i < head) return old;
        if (i < head + 4) {
            int made = 0;
            for (int k = 0; k < 8; ++k) made |= (stored(codes, (i - head) * 8 + k, zero) >> 4) << k;
            return made;
        }
        i -= head + 4;
        return (stored(codes, i, zero) & 15) | (stored(codes, i + 16, zero) & 15) << 4;
    }
};
using GridQ5_0 = Five<LayoutQ5_0, 2, 16>;
using GridQ5_1 = Five<LayoutQ5_1, 4, 0>;

struct GridQ8_0 : LayoutQ8_0 {
    DEVICE static Grid grid(Bytes block, int) { return Grid{half_at(block, 0), kNoOffset}; }
    DEVICE static int code(Bytes block, int j) { return (int8_t)block[2 + j]; }
    template <class Codes>
    DEVICE static int byte(Codes codes, int i, int old) {
        return i < 2 ? old : (int)codes[i - 2] & 255;
    }
};

// Two bits of each code: byte l of each half holds weights l, l + 32, l + 64 and l + 96.
DEVICE int two_bits(Bytes block, int head, int j) {
    return (int)block[head + j / 128 * 32 + j % 32] >> (j / 32 % 4 * 2) & 3;
}
template <class Codes>
DEVICE int two_bits_byte(Codes codes, int i, int zero) {
    int made = 0;
    for (int k = 0; k < 4; ++k) made |= (stored(codes, i / 32 * 128 + k * 32 + i % 32, zero) & 3) << (2 * k);
    return made;
}

struct GridQ2_K : LayoutQ2_K {
    DEVICE static Grid grid(Bytes block, int j) {
        const int scales = block[j / 16];
        return Grid{half_at(block, 80) * (float)(scales & 15), -(half_at(block, 82) * (float)(scales >> 4))};
    }
    DEVICE static int code(Bytes block, int j) { return two_bits(block, 16, j); }
    template <class Codes>
    DEVICE static int byte(Codes codes, int i, int old) {
        return i < 16 || i >= 80 ? old : two_bits_byte(codes, i - 16, 0);
    }
};

struct GridQ3_K : LayoutQ3_K {
    DEVICE static Grid grid(Bytes block, int j) {
        const int g = j / 16, low = nibble(block, 96 + g % 8, g / 8);
        const int high = (int)block[104 + g % 4] >> (2 * (g / 4)) & 3;
        return Grid{half_at(block, 108) * (float)((low | high << 4) - 32), kNoOffset};
    }
    DEVICE static int code(Bytes block, int j) {
        return two_bits(block, 32, j) + 4 * bit_of(block, j % 32, j / 32) - 4;
    }
    template <class Codes>
    DEVICE static int byte(Codes codes, int i, int old) {
        if (i >= 96) return old;
        if (i >= 32) return two_bits_byte(codes, i - 32, 4);
        int made = 0;
        for (int k = 0; k < 8; ++k) made |= (stored(codes, k * 32 + i, 4) >> 2) << k;
        return made;
    }
};

// The eight 6-bit scales and mins of Q4_K and Q5_K (get_scale_min_k4 in ggml-quants.c).
DEVICE Grid six_bits(Bytes block, int j) {
    const int g = j / 32;
    int scale, least;
    if (g < 4) {
        scale = block[4 + g] & 63;
        least = block[8 + g] & 63;
    } else {
        scale = nibble(block, 8 + g, 0) | (int)block[g] >> 6 << 4;
        least = nibble(block, 8 + g, 1) | (int)block[4 + g] >> 6 << 4;
    }
    return Grid{half_at(block, 0) * (float)scale, -(half_at(block, 2) * (float)least)};
}

struct GridQ4_K : LayoutQ4_K {
    DEVICE static Grid grid(Bytes block, int j) { return six_bits(block, j); }
    DEVICE static int code(Bytes block, int j) { return nibble(block, 16 + j / 64 * 32 + j % 32, j / 32 % 2); }
    template <class Codes>
    DEVICE static int byte(Codes codes, int i, int old) {
        if (i < 16) return old;
        const int at = (i - 16) / 32 * 64 + (i - 16) % 32;
        return (int)codes[at] | (int)codes[at + 32] << 4;
    }
};

struct GridQ5_K : LayoutQ5_K {
    DEVICE static Grid grid(Bytes block, int j) { return six_bits(block, j); }
    DEVICE static int code(Bytes block, int j) {
        return nibble(block, 48 + j / 64 * 32 + j % 32, j / 32 % 2) | bit_of(block, 16 + j % 32, j / 32) << 4;
    }
    template <class Codes>
    DEVICE static int byte(Codes codes, int i, int old) {
        if (i < 16) return old;
        if (i < 48) {
            int made = 0;
            for (int k = 0; k < 8; ++k) made |= ((int)codes[k * 32 + i - 16] >> 4) << k;
            return made;
        }
        const int at = (i - 48) / 32 * 64 + (i - 48) % 32;
        return ((int)codes[at] & 15) | ((int)codes[at + 32] & 15) << 4;
    }
};

struct GridQ6_K : LayoutQ6_K {
    DEVICE static Grid grid(Bytes block, int j) {
        return Grid{half_at(block, 208) * (float)(int8_t)block[192 + j / 16], kNoOffset};
    }
    DEVICE static int code(Bytes block, int j) {
        const int part = j / 128, quarter = j / 32 % 4, l = j % 32;
        const int low = nibble(block, 64 * part + quarter % 2 * 32 + l, quarter / 2);
        return (low | ((int)block[128 + 32 * part + l] >> (2 * quarter) & 3) << 4) - 32;
    }
    template <class Codes>
    DEVICE static int byte(Codes codes, int i, int old) {
        if (i >= 192) return old;
        if (i < 128) {
            const int at = i / 64 * 128 + i % 64;
            return (stored(codes, at, 32) & 15) | (stored(codes, at + 64, 32) & 15) << 4;
        }
        i -= 128;
        int made = 0;
        for (int k = 0; k < 4; ++k) made |= (stored(codes, i / 32 * 128 + k * 32 + i % 32, 32) >> 4) << (2 * k);
        return made;
    }
};

// The expression `what` with `Block` being the grid of an affine type; nothing for any other.
#define WITH_GRID(type, what)       \
    switch (type) {                 \
        case Q4_0: {                \
            using Block = GridQ4_0; \
            what;                   \
            break;                  \
        }                           \
        case Q4_1: {                \
            using Block = GridQ4_1; \
            what;                   \
            break;                  \
        }                           \
        case Q5_0: {                \
            using Block = GridQ5_0; \
            what;                   \
            break;                  \
        }                           \
        case Q5_1: {                \
            using Block = GridQ5_1; \
            what;                   \
            break;                  \
        }                           \
        case Q8_0: {                \
            using Block = GridQ8_0; \
            what;                   \
            break;                  \
        }                           \
        case Q2_K: {                \
            using Block = GridQ2_K; \
            what;                   \
            break;                  \
        }                           \
        case Q3_K: {                \
            using Block = GridQ3_K; \
            what;                   \
            break;                  \
        }                           \
        case Q4_K: {                \
            using Block = GridQ4_K; \
            what;                   \
            break;                  \
        }                           \
        case Q5_K: {                \
            using Block = GridQ5_K; \
            what;                   \
            break;                  \
        }                           \
        case Q6_K: {                \
            using Block = GridQ6_K; \
            what;                   \
            break;                  \
        }                           \
        default: break;             \
    }

DEVICE bool is_float(int type) { return type == F32 || type == F16 || type == BF16; }
DEVICE int float_bytes(int type) { return type == F32 ? 4 : 2; }

DEVICE float read_float(int type, Bytes at) {
    const uint32_t low = at[0], high = at[1];
    const uint16_t word = (uint16_t)(low | high << 8);
    if (type == F16) return from_half(word);
    if (type == BF16) return from_bits((uint32_t)word << 16);
    const uint32_t third = at[2], fourth = at[3];
    return from_bits(low | high << 8 | third << 16 | fourth << 24);
}

// What a float type stores for a value, in the low bits.
DEVICE uint32_t float_word(int type, float value) {
    return type == F16 ? to_half(value) : type == BF16 ? to_bf16(value) : bits(value);
}
DEVICE float word_value(int type, uint32_t word) {
    return type == F16 ? from_half((uint16_t)word) : from_bits(type == BF16 ? word << 16 : word);
}

DEVICE int64_t bytes_of_row(int type, int cols) {
    int64_t bytes = (int64_t)cols * float_bytes(type);
    WITH_GRID(type, bytes = (int64_t)(cols / Block::weights) * Block::bytes)
    return bytes;
}

// A run of weights of one row, all in one group of the grid: kRun divides every group.
ES_CONSTANT int kRun = 8;
struct Run {
    float weight[kRun];
};

template <class Block>
DEVICE void read_run(Bytes row, int col, PRIVATE Run &run) {
    const Bytes block = row + (int64_t)(col / Block::weights) * Block::bytes;
    const int j = col % Block::weights;
    const Grid grid = Block::grid(block, j);
    for (int i = 0; i < kRun; ++i) run.weight[i] = grid.step * (float)Block::code(block, j + i) + grid.offset;
}

// Weights [col, col + kRun) of a row, zeros from `cols` on.
DEVICE void read_weights(int type, Bytes row, int col, int cols, PRIVATE Run &run) {
    for (int i = 0; i < kRun; ++i) run.weight[i] = 0.0f;
    if (is_float(type)) {
        for (int i = 0; i < kRun && col + i < cols; ++i)
            run.weight[i] = read_float(type, row + (int64_t)(col + i) * float_bytes(type));
    } else if (col < cols) {
        WITH_GRID(type, read_run<Block>(row, col, run))
    }
}

}  // namespace edgesleep_device
