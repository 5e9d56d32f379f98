// The device's kernels against ref, on the emulator: the emulator itself, and everything that reads weights.
//
// Owns planted mistakes that have to be found, and packed bytes, rows and products of every type. Leaves layers and
// attention to selftest_layers.cpp. Must stay true: sizes lie off the edge of every tile; bytes and products are equal,
// not close.
#include "run.h"

#include "../kernel.h"

namespace edgesleep_device {
namespace {

constexpr int kTypes[] = {F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};

// --- mistakes

struct Planted {
    Global<float> data;
};
struct PlantedShared {
    Tile<float, kThreads> tile;
};

void neighbour(const Planted &args, Place place, PlantedShared &shared) {
    shared.tile[place.worker] = (float)place.worker;
    barrier();
    args.data[place.worker] = shared.tile[(place.worker + 1) % kThreads];
}
void without_barrier(const Planted &args, Place place, PlantedShared &shared) {
    shared.tile[place.worker] = (float)place.worker;
    args.data[place.worker] = shared.tile[(place.worker + 1) % kThreads];
}
void one_place(const Planted &args, Place, PlantedShared &) { args.data[0] = 1.0f; }
void one_place_by_blocks(const Planted &args, Place place, PlantedShared &) {
    if (place.worker == 0) args.data[0] = (float)args.data[0] + 1.0f;
}
void too_far(const Planted &args, Place place, PlantedShared &) { args.data[place.worker + 1] = 1.0f; }
void too_far_in_tile(const Planted &, Place place, PlantedShared &shared) { shared.tile[place.worker + 1] = 1.0f; }
void some_at_barrier(const Planted &, Place place, PlantedShared &) {
    if (place.worker < 7) barrier();
}
void unwritten(const Planted &args, Place place, PlantedShared &shared) {
    args.data[place.worker] = shared.tile[place.worker];
}

void plant(Report &report, void (*body)(const Planted &, Place, PlantedShared &), int blocks, const char *expected) {
    emu::Buffer<float> data{std::vector<float>(kThreads)};
    run("planted", body, {blocks}, Planted{data});
    bool found = !*expected;
    const std::vector<std::string> failures = emu::failures();
    for (const std::string &failure : failures) found |= failure.find(expected) != std::string::npos;
    if (!*expected) found = failures.empty();
    report.expect(*expected ? (std::string("planted is found: ") + expected).c_str() : "a sound kernel passes", found);
}

// --- weights

struct Case {
    es_matrix w{};
    es_adapter adapter{};
    std::vector<uint8_t> data;
    std::vector<float> a, b;

