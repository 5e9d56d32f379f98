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

Leaf leaf(unsigned number, unsigned part = 0) {
    Leaf l;
    __get_cpuid_count(number, part, &l.eax, &l.ebx, &l.ecx, &l.edx);
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

bool cpu_has_avx2_vnni() { return cpu_has_avx2() && leaf(7).eax >= 1 && has(leaf(7, 1).eax, 1u << 4); }

bool cpu_has_avx512() {
    return cpu_has_avx2() && system_saves(0xe6) && has(leaf(7).ebx, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31);
}

bool cpu_has_avx512_vnni() { return cpu_has_avx512() && has(leaf(7).ecx, 1u << 11); }

}  // namespace edgesleep
#endif

#ifdef EDGESLEEP_ARM
#ifdef __linux__
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace edgesleep {

bool cpu_has_neon() { return true; }  // part of the base instruction set

bool cpu_has_dotprod() {
#ifdef __linux__
    return getauxval(AT_HWCAP) & 1u << 20;  // HWCAP_ASIMDDP
#elif defined(__APPLE__)
    return true;  // in all of them that run macOS
#else
    return false;
#endif
}

bool cpu_has_i8mm() {
#ifdef __linux__
    return getauxval(AT_HWCAP2) & 1u << 13;  // HWCAP2_I8MM
#elif defined(__APPLE__)
    int has = 0;  // from M2 on; the name is unknown to systems that are older than the instruction
    size_t size = sizeof has;
    return !sysctlbyname("hw.optional.arm.FEAT_I8MM", &has, &size, nullptr, 0) && has;
#else
    return false;
#endif
}

}  // namespace edgesleep
#endif
