// The network: a transformer of the llama family with factors on every matrix.
//
// Owns the order of a layer's operations, forwards and backwards, what is kept
// between the two. Leaves pieces of matrices to tiles.h, attention and the head to
// their files, the ABI to training.cpp, arithmetic to the kernel. Must stay true: every matrix is used as es_merge
// would write it; the gradient goes straight through the rounding to the factors, dW is never formed.
#include "network.h"

#include <cmath>
#include <numeric>

namespace edgesleep {

// --- products of a layer

// Several matrices on one input.
void Network::project(int l, std::initializer_list<int> which, const Panel &x, std::initializer_list<Panel> out) {
    struct Piece {
        Used used;
        const float *bias;
        Panel y;
        int64_t row;
    };
    std::vector<Piece> pieces;
    Codes &codes = work.codes[0];  // only matrices that have a grid look at them
    if (!exact &&
        std::any_of(which.begin(), which.end(), [&](int matrix) { return grid(layer(l).matrices[matrix].type).high; }))
        codes.encode(kernel, x, kInputMost);
    auto to = out.begin();
    for (int matrix : which) {
        const Used used = this->used(l, matrix);
        for (int64_t row = 0; row < used.matrix.rows; row += kPiece)
            pieces.push_back({used, layer(l).biases[matrix], *to, row});
        ++to;
    }
    each((int64_t)pieces.size(), [&](int64_t i) {
        const Piece &piece = pieces[(size_t)i];
        const int rows = (int)std::min<int64_t>(kPiece, piece.used.matrix.rows - piece.row);
        if (!forward_piece(call(piece.used.matrix, piece.used.adapter), piece.row, rows, x, codes, piece.y))
            good = false;
        for (int64_t block = 0; piece.bias && block < x.blocks; ++block)
            for (int r = 0; r < rows; ++r)
                for (int t = 0; t < kTokens; ++t) piece.y.at(block, piece.row + r)[t] += piece.bias[piece.row + r];
    });
}

// The gradient of their common input, from zero.
void Network::unproject(int l, std::initializer_list<int> which, std::initializer_list<Panel> dy, const Panel &dx) {
    int piece = 0;
    for (int matrix : which) piece = std::max(piece, column_piece(call(layer(l).matrices[matrix])));
    const int64_t cols = layer(l).matrices[*which.begin()].cols;
    Codes *codes = work.codes;
    for (const Panel &one : dy)
        if (!exact) (codes++)->encode(kernel, one, kGradientMost);
    each((cols + piece - 1) / piece, [&](int64_t i) {
        const int64_t col = i * piece;
        const int count = (int)std::min<int64_t>(piece, cols - col);
        for (int64_t block = 0; block < dx.blocks; ++block) std::fill_n(dx.at(block, col), count * kTokens, 0.0f);
        auto from = dy.begin();
        const Codes *own = work.codes;
        for (int matrix : which) {
            const Used used = this->used(l, matrix);
            if (!backward_piece(call(used.matrix, used.adapter), col, count, *from++, *own++, dx)) good = false;
        }
    });
}

// dB = scale dY (A X)^T and dA = scale (B^T dY) X^T for several matrices on one input.
void Network::learn_factors(int l, std::initializer_list<int> which, const Panel &x, std::initializer_list<Panel> dys) {
    struct Matrix {
        const es_trained *trained;
        const es_matrix *matrix;
        Panel dy;
        float *inner, *outer;  // (A X)^T and (B^T dY)^T, [rank / 16][blocks][tokens][16]
    };
    const int64_t blocks = x.blocks, square = kTokens * kTokens;
    int64_t room = 0;
    for (int which_one : which)
        room += 2 * blocks_of(trained[(size_t)(l * ES_MATRICES + which_one)].adapter.rank) * blocks * square;
    float *next = work.factors.panel(room / kTokens, 1).data;
    std::vector<Matrix> matrices;
    auto dy = dys.begin();
    for (int which_one : which) {
        const es_trained &one = trained[(size_t)(l * ES_MATRICES + which_one)];
        const int64_t size = blocks_of(one.adapter.rank) * blocks * square;
        matrices.push_back({&one, &layer(l).matrices[which_one], *dy++, next, next + size});
        next += 2 * size;
    }
    each((int64_t)matrices.size() * blocks, [&](int64_t i) {
        const Matrix &m = matrices[(size_t)(i / blocks)];
        const es_adapter &adapter = m.trained->adapter;
        const int64_t block = i % blocks, padded = blocks_of(adapter.rank) * kTokens;
        std::vector<float> made((size_t)(padded * kTokens));
        const auto turn = [&](float *to) {
            for (int64_t r = 0; r < padded; ++r)
                for (int t = 0; t < kTokens; ++t)
                    to[(r / kTokens * blocks + block) * square + t * kTokens + r % kTokens] =
                        made[(size_t)(r * kTokens + t)];
        };
        kernel.product({adapter.rank, (int)x.features, 1, 1, adapter.a, x.features, 1, 0, x.at(block), 0, 0,
                        made.data(), kTokens, 0});
        turn(m.inner);
        std::fill(made.begin(), made.end(), 0.0f);
        kernel.product({adapter.rank, (int)m.dy.features, 1, 1, adapter.b, 1, adapter.rank, 0, m.dy.at(block), 0, 0,
                        made.data(), kTokens, 0});
        turn(m.outer);
    });
    // Pieces of rows of each gradient: b's [rows][rank], and a's turned, [cols][rank].
    struct Piece {
        const Matrix *matrix;
        bool of_b;
        int64_t row;
    };
    std::vector<Piece> pieces;
    for (const Matrix &m : matrices)
        for (bool of_b : {true, false})
            for (int64_t row = 0; row < (of_b ? m.matrix->rows : m.matrix->cols); row += 2 * kPiece)
                pieces.push_back({&m, of_b, row});
    each((int64_t)pieces.size(), [&](int64_t i) {
        const Piece &piece = pieces[(size_t)i];
        const Matrix &m = *piece.matrix;
        const Panel &left = piece.of_b ? m.dy : x;
        const int rank = m.trained->adapter.rank;
        const int rows = (int)std::min<int64_t>(2 * kPiece, left.features - piece.row);
        const int64_t padded = blocks_of(rank) * kTokens;
        std::vector<float> made((size_t)(rows * padded));
        kernel.product({rows, kTokens, (int)blocks, padded / kTokens, left.at(0, piece.row), kTokens, 1, left.stride(),
                        piece.of_b ? m.inner : m.outer, square, blocks * square, made.data(), padded, kTokens});
        const float scale = m.trained->adapter.scale;
        for (int r = 0; r < rows; ++r)
            for (int k = 0; k < rank; ++k) {
                float &to = piece.of_b ? m.trained->b_gradient[(piece.row + r) * rank + k]
                                       : m.trained->a_gradient[k * m.matrix->cols + piece.row + r];
                to += scale * made[(size_t)(r * padded + k)];
            }
    });
}

// --- forwards

void Network::begin(const es_batch &batch) {
    pack.tokens = batch.count;
    pack.shared = batch.shared;
    pack.blocks = blocks_of(batch.count);
    pack.texts.clear();
    pack.positions.clear();
    pack.starts.resize((size_t)(pack.blocks * kTokens));
    for (int64_t i = 0; i < pack.blocks * kTokens; ++i)
        pack.starts[(size_t)i] = i < batch.count ? batch.starts[i] : (int32_t)i;
    turn_pack();
}

void Network::begin(std::vector<int32_t> texts, std::vector<int32_t> positions) {
    pack.tokens = (int64_t)texts.size();
    pack.shared = 0;
    pack.blocks = blocks_of(pack.tokens);
    pack.texts = std::move(texts);
    pack.positions = std::move(positions);
    pack.starts.resize((size_t)(pack.blocks * kTokens));
    std::iota(pack.starts.begin(), pack.starts.end(), 0);
    turn_pack();
}

// The angles of all positions.
void Network::turn_pack() {
    const int64_t pairs = shape.turned / 2;
    for (int kind = 0; kind < (shape.window ? 2 : 1); ++kind) {
        pack.cos[kind].resize((size_t)(pack.blocks * pairs * kTokens));
        pack.sin[kind].resize(pack.cos[kind].size());
    }
    each(pack.blocks, [&](int64_t block) {
        for (int kind = 0; kind < (shape.window ? 2 : 1); ++kind)
            for (int64_t j = 0; j < pairs; ++j)
                for (int t = 0; t < kTokens; ++t) {
                    const int64_t token = block * kTokens + t;
                    const double angle = (double)pack.position(token) * frequencies[kind][(size_t)j];
                    const size_t at = (size_t)((block * pairs + j) * kTokens + t);
                    pack.cos[kind][at] = (float)std::cos(angle);
                    pack.sin[kind][at] = (float)std::sin(angle);
                }
    });
}

void Network::embed(const int32_t *tokens, const Panel &x) {
    const Call call = this->call(embedding);
    each(pack.blocks, [&](int64_t block) {
        std::vector<float> row((size_t)shape.width);
        for (int t = 0; t < kTokens; ++t) {
            const int64_t token = block * kTokens + t;
            const int32_t id = token < pack.tokens ? tokens[token] : 0;
            for (int64_t col = 0; col < shape.width; col += kStrip)
                if (!tile(call, id, 1, col, (int)std::min<int64_t>(kStrip, shape.width - col), row.data() + col, 0))
                    good = false;
            for (int64_t f = 0; f < shape.width; ++f) x.at(block, f)[t] = row[(size_t)f] * shape.embedding_scale;
        }
    });
}

void Network::forward(const Panel &x, bool keep) {
    if (keep) kept.resize(remember ? (size_t)shape.layers : (size_t)shape.layers + 1);
    for (int l = 0; l < shape.layers; ++l) {
        Kept *to = keep && remember ? &kept[(size_t)l] : nullptr;
        if (to) make_room(*to);
        if (keep && !remember) {  // its input alone: the rest is computed again
            auto &input = kept[(size_t)l].space;
            input.resize((size_t)(2 * x.stride() * x.blocks));
            kernel.layers.narrow(x.stride() * x.blocks, x.data, (uint16_t *)input.data());
        }
        forward_layer(l, x, to);
    }
}

void Network::forward_layer(int l, const Panel &x, Kept *keep) {
    attend_layer(l, x, keep);
    feed_layer(l, x, keep);
}

// Norm and turn of each head's queries or keys in one block; back: the turn's gradient only.
void Network::turn_heads(int l, const Panel &panel, int64_t block, int64_t heads, const float *weight, bool back) {
    const int64_t pairs = shape.turned / 2;
    const auto &cos = pack.cos[local(l)], &sin = pack.sin[local(l)];
    const size_t at = (size_t)(block * pairs * kTokens);
    const TurnJob job{(int)pairs, shape.halves ? (int)pairs : 1, cos.data() + at, sin.data() + at, shape.halves != 0,
                      back};
    for (int64_t head = 0; head < heads; ++head) {
        float *x = panel.at(block, head * shape.head_width);
        if (weight && !back) kernel.layers.norm(norm_job(x, weight, shape.head_width), x);
        kernel.layers.turn(job, x);
    }
}

void Network::attend_layer(int l, const Panel &x, Kept *keep) {
    const Panel h = work.h.panel(shape.width, x.blocks), q = work.q.panel(queries(), x.blocks),
                k = work.k.panel(keys(), x.blocks);
    const Panel v = work.v.panel(keys(), x.blocks), mixed = work.mixed.panel(queries(), x.blocks);
    const es_layer &own = layer(l);
    each(x.blocks, [&](int64_t block) {
        this->keep(keep, X, x, block);
        kernel.layers.norm(norm_job(x.at(block), own.norms[ES_ATTN_NORM], shape.width), h.at(block));
    });
    project(l, {ES_Q, ES_K, ES_V}, h, {q, k, v});
    each(x.blocks, [&](int64_t block) {
        this->keep(keep, QUERIES, q, block);
        this->keep(keep, KEYS, k, block);
        this->keep(keep, VALUES, v, block);
        turn_heads(l, q, block, shape.heads, own.norms[ES_Q_NORM], false);
        turn_heads(l, k, block, shape.kv_heads, own.norms[ES_K_NORM], false);
    });
    if (pack.texts.empty()) {
        std::vector<float> unused;
        if (!keep) unused.resize((size_t)(x.blocks * shape.heads * kTokens));
        attend(attention(l), q, k, v, mixed, keep ? keep->log_totals.data() : unused.data());
    } else {
        attend_cached(attention(l), l, cache, q, k, v, mixed);
    }
    each(x.blocks, [&](int64_t block) { this->keep(keep, MIXED, mixed, block); });
    project(l, {ES_O}, mixed, {h});
    each(x.blocks, [&](int64_t block) {
        if (const float *weight = own.norms[ES_POST_ATTN_NORM]) {
            this->keep(keep, ATTENDED, h, block);
            kernel.layers.norm(norm_job(h.at(block), weight, shape.width), h.at(block));
        }
        for (int64_t i = 0; i < x.stride(); ++i) x.at(block)[i] += h.at(block)[i];
        this->keep(keep, MID, x, block);
    });
}

void Network::feed_layer(int l, const Panel &x, Kept *keep) {
    const Panel h = work.h.panel(shape.width, x.blocks), gate = work.gate.panel(hidden(), x.blocks);
    const Panel up = work.up.panel(hidden(), x.blocks);
    const es_layer &own = layer(l);
    each(x.blocks, [&](int64_t block) {
        kernel.layers.norm(norm_job(x.at(block), own.norms[ES_FFN_NORM], shape.width), h.at(block));
    });
    project(l, {ES_GATE, ES_UP}, h, {gate, up});
    each(x.blocks, [&](int64_t block) {
        this->keep(keep, GATE, gate, block);
        this->keep(keep, UP, up, block);
        kernel.layers.gate((int)hidden(), shape.gelu, gate.at(block), up.at(block), gate.at(block));
    });
    project(l, {ES_DOWN}, gate, {h});
    each(x.blocks, [&](int64_t block) {
        if (const float *weight = own.norms[ES_POST_FFN_NORM]) {
            this->keep(keep, DOWN, h, block);
            kernel.layers.norm(norm_job(h.at(block), weight, shape.width), h.at(block));
        }
        for (int64_t i = 0; i < x.stride(); ++i) x.at(block)[i] += h.at(block)[i];
    });
}

// --- backwards

void Network::backward(const Panel &dx) {
    for (int l = shape.layers - 1; l >= 0; --l) {
        if (!remember) {
            Kept &again = kept[(size_t)shape.layers];
            make_room(again);
            const Panel x = work.x.panel(shape.width, pack.blocks);
            kernel.layers.widen(x.stride() * x.blocks, (const uint16_t *)kept[(size_t)l].space.data(), x.data);
            forward_layer(l, x, &again);
        }
        const Kept &own = kept[(size_t)(remember ? l : shape.layers)];
        backward_feed(l, dx, own);
        backward_attend(l, dx, own);
    }
}

// dx is the gradient of the layer's output, and becomes that of what entered its second half.
void Network::backward_feed(int l, const Panel &dx, const Kept &keep) {
    const int64_t blocks = dx.blocks;
    const Panel h = work.h.panel(shape.width, blocks), dh = work.dh.panel(shape.width, blocks);
    const Panel gate = work.gate.panel(hidden(), blocks), up = work.up.panel(hidden(), blocks);
    const Panel act = work.act.panel(hidden(), blocks);  // its gradient first
    const es_layer &own = layer(l);
    const float *post = own.norms[ES_POST_FFN_NORM];
    each(blocks, [&](int64_t block) {
        recall(keep, GATE, gate, block);
        recall(keep, UP, up, block);
        if (!post) return;
        recall(keep, DOWN, h, block);
        std::fill_n(dh.at(block), dh.stride(), 0.0f);
        kernel.layers.norm_back(norm_job(h.at(block), post, shape.width), dx.at(block), dh.at(block));
    });
    const Panel &ddown = post ? dh : dx;
    unproject(l, {ES_DOWN}, {ddown}, act);
    const Panel mid = work.x.panel(shape.width, blocks);
    each(blocks, [&](int64_t block) {
        kernel.layers.gate_back((int)hidden(), shape.gelu, act.at(block), gate.at(block), up.at(block));
        recall(keep, MID, mid, block);
        kernel.layers.norm(norm_job(mid.at(block), own.norms[ES_FFN_NORM], shape.width), h.at(block));
    });
    learn_factors(l, {ES_DOWN}, act, {ddown});
    learn_factors(l, {ES_GATE, ES_UP}, h, {gate, up});
    unproject(l, {ES_GATE, ES_UP}, {gate, up}, dh);
    each(blocks, [&](int64_t block) {
        kernel.layers.norm_back(norm_job(mid.at(block), own.norms[ES_FFN_NORM], shape.width), dh.at(block),
                                dx.at(block));
    });
}

void Network::backward_attend(int l, const Panel &dx, const Kept &keep) {
    const int64_t blocks = dx.blocks;
    const Panel h = work.h.panel(shape.width, blocks), dh = work.dh.panel(shape.width, blocks),
                x = work.x.panel(shape.width, blocks);
    const Panel q = work.q.panel(queries(), blocks), k = work.k.panel(keys(), blocks), v = work.v.panel(keys(), blocks);
    const Panel dq = work.dq.panel(queries(), blocks), dk = work.dk.panel(keys(), blocks),
                dv = work.dv.panel(keys(), blocks);
    const Panel mixed = work.mixed.panel(queries(), blocks), dmixed = work.dmixed.panel(queries(), blocks);
    const es_layer &own = layer(l);
    const float *post = own.norms[ES_POST_ATTN_NORM];
    each(blocks, [&](int64_t block) {
        recall(keep, MIXED, mixed, block);
        recall(keep, QUERIES, q, block);
        recall(keep, KEYS, k, block);
        recall(keep, VALUES, v, block);
        turn_heads(l, q, block, shape.heads, own.norms[ES_Q_NORM], false);
        turn_heads(l, k, block, shape.kv_heads, own.norms[ES_K_NORM], false);
        if (!post) return;
        recall(keep, ATTENDED, h, block);
        std::fill_n(dh.at(block), dh.stride(), 0.0f);
        kernel.layers.norm_back(norm_job(h.at(block), post, shape.width), dx.at(block), dh.at(block));
    });
    const Panel &dattended = post ? dh : dx;
    learn_factors(l, {ES_O}, mixed, {dattended});
    unproject(l, {ES_O}, {dattended}, dmixed);
    attend_back(attention(l), q, k, v, mixed, dmixed, keep.log_totals.data(), dq, dk, dv, work.scratch);
    each(blocks, [&](int64_t block) {
        // Back through turn and norm: the norm needs what entered it, which is fetched again.
        const auto undo = [&](const Panel &raw, int part, const Panel &d, int64_t heads, const float *weight) {
            turn_heads(l, d, block, heads, nullptr, true);
            if (!weight) return;
            recall(keep, part, raw, block);
            for (int64_t head = 0; head < heads; ++head) {
                const int64_t row = head * shape.head_width;
                std::vector<float> made((size_t)(shape.head_width * kTokens));
                kernel.layers.norm_back(norm_job(raw.at(block, row), weight, shape.head_width), d.at(block, row),
                                        made.data());
                std::copy(made.begin(), made.end(), d.at(block, row));
            }
        };
        undo(q, QUERIES, dq, shape.heads, own.norms[ES_Q_NORM]);
        undo(k, KEYS, dk, shape.kv_heads, own.norms[ES_K_NORM]);
        recall(keep, X, x, block);
        kernel.layers.norm(norm_job(x.at(block), own.norms[ES_ATTN_NORM], shape.width), h.at(block));
    });
    learn_factors(l, {ES_Q, ES_K, ES_V}, h, {dq, dk, dv});
    if (l == 0) return;  // nothing learns below
    unproject(l, {ES_Q, ES_K, ES_V}, {dq, dk, dv}, dh);
    each(blocks, [&](int64_t block) {
        kernel.layers.norm_back(norm_job(x.at(block), own.norms[ES_ATTN_NORM], shape.width), dh.at(block),
                                dx.at(block));
    });
}

}  // namespace edgesleep
