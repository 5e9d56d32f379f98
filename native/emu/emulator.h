// A graphics card on the processor, block by block.
//
// Owns the launch of a kernel over a grid. Leaves memory and its rules to memory.h. Must stay true: threads of a block
// go from barrier to barrier in an order drawn anew each time, the same in every run; a barrier that some threads of a
// block do not reach is a failure.
#pragma once

#include <functional>

#include "memory.h"

namespace emu {

struct Extent {
    int x = 1, y = 1, z = 1;
};

// Calls body(x, y, z, thread) for every thread of one block after the other; `fresh` begins a block.
void launch(const char *name, Extent grid, int threads, const std::function<void()> &fresh,
            const std::function<void(int x, int y, int z, int thread)> &body);

}  // namespace emu
