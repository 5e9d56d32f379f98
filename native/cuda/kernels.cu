// The device's kernels as CUDA entry points.
//
// Owns nothing but the border. Leaves launches to device.cu. Must stay true: built with -fmad=false, so that what is
// written is what runs; shared memory is one record for each kernel.
#include "../device/kernels.h"

#define ENTRY(body, Args, Shared)                                                                               \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                        \
        edgesleep_##body(const __grid_constant__ edgesleep_device::Args args) {                                 \
        __shared__ edgesleep_device::Shared shared;                                                             \
        edgesleep_device::body(                                                                                 \
            args, edgesleep_device::Place{(int)blockIdx.x, (int)blockIdx.y, (int)blockIdx.z, (int)threadIdx.x}, \
            shared);                                                                                            \
    }
EDGESLEEP_KERNELS(ENTRY)
