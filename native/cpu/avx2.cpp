// The kernel for AVX2 with FMA: vector.h on eight lanes.
//
// Owns its name and what it needs. Leaves the instructions to avx2.h, the loops to vector.h.
// Must stay true: built alone with its flags.
#include "avx2.h"

namespace edgesleep {

constexpr Kernel kAvx2 = kernel_of<Avx2>("avx2", cpu_has_avx2);

}  // namespace edgesleep
