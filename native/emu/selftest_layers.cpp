// The device's layers, loss and optimiser against ref's, on the emulator.
//
// Owns the comparison with the processor's panels. Leaves weights to selftest.cpp. Must stay true: every tolerance is
// stated where it is used, as a share of the largest value; it is for the order of sums and the exponential's last
// bits.
#include "run.h"

#include "../network.h"

namespace edgesleep_device {
namespace {

constexpr float kSummed = 2e-6f, kScores = 1e-5f;

// Rows of tokens as the processor's panel, and back.
struct Folded {
    edgesleep::Buffer memory;
    edgesleep::Panel panel;
    int64_t tokens;

    Folded(int64_t tokens, int64_t features)
        : panel(memory.panel(features, edgesleep::blocks_of(tokens))), tokens(tokens) {}
    Folded(const std::vector<float> &rows, int64_t tokens) : Folded(tokens, (int64_t)rows.size() / tokens) {
        edgesleep::fold(rows.data(), tokens, panel);
    }
    std::vector<float> rows() const {
        std::vector<float> made((size_t)(tokens * panel.features));
        edgesleep::unfold(panel, tokens, made.data());
        return made;
    }
};

std::vector<float> zeros(size_t count) { return std::vector<float>(count); }

void check_norm(Report &report, int n, int width) {
    Random random{1};
    const std::vector<float> x = random.numbers((size_t)(n * width)), dy = random.numbers(x.size()),
                             held = random.numbers(x.size()), weight = random.numbers((size_t)width);
    const Folded in(x, n), din(dy, n), out(n, width), dout(held, n);
    for (int64_t block = 0; block < in.panel.blocks; ++block) {
        const edgesleep::NormJob job{width, 1e-6f, in.panel.at(block), weight.data()};
        edgesleep::kRef.layers.norm(job, out.panel.at(block));
        edgesleep::kRef.layers.norm_back(job, din.panel.at(block), dout.panel.at(block));
    }
    emu::Buffer<float> from(x), scale(weight), dfrom(dy), to(zeros(x.size())), dto(held);
    RUN(norm, {n}, NormArgs{from, scale, nullptr, to, n, width, 0, 1e-6f});
    RUN(norm_back, {n}, NormArgs{from, scale, dfrom, dto, n, width, 1, 1e-6f});
    report.compare("RMSNorm", to.data, out.rows(), kSummed);
    report.compare("RMSNorm, gradient", dto.data, dout.rows(), kSummed);
    // In place, and a gradient that replaces what was there.
    RUN(norm, {n}, NormArgs{from, scale, nullptr, from, n, width, 0, 1e-6f});
    report.compare("RMSNorm", from.data, out.rows(), kSummed);
}

void check_turn(Report &report, int n, int heads, int head_width, int pairs, bool halves) {
    Random random{2};
    const std::vector<float> x = random.numbers((size_t)(n * heads * head_width)),
                             cos = random.numbers((size_t)(n * pairs)), sin = random.numbers((size_t)(n * pairs));
    const Folded folded_cos(cos, n), folded_sin(sin, n);
    for (bool back : {false, true}) {
        const Folded in(x, n);
        for (int64_t block = 0; block < in.panel.blocks; ++block)
            for (int head = 0; head < heads; ++head)
                edgesleep::kRef.layers.turn(
                    {pairs, halves ? pairs : 1, folded_cos.panel.at(block), folded_sin.panel.at(block), halves, back},
                    in.panel.at(block, head * head_width));
        emu::Buffer<float> own(x), own_cos(cos), own_sin(sin);
        RUN(turn, (emu::Extent{pieces(heads * pairs, kThreads), n}),
            TurnArgs{own_cos, own_sin, own, n, heads, head_width, pairs, halves, back});
        report.compare("rotary turn, both ways", own.data, in.rows(), 0);
    }
}

void check_gate(Report &report, int rows, bool gelu) {
    constexpr int kBlock = edgesleep::kTokens;
    Random random{3};
    const size_t count = (size_t)(rows * kBlock);
    std::vector<float> g = random.numbers(count, 20.0f), u = random.numbers(count), d = random.numbers(count);
    std::vector<float> y(count);
    emu::Buffer<float> gates(g), ups(u), out(zeros(count)), dgates(g), dups(u), dout(d);
    const emu::Extent grid{pieces((int64_t)count, kThreads)};
    RUN(gate, grid, GateArgs{gates, ups, out, (int64_t)count, gelu, 0});
    RUN(gate_back, grid, GateArgs{dgates, dups, dout, (int64_t)count, gelu, 0});
    edgesleep::kRef.layers.gate(rows, gelu, g.data(), u.data(), y.data());
    edgesleep::kRef.layers.gate_back(rows, gelu, d.data(), g.data(), u.data());
    report.compare("gated activation", out.data, y, kSummed);
    report.compare("gated activation, gradient", dout.data, d, kSummed);
    report.compare("gated activation, gradient", dgates.data, g, kSummed);
    report.compare("gated activation, gradient", dups.data, u, kSummed);
}

void check_adam(Report &report) {
    constexpr int kCount = 1000;
    Random random{4};
    std::vector<float> g = random.numbers(kCount), value = random.numbers(kCount), first = random.numbers(kCount),
                       second = random.numbers(kCount);
    for (float &one : second) one = fabsf(one);
    emu::Buffer<float> gradient(g), values(value), firsts(first), seconds(second);
    const float correction1 = (float)(1.0 / (1.0 - pow(0.9f, 3.0))),
                correction2 = (float)(1.0 / (1.0 - pow(0.99f, 3.0)));
    RUN(adam, {pieces(kCount, kThreads)},
        AdamArgs{gradient, values, firsts, seconds, kCount, 1e-3f, 0.9f, 0.99f, 1e-8f, correction1, correction2, 0.5f,
                 0});
    es_adam(kCount, 3, 1e-3f, 0.9f, 0.99f, 1e-8f, 0.5f, g.data(), value.data(), first.data(), second.data());
    report.compare("Adam", values.data, value, 0);
    report.compare("Adam", firsts.data, first, 0);
    report.compare("Adam", seconds.data, second, 0);
}

// A head of Q8_0 whose products come from the kernel for them.
void check_loss(Report &report, int count, int listed) {
    constexpr int kWidth = 64, kVocabulary = 333;
    Random random{5};
    std::vector<uint8_t> data((size_t)(kVocabulary * kWidth / 32 * 34));
    for (uint8_t &byte : data) byte = (uint8_t)random.next();
    for (size_t i = 0; i < data.size(); i += 34) data[i + 1] = 0x20;  // scales of 2^-7
    const es_matrix head{edgesleep::Q8_0, kVocabulary, kWidth, data.data(), 0};
    const std::vector<float> hidden = random.numbers((size_t)(count * kWidth));
    std::vector<int32_t> ids, nowhere;
    std::vector<float> probs, expected((size_t)count);
    for (int i = 0; i < count * listed; ++i) {
        ids.push_back(i % 5 ? (int32_t)(random.next() % kVocabulary) : ids.empty() ? 7 : ids.back());
        probs.push_back(i % listed == listed - 1 && i % 2 ? 0.0f : (i / listed % 3 ? 0.9f : 1.0f) / (float)listed);
        nowhere.push_back(0);
    }
    const Folded in(hidden, count), out(count, kWidth);
    const es_targets targets{count, listed, nowhere.data(), ids.data(), probs.data()};
    const edgesleep::Call call{edgesleep::kRef, head, nullptr, edgesleep::layout(head.type)};
    edgesleep::head_loss(call, in.panel, targets, 0.7f, expected.data(), out.panel);

    emu::Buffer<uint8_t> source(data);
    emu::Buffer<float> states(hidden), logits(zeros((size_t)(count * kVocabulary))), dstates(zeros(hidden.size())),
        losses(zeros((size_t)count)), wanted(probs);
    emu::Buffer<int32_t> tokens(ids);
    RUN(linear, (emu::Extent{pieces(kVocabulary, kSide), pieces(count, kSide)}),
        LinearArgs{source, states, nullptr, logits, head.type, kVocabulary, kWidth, count, 0, 0});
    RUN(loss, {count}, LossArgs{tokens, wanted, logits, losses, count, listed, kVocabulary, 0.7f});
    RUN(linear, (emu::Extent{pieces(kWidth, kSide), pieces(count, kSide)}),
        LinearArgs{source, logits, nullptr, dstates, head.type, kVocabulary, kWidth, count, 1, 0});
    report.compare("cross-entropy", losses.data, expected, kScores);
    report.compare("cross-entropy, gradient", dstates.data, out.rows(), kScores);
}

void check_places(Report &report) {
    constexpr int kCount = 5, kTokens = 9, kWidth = 300;
    Random random{6};
    const std::vector<float> x = random.numbers(kTokens * kWidth);
    const std::vector<int32_t> wanted{8, 0, 3, 3, 1};
    std::vector<float> rows(kCount * kWidth), sums(x);
    for (int i = 0; i < kCount; ++i)
        for (int f = 0; f < kWidth; ++f) rows[(size_t)(i * kWidth + f)] = x[(size_t)(wanted[(size_t)i] * kWidth + f)];
    for (int i = 0; i < kCount; ++i)
        for (int f = 0; f < kWidth; ++f)
            sums[(size_t)(wanted[(size_t)i] * kWidth + f)] += rows[(size_t)(i * kWidth + f)];
    emu::Buffer<float> from(x), to(zeros(rows.size())), twice(x);
    emu::Buffer<int32_t> own(wanted);
    RUN(places, (emu::Extent{pieces(kWidth, kThreads), kCount}), PlacesArgs{from, own, to, kTokens, kCount, kWidth, 0});
    RUN(places, (emu::Extent{pieces(kWidth, kThreads), kTokens}),
        PlacesArgs{to, own, from, kTokens, kCount, kWidth, 1});
    report.compare("chosen places", to.data, rows, 0);
    report.compare("chosen places, gradient", from.data, sums, 0);
    RUN(add, {pieces(kTokens * kWidth, kThreads)}, AddArgs{twice, from, from, kTokens * kWidth});
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += x[i];
    report.compare("sums", from.data, sums, 0);
}

// --- attention

// Three rows with a common beginning of `shared` tokens.
struct Rows {
    edgesleep::Pack pack;
    std::vector<int32_t> first, shared_first;

