// The network's state, shared by the files that compute its parts.
//
// Owns the records. Leaves layers and their order to network.cpp, attention to
// attention.cpp and the output rows to head.cpp. Must stay true: all activations
// are panels, padded with tokens that nobody sees.
#pragma once

#include <initializer_list>

#include "tiles.h"

namespace edgesleep {

inline int64_t blocks_of(int64_t tokens) { return (tokens + kTokens - 1) / kTokens; }

// Memory for one panel, which only ever grows.
struct Buffer {
    std::vector<float> memory;

    Panel panel(int64_t features, int64_t blocks) {
        const size_t size = (size_t)(features * blocks * kTokens);
        if (memory.size() < size) memory.resize(size);
        return {memory.data(), features, blocks};
    }
};

// One batch on its way through the network.
struct Pack {
    int64_t tokens, shared, blocks;
    std::vector<int32_t> starts;            // [blocks * kTokens]; padding begins at itself
    std::vector<int32_t> texts, positions;  // of tokens that go on with a text, [tokens]; else empty
    std::vector<float> cos[2], sin[2];      // [global, local][blocks][turned / 2][kTokens]

    // Where a token stands in its row or text.
    int64_t position(int64_t token) const {
        if (token < (int64_t)positions.size()) return positions[(size_t)token];
        return token < shared ? token : token - starts[(size_t)token] + shared;
    }
};

// The keys and values of texts that are being written, bf16, [layer][key, value][text][position][row].
struct Cache {
    int64_t texts = 0, room = 0, row = 0;  // row: all heads of one token, each in whole blocks of kTokens
    std::vector<uint16_t> memory;
    std::vector<int32_t> lengths;  // of the texts so far

    uint16_t *at(int layer, bool value, int64_t text, int64_t position = 0) {
        return memory.data() + (((layer * 2 + value) * texts + text) * room + position) * row;
    }
};

// The shape of attention in one layer.
struct Attention {
    const Kernel &kernel;
    int heads, kv_heads, width;
    float scale;
    int64_t window;  // 0: all that came before
    const Pack &pack;

    // The keys that a block's tokens see: `shared` blocks from the beginning, then those from `first` to its own; and
    // per token, as indices into that list.
    struct Sight {
        int64_t shared, first;
        int keys, all_begin, all_end;
        int32_t shared_begin[kTokens], shared_end[kTokens], begin[kTokens], end[kTokens];

        int64_t block(int key) const { return key / kTokens < shared ? key / kTokens : first + key / kTokens - shared; }
    };
    Sight sight(int64_t block) const;
    SoftmaxJob job(const Sight &sight) const {
        return {sight.keys,  scale,     sight.shared_begin, sight.shared_end,
                sight.begin, sight.end, sight.all_begin,    sight.all_end};
    }
};

// mixed = softmax(q k^T) v per head; log_totals [blocks][heads][kTokens].
void attend(const Attention &shape, const Panel &q, const Panel &k, const Panel &v, const Panel &mixed,
            float *log_totals);
// The gradients of q, k and v from those of mixed. `scratch` grows to what the heads' own dk and dv need.
void attend_back(const Attention &shape, const Panel &q, const Panel &k, const Panel &v, const Panel &mixed,
                 const Panel &dmixed, const float *log_totals, const Panel &dq, const Panel &dk, const Panel &dv,
                 Buffer &scratch);

// The same for tokens that go on with texts: their keys and values join the layer's in the cache, which they then see.
void attend_cached(const Attention &shape, int layer, Cache &cache, const Panel &q, const Panel &k, const Panel &v,
                   const Panel &mixed);

// Losses of the hidden states' next tokens, [targets.count], and their gradient times `scale` in `dhidden`.
bool head_loss(const Call &head, const Panel &hidden, const es_targets &targets, float scale, float *losses,
               const Panel &dhidden);
bool head_top(const Call &head, const Panel &hidden, int64_t count, int32_t listed, int32_t *ids, float *probs);

// Copies of what a layer's gradient needs, bf16 or 8 bits; `space` holds the panels one after the other.
struct Kept {
    std::vector<uint8_t> space;
    std::vector<float> log_totals;
};
enum Part { X, QUERIES, KEYS, VALUES, MIXED, ATTENDED, MID, GATE, UP, DOWN, PARTS };

// Panels that one layer works in after the other; d... is the gradient of what it is named after.
struct Work {
    Buffer x, h, q, k, v, mixed, gate, up, act;
    Buffer dx, dh, dq, dk, dv, dmixed;
    Buffer chosen, dchosen;  // the states whose next tokens are asked for
    Buffer factors, scratch;
    Codes codes[3];  // of a product's inputs
};

// The whole model and the memory it works in.
struct Network {
    es_shape shape;
    std::vector<es_layer> layers;
    es_matrix embedding, head;
    const float *norm;
    const Kernel &kernel;
    const bool exact;                    // products in f32
    std::vector<double> frequencies[2];  // global, local

    std::vector<es_trained> trained;            // [layers * ES_MATRICES], or none
    std::vector<std::vector<uint8_t>> rounded;  // packed copies, or none
    bool remember = true;

