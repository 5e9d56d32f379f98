// Kernels of device/ on the emulator, and how far their results are from the processor's.
//
// Owns the launch with shared memory of a kernel's own type and the comparison. Leaves what is compared to the
// self-test's files. Must stay true: include it first, since it chooses the dialect.
#pragma once

#define EDGESLEEP_EMULATED
#include "emulator.h"
#include "../device/kernels.h"

#include <math.h>
#include <stdio.h>

namespace edgesleep_device {

template <class Args, class Shared>
void run(const char *name, void (*body)(const Args &, Place, Shared &), emu::Extent grid, const Args &args) {
    std::unique_ptr<Shared> shared;
    emu::launch(
        name, grid, kThreads, [&] { shared = std::make_unique<Shared>(); },
        [&](int x, int y, int z, int worker) { body(args, {x, y, z, worker}, *shared); });
}
#define RUN(body, grid, ...) run(#body, body, grid, __VA_ARGS__)

struct Random {
    uint64_t state;
    uint32_t next() { return (uint32_t)((state = state * 6364136223846793005u + 1442695040888963407u) >> 32); }
    float number(float size) { return ((float)(next() >> 8) * 0x1p-23f - 1.0f) * size; }
    std::vector<float> numbers(size_t count, float size = 1.0f) {
        std::vector<float> made(count);
        for (float &value : made) value = number(size);
        return made;
    }
};

// Collects the largest difference of each operation; ends with 1 where one is beyond its tolerance.
class Report {
public:
    // Differences are shares of the largest value there is. A tolerance of 0 means: the same bits.
    void compare(const char *what, const std::vector<float> &found, const std::vector<float> &expected,
                 float tolerance) {
        float most = 0.0f, apart = found.size() == expected.size() ? 0.0f : INFINITY;
        for (float value : expected) most = fmaxf(most, fabsf(value));
        for (size_t i = 0; apart < INFINITY && i < found.size(); ++i) {
            const float by = fabsf(found[i] - expected[i]) / most;
            if (found[i] != expected[i]) apart = by == by ? fmaxf(apart, by) : INFINITY;
        }
        note(what, apart, tolerance);
    }
    void note(const char *what, float apart, float tolerance) {
        for (Line &line : lines_)
            if (line.what == what) {
                line.apart = fmaxf(line.apart, apart);
                ++line.count;
                return;
            }
        lines_.push_back({what, apart, tolerance, 1});
    }
    void expect(const char *what, bool true_) { note(what, true_ ? 0.0f : INFINITY, 0.0f); }

    int finish() {
        for (const std::string &failure : emu::failures()) expect(("emulator: " + failure).c_str(), false);
        int bad = 0;
        for (const Line &line : lines_) {
            const bool good = line.apart <= line.tolerance;
            bad += !good;
            printf("%s %s: apart %.2g, allowed %.2g, %d times\n", good ? "ok" : "BAD", line.what.c_str(),
                   (double)line.apart, (double)line.tolerance, line.count);
        }
        return bad ? 1 : 0;
    }

private:
    struct Line {
        std::string what;
        float apart, tolerance;
        int count;
    };
    std::vector<Line> lines_;
};

void check_emulator(Report &report);
void check_weights(Report &report);
void check_layers(Report &report);
void check_attention(Report &report);
void check_network(Report &report);

}  // namespace edgesleep_device
