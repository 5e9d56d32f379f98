// The kernel for AVX-512 with VNNI, which adds fours of bytes at once.
//
// Owns the table of its operations. Leaves the instructions to avx512.h, the loops to vector.h.
// Must stay true: built alone with its flags.
#include "avx512.h"

namespace edgesleep {
namespace {

struct Avx512Vnni : Avx512 {
    static constexpr bool whole = true;
    static i dot(i sum, i unsigned_bytes, i signed_bytes) {
        return _mm512_dpbusd_epi32(sum, unsigned_bytes, signed_bytes);
    }
};

}  // namespace

const Kernel kAvx512Vnni = {"avx512-vnni",   cpu_has_avx512_vnni, delta<Avx512>, strip<Avx512>,
                            product<Avx512>, dots<Avx512Vnni>,    kLayers};

}  // namespace edgesleep
