// The definition of rounding and products, one number at a time.
//
// Owns their meaning: each other kernel must give these bytes. Leaves speed to
// the others, and what a layer does besides to layers.h, which all kernels share
// and the tests compare with torch and llama.cpp. Must stay true: built without fast-math, contraction or
// vectorisation, so that what is written is what runs.
#include <cmath>

#include "layers.h"

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
    int8_t codes[kStrip];
    const bool good = unpack(block, job.source, job.cols, strip);
    for (int j = 0; j < job.cols; ++j) {
        const float step = strip.step[j / kGroup], offset = strip.offset[j / kGroup], old = strip.code[j];
        float wanted = old;
        if (job.delta && step != 0.0f)
            wanted += std::floor(std::fmaf(job.delta[j], 1.0f / step, dither(job.key, job.col + j)));
        const float code = std::fmin(std::fmax(wanted, Block::low), Block::high);
        codes[j] = (int8_t)code;
        if (job.weights) job.weights[j] = step * code + offset;
        if (!job.moves) continue;
        job.moves->codes += 1;
        job.moves->moved += code != old;
        job.moves->clamped += code != wanted;
        job.moves->delta_squares += (double)job.delta[j] * job.delta[j];
        job.moves->change_dot += ((double)code - old) * step * job.delta[j];
    }
    if (job.packed) pack(block, codes, job);
    if (!job.strip) return good;
    memcpy(strip.code, codes, (size_t)job.cols);
    *job.strip = strip;
    return good;
}

bool strip(const StripJob &job) {
    bool good = true;
    const auto affine = [&](auto block) { good = affine_strip(block, job); };
    if (!with_block(job.type, affine)) with_float(job.type, [&](auto type) { good = float_strip(type, job); });
    return good;
}

void product(const ProductJob &job) {
    for (int64_t block = 0; block < job.blocks; ++block)
        for (int i = 0; i < job.rows; ++i)
            for (int t = 0; t < kTokens; ++t) {
                float &sum = job.c[block * job.c_block + i * job.c_row + t];
                for (int chunk = 0; chunk < job.chunks; ++chunk)
                    for (int step = 0; step < job.steps; ++step)
                        sum = std::fmaf(job.a[i * job.a_row + step * job.a_step + chunk * job.a_chunk],
                                        job.b[block * job.b_block + chunk * job.b_chunk + step * kTokens + t], sum);
            }
}

void dots(const DotJob &job) {
    const TileStrides stride = kTileStrides[job.turned];
    for (int64_t block = 0; block < job.blocks; ++block)
        for (int i = 0; i < job.rows; ++i)
            for (int t = 0; t < kTokens; ++t) {
                float &sum = job.c[block * job.c_block + i * kTokens + t];
                for (int g = 0; g < job.groups; ++g) {
                    int total = 0;
                    for (int k = g * kDots; k < (g + 1) * kDots; ++k)
                        total += job.a[i * stride.row + k / 4 * stride.four + k % 4] *
                                 (int8_t)job.b[block * job.b_block + (k / 4 * kTokens + t) * 4 + k % 4];
                    const int64_t at = i * stride.step_row + g * stride.step_group;
                    const int64_t own = block * job.scale_block + g * kTokens + t;
                    sum = std::fmaf((float)total * job.scale[own], job.step[at], sum);
                    sum = std::fmaf(job.sum[own], job.offset[at], sum);
                }
            }
}

}  // namespace

const Kernel kRef = {"ref", runs, delta, strip, product, dots, kLayers};

}  // namespace edgesleep
