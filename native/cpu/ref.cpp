// The definition of every native operation, one number at a time.
//
// Owns the meaning: each other kernel must give these bytes. Leaves speed to
// the others. Must stay true: built without fast-math, contraction or
// vectorisation, so that what is written is what runs.
#include <cmath>

#include "../blocks.h"

namespace edgesleep {
namespace {

bool runs() { return true; }

void delta(const DeltaJob &job) {
    const es_adapter &adapter = *job.adapter;
    for (int i = 0; i < job.rows; ++i)
        for (int j = 0; j < job.cols; ++j) {
            float sum = 0.0f;
            for (int k = 0; k < adapter.rank; ++k)
                sum = std::fmaf(adapter.b[(job.row + i) * adapter.rank + k], adapter.a[k * job.stride + job.col + j],
                                sum);
            job.out[i * kStrip + j] = sum * adapter.scale;
        }
}

template <class Block>
bool affine_strip(Block block, const StripJob &job) {
    Strip strip;
    const bool good = unpack(block, job.source, job.cols, strip);
    for (int j = 0; j < job.cols; ++j) {
        const float step = strip.step[j / kGroup], offset = strip.offset[j / kGroup];
        float code = strip.code[j];
        if (job.delta && step != 0.0f) {
            code += std::floor(std::fmaf(job.delta[j], 1.0f / step, dither(job.key, job.col + j)));
            code = std::fmin(std::fmax(code, Block::low), Block::high);
        }
        job.weights[j] = step * code + offset;
        if (job.codes) job.codes[j] = (int8_t)code;
    }
    return good;
}

bool strip(const StripJob &job) {
    bool good = true;
    const auto affine = [&](auto block) { good = affine_strip(block, job); };
    if (!with_block(job.type, affine)) with_float(job.type, [&](auto type) { good = float_strip(type, job); });
    return good;
}

void product(const ProductJob &job) {
    for (int64_t i = 0; i < job.m; ++i)
        for (int j = 0; j < job.n; ++j) {
            float sum = job.c[i * job.ldc + j];
            for (int k = 0; k < job.k; ++k) sum = std::fmaf(job.a[i * job.lda + k], job.b[k * job.ldb + j], sum);
            job.c[i * job.ldc + j] = sum;
        }
}

}  // namespace

const Kernel kRef = {"ref", runs, delta, strip, product};

}  // namespace edgesleep