    Case(int type, int64_t rows, int64_t blocks, int rank, Random random) {
        int32_t weights, bytes;
        es_block(type, &weights, &bytes);
        data.resize((size_t)(rows * blocks * bytes));
        for (uint8_t &byte : data) byte = (uint8_t)random.next();
        // Every even place may be a scale or a weight: an exponent below the top keeps it finite.
        for (size_t i = 1; i < data.size(); i += 2) data[i] &= 0xbb;
        a = random.numbers((size_t)(rank * blocks * weights), 0.5f);
        b = random.numbers((size_t)(rows * rank), 0.5f);
        w = {type, rows, blocks * weights, data.data(), random.next()};
        adapter = {rank, -1.5f, a.data(), b.data()};
    }
};

std::vector<float> floats_of(const std::vector<uint8_t> &bytes) { return {bytes.begin(), bytes.end()}; }

void check_round(Report &report, const Case &test) {
    const int rows = (int)test.w.rows, cols = (int)test.w.cols;
    std::vector<uint8_t> expected(test.data.size());
    es_moves moves{};
    const int error = es_merge(&test.w, &test.adapter, 0, rows, expected.data(), &moves);
    emu::Buffer<uint8_t> source(test.data), packed{std::vector<uint8_t>(test.data.size())};
    emu::Buffer<float> a(test.a), b(test.b);
    const emu::Extent grid{pieces(cols, kThreads), pieces(rows, kRoundRows)};
    emu::Buffer<int32_t> damaged{std::vector<int32_t>((size_t)(grid.x * grid.y), 7)};
    RUN(round_weights, grid,
        RoundArgs{source, a, b, packed, damaged, test.w.seed, test.w.type, rows, cols, test.adapter.rank,
                  test.adapter.scale, 0});
    int bad = 0;
    for (int32_t one : damaged.data) bad |= one;
    report.expect("damage is told", bad == (error == ES_WEIGHT));
    if (!error) report.compare("round: packed bytes of every type", floats_of(packed.data), floats_of(expected), 0);
}

void check_rows(Report &report, const Case &test) {
    const std::vector<int64_t> ids{test.w.rows - 1, 0, 0};
    std::vector<float> expected(ids.size() * (size_t)test.w.cols);
    es_gather(&test.w, ids.data(), (int64_t)ids.size(), expected.data());
    emu::Buffer<uint8_t> source(test.data);
    emu::Buffer<int32_t> wanted{std::vector<int32_t>(ids.begin(), ids.end())};
    emu::Buffer<float> out{std::vector<float>(expected.size())};
    RUN(read_rows, (emu::Extent{pieces(test.w.cols, kThreads * kRun), (int)ids.size()}),
        RowsArgs{source, wanted, out, test.w.type, (int)test.w.cols, (int)ids.size(), 1.0f});
    report.compare("rows of every type", out.data, expected, 0);
}

void check_linear(Report &report, const Case &test, int n) {
    const int rows = (int)test.w.rows, cols = (int)test.w.cols;
    Random random{3};
    std::vector<float> x = random.numbers((size_t)(n * cols)), dy = random.numbers((size_t)(n * rows));
    std::vector<float> y((size_t)(n * rows)), dx((size_t)(n * cols));
    es_linear(&test.w, nullptr, 1, x.data(), n, y.data());
    es_linear_grad(&test.w, nullptr, 1, dy.data(), n, dx.data());
    emu::Buffer<uint8_t> source(test.data);
    emu::Buffer<float> in(x), out{std::vector<float>(y.size())}, din(dy), dout{std::vector<float>(dx.size())};
    RUN(linear, (emu::Extent{pieces(rows, kSide), pieces(n, kSide)}),
        LinearArgs{source, in, nullptr, out, test.w.type, rows, cols, n, 0, 0});
    report.compare("linear forward of every type", out.data, y, 0);
    RUN(linear, (emu::Extent{pieces(cols, kSide), pieces(n, kSide)}),
        LinearArgs{source, din, nullptr, dout, test.w.type, rows, cols, n, 1, 0});
    report.compare("linear input gradient of every type", dout.data, dx, 0);
}

// c[rows, cols] += scale * a b, with a in either order.
void check_product(Report &report, int rows, int cols, int sum, bool turned) {
    Random random{9};
    const std::vector<float> a = random.numbers((size_t)(rows * sum)), b = random.numbers((size_t)(sum * cols)),
                             start = random.numbers((size_t)(rows * cols));
    std::vector<float> expected = start;
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < cols; ++j) {
            float total = 0.0f;
            for (int k = 0; k < sum; ++k)
                total = fmaf(a[(size_t)(turned ? k * rows + i : i * sum + k)], b[(size_t)(k * cols + j)], total);
            expected[(size_t)(i * cols + j)] += -1.5f * total;
        }
    emu::Buffer<float> left(a), right(b), out(start);
    RUN(product, (emu::Extent{pieces(cols, kSide), pieces(rows, kSide)}),
        ProductArgs{left, right, out, turned ? 1 : sum, turned ? rows : 1, cols, 1, cols, 1, rows, cols, sum, 1, -1.5f,
                    0});
    report.compare("low-rank products", out.data, expected, 0);
}

// Against the exact product of what bf16 leaves of both inputs, and of the whole.
void check_bf16(Report &report, const Case &test, int n, bool back) {
    const int rows = (int)test.w.rows, cols = (int)test.w.cols;
    const size_t outputs = (size_t)(n * (back ? cols : rows)), sum = (size_t)(back ? rows : cols);
    Random random{5};
    const std::vector<float> x = random.numbers((size_t)n * sum), held = random.numbers(outputs);
    std::vector<uint16_t> halves((size_t)(rows * cols));
    es_effective_bf16(&test.w, nullptr, 0, rows, halves.data());
    std::vector<float> expected = held;
    for (size_t i = 0; i < outputs; ++i) {
        const size_t token = i / (outputs / (size_t)n), at = i % (outputs / (size_t)n);
        double total = 0.0;
        for (size_t k = 0; k < sum; ++k)
            total += (double)from_bf16(halves[back ? k * (size_t)cols + at : at * (size_t)cols + k]) *
                     (double)from_bf16(to_bf16(x[token * sum + k]));
        expected[i] += (float)total;
    }
    emu::Buffer<uint8_t> source(test.data);
    emu::Buffer<float> in(x), out(held);
    RUN(linear_bf16, (emu::Extent{pieces(back ? cols : rows, kSide), pieces(n, kSide)}),
        LinearArgs{source, in, nullptr, out, test.w.type, rows, cols, n, back, 1});
    report.compare("linear in bf16, both ways", out.data, expected, 2e-6f);
}

}  // namespace

