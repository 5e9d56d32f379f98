// What this processor and operating system let us run.
//
// Owns the probing of instruction sets. Leaves the choice to registry.cpp.
// Must stay true: a feature counts only when the system also saves its registers
// (xgetbv), else a kernel would crash inside some containers and old hypervisors.
#include "kernel.h"

#ifdef EDGESLEEP_X86
#include <cpuid.h>

namespace edgesleep {
namespace {

struct Leaf {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf leaf(unsigned number) {
    Leaf l;
    __get_cpuid_count(number, 0, &l.eax, &l.ebx, &l.ecx, &l.edx);
    return l;
}

bool has(unsigned word, unsigned mask) { return (word & mask) == mask; }

// Register sets that the operating system saves: 6 = xmm and ymm, 0xe6 = zmm and masks too.
bool system_saves(unsigned mask) {
    if (!has(leaf(1).ecx, 1u << 27)) return false;  // OSXSAVE
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return has(low, mask);
}

}  // namespace

bool cpu_has_avx2() {
    return system_saves(0x6) && has(leaf(1).ecx, 1u << 12 | 1u << 28 | 1u << 29) && has(leaf(7).ebx, 1u << 5);
}

bool cpu_has_avx512() {
    return cpu_has_avx2() && system_saves(0xe6) && has(leaf(7).ebx, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31);
}

}  // namespace edgesleep
#endif

#ifdef EDGESLEEP_ARM
namespace edgesleep {

bool cpu_has_neon() { return true; }  // part of the base instruction set

}  // namespace edgesleep
#endif
