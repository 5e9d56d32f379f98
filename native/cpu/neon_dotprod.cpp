// The kernel for NEON with dotprod, which adds fours of bytes at once.
//
// Owns the table of its operations. Leaves the instructions to neon.h, the loops to vector.h.
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

const Kernel kNeonDotprod = {"neon-dotprod", cpu_has_dotprod,   delta<Neon>, strip<Neon>,
                             product<Neon>,  dots<NeonDotprod>, kLayers};

}  // namespace edgesleep