    std::vector<Kept> kept;  // of every layer; or every layer's input, and one that is computed again
    Work work;
    Pack pack;
    Cache cache;
    std::atomic<bool> good{true};  // false once a weight was not finite

    Network(const es_shape &shape, const Kernel &kernel, bool exact) : shape(shape), kernel(kernel), exact(exact) {}

    const es_layer &layer(int l) const { return layers[(size_t)l]; }
    bool local(int l) const { return shape.window > 0 && l % shape.local_every < shape.local_every - 1; }
    int64_t queries() const { return (int64_t)shape.heads * shape.head_width; }
    int64_t keys() const { return (int64_t)shape.kv_heads * shape.head_width; }
    int64_t hidden() const { return layers[0].matrices[ES_UP].rows; }

    Call call(const es_matrix &matrix, const es_adapter *adapter = nullptr) const {
        return {kernel, matrix, adapter && adapter->rank ? adapter : nullptr, layout(matrix.type)};
    }

    // A matrix as it is used: its rounded copy, or the file's blocks with the factors.
    struct Used {
        es_matrix matrix;
        const es_adapter *adapter;
    };
    Used used(int l, int which) const {
        const size_t i = (size_t)(l * ES_MATRICES + which);
        es_matrix matrix = layer(l).matrices[which];
        if (trained.empty()) return {matrix, nullptr};
        if (rounded.empty()) return {matrix, &trained[i].adapter};
        matrix.data = rounded[i].data();
        return {matrix, nullptr};
    }

    // A layer's parts; network.cpp says what each does.
    NormJob norm_job(const float *x, const float *weight, int64_t width) const {
        return {(int)width, shape.epsilon, x, weight};
    }

    void begin(const es_batch &batch);
    void begin(std::vector<int32_t> texts, std::vector<int32_t> positions);  // tokens that go on with texts
    void turn_pack();
    void embed(const int32_t *tokens, const Panel &x);
    void forward(const Panel &x, bool keep);
    void forward_layer(int l, const Panel &x, Kept *keep);
    void attend_layer(int l, const Panel &x, Kept *keep);
    void feed_layer(int l, const Panel &x, Kept *keep);
    void backward(const Panel &dx);
    void backward_feed(int l, const Panel &dx, const Kept &keep);
    void backward_attend(int l, const Panel &dx, const Kept &keep);

    void project(int l, std::initializer_list<int> which, const Panel &x, std::initializer_list<Panel> out);
    void unproject(int l, std::initializer_list<int> which, std::initializer_list<Panel> dy, const Panel &dx);
    void learn_factors(int l, std::initializer_list<int> which, const Panel &x, std::initializer_list<Panel> dy);
    void turn_heads(int l, const Panel &panel, int64_t block, int64_t heads, const float *weight, bool back);
    Attention attention(int l) const {
        return {
            kernel, shape.heads, shape.kv_heads, shape.head_width, shape.attention_scale, local(l) ? shape.window : 0,
            pack};
    }

    // Kept panels
    int64_t part_rows(int part) const {
        switch (part) {
            case QUERIES:
            case MIXED: return queries();
            case KEYS:
            case VALUES: return keys();
            case GATE:
            case UP: return hidden();
            case ATTENDED: return layers[0].norms[ES_POST_ATTN_NORM] ? shape.width : 0;
            case DOWN: return layers[0].norms[ES_POST_FFN_NORM] ? shape.width : 0;
            default: return shape.width;
        }
    }
    // Half of all that is kept. Scores are exponents, and their gradient is a difference: attention stays in bf16.
    bool coded(int part) const { return !exact && (part == GATE || part == UP) && part_rows(part) % kDots == 0; }
    int64_t block_bytes(int part) const {
        const int64_t values = part_rows(part) * kTokens;
        return coded(part) ? values + values / kDots * (int64_t)sizeof(float) : 2 * values;
    }
    int64_t part_offset(int part, int64_t block) const {
        int64_t offset = 0;
        for (int before = 0; before < part; ++before) offset += block_bytes(before) * pack.blocks;
        return offset + block * block_bytes(part);
    }
    void keep(Kept *to, int part, const Panel &panel, int64_t block) const {
        if (!to) return;
        uint8_t *at = to->space.data() + part_offset(part, block);
        if (!coded(part)) return kernel.layers.narrow(panel.stride(), panel.at(block), (uint16_t *)at);
        kernel.layers.encode({(int)(panel.features / kDots), kInputMost, false, panel.at(block), kTokens, at,
                              4 * kTokens, (float *)(at + panel.stride()), nullptr, kTokens});
    }
    void recall(const Kept &from, int part, const Panel &panel, int64_t block) const {
        const uint8_t *at = from.space.data() + part_offset(part, block);
        if (!coded(part)) return kernel.layers.widen(panel.stride(), (const uint16_t *)at, panel.at(block));
        kernel.layers.decode((int)(panel.features / kDots), at, (const float *)(at + panel.stride()), panel.at(block));
    }
    void make_room(Kept &keep) const {
        keep.space.resize((size_t)part_offset(PARTS, 0));
        keep.log_totals.resize((size_t)(pack.blocks * shape.heads * kTokens));
    }
};

}  // namespace edgesleep
