// The device's kernels as Metal entry points.
//
// Owns nothing but the border. Leaves launches to device.mm. Must stay true: built without fast math and contraction, so
// that what is written is what runs; arguments lie in a buffer, with the addresses of other buffers in it (Metal 3).
#include "../device/kernels.h"

#if !defined(BLOCK_MEMORY)
#define BLOCK_MEMORY(Type, name) threadgroup Type name
#endif

#define ENTRY(body, Args, Shared)                                                                     \
    kernel void edgesleep_##body(constant edgesleep_device::Args &args [[buffer(0)]],                 \
                                 uint3 group [[threadgroup_position_in_grid]],                        \
                                 uint worker [[thread_index_in_threadgroup]]) {                       \
        BLOCK_MEMORY(edgesleep_device::Shared, shared); \
        edgesleep_device::body(                                                                       \
            args, edgesleep_device::Place{(int)group.x, (int)group.y, (int)group.z, (int)worker}, shared); \
    }
EDGESLEEP_KERNELS(ENTRY)
