// The ABI of es_network: what a training step asks of the network, and the writing of texts.
//
// Owns validation, the rounding of all matrices and the way from tokens to losses
// and back, or to the next token. Leaves layers to network.cpp, the output rows to head.cpp. Must stay
// true: bad input is an error code before anything is computed; nothing is thrown
// past here.
#include <cmath>
#include <new>
#include <stdexcept>

#include "card.h"
#include "network.h"

using namespace edgesleep;

struct es_network {
    Network net;
    OnCard card;
};

namespace {

// One call's body, with its errors as codes.
template <class Body>
int guarded(es_network *network, Body body) {
    if (!network) return ES_SHAPE;
    network->net.good = true;
    try {
        const int error = body(network->net);
        return error ? error : network->net.good ? ES_OK : ES_WEIGHT;
    } catch (const std::bad_alloc &) {
        return ES_MEMORY;
    } catch (const std::length_error &) {
        return ES_MEMORY;
    }
}

int check_batch(const Network &net, const es_batch *batch) {
    if (!batch || batch->count <= 0 || batch->count > INT32_MAX / 2 || !batch->tokens || !batch->starts)
        return ES_SHAPE;
    if (batch->shared < 0 || batch->shared > batch->count) return ES_SHAPE;
    for (int64_t i = 0; i < batch->count; ++i) {
        const bool begins = batch->starts[i] == i, goes_on = i && batch->starts[i] == batch->starts[i - 1];
        if (!(begins || (goes_on && i != batch->shared)) || batch->tokens[i] < 0 ||
            batch->tokens[i] >= net.embedding.rows)
            return ES_SHAPE;
    }
    return ES_OK;
}

int check_places(int64_t tokens, const int32_t *places, int64_t count) {
    if (count <= 0 || !places) return ES_SHAPE;
    for (int64_t i = 0; i < count; ++i)
        if (places[i] < 0 || places[i] >= tokens) return ES_SHAPE;
    return ES_OK;
}

int check_targets(const Network &net, const es_batch &batch, const es_targets *targets) {
    if (!targets || targets->listed < 1 || !targets->ids || !targets->probs) return ES_SHAPE;
    for (int64_t i = 0; i < targets->count * targets->listed; ++i)
        if (targets->ids[i] < 0 || targets->ids[i] >= net.head.rows || !finite(targets->probs[i])) return ES_SHAPE;
    return check_places(batch.count, targets->places, targets->count);
}

// Final normed states of the chosen places as a panel of their own.
Panel final_states(Network &net, const Panel &x, const int32_t *places, int64_t count) {
    const Panel chosen = net.work.chosen.panel(net.shape.width, blocks_of(count));
    each(chosen.blocks, [&](int64_t block) {
        for (int64_t f = 0; f < chosen.features; ++f)
            for (int t = 0; t < kTokens; ++t) {
                const int64_t i = std::min(block * kTokens + t, count - 1);  // padding repeats the last
                chosen.at(block, f)[t] = x.at(places[i] / kTokens, f)[places[i] % kTokens];
            }
    });
    return chosen;
}

// The states of what `begin` was told of.
Panel states(Network &net, const int32_t *tokens, bool keep) {
    const Panel x = net.work.x.panel(net.shape.width, net.pack.blocks);
    net.embed(tokens, x);
    net.forward(x, keep);
    return x;
}

Panel states(Network &net, const es_batch &batch, bool keep) {
    net.begin(batch);
    return states(net, batch.tokens, keep);
}

void final_norm(Network &net, const Panel &from, const Panel &to) {
    each(from.blocks, [&](int64_t block) {
        net.kernel.layers.norm(net.norm_job(from.at(block), net.norm, net.shape.width), to.at(block));
    });
}

// Logits of the first `count` states of x, which is normed in place.
int all_logits(Network &net, const Panel &x, int64_t count, float *logits) {
    final_norm(net, x, x);
    std::vector<float> rows((size_t)(count * net.shape.width));
    unfold(x, count, rows.data());
    return es_linear(&net.head, nullptr, 1, rows.data(), count, logits);
}

// Each matrix of a layer against the shape, and the parts that a layer may have against those of the first.
int check_layer(const es_shape &shape, const es_layer &layer, const es_layer &first) {
    const int64_t queries = (int64_t)shape.heads * shape.head_width, keys = (int64_t)shape.kv_heads * shape.head_width;
    const int64_t hidden = layer.matrices[ES_UP].rows;
    const int64_t sizes[ES_MATRICES][2] = {{queries, shape.width}, {keys, shape.width},   {keys, shape.width},
                                           {shape.width, queries}, {hidden, shape.width}, {hidden, shape.width},
                                           {shape.width, hidden}};
    for (int i = 0; i < ES_MATRICES; ++i) {
        const es_matrix &matrix = layer.matrices[i];
        if (!layout(matrix.type).weights) return ES_TYPE;
        if (matrix.rows != sizes[i][0] || matrix.cols != sizes[i][1] || !matrix.data) return ES_SHAPE;
    }
    if (hidden != first.matrices[ES_UP].rows || !layer.norms[ES_ATTN_NORM] || !layer.norms[ES_FFN_NORM])
        return ES_SHAPE;
    for (int i = 0; i < ES_NORMS; ++i)
        if (!layer.norms[i] != !first.norms[i]) return ES_SHAPE;
    return ES_OK;
}

int check_shape(const es_shape &shape, const es_matrix &embedding, const es_matrix &head) {
    const bool positive = shape.layers > 0 && shape.width > 0 && shape.heads > 0 && shape.kv_heads > 0 &&
                          shape.head_width > 0 && shape.local_every > 0;
    if (!positive || shape.heads % shape.kv_heads || shape.turned % 2 || shape.turned < 0 ||
        shape.turned > shape.head_width || embedding.cols != shape.width || head.cols != shape.width)
        return ES_SHAPE;
    return layout(embedding.type).weights && layout(head.type).weights ? ES_OK : ES_TYPE;
}

int round_matrix(Network &net, int64_t i) {
    const es_matrix &matrix = net.layers[(size_t)(i / ES_MATRICES)].matrices[i % ES_MATRICES];
    const es_adapter &adapter = net.trained[(size_t)i].adapter;
    if (net.rounded.empty()) return check_adapter(&adapter, matrix, 0, matrix.rows);
    return round_into(matrix, adapter, net.rounded[(size_t)i].data());
}

}  // namespace

