// The dithered effective weight, as packed blocks, and rows of a matrix as numbers.
//
// Owns rounding on the device (edgesleep.h has the formula). Leaves the types to grids.h. Must stay true: the bytes are
// those of ref; what a merge writes into a file still comes from the processor.
#pragma once

#include "arguments.h"
#include "grids.h"

namespace edgesleep_device {

// A block has a strip of kThreads columns, one for each thread, and kRoundRows rows, so that A is read once for them.
ES_CONSTANT int kRoundRows = 8;
struct RoundShared {
    Tile<float, kRoundRows * kThreads> delta;
    Tile<int8_t, kThreads> codes;
    Reduction room;
};

// The deltas of the thread's own column, zeros beyond the edges.
DEVICE void form_deltas(ARGUMENTS(RoundArgs) args, SHARED(RoundShared) shared, int row, int col, int worker) {
    float sums[kRoundRows];
    UNROLL for (int i = 0; i < kRoundRows; ++i) sums[i] = 0.0f;
    for (int k = 0; k < args.rank && col < args.cols; ++k) {
        const float a = args.a[(int64_t)k * args.cols + col];
        UNROLL for (int i = 0; i < kRoundRows; ++i) {
            const int own = lesser(row + i, args.rows - 1);
            sums[i] = fused(args.b[(int64_t)own * args.rank + k], a, sums[i]);
        }
    }
    UNROLL for (int i = 0; i < kRoundRows; ++i) shared.delta[i * kThreads + worker] = sums[i] * args.scale;
}

template <class Block>
DEVICE int new_code(Bytes row, int col, float delta, uint32_t key, PRIVATE bool &good) {
    const Bytes block = row + (int64_t)(col / Block::weights) * Block::bytes;
    const int j = col % Block::weights;
    const Grid grid = Block::grid(block, j);
    const float old = (float)Block::code(block, j);
    good = finite(grid.step) && finite(grid.offset);
    float wanted = old;
    if (grid.step != 0.0f) wanted = old + down(fused(delta, 1.0f / grid.step, dither(key, col)));
    wanted = wanted > (float)Block::low ? wanted : (float)Block::low;
    return (int)(wanted < (float)Block::high ? wanted : (float)Block::high);
}

template <class Block>
DEVICE void round_affine(ARGUMENTS(RoundArgs) args, SHARED(RoundShared) shared, Bytes row, int64_t at, int first,
                         int worker, float delta, uint32_t key, PRIVATE bool &good) {
    const int col = first + worker;
    if (col < args.cols) shared.codes[worker] = (int8_t)new_code<Block>(row, col, delta, key, good);
    barrier();
    const int bytes = lesser(kThreads, args.cols - first) / Block::weights * Block::bytes;
    const int64_t begin = (int64_t)(first / Block::weights) * Block::bytes;
    ROLLED for (int i = worker; i < bytes; i += kThreads) args.packed[at + begin + i] =
        (uint8_t)Block::byte(shared.codes + i / Block::bytes * Block::weights, i % Block::bytes, (int)row[begin + i]);
    barrier();
}

DEVICE void round_float(ARGUMENTS(RoundArgs) args, Bytes row, int64_t at, int col, float delta, PRIVATE bool &good) {
    const int size = float_bytes(args.type);
    const float stored = read_float(args.type, row + (int64_t)col * size);
    const uint32_t word = float_word(args.type, delta == 0.0f ? stored : stored + delta);
    good = finite(delta == 0.0f ? stored : word_value(args.type, word));
    for (int i = 0; i < size; ++i)  // where D = 0 the bytes stay, whatever they are
        args.packed[at + (int64_t)col * size + i] =
            delta == 0.0f ? (uint8_t)row[(int64_t)col * size + i] : (uint8_t)(word >> (8 * i));
}

// Grid: strips of columns, groups of rows.
DEVICE void round_weights(ARGUMENTS(RoundArgs) args, Place place, SHARED(RoundShared) shared) {
    const int first = place.x * kThreads, row0 = place.y * kRoundRows, col = first + place.worker;
    form_deltas(args, shared, row0, col, place.worker);
    const int64_t row_bytes = bytes_of_row(args.type, args.cols);
    bool good = true;
    ROLLED for (int i = 0; i < kRoundRows && row0 + i < args.rows; ++i) {
        const int64_t at = (row0 + i) * row_bytes;
        const Bytes row = args.source + at;
        const uint32_t key = row_key(args.seed, row0 + i);
        const float delta = shared.delta[i * kThreads + place.worker];
        bool fine = true;
        if (is_float(args.type)) {
            if (col < args.cols) round_float(args, row, at, col, delta, fine);
        } else {
            WITH_GRID(args.type, round_affine<Block>(args, shared, row, at, first, place.worker, delta, key, fine))
        }
        good = good && fine;
    }
    const float bad = largest_of_block(shared.room, place.worker, good ? 0.0f : 1.0f);
    const int strips = (args.cols + kThreads - 1) / kThreads;
    if (place.worker == 0) args.damaged[place.y * strips + place.x] = bad > 0.0f ? 1 : 0;
}

// Grid: runs of kThreads * kRun columns, rows wanted.
DEVICE void read_rows(ARGUMENTS(RowsArgs) args, Place place, SHARED(NoShared)) {
    const int col = (place.x * kThreads + place.worker) * kRun, id = args.ids[place.y];
    if (col >= args.cols) return;
    Run run;
    read_weights(args.type, args.source + id * bytes_of_row(args.type, args.cols), col, args.cols, run);
    for (int i = 0; i < kRun && col + i < args.cols; ++i)
        args.out[(int64_t)place.y * args.cols + col + i] = run.weight[i] * args.scale;
}

}  // namespace edgesleep_device
