// The kernel for AVX-512 with VNNI, which adds fours of bytes at once.
//
// Owns that instruction. Leaves the others to avx512.h, the loops to vector.h.
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

constexpr Kernel kAvx512Vnni = kernel_of<Avx512Vnni>("avx512-vnni", cpu_has_avx512_vnni);

}  // namespace edgesleep
