// A step of training on a device: the network of network.cpp, launch by launch.
//
// Owns what lies in the device's memory and the order of the kernels. Leaves launches and copies to a card (emu/,
// cuda/, metal/), validation and everything but the step to training.cpp. Must stay true: products are exact, in f32;
// no two launches depend on anything but their order; memory is counted before it is taken.
#pragma once

#include <math.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "../edgesleep.h"
#include "kernels.h"

namespace edgesleep_device {

struct Extent {
    int x = 1, y = 1, z = 1;
};
constexpr int kTargets = 64;  // whose logits exist at the same time

// A card has take<T>(count) -> Array<T> with zeros in it, put, get and zero of arrays, and a method for each
// kernel; all are done in order. What it throws is std::bad_alloc where memory is short, and CardError for the rest.
struct CardError {
    const char *what;
};

template <class Card>
class Network {
public:
    template <class T>
    using Array = typename Card::template Array<T>;
    using Floats = Array<float>;

    Network(Card &card, const es_shape &shape, const es_layer *layers, const es_matrix &embedding,
            const es_matrix &head, const float *norm, bool exact)
        : card_(card), shape_(shape), coarse_(!exact && card.multiplies_bf16()), layers_((size_t)shape.layers) {
        frequencies_[0].assign(shape.turns, shape.turns + shape.turned / 2);
        if (shape.window) frequencies_[1].assign(shape.local_turns, shape.local_turns + shape.turned / 2);
        hidden_ = (int)layers[0].matrices[ES_UP].rows;
        for (int l = 0; l < shape.layers; ++l) {
            Layer &own = layers_[(size_t)l];
            for (int i = 0; i < ES_MATRICES; ++i) {
                own.matrices[i] = matrix(layers[l].matrices[i]);
                if (layers[l].biases[i]) own.biases[i] = vector(layers[l].biases[i], layers[l].matrices[i].rows);
            }
            for (int i = 0; i < ES_NORMS; ++i)
                if (layers[l].norms[i]) own.norms[i] = vector(layers[l].norms[i], norm_width(i));
        }
        embedding_ = matrix(embedding);
        head_ = embedding.data == head.data ? embedding_ : matrix(head);
        norm_ = vector(norm, shape.width);
    }

    void attach(const es_trained *trained) {
        trained_.assign(trained, trained + (size_t)shape_.layers * ES_MATRICES);
        for (size_t i = 0; i < trained_.size(); ++i) {
            Matrix &own = layers_[i / ES_MATRICES].matrices[i % ES_MATRICES];
            const es_adapter &adapter = trained_[i].adapter;
            own.rank = adapter.rank;
            own.scale = adapter.scale;
            own.a = card_.template take<float>((int64_t)own.rank * own.cols);
            own.b = card_.template take<float>((int64_t)own.rank * own.rows);
            own.da = card_.template take<float>((int64_t)own.rank * own.cols);
            own.db = card_.template take<float>((int64_t)own.rank * own.rows);
            own.rounded = card_.template take<uint8_t>(own.source.size);
            own.damaged = card_.template take<int32_t>(own.strips() * pieces(own.rows, kRoundRows));
        }
    }

    // False where a weight would not be finite.
    bool round(int first, int last) {
        for (int64_t i = (int64_t)first * ES_MATRICES; i < (int64_t)last * ES_MATRICES; ++i) {
            Matrix &own = layers_[(size_t)(i / ES_MATRICES)].matrices[i % ES_MATRICES];
            card_.put(own.a, trained_[(size_t)i].adapter.a, own.a.size);
            card_.put(own.b, trained_[(size_t)i].adapter.b, own.b.size);
            card_.round_weights({own.strips(), pieces(own.rows, kRoundRows)},
                                {own.source, own.a, own.b, own.rounded, own.damaged, own.seed, own.type, own.rows,
                                 own.cols, own.rank, own.scale, 0});
        }
        bool good = true;
        for (int64_t i = (int64_t)first * ES_MATRICES; i < (int64_t)last * ES_MATRICES; ++i) {
            const Matrix &own = layers_[(size_t)(i / ES_MATRICES)].matrices[i % ES_MATRICES];
            std::vector<int32_t> damaged((size_t)own.damaged.size);
            card_.get(own.damaged, damaged.data(), own.damaged.size);
            for (int32_t one : damaged) good &= !one;
        }
        return good;
    }

    // The packed blocks that a matrix is used with, for the comparison with the processor's.
    std::vector<uint8_t> rounded(int layer, int which) const {
        const Matrix &own = layers_[(size_t)layer].matrices[which];
        std::vector<uint8_t> bytes((size_t)own.rounded.size);
        card_.get(own.rounded, bytes.data(), own.rounded.size);
        return bytes;
    }

