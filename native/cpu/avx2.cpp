// The kernel for AVX2 with FMA: vector.h on eight lanes.
//
// Owns the table of its operations. Leaves the instructions to avx2.h, the loops to vector.h.
// Must stay true: built alone with its flags.
#include "avx2.h"

namespace edgesleep {

const Kernel kAvx2 = {"avx2", cpu_has_avx2, delta<Avx2>, strip<Avx2>, product<Avx2>, dots<Avx2>, kLayers};

}  // namespace edgesleep
