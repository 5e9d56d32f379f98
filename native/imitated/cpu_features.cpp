// The features of a processor that has them all: in place of ../cpu_features.cpp where the others are imitated.
//
// Must stay true: in no build but that of the self-test, and run only where there is AVX2.
#include "../kernel.h"

namespace edgesleep {

bool cpu_has_avx2() { return true; }
bool cpu_has_avx2_vnni() { return true; }
bool cpu_has_avx512() { return true; }
bool cpu_has_avx512_vnni() { return true; }

}  // namespace edgesleep
