// The kernel for NEON with dotprod, which adds fours of bytes at once.
//
// Owns that instruction. Leaves the others to neon.h, the loops to vector.h.
// Must stay true: built alone with its flags.
#include "neon.h"

namespace edgesleep {
namespace {

struct NeonDotprod : Neon {
    static i dot(i sum, i codes, i bytes) {
        return vreinterpretq_u32_s32(
            vdotq_s32(vreinterpretq_s32_u32(sum), vreinterpretq_s8_u32(codes), vreinterpretq_s8_u32(bytes)));
    }
};

}  // namespace

constexpr Kernel kNeonDotprod = kernel_of<NeonDotprod>("neon-dotprod", cpu_has_dotprod);

}  // namespace edgesleep
