// The library libedgesleep_metal: Apple's cards, with Metal 3 (macOS 13, Apple silicon).
//
// Owns memory, the command buffer and the launches. Leaves the kernels to kernels.metal and the step to
// device/network.h. Must stay true: memory is shared with the processor, which touches it only when nothing is queued;
// all that is queued runs in order; arguments hold addresses, so that every array is made resident by hand.
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "../device/table.h"

namespace edgesleep_device {
namespace {
constexpr int64_t kArguments = 1 << 20;  // bytes of arguments that may be queued

}  // namespace

class MetalCard {
public:
    struct Block {
        id<MTLBuffer> buffer;
        std::shared_ptr<int64_t> left;
        Block(id<MTLBuffer> buffer, std::shared_ptr<int64_t> left) : buffer(buffer), left(std::move(left)) {}
        Block(const Block &) = delete;
        ~Block() { *left += (int64_t)buffer.length; }
    };
    template <class T>
    struct Array {
        std::shared_ptr<Block> own;
        int64_t size = 0;
        operator Global<T>() const { return own ? (T *)own->buffer.gpuAddress : nullptr; }
        operator Global<const T>() const { return own ? (const T *)own->buffer.gpuAddress : nullptr; }
    };

    MetalCard() {
        device_ = MTLCreateSystemDefaultDevice();
        if (!device_) throw CardError{"no card was found"};
        if (![device_ supportsFamily:MTLGPUFamilyMetal3]) throw CardError{"the card knows no Metal 3"};
        queue_ = [device_ newCommandQueue];
        Dl_info info{};
        dladdr((const void *)&library_beside, &info);
        NSString *folder = [@(info.dli_fname) stringByDeletingLastPathComponent];
        NSError *error = nil;
        library_ = [device_ newLibraryWithURL:[NSURL fileURLWithPath:[folder stringByAppendingString:@"/edgesleep.metallib"]]
                                        error:&error];
        if (!library_) throw CardError{"edgesleep.metallib cannot be read"};
        arguments_ = [device_ newBufferWithLength:kArguments options:MTLResourceStorageModeShared];
        const char *asked = std::getenv("EDGESLEEP_DEVICE_MEMORY");
        const int64_t limit = asked ? std::atoll(asked) << 20 : 0;
        const int64_t room = (int64_t)(device_.recommendedMaxWorkingSetSize / 10 * 9);
        *left_ = limit > 0 && limit < room ? limit : room;
    }
    ~MetalCard() { [encoder_ endEncoding]; }
    MetalCard(const MetalCard &) = delete;
    MetalCard &operator=(const MetalCard &) = delete;

    bool multiplies_bf16() const { return true; }  // as every Apple silicon does
    void describe(char *words) const {
        snprintf(words, ES_WORDS, "%s, %lld MiB for training", device_.name.UTF8String, (long long)(*left_ >> 20));
    }

    template <class T>
    Array<T> take(int64_t count) {
        const int64_t bytes = count * (int64_t)sizeof(T);
        if (bytes > *left_) throw std::bad_alloc();
        if (!bytes) return {};
        id<MTLBuffer> buffer = [device_ newBufferWithLength:(NSUInteger)bytes options:MTLResourceStorageModeShared];
        if (!buffer) throw std::bad_alloc();
        *left_ -= (int64_t)buffer.length;
        auto made = std::make_shared<Block>(buffer, left_);
        live_[buffer.gpuAddress] = made;
        std::memset(buffer.contents, 0, (size_t)bytes);
        if (encoder_) [encoder_ useResource:buffer usage:MTLResourceUsageRead | MTLResourceUsageWrite];
        return {made, count};
    }
    template <class T>
    void put(const Array<T> &to, const T *from, int64_t count) {
        finish();
        std::memcpy(to.own->buffer.contents, from, (size_t)count * sizeof(T));
    }
    template <class T>
    void get(const Array<T> &from, T *to, int64_t count) {
        finish();
        std::memcpy(to, from.own->buffer.contents, (size_t)count * sizeof(T));
    }
    template <class T>
    void zero(const Array<T> &all) {
        finish();
        if (all.size) std::memset(all.own->buffer.contents, 0, (size_t)all.size * sizeof(T));
    }

#define METHOD(body, Args, Shared) \
    void body(Extent grid, const Args &args) { launch("edgesleep_" #body, grid, &args, sizeof args); }
    EDGESLEEP_KERNELS(METHOD)
#undef METHOD

private:
    static void library_beside() {}

    id<MTLComputePipelineState> pipeline(const char *name) {
        id<MTLComputePipelineState> &made = pipelines_[name];
        if (made) return made;
        id<MTLFunction> function = [library_ newFunctionWithName:@(name)];
        NSError *error = nil;
        if (function) made = [device_ newComputePipelineStateWithFunction:function error:&error];
        if (!made || made.maxTotalThreadsPerThreadgroup < (NSUInteger)kThreads)
            throw CardError{"a kernel cannot run on this card"};
        return made;
    }

    void begin() {
        commands_ = [queue_ commandBuffer];
        encoder_ = [commands_ computeCommandEncoder];
        for (auto each = live_.begin(); each != live_.end();) {
            const std::shared_ptr<Block> block = each->second.lock();
            if (block) [encoder_ useResource:block->buffer usage:MTLResourceUsageRead | MTLResourceUsageWrite];
            each = block ? std::next(each) : live_.erase(each);
        }
        used_ = 0;
    }

    void launch(const char *name, Extent grid, const void *args, size_t size) {
        const int64_t room = ((int64_t)size + 255) / 256 * 256;
        if (encoder_ && used_ + room > kArguments) finish();
        if (!encoder_) begin();
        std::memcpy((char *)arguments_.contents + used_, args, size);
        [encoder_ setComputePipelineState:pipeline(name)];
        [encoder_ setBuffer:arguments_ offset:(NSUInteger)used_ atIndex:0];
        [encoder_ dispatchThreadgroups:MTLSizeMake((NSUInteger)grid.x, (NSUInteger)grid.y, (NSUInteger)grid.z)
                 threadsPerThreadgroup:MTLSizeMake((NSUInteger)kThreads, 1, 1)];
        used_ += room;
    }

    // All that is queued is done.
    void finish() {
        if (!encoder_) return;
        [encoder_ endEncoding];
        [commands_ commit];
        [commands_ waitUntilCompleted];
        const bool failed = commands_.status == MTLCommandBufferStatusError;
        encoder_ = nil;
        commands_ = nil;
        if (failed) throw CardError{"the card broke off its work"};
    }

    id<MTLDevice> device_;
    id<MTLCommandQueue> queue_;
    id<MTLLibrary> library_;
    id<MTLBuffer> arguments_;
    id<MTLCommandBuffer> commands_ = nil;
    id<MTLComputeCommandEncoder> encoder_ = nil;
    std::map<std::string, id<MTLComputePipelineState>> pipelines_;
    std::map<uint64_t, std::weak_ptr<Block>> live_;
    std::shared_ptr<int64_t> left_ = std::make_shared<int64_t>(0);  // bytes of the budget
    int64_t used_ = 0;
};

namespace {
const es_library kTable = Table<MetalCard>::table("metal");
}

}  // namespace edgesleep_device

extern "C" __attribute__((visibility("default"))) const es_library *es_library_table() {
    return &edgesleep_device::kTable;
}
