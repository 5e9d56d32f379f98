// A self-test of the kernels, to be built with sanitizers.
//
// Owns the properties that a stray read or an undefined shift would break.
// Leaves the comparison with ggml to tests/test_kernel.py. Must stay true: every
// array has exactly the size the ABI asks for, so that one byte too many is seen.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include "blocks.h"

using namespace edgesleep;

namespace {

int failures = 0;

#define EXPECT(condition) \
    if (!(condition)) ++failures, std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition)

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
    std::vector<float> effective, y, dx;
    std::vector<uint16_t> bf16;
    std::vector<uint8_t> packed;
    es_moves moves{};

    bool operator==(const Results &other) const {
        return same(effective, other.effective) && same(y, other.y) && same(dx, other.dx) && bf16 == other.bf16 &&
               packed == other.packed && moves.moved == other.moves.moved && moves.clamped == other.moves.clamped;
    }
    static bool same(const std::vector<float> &x, const std::vector<float> &y) {
        return x.size() == y.size() && !std::memcmp(x.data(), y.data(), x.size() * sizeof(float));
    }
};

Results all_operations(const Case &test) {
    constexpr int64_t n = 13;
    const size_t weights = (size_t)(test.w.rows * test.w.cols);
    Results r;
    r.effective.resize(weights);
    r.bf16.resize(weights);
    r.packed.resize(test.data.size());
    r.y.resize((size_t)(n * test.w.rows));
    r.dx.resize((size_t)(n * test.w.cols));
    std::vector<float> x(r.dx.size()), dy(r.y.size());
    Random random{5};
    for (float &value : x) value = random.number(1.0f);
    for (float &value : dy) value = random.number(1.0f);
    EXPECT(es_effective(&test.w, &test.adapter, 0, test.w.rows, r.effective.data()) == ES_OK);
    EXPECT(es_effective_bf16(&test.w, &test.adapter, 0, test.w.rows, r.bf16.data()) == ES_OK);
    EXPECT(es_merge(&test.w, &test.adapter, 0, test.w.rows, r.packed.data(), &r.moves) == ES_OK);
    EXPECT(es_linear(&test.w, &test.adapter, x.data(), n, r.y.data()) == ES_OK);
    EXPECT(es_linear_grad(&test.w, &test.adapter, dy.data(), n, r.dx.data()) == ES_OK);
    return r;
}

void check_case(int type, int64_t rows, int64_t blocks, int rank) {
    const Case test(type, rows, blocks, rank, Random{(uint64_t)(type * 1000 + rows * 10 + rank)});
    es_set_threads(1);
    EXPECT(es_select("ref") == ES_OK);
    const Results reference = all_operations(test);
    es_set_threads(3);
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

// Every 16-bit float comes back from f32, and halfway values go to even.
void check_halves() {
    for (uint32_t h = 0; h < 0x7c00; ++h) {
        EXPECT(to_half(half((uint16_t)h)) == h && to_half(-half((uint16_t)h)) == (h | 0x8000));
        if (h + 1 == 0x7c00) continue;
        const float middle = (half((uint16_t)h) + half((uint16_t)(h + 1))) / 2;
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

}  // namespace

int main() {
    check_halves();
    check_dither();
    check_refusals();
    for (int type : kTypes) {
        int32_t weights, bytes;
        es_block(type, &weights, &bytes);
        const int64_t long_row = 289 / weights + 1;
        for (int rank : {0, 1, 16, 33})
            for (int64_t rows : {1, 3, 4, 35, 67}) check_case(type, rows, rows == 3 ? 1 : long_row, rank);
    }
    std::printf("%s: %d failures\n", es_selected(), failures);
    return failures != 0;
}