    void learn(const es_batch &batch, const es_targets &targets, float scale, float *losses) {
        begin(batch);
        for (Layer &layer : layers_)
            for (Matrix &one : layer.matrices) card_.zero(one.da), card_.zero(one.db);
        card_.read_rows(
            {pieces(shape_.width, kThreads * kRun), tokens_},
            {embedding_.source, ids_, layers_[0].x, embedding_.type, shape_.width, tokens_, shape_.embedding_scale});
        for (int l = 0; l < shape_.layers; ++l) forward(l);
        head_loss(targets, scale, losses);
        for (int l = shape_.layers - 1; l >= 0; --l) {
            backward_feed(l);
            backward_attend(l);
        }
        std::vector<std::vector<float>> made;  // all of it before any is added: a step counts whole or not at all
        for (Layer &layer : layers_)
            for (Matrix &one : layer.matrices)
                for (const Floats *part : {&one.da, &one.db}) {
                    made.emplace_back((size_t)part->size);
                    card_.get(*part, made.back().data(), part->size);
                }
        for (size_t i = 0; i < made.size(); ++i) {
            const es_trained &one = trained_[i / 2];
            float *to = i % 2 ? one.b_gradient : one.a_gradient;
            for (size_t k = 0; k < made[i].size(); ++k) to[k] += made[i][k];
        }
    }

private:
    struct Matrix {
        int type = 0, rows = 0, cols = 0, rank = 0;
        uint64_t seed = 0;
        float scale = 0.0f;
        Array<uint8_t> source, rounded;
        Array<int32_t> damaged;
        Floats a, b, da, db;

        int strips() const { return pieces(cols, kThreads); }
    };
    // What a layer's gradient needs, beside its parts. The output of a layer is the next one's x.
    struct Layer {
        Matrix matrices[ES_MATRICES];
        Floats biases[ES_MATRICES], norms[ES_NORMS];
        Floats x, raw_q, raw_k, q, k, v, mixed, log_total, attended, mid, gate, up, down;
    };

    int queries() const { return shape_.heads * shape_.head_width; }
    int keys() const { return shape_.kv_heads * shape_.head_width; }
    int norm_width(int which) const {
        return which == ES_Q_NORM || which == ES_K_NORM ? shape_.head_width : shape_.width;
    }
    int kind(int l) const { return shape_.window > 0 && l % shape_.local_every < shape_.local_every - 1; }

    Floats vector(const float *values, int64_t count) {
        Floats made = card_.template take<float>(count);
        card_.put(made, values, count);
        return made;
    }
    Matrix matrix(const es_matrix &from) {
        Matrix made;
        made.type = from.type;
        made.rows = (int)from.rows;
        made.cols = (int)from.cols;
        made.seed = from.seed;
        int32_t weights = 1, bytes = 1;
        es_block_of(from.type, weights, bytes);
        made.source = card_.template take<uint8_t>(from.rows * from.cols / weights * bytes);
        card_.put(made.source, from.data, made.source.size);
        return made;
    }
    static void es_block_of(int32_t type, int32_t &weights, int32_t &bytes) {
        if (is_float_type(type)) bytes = type == F32 ? 4 : 2;
        WITH_GRID(type, (weights = Block::weights, bytes = Block::bytes))
    }
    static bool is_float_type(int32_t type) { return type == F32 || type == F16 || type == BF16; }

    // --- one batch

    void begin(const es_batch &batch) {
        tokens_ = (int)batch.count;
        shared_ = (int)batch.shared;
        make_room();
        std::vector<int32_t> first[2], shared_first[2];
        std::vector<float> cos[2], sin[2];
        for (int which = 0; which < (shape_.window ? 2 : 1); ++which)
            for (int i = 0; i < tokens_; ++i) {
                const int start = batch.starts[i], position = i < shared_ ? i : i - start + shared_;
                const int window = which ? shape_.window : 0;
                first[which].push_back(window ? std::max(start, i - window + 1) : start);
                shared_first[which].push_back(i < shared_ ? shared_ : window ? std::max(position - window + 1, 0) : 0);
                for (double frequency : frequencies_[which]) {
                    cos[which].push_back((float)::cos(position * frequency));
                    sin[which].push_back((float)::sin(position * frequency));
                }
            }
        card_.put(ids_, batch.tokens, tokens_);
        for (int which = 0; which < (shape_.window ? 2 : 1); ++which) {
            card_.put(first_[which], first[which].data(), tokens_);
            card_.put(shared_first_[which], shared_first[which].data(), tokens_);
            card_.put(cos_[which], cos[which].data(), (int64_t)cos[which].size());
            card_.put(sin_[which], sin[which].data(), (int64_t)sin[which].size());
        }
    }