    Rows(int tokens, int shared, int window) {
        pack.tokens = tokens;
        pack.shared = shared;
        pack.blocks = edgesleep::blocks_of(tokens);
        for (int i = 0; i < pack.blocks * edgesleep::kTokens; ++i) {
            const int row = shared + (i - shared) / 21 * 21;
            pack.starts.push_back(i >= tokens ? i : i < shared ? 0 : row);
        }
        for (int i = 0; i < tokens; ++i) {
            const int start = pack.starts[(size_t)i], position = (int)pack.position(i);
            first.push_back(window ? std::max(start, i - window + 1) : start);
            shared_first.push_back(i < shared ? shared : window ? std::max(position - window + 1, 0) : 0);
        }
    }
};

void check_rows(Report &report, int tokens, int shared, int window, int heads, int kv_heads, int width) {
    Random random{7};
    const size_t queries = (size_t)(tokens * heads * width), keys = (size_t)(tokens * kv_heads * width);
    const std::vector<float> q = random.numbers(queries), k = random.numbers(keys), v = random.numbers(keys),
                             dmixed = random.numbers(queries);
    const Rows rows(tokens, shared, window);
    const float scale = 0.7f;
    const edgesleep::Attention shape{edgesleep::kRef, heads, kv_heads, width, scale, window, rows.pack};
    const Folded fq(q, tokens), fk(k, tokens), fv(v, tokens), fd(dmixed, tokens), fmixed(tokens, heads * width),
        fdq(tokens, heads * width), fdk(tokens, kv_heads * width), fdv(tokens, kv_heads * width);
    std::vector<float> log_totals((size_t)(rows.pack.blocks * heads * edgesleep::kTokens));
    edgesleep::Buffer scratch;
    edgesleep::attend(shape, fq.panel, fk.panel, fv.panel, fmixed.panel, log_totals.data());
    edgesleep::attend_back(shape, fq.panel, fk.panel, fv.panel, fmixed.panel, fd.panel, log_totals.data(), fdq.panel,
                           fdk.panel, fdv.panel, scratch);

    emu::Buffer<float> eq(q), ek(k), ev(v), ed(dmixed), emixed(zeros(queries)), edq(zeros(queries)), edk(zeros(keys)),
        edv(zeros(keys)), total(zeros((size_t)(tokens * heads))), mean(zeros((size_t)(tokens * heads)));
    emu::Buffer<int32_t> first(rows.first), shared_first(rows.shared_first);
    const int tiles = pieces(tokens, kQueries);
    const AttentionArgs args{eq,  ek,  ev,  first,  shared_first, emixed,   total, mean,   ed,
                             edq, edk, edv, tokens, heads,        kv_heads, width, shared, scale};
    RUN(attend, (emu::Extent{tiles, heads}), args);
    RUN(dots, {tokens * heads}, DotsArgs{emixed, ed, mean, tokens * heads, width});
    RUN(attend_back_queries, (emu::Extent{tiles, heads}), args);
    RUN(attend_back_keys, (emu::Extent{tiles, kv_heads}), args);
    report.compare("attention", emixed.data, fmixed.rows(), kScores);
    report.compare("attention, gradient", edq.data, fdq.rows(), kScores);
    report.compare("attention, gradient", edk.data, fdk.rows(), kScores);
    report.compare("attention, gradient", edv.data, fdv.rows(), kScores);
}

}  // namespace

void check_layers(Report &report) {
    check_norm(report, 3, 576);
    check_norm(report, 17, 40);
    check_turn(report, 5, 3, 80, 40, true);
    check_turn(report, 2, 2, 80, 16, false);
    for (bool gelu : {false, true}) check_gate(report, 37, gelu);
    check_adam(report);
    check_loss(report, 7, 1);
    check_loss(report, 19, 4);
    check_places(report);
}

void check_attention(Report &report) {
    check_rows(report, 53, 0, 0, 2, 1, 40);
    check_rows(report, 70, 19, 0, 4, 2, 16);
    check_rows(report, 75, 33, 9, 2, 2, 80);
    check_rows(report, 5, 0, 2, 1, 1, 256);
}

}  // namespace edgesleep_device
