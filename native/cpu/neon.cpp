// The kernel for NEON: vector.h on four lanes.
//
// Owns its name and what it needs. Leaves the instructions to neon.h, the loops to vector.h.
// Must stay true: built alone with its flags.
#include "neon.h"

namespace edgesleep {

constexpr Kernel kNeon = kernel_of<Neon>("neon", cpu_has_neon);

}  // namespace edgesleep