extern "C" {

es_network *es_network_new(const es_shape *shape, const es_layer *layers, const es_matrix *embedding,
                           const es_matrix *head, const float *norm, int exact, int *error) {
    const Kernel *kernel = selected();
    *error = !kernel ? ES_KERNEL : !shape || !layers || !embedding || !head || !norm ? ES_SHAPE : ES_OK;
    if (!*error) *error = check_shape(*shape, *embedding, *head);
    for (int l = 0; !*error && l < shape->layers; ++l) *error = check_layer(*shape, layers[l], layers[0]);
    if (*error) return nullptr;
    try {
        es_network *made = new es_network{{*shape, *kernel, exact != 0}, {}};
        Network &net = made->net;
        net.layers.assign(layers, layers + shape->layers);
        net.embedding = *embedding;
        net.head = *head;
        net.norm = norm;
        net.frequencies[0].assign(shape->turns, shape->turns + shape->turned / 2);
        if (shape->window) net.frequencies[1].assign(shape->local_turns, shape->local_turns + shape->turned / 2);
        return made;
    } catch (const std::bad_alloc &) {
        *error = ES_MEMORY;
        return nullptr;
    }
}

void es_network_free(es_network *network) { delete network; }

int es_network_attach(es_network *network, const es_trained *trained, int copy, int remember) {
    return guarded(network, [&](Network &net) -> int {
        if (!trained) return ES_SHAPE;
        const size_t count = net.layers.size() * ES_MATRICES;
        for (size_t i = 0; i < count; ++i)
            if (trained[i].adapter.rank < 1 || !trained[i].a_gradient || !trained[i].b_gradient) return ES_SHAPE;
        net.trained.assign(trained, trained + count);
        net.remember = remember;
        net.cache = {};
        OnCard &card = network->card;
        card.attach(net.shape, net.layers.data(), net.embedding, net.head, net.norm, net.exact, trained);
        // Steps on a card leave little to the processor: it forms its weights when it needs them.
        net.rounded.assign(copy && !card ? count : 0, {});
        for (size_t i = 0; i < net.rounded.size(); ++i) {
            const es_matrix &matrix = net.layers[i / ES_MATRICES].matrices[i % ES_MATRICES];
            net.rounded[i].resize((size_t)(matrix.rows * net.call(matrix).row_bytes()));
        }
        return ES_OK;
    });
}

int es_network_round(es_network *network, int32_t first, int32_t last) {
    return guarded(network, [&](Network &net) -> int {
        if (first < 0 || first > last || last > net.shape.layers || net.trained.empty()) return ES_SHAPE;
        net.cache = {};
        for (int64_t i = (int64_t)first * ES_MATRICES; i < (int64_t)last * ES_MATRICES; ++i)
            if (int error = round_matrix(net, i)) return error;
        const size_t smallest = (size_t)first * ES_MATRICES + ES_K;
        return network->card && first < last
                   ? network->card.round(first, last, net.layers[(size_t)first].matrices[ES_K],
                                         net.trained[smallest].adapter, ES_K)
                   : ES_OK;
    });
}

int es_network_learn(es_network *network, const es_batch *batch, const es_targets *targets, float scale,
                     float *losses) {
    return guarded(network, [&](Network &net) -> int {
        if (net.trained.empty() || !losses) return ES_SHAPE;
        if (int error = check_batch(net, batch)) return error;
        if (int error = check_targets(net, *batch, targets)) return error;
        if (network->card && network->card.learn(*batch, *targets, scale, losses)) return ES_OK;
        const Panel x = states(net, *batch, true);
        const int64_t width = net.shape.width, blocks = blocks_of(targets->count);
        const Panel chosen = final_states(net, x, targets->places, targets->count);
        const Panel normed = net.work.h.panel(width, std::max(blocks, x.blocks)),
                    dnormed = net.work.dh.panel(width, blocks);
        const Panel states{normed.data, width, blocks};
        final_norm(net, chosen, states);
        if (!head_loss(net.call(net.head), states, *targets, scale, losses, dnormed)) net.good = false;
        const Panel dchosen = net.work.dchosen.panel(width, blocks), dx = net.work.dx.panel(width, x.blocks);
        each(blocks, [&](int64_t block) {
            std::fill_n(dchosen.at(block), dchosen.stride(), 0.0f);
            net.kernel.layers.norm_back(net.norm_job(chosen.at(block), net.norm, width), dnormed.at(block),
                                        dchosen.at(block));
        });
        std::fill_n(dx.data, dx.stride() * dx.blocks, 0.0f);
        for (int64_t i = 0; i < targets->count; ++i)
            for (int64_t f = 0; f < width; ++f)
                dx.at(targets->places[i] / kTokens, f)[targets->places[i] % kTokens] +=
                    dchosen.at(i / kTokens, f)[i % kTokens];
        net.backward(dx);
        return ES_OK;
    });
}

int es_network_top(es_network *network, const es_batch *batch, const int32_t *places, int64_t count, int32_t listed,
                   int32_t *ids, float *probs) {
    return guarded(network, [&](Network &net) -> int {
        if (int error = check_batch(net, batch)) return error;
        if (int error = check_places(batch->count, places, count)) return error;
        if (listed < 1 || listed > net.head.rows) return ES_SHAPE;
        const Panel chosen = final_states(net, states(net, *batch, false), places, count);
        final_norm(net, chosen, chosen);
        if (!head_top(net.call(net.head), chosen, count, listed, ids, probs)) net.good = false;
        return ES_OK;
    });
}

int es_network_logits(es_network *network, const es_batch *batch, float *logits) {
    return guarded(network, [&](Network &net) -> int {
        if (int error = check_batch(net, batch)) return error;
        return all_logits(net, states(net, *batch, false), batch->count, logits);
    });
}

int es_network_write(es_network *network, int32_t texts, int32_t room) {
    return guarded(network, [&](Network &net) -> int {
        if (texts < 1 || room < 1) return ES_SHAPE;
        net.cache = {};  // before the new one is made
        Cache cache{texts, room, net.shape.kv_heads * blocks_of(net.shape.head_width) * kTokens, {}, {}};
        if ((double)texts * room * (double)cache.row * net.shape.layers > 0x1p48) return ES_MEMORY;
        cache.memory.resize((size_t)(2 * net.shape.layers * cache.texts * cache.room * cache.row));
        cache.lengths.resize((size_t)texts);
        net.cache = std::move(cache);
        return ES_OK;
    });
}

int es_network_extend(es_network *network, int64_t count, const int32_t *tokens, const int32_t *texts,
                      const int32_t *places, int64_t wanted, float *logits) {
    return guarded(network, [&](Network &net) -> int {
        if (count <= 0 || count > INT32_MAX / 2 || !tokens || !texts || wanted < 0) return ES_SHAPE;
        if (wanted && (!logits || check_places(count, places, wanted))) return ES_SHAPE;
        std::vector<int32_t> lengths = net.cache.lengths, positions;
        for (int64_t i = 0; i < count; ++i) {
            if (tokens[i] < 0 || tokens[i] >= net.embedding.rows || texts[i] < 0 || texts[i] >= net.cache.texts)
                return ES_SHAPE;
            positions.push_back(lengths[(size_t)texts[i]]++);
            if (positions.back() >= net.cache.room) return ES_SHAPE;
        }
        net.begin({texts, texts + count}, std::move(positions));
        const Panel x = states(net, tokens, false);
        const int error = wanted ? all_logits(net, final_states(net, x, places, wanted), wanted, logits) : ES_OK;
        if (!error && net.good) net.cache.lengths = lengths;
        return error;
    });
}

int es_network_share(es_network *network, int32_t texts) {
    return guarded(network, [&](Network &net) -> int {
        Cache &cache = net.cache;
        if (texts < 1 || texts > cache.texts) return ES_SHAPE;
        const int64_t size = cache.lengths[0] * cache.row;
        for (int l = 0; l < net.shape.layers; ++l)
            for (bool value : {false, true})
                for (int64_t text = 1; text < texts; ++text)
                    std::copy_n(cache.at(l, value, 0), size, cache.at(l, value, text));
        std::fill_n(cache.lengths.begin(), texts, cache.lengths[0]);
        return ES_OK;
    });
}

int es_adam(int64_t count, int64_t step, float rate, float beta1, float beta2, float epsilon, float clip,
            const float *gradient, float *value, float *first, float *second) {
    const Kernel *kernel = selected();
    if (!kernel) return ES_KERNEL;
    if (count < 0 || step < 1) return ES_SHAPE;
    constexpr int64_t kShare = 1 << 16;
    const float correction1 = (float)(1.0 / (1.0 - std::pow((double)beta1, (double)step)));
    const float correction2 = (float)(1.0 / (1.0 - std::pow((double)beta2, (double)step)));
    each((count + kShare - 1) / kShare, [&](int64_t i) {
        const int64_t from = i * kShare;
        kernel->layers.adam({std::min(kShare, count - from), rate, beta1, beta2, epsilon, correction1, correction2,
                             clip, gradient + from, value + from, first + from, second + from});
    });
    return ES_OK;
}
}