    // Arrays for as many tokens as there were in any batch so far.
    void make_room() {
        if (tokens_ <= room_) return;
        room_ = 0;
        const int64_t n = tokens_, width = shape_.width;
        const auto floats = [&](Floats &to, int64_t features) {
            to = {}, to = card_.template take<float>(n * features);
        };
        for (Layer &own : layers_) {
            floats(own.x, width), floats(own.mid, width), floats(own.gate, hidden_), floats(own.up, hidden_);
            floats(own.q, queries()), floats(own.k, keys()), floats(own.v, keys()), floats(own.mixed, queries());
            floats(own.log_total, shape_.heads);
            if (own.norms[ES_Q_NORM].size) floats(own.raw_q, queries());
            if (own.norms[ES_K_NORM].size) floats(own.raw_k, keys());
            if (own.norms[ES_POST_ATTN_NORM].size) floats(own.attended, width);
            if (own.norms[ES_POST_FFN_NORM].size) floats(own.down, width);
        }
        floats(x_, width), floats(h_, width), floats(t_, width), floats(dx_, width), floats(dh_, width);
        floats(act_, hidden_), floats(dmixed_, queries()), floats(mean_, shape_.heads);
        floats(dq_, queries()), floats(dk_, keys()), floats(dv_, keys());
        int rank = 1;
        for (const es_trained &one : trained_) rank = std::max(rank, one.adapter.rank);
        floats(inner_, rank), floats(outer_, rank);
        ids_ = card_.template take<int32_t>(n);
        for (int which = 0; which < (shape_.window ? 2 : 1); ++which) {
            first_[which] = card_.template take<int32_t>(n);
            shared_first_[which] = card_.template take<int32_t>(n);
            floats(cos_[which], std::max(shape_.turned / 2, 1)), floats(sin_[which], std::max(shape_.turned / 2, 1));
        }
        room_ = tokens_;
    }

    // --- parts of a layer

    void norm(const Floats &x, const Floats &weight, int rows, int width, const Floats &y) {
        card_.norm({rows}, {x, weight, nullptr, y, rows, width, 0, shape_.epsilon});
    }
    void norm_back(const Floats &x, const Floats &weight, const Floats &dy, int rows, int width, bool add,
                   const Floats &dx) {
        card_.norm_back({rows}, {x, weight, dy, dx, rows, width, add, shape_.epsilon});
    }
    void turn(int l, const Floats &x, int heads, bool back) {
        const int pairs = shape_.turned / 2;
        if (pairs)
            card_.turn(
                {pieces((int64_t)heads * pairs, kThreads), tokens_},
                {cos_[kind(l)], sin_[kind(l)], x, tokens_, heads, shape_.head_width, pairs, shape_.halves, back});
    }

    void linear(const Matrix &w, const LinearArgs &args, bool coarse) {
        const Extent grid{pieces(args.back ? w.cols : w.rows, kSide), pieces(args.n, kSide)};
        coarse ? card_.linear_bf16(grid, args) : card_.linear(grid, args);
    }
    LinearArgs forwards(const Matrix &w, const Array<uint8_t> &source, const Floats &x, const Floats &bias, int n,
                        const Floats &y) {
        return {source, x, bias, y, w.type, w.rows, w.cols, n, 0, 0};
    }
    LinearArgs backwards(const Matrix &w, const Array<uint8_t> &source, const Floats &dy, int n, bool add,
                         const Floats &dx) {
        return {source, dy, nullptr, dx, w.type, w.rows, w.cols, n, 1, add};
    }
    void project(int l, int which, const Floats &x, const Floats &y) {
        const Matrix &w = layers_[(size_t)l].matrices[which];
        linear(w, forwards(w, w.rounded, x, layers_[(size_t)l].biases[which], tokens_, y), coarse_);
    }
    void unproject(int l, int which, const Floats &dy, bool add, const Floats &dx) {
        const Matrix &w = layers_[(size_t)l].matrices[which];
        linear(w, backwards(w, w.rounded, dy, tokens_, add, dx), coarse_);
    }

