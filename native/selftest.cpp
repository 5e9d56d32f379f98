// A self-test of the kernels, to be built with sanitizers or for an emulator.
//
// Owns the properties that a stray read or an undefined shift would break, and those of processors that are not
// at hand. Leaves the comparison with ggml to tests/test_kernel.py. Must stay true: every array has exactly the size
// the ABI asks for, so that one byte too many is seen; a kernel that does not run here is not named in the output.
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "tiles.h"

using namespace edgesleep;

namespace {

std::map<std::string, int> failures;  // by the kernel that was selected

const char *current() {
    const char *name = es_selected();
    return name ? name : "no kernel";
}

#define EXPECT(condition) \
    if (!(condition)) ++failures[current()], std::printf("%s: %s:%d: %s\n", current(), __FILE__, __LINE__, #condition)

struct Random {
    uint64_t state;
    uint32_t next() { return (uint32_t)((state = state * 6364136223846793005u + 1442695040888963407u) >> 32); }
    float number(float size) { return ((float)(next() >> 8) * 0x1p-23f - 1.0f) * size; }
};

constexpr int kTypes[] = {F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};

struct Case {
    es_matrix w;
    es_adapter adapter;
    std::vector<uint8_t> data;
    std::vector<float> a, b;

    Case(int type, int64_t rows, int64_t blocks, int rank, Random random) {
        int32_t weights, bytes;
        es_block(type, &weights, &bytes);
        const int64_t cols = blocks * weights;
        data.resize((size_t)(rows * blocks * bytes));
        for (uint8_t &byte : data) byte = (uint8_t)random.next();
        // Every even place may be a scale or a weight: an exponent below the top keeps it finite.
        for (size_t i = 1; i < data.size(); i += 2) data[i] &= 0xbb;
        a.resize((size_t)(rank * cols));
        b.resize((size_t)(rows * rank));
        for (float &value : a) value = random.number(0.5f);
        for (float &value : b) value = random.number(0.5f);
        w = {type, rows, cols, data.data(), random.next()};
        adapter = {rank, -1.5f, a.data(), b.data()};
    }
};

struct Results {
    std::vector<float> effective, y, dx, y8, dx8;
    std::vector<uint16_t> bf16;
    std::vector<uint8_t> packed;
    es_moves moves{};

    bool operator==(const Results &other) const {
        return same(effective, other.effective) && same(y, other.y) && same(dx, other.dx) && same(y8, other.y8) &&
               same(dx8, other.dx8) && bf16 == other.bf16 && packed == other.packed &&
               moves.moved == other.moves.moved && moves.clamped == other.moves.clamped;
    }
    static bool same(const std::vector<float> &x, const std::vector<float> &y) {
        return x.size() == y.size() && !std::memcmp(x.data(), y.data(), x.size() * sizeof(float));
    }
};

Results all_operations(const Case &test) {
    const int64_t n = test.w.rows == 64 ? 37 : 13;  // a pair of token blocks and a part of one, or that part alone
    const size_t weights = (size_t)(test.w.rows * test.w.cols);
    Results r;
    r.effective.resize(weights);
    r.bf16.resize(weights);
    r.packed.resize(test.data.size());
    r.y.resize((size_t)(n * test.w.rows));
    r.dx.resize((size_t)(n * test.w.cols));
    r.y8.resize(r.y.size());
    r.dx8.resize(r.dx.size());
    std::vector<float> x(r.dx.size()), dy(r.y.size());
    Random random{5};
    for (float &value : x) value = random.number(1.0f);
    for (float &value : dy) value = random.number(1.0f);
    EXPECT(es_effective(&test.w, &test.adapter, 0, test.w.rows, r.effective.data()) == ES_OK);
    EXPECT(es_effective_bf16(&test.w, &test.adapter, 0, test.w.rows, r.bf16.data()) == ES_OK);
    EXPECT(es_merge(&test.w, &test.adapter, 0, test.w.rows, r.packed.data(), &r.moves) == ES_OK);
    EXPECT(es_linear(&test.w, &test.adapter, 1, x.data(), n, r.y.data()) == ES_OK);
    EXPECT(es_linear_grad(&test.w, &test.adapter, 1, dy.data(), n, r.dx.data()) == ES_OK);
    EXPECT(es_linear(&test.w, &test.adapter, 0, x.data(), n, r.y8.data()) == ES_OK);
    if (test.w.rows % kDots) return r;  // the gradient would be the exact one
    EXPECT(es_linear_grad(&test.w, &test.adapter, 0, dy.data(), n, r.dx8.data()) == ES_OK);
    return r;
}

// Every kernel against ref, whose results are given back.
Results check_case(const Case &test, int threads) {
    es_set_threads(1);
    EXPECT(es_select("ref") == ES_OK);
    const Results reference = all_operations(test);
    es_set_threads(threads);
    for (int i = 0; i < es_kernel_count(); ++i) {
        if (!es_kernel_runs(i)) continue;
        EXPECT(es_select(es_kernel_name(i)) == ES_OK);
        EXPECT(all_operations(test) == reference);
        es_matrix merged = test.w;
        merged.data = reference.packed.data();
        std::vector<float> weights(reference.effective.size());
        EXPECT(es_dequantize(&merged, 0, test.w.rows, weights.data()) == ES_OK);
        EXPECT(Results::same(weights, reference.effective));
        std::vector<uint8_t> same(test.data.size());
        es_moves moves;
        EXPECT(es_merge(&test.w, nullptr, 0, test.w.rows, same.data(), &moves) == ES_OK);
        EXPECT(same == test.data && moves.moved == 0);
    }
    return reference;
}

// Shapes that straddle blocks, strips, vectors and the rows done together.
void check_shapes() {
    for (int type : kTypes) {
        int32_t weights, bytes;
        es_block(type, &weights, &bytes);
        const int64_t long_row = 289 / weights + 1;
        for (int rank : {0, 1, 33})
            for (int64_t rows : {1, 3, 35, 64, 67}) {
                const Random random{(uint64_t)(type * 1000 + rows * 10 + rank)};
                check_case(Case(type, rows, rows == 3 ? 1 : long_row, rank, random), 3);
            }
    }
}

// Products in 8 bits without a matrix around them; every array ends where the job does.
struct Dots {
    std::vector<uint8_t> a, b;
    std::vector<float> step, offset, scale, sum, c;
    DotJob job{};

    // Codes from 0 to `most` and from -input to input, a quarter of them as large as can be.
    Dots(int rows, int groups, int64_t blocks, bool turned, int fours, int most, int input, Random random) {
        const TileStrides stride = kTileStrides[turned];
        const int64_t room = (groups + 1) * kTokens, c_room = (rows + 1) * kTokens;  // more than is used
        const auto end = [](int64_t n, int64_t from, int64_t m, int64_t to) {
            return (size_t)((n - 1) * from + m * to);
        };
        const auto code = [&](int size) {
            return random.next() % 4 ? (int)(random.next() % (uint32_t)(size + 1)) : size;
        };
        a.resize(end(rows, stride.row, groups * kDots / 4 - 1, stride.four) + 4);
        b.resize(end(blocks, room * kDots, groups, kTokens * kDots));
        for (uint8_t &byte : a) byte = (uint8_t)code(most);
        for (uint8_t &byte : b) byte = (uint8_t)(random.next() % 2 ? code(input) : -code(input));
        step.resize(end(rows, stride.step_row, groups - 1, stride.step_group) + 1);
        scale.resize(end(blocks, room, groups, kTokens));
        offset.resize(step.size());
        sum.resize(scale.size());
        c.resize(end(blocks, c_room, rows, kTokens));
        for (auto *values : {&step, &offset, &scale, &sum, &c})
            for (float &value : *values) value = random.number(1.0f);
        job = {rows,     groups,       fours,      blocks,       turned, a.data(), step.data(), offset.data(),
               b.data(), scale.data(), sum.data(), room * kDots, room,   nullptr,  c_room};
    }

    std::vector<float> with(const char *kernel) {
        std::vector<float> found = c;
        EXPECT(es_select(kernel) == ES_OK);
        job.c = found.data();
        selected()->dots(job);
        return found;
    }
};

// With any number of rows that the groups of a kernel leave over.
void check_dots() {
    constexpr int kSizes[][3] = {{8, 15, kInputMost}, {4, 31, kInputMost}, {8, 2 * kWeightMost, kGradientMost}};
    Random random{13};
    for (const auto &[fours, most, input] : kSizes)
        for (int rows : {1, 2, 3, 4, 5, 6, 7, 11, kPiece})
            for (int groups : {1, 3, kStrip / kDots})
                for (bool turned : {false, true}) {
                    const int64_t blocks = 1 + random.next() % 3;
                    Dots dots(rows, groups, blocks, turned, fours, most, input, Random{random.next()});
                    const std::vector<float> reference = dots.with("ref");
                    for (int i = 0; i < es_kernel_count(); ++i)
                        if (es_kernel_runs(i)) EXPECT(Results::same(dots.with(es_kernel_name(i)), reference));
                }
}

// Twice, so that both moments are not zero.
void check_adam() {
    constexpr int kCount = 37;
    std::vector<std::vector<float>> found;
    for (int i = 0; i < es_kernel_count(); ++i) {
        if (!es_kernel_runs(i)) continue;
        EXPECT(es_select(es_kernel_name(i)) == ES_OK);
        Random random{17};
        std::vector<float> gradient(kCount), state(3 * kCount);
        for (float &g : gradient) g = random.number(1.0f);
        float *value = state.data();
        for (int step = 0; step < 2; ++step)
            selected()->layers.adam({kCount, 1e-3f, 0.9f, 0.99f, 1e-8f, 10.0f, 100.0f, 0.5f, gradient.data(), value,
                                     value + kCount, value + 2 * kCount});
        found.push_back(state);
        EXPECT(value[0] != 0.0f && Results::same(state, found.front()));
    }
}

// FNV-1a.
template <class T>
void add_to(uint64_t &digest, const std::vector<T> &values) {
    const uint8_t *at = (const uint8_t *)values.data();
    for (size_t i = 0; i < values.size() * sizeof(T); ++i) digest = (digest ^ at[i]) * 0x100000001b3u;
}

// `count` small tensors of every type; the digest of all results, which no processor may change.
uint64_t check_tensors(int count) {
    uint64_t digest = 0xcbf29ce484222325u;
    Random random{7};
    for (int type : kTypes) {
        int32_t weights, bytes;
        es_block(type, &weights, &bytes);
        const uint32_t longest = 320 / (uint32_t)weights + 1;
        for (int i = 0; i < count; ++i) {
            const int64_t rows = i % 8 ? 1 + random.next() % 7 : kDots, blocks = 1 + random.next() % longest;
            const int rank = (int)(random.next() % 9), size = (int)(random.next() % 16) - 10;
            Case test(type, rows, blocks, rank, Random{random.next()});
            // From deltas that move hardly any code to deltas that clamp nearly all.
            test.adapter.scale = std::ldexp(random.number(1.0f), size);
            const Results results = check_case(test, 1);
            add_to(digest, results.packed);
            add_to(digest, results.effective);
            add_to(digest, results.bf16);
            add_to(digest, results.y);
            add_to(digest, results.dx);
            add_to(digest, results.y8);
            add_to(digest, results.dx8);
        }
    }
    return digest;
}

void check_refusals() {
    Case test(Q4_1, 5, 3, 2, Random{1});
    std::vector<float> out((size_t)(test.w.rows * test.w.cols));
    const float good = test.a[7];
    for (float bad : {NAN, INFINITY, -INFINITY, std::numeric_limits<float>::max()}) {
        test.a[7] = bad;
        EXPECT(es_effective(&test.w, &test.adapter, 0, 5, out.data()) == ES_ADAPTER);
    }
    test.a[7] = good;
    EXPECT(es_effective(&test.w, &test.adapter, 0, 6, out.data()) == ES_SHAPE);
    EXPECT(es_effective(&test.w, &test.adapter, -1, 5, out.data()) == ES_SHAPE);
    const int64_t outside[] = {0, 5};
    EXPECT(es_gather(&test.w, outside, 2, out.data()) == ES_SHAPE);
    test.data[1] = 0x7c;  // the first block's scale: infinity or NaN
    EXPECT(es_effective(&test.w, &test.adapter, 0, 5, out.data()) == ES_WEIGHT);
    test.w.type = 99;
    EXPECT(es_effective(&test.w, &test.adapter, 0, 5, out.data()) == ES_TYPE);
    EXPECT(es_select("abacus") == ES_KERNEL);
}

// A model of two layers with every optional part, its factors and two rows of tokens with a common beginning.
struct Model {
    static constexpr int kWidth = 64, kHidden = 96, kVocabulary = 100, kHeadWidth = 32, kRank = 3, kTokens = 29;
    std::vector<Case> matrices;  // of two layers, then the embedding
    std::vector<std::vector<float>> vectors, gradients;
    std::vector<double> turns;
    std::vector<int32_t> tokens, starts, places, ids;
    std::vector<float> probs;
    std::vector<es_layer> layers;
    std::vector<es_trained> trained;
    es_network *net = nullptr;

    Model(Random random, int exact) {
        const int queries = 4 * kHeadWidth, keys = 2 * kHeadWidth;
        const int sizes[ES_MATRICES][2] = {{queries, kWidth}, {keys, kWidth},    {keys, kWidth},   {kWidth, queries},
                                           {kHidden, kWidth}, {kHidden, kWidth}, {kWidth, kHidden}};
        for (int i = 0; i < 2 * ES_MATRICES; ++i)
            matrices.emplace_back(Q4_1, sizes[i % ES_MATRICES][0], sizes[i % ES_MATRICES][1] / 32, kRank,
                                  Random{random.next()});
        matrices.emplace_back(Q8_0, kVocabulary, kWidth / 32, 0, Random{random.next()});
        for (int i = 0; i < 4; ++i)
            vectors.emplace_back((size_t)(i == 1 ? kHeadWidth : i == 2 ? queries : kWidth), 1.0f);
        for (int j = 0; j < kHeadWidth / 2; ++j) turns.push_back(std::pow(1e4, -2.0 * j / kHeadWidth));
        for (int i = 0; i < kTokens; ++i) {
            tokens.push_back((int32_t)(random.next() % kVocabulary));
            starts.push_back(i < 7 ? 0 : i < 18 ? 7 : 18);
        }
        places = {0, 6, 6, 17, 28};
        for (size_t i = 0; i < 2 * places.size(); ++i) {
            ids.push_back((int32_t)(random.next() % kVocabulary));
            probs.push_back(0.4f);
        }
        for (Case &one : matrices)
            for (float &value : one.b) value *= 0.01f;
        begin(exact);
    }
    ~Model() { es_network_free(net); }

    void begin(int exact) {
        for (int l = 0; l < 2; ++l) {
            es_layer layer{};
            for (int i = 0; i < ES_MATRICES; ++i) layer.matrices[i] = matrices[(size_t)(l * ES_MATRICES + i)].w;
            layer.biases[ES_Q] = vectors[2].data();
            for (int i = 0; i < ES_NORMS; ++i)
                layer.norms[i] = vectors[i == ES_Q_NORM || i == ES_K_NORM ? 1 : 0].data();
            layers.push_back(layer);
        }
        for (int i = 0; i < 2 * ES_MATRICES; ++i) {
            const Case &one = matrices[(size_t)i];
            gradients.emplace_back(one.a.size());
            gradients.emplace_back(one.b.size());
            trained.push_back({one.adapter, gradients[(size_t)(2 * i)].data(), gradients[(size_t)(2 * i + 1)].data()});
        }
        const es_shape shape{2, kWidth, 4,     2,    kHeadWidth, kHeadWidth,   1,           1,
                             5, 2,      1e-6f, 0.2f, 2.0f,       turns.data(), turns.data()};
        int error;
        net = es_network_new(&shape, layers.data(), &matrices.back().w, &matrices.back().w, vectors[0].data(), exact,
                             &error);
        EXPECT(net && error == ES_OK);
    }

    std::vector<float> learn(int copy, int remember) {
        for (auto &gradient : gradients) std::fill(gradient.begin(), gradient.end(), 0.0f);
        std::vector<float> result(places.size());
        const es_batch batch{kTokens, 7, tokens.data(), starts.data()};
        const es_targets targets{(int64_t)places.size(), 2, places.data(), ids.data(), probs.data()};
        EXPECT(es_network_attach(net, trained.data(), copy, remember) == ES_OK);
        EXPECT(es_network_round(net, 0, 1) == ES_OK && es_network_round(net, 1, 2) == ES_OK);
        EXPECT(es_network_learn(net, &batch, &targets, 1.0f, result.data()) == ES_OK);
        for (const auto &gradient : gradients) result.insert(result.end(), gradient.begin(), gradient.end());
        std::vector<int32_t> found(places.size() * 9);
        std::vector<float> likely(found.size()), logits((size_t)(kTokens * kVocabulary));
        EXPECT(es_network_top(net, &batch, places.data(), 5, 9, found.data(), likely.data()) == ES_OK);
        EXPECT(es_network_logits(net, &batch, logits.data()) == ES_OK);
        result.insert(result.end(), likely.begin(), likely.end());
        return result;
    }

    // Three texts: the first tokens shared, the others in turns, to the end of their room and past the window.
    std::vector<float> write() {
        constexpr int kShared = 3, kTexts = 3, kRoom = 11;
        std::vector<float> logits((size_t)(kTexts * kVocabulary));
        std::vector<int32_t> texts(kShared), ends;
        EXPECT(es_network_write(net, kTexts, kRoom) == ES_OK);
        EXPECT(es_network_extend(net, kShared, tokens.data(), texts.data(), nullptr, 0, nullptr) == ES_OK);
        EXPECT(es_network_share(net, kTexts) == ES_OK);
        texts.clear();
        for (int i = kShared; i < kShared + kTexts * (kRoom - kShared); ++i) texts.push_back(i % kTexts);
        for (int i = 0; i < kTexts; ++i) ends.push_back((int32_t)texts.size() - 1 - i);
        const auto extend = [&](int64_t count, const int32_t *own, const int32_t *places) {
            return es_network_extend(net, count, tokens.data() + kShared, own, places, kTexts, logits.data());
        };
        const int32_t outside[] = {0, 1, (int32_t)texts.size()}, stranger[] = {kTexts};
        EXPECT(extend((int64_t)texts.size(), texts.data(), outside) == ES_SHAPE);
        EXPECT(extend(1, stranger, outside) == ES_SHAPE);
        EXPECT(extend((int64_t)texts.size(), texts.data(), ends.data()) == ES_OK);
        EXPECT(es_network_extend(net, 1, tokens.data(), texts.data(), nullptr, 0, nullptr) == ES_SHAPE);  // it is full
        EXPECT(es_network_share(net, kTexts + 1) == ES_SHAPE && es_network_write(net, 0, 1) == ES_SHAPE);
        EXPECT(es_network_write(net, INT32_MAX, INT32_MAX) == ES_MEMORY);
        EXPECT(es_network_extend(net, 1, tokens.data(), texts.data(), nullptr, 0, nullptr) == ES_SHAPE);
        return logits;
    }
};

void check_network(int exact) {
    std::vector<float> first, written;
    for (int i = 0; i < es_kernel_count(); ++i) {
        if (!es_kernel_runs(i)) continue;
        EXPECT(es_select(es_kernel_name(i)) == ES_OK);
        for (int threads : {1, 3}) {
            es_set_threads(threads);
            Model model(Random{11}, exact);
            const std::vector<float> found = model.learn(1, 1);
            for (float value : found) EXPECT(finite(value));
            if (first.empty()) first = found;
            EXPECT(Results::same(found, first));
            EXPECT(Results::same(model.learn(0, 1), first));  // formed anew, the weights are the same
            const std::vector<float> said = model.write();
            for (float value : said) EXPECT(finite(value));
            if (written.empty()) written = said;
            EXPECT(Results::same(said, written));
            EXPECT(Results::same(model.learn(1, 1), first));  // and training goes on
            model.learn(0, 0);
            model.starts[20] = 3;
            const es_batch bad{Model::kTokens, 7, model.tokens.data(), model.starts.data()};
            std::vector<float> logits((size_t)(Model::kTokens * Model::kVocabulary));
            EXPECT(es_network_logits(model.net, &bad, logits.data()) == ES_SHAPE);
        }
    }
}

// Every 16-bit float comes back from f32, and halfway values go to even.
void check_halves() {
    for (uint32_t h = 0; h < 0x7c00; ++h) {
        EXPECT(to_half(from_half((uint16_t)h)) == h && to_half(-from_half((uint16_t)h)) == (h | 0x8000));
        if (h + 1 == 0x7c00) continue;
        const float middle = (from_half((uint16_t)h) + from_half((uint16_t)(h + 1))) / 2;
        EXPECT(to_half(middle) == h + (h & 1));
        EXPECT(to_half(std::nextafter(middle, INFINITY)) == h + 1);
        EXPECT(to_half(std::nextafter(middle, 0.0f)) == h);
    }
    EXPECT(to_half(65519.996f) == 0x7bff && to_half(65520.0f) == 0x7c00);
}

void check_dither() {
    double sum = 0;
    constexpr int count = 1 << 20;
    for (int j = 0; j < count; ++j) {
        const float u = dither(row_key(3, j >> 10), j & 1023);
        EXPECT(u > 0.0f && u < 1.0f);
        sum += u;
    }
    EXPECT(std::fabs(sum / count - 0.5) < 5 * std::sqrt(1.0 / 12 / count));
}

void check_all(int tensors) {
    check_halves();
    check_dither();
    check_refusals();
    check_adam();
    check_network(1);
    check_network(0);
    check_shapes();
    std::printf("%d tensors of each type: %016" PRIx64 "\n", tensors, check_tensors(tensors));
}

}  // namespace

// The argument is the number of random tensors of each type; 0 checks the products in 8 bits and nothing else.
int main(int count, char **arguments) {
    std::printf("selected: %s\n", current());
    const int tensors = count > 1 ? std::atoi(arguments[1]) : 20;
    check_dots();
    if (tensors) check_all(tensors);
    for (int i = 0; i < es_kernel_count(); ++i)
        if (es_kernel_runs(i)) std::printf("%s: %d failures\n", es_kernel_name(i), failures[es_kernel_name(i)]);
    for (const auto &[name, found] : failures)
        if (found) return 1;
    return 0;
}
