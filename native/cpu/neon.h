// Four lanes of NEON, for vector.h.
//
// Owns the instructions. Leaves the loops to vector.h and the meaning to ref.cpp.
// Must stay true: no more than every aarch64 has, since nothing is probed; no library code inside; all in an unnamed
// namespace.
#pragma once

#include <arm_neon.h>

#include "vector.h"

namespace edgesleep {
namespace {

struct Neon {
    using f = float32x4_t;
    using i = uint32x4_t;
    static constexpr int width = 4, rows = 6, blocks = 1;  // 24 sums of 32 registers
    static constexpr int dot_rows = 4;                     // 16 sums
    static constexpr bool whole = true, tiled = false;

    static f load(const float *at) { return vld1q_f32(at); }
    static void store(float *at, f x) { vst1q_f32(at, x); }
    static f all(float x) { return vdupq_n_f32(x); }
    static f add(f x, f y) { return vaddq_f32(x, y); }
    static f mul(f x, f y) { return vmulq_f32(x, y); }
    static f fma(f x, f y, f z) { return vfmaq_f32(z, x, y); }
    static f floor(f x) { return vrndmq_f32(x); }
    static f min(f x, f y) { return vminnmq_f32(x, y); }
    static f max(f x, f y) { return vmaxnmq_f32(x, y); }
    static f sub(f x, f y) { return vsubq_f32(x, y); }
    static int differ(f x, f y) { return 4 + vaddvq_s32(vreinterpretq_s32_u32(vceqq_f32(x, y))); }  // equal is -1

    static i all_ints(uint32_t x) { return vdupq_n_u32(x); }
    static i plus(i x, i y) { return vaddq_u32(x, y); }
    static i times(i x, i y) { return vmulq_u32(x, y); }
    static i flip(i x, i y) { return veorq_u32(x, y); }
    template <int count>
    static i right(i x) {
        return vshrq_n_u32(x, count);
    }
    static f to_float(i x) { return vcvtq_f32_s32(vreinterpretq_s32_u32(x)); }
    static i ramp(uint32_t first, uint32_t step) {
        const uint32_t lanes[] = {0, 1, 2, 3};
        return plus(all_ints(first), times(vld1q_u32(lanes), all_ints(step)));
    }

    static f codes(const int8_t *at) {
        uint32_t four;  // a whole vector would reach beyond the strip
        memcpy(&four, at, 4);
        const int8x8_t bytes = vreinterpret_s8_u32(vdup_n_u32(four));
        return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))));
    }
    static void store_codes(int8_t *at, f x) {
        const int16x4_t shorts = vmovn_s32(vcvtq_s32_f32(x));  // codes are whole, so nothing is cut off
        const uint32_t four = vget_lane_u32(vreinterpret_u32_s8(vmovn_s16(vcombine_s16(shorts, shorts))), 0);
        memcpy(at, &four, 4);
    }

    static i load_bytes(const uint8_t *at) { return vreinterpretq_u32_u8(vld1q_u8(at)); }
    // Codes are below 128, so both sides may be taken as signed.
    static i dot(i sum, i codes, i bytes) {
        const int8x16_t x = vreinterpretq_s8_u32(codes), y = vreinterpretq_s8_u32(bytes);
        const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)));
        const int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(x), vget_high_s8(y)));
        return vaddq_u32(sum, vreinterpretq_u32_s32(vpaddq_s32(low, high)));
    }
};

}  // namespace
}  // namespace edgesleep