    // dB += scale dY^T (X A^T) and dA += scale (dY B)^T X.
    void learn_factors(int l, int which, const Floats &x, const Floats &dy) {
        const Matrix &w = layers_[(size_t)l].matrices[which];
        const int n = tokens_, r = w.rank;
        const Extent inner{pieces(r, kSide), pieces(n, kSide)};
        card_.product(inner, {x, w.a, inner_, w.cols, 1, 1, w.cols, r, 1, n, r, w.cols, 0, 1.0f, 0});
        card_.product(inner, {dy, w.b, outer_, w.rows, 1, r, 1, r, 1, n, r, w.rows, 0, 1.0f, 0});
        card_.product({pieces(r, kSide), pieces(w.rows, kSide)},
                      {dy, inner_, w.db, 1, w.rows, r, 1, r, 1, w.rows, r, n, 1, w.scale, 0});
        card_.product({pieces(w.cols, kSide), pieces(r, kSide)},
                      {outer_, x, w.da, 1, r, w.cols, 1, w.cols, 1, r, w.cols, n, 1, w.scale, 0});
    }

    AttentionArgs attention(int l) {
        Layer &own = layers_[(size_t)l];
        return {own.q,
                own.k,
                own.v,
                first_[kind(l)],
                shared_first_[kind(l)],
                own.mixed,
                own.log_total,
                mean_,
                dmixed_,
                dq_,
                dk_,
                dv_,
                tokens_,
                shape_.heads,
                shape_.kv_heads,
                shape_.head_width,
                shared_,
                shape_.attention_scale};
    }

    // Norm and turn of each head's queries or keys; the raw ones stay where there is a norm.
    void turn_heads(int l, int which, const Floats &raw, const Floats &to, int heads, const Floats &h, int matrix) {
        const Floats &weight = layers_[(size_t)l].norms[which];
        project(l, matrix, h, weight.size ? raw : to);
        if (weight.size) norm(raw, weight, tokens_ * heads, shape_.head_width, to);
        turn(l, to, heads, false);
    }

    // to = from + (made, normed where the layer has a norm there; `kept` is then what was made)
    void join(const Floats &from, const Floats &made, const Floats &weight, const Floats &kept, const Floats &to) {
        const int64_t count = (int64_t)tokens_ * shape_.width;
        if (weight.size) norm(kept, weight, tokens_, shape_.width, made);
        card_.add({pieces(count, kThreads)}, {from, made, to, count});
    }

    void forward(int l) {
        Layer &own = layers_[(size_t)l];
        const Floats &next = l + 1 < shape_.layers ? layers_[(size_t)l + 1].x : x_;
        norm(own.x, own.norms[ES_ATTN_NORM], tokens_, shape_.width, h_);
        turn_heads(l, ES_Q_NORM, own.raw_q, own.q, shape_.heads, h_, ES_Q);
        turn_heads(l, ES_K_NORM, own.raw_k, own.k, shape_.kv_heads, h_, ES_K);
        project(l, ES_V, h_, own.v);
        card_.attend({pieces(tokens_, kQueries), shape_.heads}, attention(l));
        project(l, ES_O, own.mixed, own.attended.size ? own.attended : t_);
        join(own.x, t_, own.norms[ES_POST_ATTN_NORM], own.attended, own.mid);
        norm(own.mid, own.norms[ES_FFN_NORM], tokens_, shape_.width, h_);
        project(l, ES_GATE, h_, own.gate);
        project(l, ES_UP, h_, own.up);
        const int64_t count = (int64_t)tokens_ * hidden_;
        card_.gate({pieces(count, kThreads)}, {own.gate, own.up, act_, count, shape_.gelu, 0});
        project(l, ES_DOWN, act_, own.down.size ? own.down : t_);
        join(own.mid, t_, own.norms[ES_POST_FFN_NORM], own.down, next);
    }

    // Losses, and dx_ becomes the gradient of the last layer's output.
    void head_loss(const es_targets &targets, float scale, float *losses) {
        const int width = shape_.width, most = (int)std::min<int64_t>(targets.count, kTargets);
        const auto floats = [&](int64_t features) { return card_.template take<float>(features * most); };
        const Floats chosen = floats(width), normed = floats(width), logits = floats(head_.rows),
                     dnormed = floats(width), dchosen = floats(width), own_losses = floats(1),
                     probs = floats(targets.listed);
        const Array<int32_t> places = card_.template take<int32_t>(most),
                             ids = card_.template take<int32_t>((int64_t)most * targets.listed);
        card_.zero(dx_);
        for (int64_t from = 0; from < targets.count; from += most) {
            const int count = (int)std::min<int64_t>(most, targets.count - from);
            card_.put(places, targets.places + from, count);
            card_.put(ids, targets.ids + from * targets.listed, (int64_t)count * targets.listed);
            card_.put(probs, targets.probs + from * targets.listed, (int64_t)count * targets.listed);
            card_.places({pieces(width, kThreads), count}, {x_, places, chosen, tokens_, count, width, 0});
            norm(chosen, norm_, count, width, normed);
            linear(head_, forwards(head_, head_.source, normed, {}, count, logits), false);
            card_.loss({count}, {ids, probs, logits, own_losses, count, targets.listed, head_.rows, scale});
            linear(head_, backwards(head_, head_.source, logits, count, false, dnormed), false);
            norm_back(chosen, norm_, dnormed, count, width, false, dchosen);
            card_.places({pieces(width, kThreads), tokens_}, {dchosen, places, dx_, tokens_, count, width, 1});
            card_.get(own_losses, losses + from, count);
        }
    }

