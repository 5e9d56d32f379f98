// Attention over rows that lie end to end, with its gradient, and of texts that grow.
//
// Owns which keys a token sees (its own row's past and the shared beginning, of
// both the last `window`) and the order of the sums. Leaves products and softmax to the kernel. Must stay
// true: scores exist for one head and kTokens queries at a time (the blocked
// softmax of arXiv:2205.14135 with whole columns); sums of dk and dv run in one
// order, whatever the threads.
#include "network.h"

namespace edgesleep {
namespace {

// Scores of `block`'s tokens against all keys they may see: out[keys][kTokens] = left^T right per key.
void scores(const Attention &shape, const Attention::Sight &sight, const Panel &left, const float *right, float *out) {
    std::fill_n(out, sight.keys * kTokens, 0.0f);
    for (int j = 0; j < sight.keys; j += kTokens)
        shape.kernel.product({kTokens, shape.width, 1, 1, left.at(sight.block(j)), 1, kTokens, 0, right, 0, 0,
                              out + j * kTokens, kTokens, 0});
}

// out[width][kTokens] = values[width][keys] weights[keys][kTokens].
void mix(const Attention &shape, const Attention::Sight &sight, const Panel &values, const float *weights, float *out) {
    std::fill_n(out, shape.width * kTokens, 0.0f);
    const int parts[2] = {(int)sight.shared, sight.keys / kTokens - (int)sight.shared};
    for (int part = 0, j = 0; part < 2; j += parts[part++] * kTokens)
        if (parts[part])
            shape.kernel.product({shape.width, kTokens, parts[part], 1, values.at(sight.block(j)), kTokens, 1,
                                  values.stride(), weights + j * kTokens, kTokens * kTokens, 0, out, kTokens, 0});
}

// to[width][keys of a block] += left[width][tokens] weights^T, for each block of keys.
void spread(const Attention &shape, const Attention::Sight &sight, const float *left, const float *weights,
            const Panel &to) {
    for (int j = 0; j < sight.keys; j += kTokens) {
        float turned[kTokens * kTokens];
        for (int key = 0; key < kTokens; ++key)
            for (int t = 0; t < kTokens; ++t) turned[t * kTokens + key] = weights[(j + key) * kTokens + t];
        shape.kernel.product(
            {shape.width, kTokens, 1, 1, left, kTokens, 1, 0, turned, 0, 0, to.at(sight.block(j)), kTokens, 0});
    }
}

int64_t head_row(const Attention &shape, int64_t head) { return head * shape.width; }
int64_t key_row(const Attention &shape, int64_t head) { return head / (shape.heads / shape.kv_heads) * shape.width; }

}  // namespace

Attention::Sight Attention::sight(int64_t block) const {
    Sight found;
    int64_t first[kTokens], shared[kTokens], earliest = block * kTokens, seen = pack.shared;
    for (int t = 0; t < kTokens; ++t) {
        const int64_t token = block * kTokens + t, before = window ? pack.position(token) - window + 1 : 0;
        first[t] = pack.starts[(size_t)token];
        if (window) first[t] = std::max(first[t], token - window + 1);
        earliest = std::min(earliest, first[t]);
        shared[t] = token < pack.shared || token >= pack.tokens ? pack.shared : std::max<int64_t>(before, 0);
        seen = std::min(seen, shared[t]);
    }
    // Blocks that both reach are listed once, with the row's own.
    found.first = earliest / kTokens;
    found.shared = seen < pack.shared ? std::min(blocks_of(pack.shared), found.first) : 0;
    const int64_t moved = found.first - found.shared;
    for (int t = 0; t < kTokens; ++t) {
        found.shared_begin[t] = (int32_t)shared[t];
        found.shared_end[t] = (int32_t)pack.shared - 1;
        found.begin[t] = (int32_t)(first[t] - moved * kTokens);
        found.end[t] = (int32_t)(block * kTokens + t - moved * kTokens);
    }
    found.keys = (int)(block + 1 - moved) * kTokens;
    found.all_begin = *std::max_element(found.begin, found.begin + kTokens);
    found.all_end = *std::min_element(found.end, found.end + kTokens);
    return found;
}

void attend(const Attention &shape, const Panel &q, const Panel &k, const Panel &v, const Panel &mixed,
            float *log_totals) {
    each(q.blocks * shape.heads, [&](int64_t i) {
        const int64_t block = i / shape.heads, head = i % shape.heads, own = head_row(shape, head);
        const int64_t shared = key_row(shape, head);
        const auto sight = shape.sight(block);
        thread_local std::vector<float> room;
        room.resize((size_t)sight.keys * kTokens);
        scores(shape, sight, k.from(shared), q.at(block, own), room.data());
        shape.kernel.layers.softmax(shape.job(sight), room.data(), log_totals + i * kTokens);
        mix(shape, sight, v.from(shared), room.data(), mixed.at(block, own));
    });
}

void attend_cached(const Attention &shape, int layer, Cache &cache, const Panel &q, const Panel &k, const Panel &v,
                   const Panel &mixed) {
    const int64_t tokens = shape.pack.tokens, padded = blocks_of(shape.width) * kTokens;
    const auto each_token = [&](auto work) {
        each(tokens, [&](int64_t i) {
            work(i / kTokens, i % kTokens, shape.pack.texts[(size_t)i], shape.pack.positions[(size_t)i]);
        });
    };
    each_token([&](int64_t block, int64_t t, int64_t text, int64_t position) {
        for (int64_t f = 0; f < k.features; ++f) {
            const int64_t at = f / shape.width * padded + f % shape.width;
            cache.at(layer, false, text, position)[at] = to_bf16(k.at(block, f)[t]);
            cache.at(layer, true, text, position)[at] = to_bf16(v.at(block, f)[t]);
        }
    });
    each_token([&](int64_t block, int64_t t, int64_t text, int64_t position) {
        const int64_t first = shape.window ? std::max<int64_t>(position - shape.window + 1, 0) : 0;
        std::vector<float> query((size_t)padded), seen((size_t)padded);
        for (int64_t head = 0; head < shape.heads; ++head) {
            const int64_t row = head_row(shape, head), own = key_row(shape, head) / shape.width * padded;
            for (int64_t f = 0; f < shape.width; ++f) query[(size_t)f] = q.at(block, row + f)[t];
            shape.kernel.layers.look(
                {(int)padded, (int)(position - first + 1), cache.row, shape.scale, query.data(),
                 cache.at(layer, false, text, first) + own, cache.at(layer, true, text, first) + own},
                seen.data());
            for (int64_t f = 0; f < shape.width; ++f) mixed.at(block, row + f)[t] = seen[(size_t)f];
        }
    });
}

void attend_back(const Attention &shape, const Panel &q, const Panel &k, const Panel &v, const Panel &mixed,
                 const Panel &dmixed, const float *log_totals, const Panel &dq, const Panel &dk, const Panel &dv,
                 Buffer &scratch) {
    const Panel own = scratch.panel(2 * shape.heads * shape.width, q.blocks);
    std::fill_n(own.data, own.stride() * own.blocks, 0.0f);
    each(shape.heads, [&](int64_t head) {
        const int64_t row = head_row(shape, head), shared = key_row(shape, head);
        const Panel keys = k.from(shared), values = v.from(shared);
        const Panel dkeys{own.at(0, 2 * row), own.features, own.blocks};
        const Panel dvalues{own.at(0, 2 * row + shape.width), own.features, own.blocks};
        thread_local std::vector<float> room;
        for (int64_t block = 0; block < q.blocks; ++block) {
            const auto sight = shape.sight(block);
            const size_t size = (size_t)sight.keys * kTokens;
            room.resize(2 * size);
            float *weights = room.data(), *dscores = weights + size, mean[kTokens] = {};
            const float *out = mixed.at(block, row), *dout = dmixed.at(block, row);
            for (int f = 0; f < shape.width; ++f)
                for (int t = 0; t < kTokens; ++t) mean[t] += out[f * kTokens + t] * dout[f * kTokens + t];
            scores(shape, sight, keys, q.at(block, row), weights);
            scores(shape, sight, values, dout, dscores);
            shape.kernel.layers.softmax_back(shape.job(sight), log_totals + (block * shape.heads + head) * kTokens,
                                             mean, weights, dscores);
            mix(shape, sight, keys, dscores, dq.at(block, row));
            spread(shape, sight, q.at(block, row), dscores, dkeys);
            spread(shape, sight, dout, weights, dvalues);
        }
    });
    const int group = shape.heads / shape.kv_heads, size = shape.width * kTokens;
    each(q.blocks * shape.kv_heads, [&](int64_t i) {
        const int64_t block = i / shape.kv_heads, shared = i % shape.kv_heads;
        float *key = dk.at(block, shared * shape.width), *value = dv.at(block, shared * shape.width);
        std::fill_n(key, size, 0.0f);
        std::fill_n(value, size, 0.0f);
        for (int head = 0; head < group; ++head) {
            const float *from = own.at(block, 2 * (shared * group + head) * shape.width);
            for (int j = 0; j < size; ++j) key[j] += from[j], value[j] += from[size + j];
        }
    });
}

}  // namespace edgesleep
