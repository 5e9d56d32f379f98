// The kernel for NEON: vector.h on four lanes.
//
// Owns the table of its operations. Leaves the instructions to neon.h, the loops to vector.h.
// Must stay true: built alone with its flags.
#include "neon.h"

namespace edgesleep {

const Kernel kNeon = {"neon", cpu_has_neon, delta<Neon>, strip<Neon>, product<Neon>, dots<Neon>, kLayers};

}  // namespace edgesleep