void check_emulator(Report &report) {
    plant(report, neighbour, 1, "");
    plant(report, without_barrier, 1, "race: read after");
    plant(report, without_barrier, 1, "shared memory is read before it is written");
    plant(report, one_place, 1, "race: two threads write");
    plant(report, one_place_by_blocks, 2, "race: ");
    plant(report, too_far, 1, "outside of a buffer");
    plant(report, too_far_in_tile, 1, "outside of shared memory");
    plant(report, some_at_barrier, 1, "a barrier that not all threads reach");
    plant(report, unwritten, 1, "shared memory is read before it is written");
}

void check_weights(Report &report) {
    for (int type : kTypes) {
        int32_t weights, bytes;
        es_block(type, &weights, &bytes);
        const int64_t long_row = 289 / weights + 1;
        for (int64_t rows : {1, 11})
            check_round(report, Case(type, rows, rows == 1 ? 1 : long_row, (int)rows % 3, Random{(uint64_t)type}));
        Case clamped(type, 3, 1, 5, Random{2});
        clamped.adapter.scale = 1e4f;
        check_round(report, clamped);
        clamped.adapter.rank = 0;
        check_round(report, clamped);
        check_rows(report, Case(type, 5, long_row, 0, Random{4}));
        check_linear(report, Case(type, 67, type == Q6_K ? 1 : 96 / (weights > 96 ? 96 : weights), 0, Random{6}), 5);
    }
    check_linear(report, Case(Q4_1, 130, 5, 0, Random{8}), 67);
    for (bool back : {false, true}) {
        check_bf16(report, Case(Q4_K, 70, 1, 0, Random{9}), 3, back);
        check_bf16(report, Case(Q5_0, 35, 3, 0, Random{10}), 65, back);
    }
    Case broken(Q4_1, 5, 3, 2, Random{1});
    broken.data[1] = 0x7c;  // a scale that is no number
    check_round(report, broken);
    for (bool turned : {false, true}) {
        check_product(report, 67, 3, 130, turned);
        check_product(report, 3, 70, 17, turned);
    }
}

}  // namespace edgesleep_device

int main() {
    using namespace edgesleep_device;
    Report report;
    es_set_threads(1);
    report.expect("ref is the other side", es_select("ref") == ES_OK);
    check_emulator(report);
    check_weights(report);
    check_layers(report);
    check_attention(report);
    check_network(report);
    return report.finish();
}
