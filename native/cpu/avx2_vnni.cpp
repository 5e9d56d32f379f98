// The kernel for AVX2 with AVX-VNNI, which adds fours of bytes at once.
//
// Owns that instruction. Leaves the others to avx2.h, the loops to vector.h.
// Must stay true: built alone with its flags.
#include "avx2.h"

namespace edgesleep {
namespace {

struct Avx2Vnni : Avx2 {
    static constexpr bool whole = true;
    static i dot(i sum, i unsigned_bytes, i signed_bytes) {
        return _mm256_dpbusd_avx_epi32(sum, unsigned_bytes, signed_bytes);
    }
};

}  // namespace

constexpr Kernel kAvx2Vnni = kernel_of<Avx2Vnni>("avx2-vnni", cpu_has_avx2_vnni);

}  // namespace edgesleep
