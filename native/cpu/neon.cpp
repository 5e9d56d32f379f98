// The kernel for NEON of 64-bit ARM: vector.h on four lanes.
#include "neon.h"

namespace edgesleep {

const Kernel kNeon = {"neon", cpu_has_neon, delta<Neon>, strip<Neon>, product<Neon>, dots<Neon>, kLayers};

}  // namespace edgesleep
