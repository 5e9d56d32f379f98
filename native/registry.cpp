// The kernels of this build, and which one is used.
//
// Owns the order of preference, EDGESLEEP_KERNEL and the error messages of the
// ABI. Leaves probing to cpu_features.cpp. Must stay true: a forced kernel is
// used or refused, never quietly replaced.
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "kernel.h"

namespace edgesleep {
namespace {

const Kernel *const kKernels[] = {
#ifdef EDGESLEEP_X86
    &kAvx512Vnni,  &kAvx512,
#ifdef EDGESLEEP_AVX2_VNNI
    &kAvx2Vnni,
#endif
    &kAvx2,
#endif
#ifdef EDGESLEEP_ARM
#ifdef EDGESLEEP_I8MM
    &kNeonI8mm,
#endif
    &kNeonDotprod, &kNeon,
#endif
    &kRef,
};

std::atomic<const Kernel *> chosen{nullptr};

const Kernel *find(const char *name) {
    for (const Kernel *kernel : kKernels)
        if (kernel->runs() && (!name || !std::strcmp(name, kernel->name))) return kernel;
    return nullptr;
}

}  // namespace

const Kernel *selected() {
    const Kernel *kernel = chosen.load();
    if (!kernel && es_select(nullptr) == ES_OK) kernel = chosen.load();
    return kernel;
}

}  // namespace edgesleep

using namespace edgesleep;

extern "C" {

int es_kernel_count(void) { return (int)(sizeof kKernels / sizeof *kKernels); }

const char *es_kernel_name(int index) {
    return index < 0 || index >= es_kernel_count() ? nullptr : kKernels[index]->name;
}

int es_kernel_runs(int index) { return index >= 0 && index < es_kernel_count() && kKernels[index]->runs(); }

int es_select(const char *name) {
    if (!name) name = std::getenv("EDGESLEEP_KERNEL");
    if (name && !*name) name = nullptr;
    const Kernel *kernel = find(name);
    if (!kernel) return ES_KERNEL;
    chosen = kernel;
    return ES_OK;
}

const char *es_selected(void) {
    const Kernel *kernel = selected();
    return kernel ? kernel->name : nullptr;
}

const char *es_message(int error) {
    switch (error) {
        case ES_OK: return "done";
        case ES_TYPE: return "the tensor's type has no affine grid";
        case ES_SHAPE: return "a shape, range or row number is out of bounds";
        case ES_ADAPTER: return "the adapter holds NaN or infinity, or is far too large";
        case ES_WEIGHT: return "the tensor holds NaN or infinity, or would after the merge";
        case ES_KERNEL: return "the kernel named by EDGESLEEP_KERNEL is unknown or cannot run on this machine";
        case ES_MEMORY: return "out of memory";
        default: return "unknown error";
    }
}
}
