// The kernel for NEON with i8mm, whose instruction multiplies two rows with two tokens, eight steps of each.
//
// Owns that instruction and the lay-out of codes that it needs. Leaves the others to neon.h, the loops to vector.h.
// Must stay true: built alone with its flags, and dotprod is not among them.
#include "neon.h"

namespace edgesleep {
namespace {

constexpr int kTile = 8;  // steps of a sum that are added at once
constexpr int kGroupBytes = kDots * kTokens;

struct NeonI8mm : Neon {
    static constexpr bool tiled = true;

    static uint8x16_t join(uint8x8_t x, uint8x8_t y) { return vcombine_u8(x, y); }
    // Two fours of one row.
    template <bool turned>
    static uint8x8_t eight(const uint8_t *at) {
        if constexpr (!turned) return vld1_u8(at);
        uint32_t fours[2];
        memcpy(fours, at, 4);
        memcpy(fours + 1, at + kTileStrides[1].four, 4);
        return vreinterpret_u8_u32(vld1_u32(fours));
    }
    // Steps [first, first + kTile) of `rows` rows, in pairs; a single row is paired with itself.
    template <int rows, bool turned>
    static void load_pairs(const uint8_t *a, int first, uint8x16_t (&pairs)[(rows + 1) / 2]) {
        constexpr TileStrides stride = kTileStrides[turned];
        a += first / 4 * stride.four;
        for (int p = 0; p < (rows + 1) / 2; ++p) {
            const int next = rows > 1 ? 2 * p + 1 : 0;
            pairs[p] = join(eight<turned>(a + 2 * p * stride.row), eight<turned>(a + next * stride.row));
        }
    }

    // One group of `rows` rows: [kDots / kTile][kTokens][kTile] of b give the sums in integers.
    template <int rows, bool turned>
    static void group(const uint8_t *a, const uint8_t *b, i (&total)[rows][kTokens / width]) {
        constexpr int row_pairs = (rows + 1) / 2, token_pairs = kTokens / 2;
        int32x4_t sum[row_pairs][token_pairs] = {};  // [row][token] of each
        for (int first = 0; first < kDots; first += kTile) {
            uint8x16_t pairs[row_pairs];
            load_pairs<rows, turned>(a, first, pairs);
            for (int t = 0; t < token_pairs; ++t) {
                const int8x16_t tokens = vreinterpretq_s8_u8(vld1q_u8(b + first * kTokens + 2 * t * kTile));
                for (int p = 0; p < row_pairs; ++p) sum[p][t] = vusmmlaq_s32(sum[p][t], pairs[p], tokens);
            }
        }
        for (int row = 0; row < rows; ++row)
            for (int v = 0; v < kTokens / width; ++v) {
                const uint64x2_t left = vreinterpretq_u64_s32(sum[row / 2][2 * v]);
                const uint64x2_t right = vreinterpretq_u64_s32(sum[row / 2][2 * v + 1]);
                total[row][v] = vreinterpretq_u32_u64(row % 2 ? vzip2q_u64(left, right) : vzip1q_u64(left, right));
            }
    }
};

// [step / 4][kTokens][4] to [step / kTile][kTokens][kTile], once for all rows of a token block.
void pair_fours(int groups, const uint8_t *b, uint8_t *out) {
    for (int at = 0; at < groups * kGroupBytes; at += kTokens * kTile)
        for (int t = 0; t < kTokens; t += 4) {
            const uint32x4_t first = vreinterpretq_u32_u8(vld1q_u8(b + at + 4 * t));
            const uint32x4_t second = vreinterpretq_u32_u8(vld1q_u8(b + at + 4 * kTokens + 4 * t));
            vst1q_u8(out + at + kTile * t, vreinterpretq_u8_u32(vzip1q_u32(first, second)));
            vst1q_u8(out + at + kTile * t + 16, vreinterpretq_u8_u32(vzip2q_u32(first, second)));
        }
}

void tiled_dots(const DotJob &job) {
    alignas(64) uint8_t codes[kStrip / kDots * kGroupBytes];
    for (int64_t block = 0; block < job.blocks; ++block) {
        pair_fours(job.groups, job.b + block * job.b_block, codes);
        DotJob one = job;
        one.blocks = 1;
        one.b = codes;
        one.scale += block * job.scale_block;
        one.sum += block * job.scale_block;
        one.c += block * job.c_block;
        dots<NeonI8mm>(one);
    }
}

}  // namespace

constexpr Kernel kNeonI8mm = {"neon-i8mm",       cpu_has_i8mm, delta<NeonI8mm>, strip<NeonI8mm>,
                              product<NeonI8mm>, tiled_dots,   kLayers};

}  // namespace edgesleep
