// The kernel for AVX-512: vector.h on sixteen lanes.
//
// Owns its name and what it needs. Leaves the instructions to avx512.h, the loops to vector.h.
// Must stay true: built alone with its flags.
#include "avx512.h"

namespace edgesleep {

constexpr Kernel kAvx512 = kernel_of<Avx512>("avx512", cpu_has_avx512);

}  // namespace edgesleep
