// The kernel for AVX-512: vector.h on sixteen lanes.
//
// Owns the table of its operations. Leaves the instructions to avx512.h, the loops to vector.h.
// Must stay true: built alone with its flags.
#include "avx512.h"

namespace edgesleep {

const Kernel kAvx512 = {"avx512", cpu_has_avx512, delta<Avx512>, strip<Avx512>, product<Avx512>, dots<Avx512>, kLayers};

}  // namespace edgesleep