    // dx_ is the gradient of the layer's output, and becomes that of what entered its second half.
    void backward_feed(int l) {
        Layer &own = layers_[(size_t)l];
        const Floats &post = own.norms[ES_POST_FFN_NORM];
        if (post.size) norm_back(own.down, post, dx_, tokens_, shape_.width, false, t_);
        const Floats &ddown = post.size ? t_ : dx_;
        unproject(l, ES_DOWN, ddown, false, act_);
        const int64_t count = (int64_t)tokens_ * hidden_;
        card_.gate_back({pieces(count, kThreads)}, {own.gate, own.up, act_, count, shape_.gelu, 0});
        learn_factors(l, ES_DOWN, act_, ddown);
        norm(own.mid, own.norms[ES_FFN_NORM], tokens_, shape_.width, h_);
        learn_factors(l, ES_GATE, h_, own.gate);
        learn_factors(l, ES_UP, h_, own.up);
        unproject(l, ES_GATE, own.gate, false, dh_);
        unproject(l, ES_UP, own.up, true, dh_);
        norm_back(own.mid, own.norms[ES_FFN_NORM], dh_, tokens_, shape_.width, true, dx_);
    }

    void undo_heads(int l, int which, const Floats &raw, const Floats &d, int heads) {
        const Floats &weight = layers_[(size_t)l].norms[which];
        turn(l, d, heads, true);
        if (weight.size) norm_back(raw, weight, d, tokens_ * heads, shape_.head_width, false, d);
    }

    void backward_attend(int l) {
        Layer &own = layers_[(size_t)l];
        const Floats &post = own.norms[ES_POST_ATTN_NORM];
        if (post.size) norm_back(own.attended, post, dx_, tokens_, shape_.width, false, t_);
        const Floats &dattended = post.size ? t_ : dx_;
        learn_factors(l, ES_O, own.mixed, dattended);
        unproject(l, ES_O, dattended, false, dmixed_);
        card_.dots({tokens_ * shape_.heads}, {own.mixed, dmixed_, mean_, tokens_ * shape_.heads, shape_.head_width});
        card_.attend_back_queries({pieces(tokens_, kQueries), shape_.heads}, attention(l));
        card_.attend_back_keys({pieces(tokens_, kQueries), shape_.kv_heads}, attention(l));
        undo_heads(l, ES_Q_NORM, own.raw_q, dq_, shape_.heads);
        undo_heads(l, ES_K_NORM, own.raw_k, dk_, shape_.kv_heads);
        norm(own.x, own.norms[ES_ATTN_NORM], tokens_, shape_.width, h_);
        learn_factors(l, ES_Q, h_, dq_);
        learn_factors(l, ES_K, h_, dk_);
        learn_factors(l, ES_V, h_, dv_);
        if (l == 0) return;  // nothing learns below
        unproject(l, ES_Q, dq_, false, dh_);
        unproject(l, ES_K, dk_, true, dh_);
        unproject(l, ES_V, dv_, true, dh_);
        norm_back(own.x, own.norms[ES_ATTN_NORM], dh_, tokens_, shape_.width, true, dx_);
    }

    Card &card_;
    es_shape shape_;
    bool coarse_;  // the layers' products in bf16
    int hidden_ = 0, tokens_ = 0, shared_ = 0, room_ = 0;
    std::vector<double> frequencies_[2];  // global, local
    std::vector<Layer> layers_;
    std::vector<es_trained> trained_;
    Matrix embedding_, head_;
    Floats norm_;
    // What one layer works in after the other.
    Floats x_, h_, t_, dx_, dh_, act_, dmixed_, mean_, dq_, dk_, dv_, inner_, outer_, cos_[2], sin_[2];
    Array<int32_t> ids_, first_[2], shared_first_[2];
};

}  // namespace edgesleep_device
