// The emulator as a card: what device/network.h asks of one.
//
// Owns arrays in emulated memory and a method for each kernel. Leaves the kernels to device/. Must stay true: include
// run.h's dialect first; memory is short where the budget says so, as on a real card.
#pragma once

#include <new>

#include "run.h"

#include "../device/table.h"

namespace edgesleep_device {

class EmulatedCard {
public:
    template <class T>
    struct Array {
        std::shared_ptr<emu::Buffer<T>> own;
        int64_t size = 0;
        operator Global<T>() const { return own ? Global<T>(*own) : Global<T>(); }
        operator Global<const T>() const { return own ? Global<const T>(*own) : Global<const T>(); }
    };

    static inline int64_t budget = 1 << 30;  // of the next card, in bytes

    bool multiplies_bf16() const { return true; }
    void describe(char *words) const { snprintf(words, ES_WORDS, "an emulated card"); }

    template <class T>
    Array<T> take(int64_t count) {
        if ((left_ -= count * (int64_t)sizeof(T)) < 0) throw std::bad_alloc();
        return {std::make_shared<emu::Buffer<T>>(std::vector<T>((size_t)count)), count};
    }
    template <class T>
    void put(const Array<T> &to, const T *from, int64_t count) {
        std::copy_n(from, count, to.own->data.data());
    }
    template <class T>
    void get(const Array<T> &from, T *to, int64_t count) {
        std::copy_n(from.own->data.data(), count, to);
    }
    template <class T>
    void zero(const Array<T> &all) {
        std::fill(all.own->data.begin(), all.own->data.end(), T{});
    }

#define METHOD(body, Args, Shared) \
    void body(Extent grid, const Args &args) { run(#body, edgesleep_device::body, {grid.x, grid.y, grid.z}, args); }
    EDGESLEEP_KERNELS(METHOD)
#undef METHOD

private:
    int64_t left_ = budget;
};

}  // namespace edgesleep_device
