// The kernel for AVX2 with AVX-VNNI, which adds fours of bytes at once.
//
// Owns the table of its operations. Leaves the instructions to avx2.h, the loops to vector.h.
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

const Kernel kAvx2Vnni = {"avx2-vnni",   cpu_has_avx2_vnni, delta<Avx2>, strip<Avx2>,
                          product<Avx2>, dots<Avx2Vnni>,    kLayers};

}  // namespace edgesleep
