// The library libedgesleep_cuda: NVIDIA cards from Turing (sm_75) on.
//
// Owns memory, the stream and the launches. Leaves the kernels to kernels.cu and the step to device/network.h. Must
// stay true: the runtime is linked in and asks for the driver by itself, so that a machine without one only hears that
// there is none; memory is taken within a budget; all that is queued runs in order on one stream.
#include <cstdlib>
#include <memory>

#include "../device/table.h"
#include "kernels.cu"

namespace edgesleep_device {
namespace {

void check(cudaError_t error) {
    if (error == cudaErrorMemoryAllocation) throw std::bad_alloc();
    if (error != cudaSuccess) throw CardError{cudaGetErrorString(error)};
}

}  // namespace

class CudaCard {
public:
    template <class T>
    struct Array {
        std::shared_ptr<T> own;
        int64_t size = 0;
        operator Global<T>() const { return own.get(); }
        operator Global<const T>() const { return own.get(); }
    };

    CudaCard() {
        int count = 0;
        check(cudaGetDeviceCount(&count));
        if (!count) throw CardError{"no card was found"};
        check(cudaGetDeviceProperties(&properties_, 0));
        if (properties_.major * 10 + properties_.minor < 75) throw CardError{"the card is older than Turing (sm_75)"};
        check(cudaSetDevice(0));
        check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
        size_t free = 0, all = 0;
        check(cudaMemGetInfo(&free, &all));
        // A tenth is left to whoever draws the screen.
        const char *asked = std::getenv("EDGESLEEP_DEVICE_MEMORY");
        const int64_t limit = asked ? std::atoll(asked) << 20 : 0, room = (int64_t)(free / 10 * 9);
        *left_ = limit > 0 && limit < room ? limit : room;
    }
    ~CudaCard() {
        if (stream_) cudaStreamDestroy(stream_);
    }
    CudaCard(const CudaCard &) = delete;
    CudaCard &operator=(const CudaCard &) = delete;

    bool multiplies_bf16() const { return properties_.major >= 8; }
    void describe(char *words) const {
        snprintf(words, ES_WORDS, "%s, %lld MiB for training", properties_.name, (long long)(*left_ >> 20));
    }

    template <class T>
    Array<T> take(int64_t count) {
        const int64_t bytes = count * (int64_t)sizeof(T);
        if (bytes > *left_) throw std::bad_alloc();
        if (!bytes) return {};
        void *made = nullptr;
        check(cudaMalloc(&made, (size_t)bytes));
        *left_ -= bytes;
        const std::shared_ptr<int64_t> left = left_;
        Array<T> array{std::shared_ptr<T>((T *)made, [left, bytes](T *memory) { cudaFree(memory), *left += bytes; }),
                       count};
        zero(array);
        return array;
    }
    template <class T>
    void put(const Array<T> &to, const T *from, int64_t count) {
        check(cudaMemcpyAsync(to.own.get(), from, (size_t)count * sizeof(T), cudaMemcpyHostToDevice, stream_));
        check(cudaStreamSynchronize(stream_));  // the host's memory is the caller's again
    }
    template <class T>
    void get(const Array<T> &from, T *to, int64_t count) {
        check(cudaMemcpyAsync(to, from.own.get(), (size_t)count * sizeof(T), cudaMemcpyDeviceToHost, stream_));
        check(cudaStreamSynchronize(stream_));
    }
    template <class T>
    void zero(const Array<T> &all) {
        if (all.size) check(cudaMemsetAsync(all.own.get(), 0, (size_t)all.size * sizeof(T), stream_));
    }

#define METHOD(body, Args, Shared)                                                                                    \
    void body(Extent grid, const Args &args) {                                                                        \
        edgesleep_##body<<<dim3((unsigned)grid.x, (unsigned)grid.y, (unsigned)grid.z), kThreads, 0, stream_>>>(args); \
        check(cudaPeekAtLastError());                                                                                 \
    }
    EDGESLEEP_KERNELS(METHOD)
#undef METHOD

private:
    cudaDeviceProp properties_{};
    cudaStream_t stream_ = nullptr;
    std::shared_ptr<int64_t> left_ = std::make_shared<int64_t>(0);  // bytes of the budget
};

namespace {
const es_library kTable = Table<CudaCard>::table("cuda");
}

}  // namespace edgesleep_device

extern "C" __attribute__((visibility("default"))) const es_library *es_library_table() {
    return &edgesleep_device::kTable;
}
