// Attention over rows that lie end to end, with its gradient.
//
// Owns the order in which keys are met: tile by tile with a running softmax (arXiv:2205.14135); scores exist for one
// tile of queries and keys at a time. Must stay true: every thread has one score of a tile and its own features of the
// result; each gradient is summed by one block, so no two blocks write the same element.
#pragma once

#include "arguments.h"

namespace edgesleep_device {

// A tile is kQueries queries by as many keys. Features are met kPart at a time; a head has at most kParts of them.
ES_CONSTANT int kQueries = 16, kPart = 64, kMostWidth = 256, kFeatures = kMostWidth / kQueries, kRoom = kPart + 1;
using Part = Tile<float, kQueries * kRoom>;
using Weights = Tile<float, kQueries * kQueries>;
struct AttentionShared {
    Part left, right;
    Weights scores, dscores;
};

// A thread's own features of a row: lane, lane + 16, ...
struct Features {
    float own[kFeatures];
};

DEVICE bool sees(ARGUMENTS(AttentionArgs) args, int token, int key) {
    if (token >= args.tokens || key > token) return false;
    return key >= args.first[token] || (key < args.shared && key >= args.shared_first[token]);
}

// Whether no query of a tile can see a key of the other: the same for all threads of a block.
DEVICE bool apart(ARGUMENTS(AttentionArgs) args, int query0, int key0) {
    if (key0 < args.shared) return false;
    int earliest = query0;
    for (int i = query0; i < lesser(query0 + kQueries, args.tokens); ++i) earliest = lesser(earliest, args.first[i]);
    return key0 + kQueries <= earliest;
}

// Features [part, part + kPart) of kQueries rows.
DEVICE void load_part(Global<const float> from, int row0, int64_t stride, int64_t column, int part,
                      ARGUMENTS(AttentionArgs) args, int worker, SHARED(Part) to) {
    for (int index = worker; index < kQueries * kPart; index += kThreads) {
        const int row = row0 + index / kPart, f = part + index % kPart;
        const bool inside = row < args.tokens && f < args.width;
        to[index / kPart * kRoom + index % kPart] = inside ? (float)from[row * stride + column + f] : 0.0f;
    }
}

// Columns of a head's queries and of its keys, and how far rows lie apart.
struct Columns {
    int64_t query, key, queries, keys;
};
DEVICE Columns columns(ARGUMENTS(AttentionArgs) args, int head) {
    const int group = args.heads / args.kv_heads;
    return Columns{(int64_t)head * args.width, (int64_t)(head / group) * args.width, (int64_t)args.heads * args.width,
                   (int64_t)args.kv_heads * args.width};
}

// The thread's own product: row thread / kQueries of a tile of queries with row thread % kQueries of one of keys.
DEVICE float score(ARGUMENTS(AttentionArgs) args, SHARED(AttentionShared) shared, Columns at, Global<const float> left,
                   int left0, Global<const float> right, int right0, int worker) {
    float sum = 0.0f;
    for (int part = 0; part < args.width; part += kPart) {
        barrier();
        load_part(left, left0, at.queries, at.query, part, args, worker, shared.left);
        load_part(right, right0, at.keys, at.key, part, args, worker, shared.right);
        barrier();
        for (int f = 0; f < lesser(kPart, args.width - part); ++f)
            sum = fused(shared.left[worker / kQueries * kRoom + f], shared.right[worker % kQueries * kRoom + f], sum);
    }
    return sum;
}

// Adds to the thread's features those of kQueries rows, weighted by its row of the weights, or its column if `turned`.
DEVICE void mix(ARGUMENTS(AttentionArgs) args, SHARED(AttentionShared) shared, SHARED(Weights) weights, bool turned,
                Global<const float> from, int row0, int64_t stride, int64_t column, int worker,
                PRIVATE Features &features) {
    const int own = worker / kQueries, lane = worker % kQueries;
    UNROLL for (int part = 0; part < kMostWidth; part += kPart) {
        if (part >= args.width) break;
        barrier();
        load_part(from, row0, stride, column, part, args, worker, shared.right);
        barrier();
        for (int row = 0; row < kQueries; ++row) {
            const float weight = weights[turned ? row * kQueries + own : own * kQueries + row];
            UNROLL for (int i = 0; i < kPart / kQueries; ++i) {
                const int at = part / kQueries + i;
                features.own[at] = fused(weight, shared.right[row * kRoom + lane + i * kQueries], features.own[at]);
            }
        }
    }
}

DEVICE void scale_features(PRIVATE Features &features, float by) {
    UNROLL for (int i = 0; i < kFeatures; ++i) features.own[i] = features.own[i] * by;
}

DEVICE void store_features(ARGUMENTS(AttentionArgs) args, PRIVATE Features &features, Global<float> to, int row0,
                           int64_t stride, int64_t column, int worker) {
    const int row = row0 + worker / kQueries, lane = worker % kQueries;
    UNROLL for (int i = 0; i < kFeatures; ++i) {
        if (row < args.tokens && lane + i * kQueries < args.width)
            to[row * stride + column + lane + i * kQueries] = features.own[i];
    }
}

// mixed = softmax(scale q k^T) v. Grid: tiles of queries, heads.
DEVICE void attend(ARGUMENTS(AttentionArgs) args, Place place, SHARED(AttentionShared) shared) {
    const int query0 = place.x * kQueries, worker = place.worker, own = worker / kQueries;
    const Columns at = columns(args, place.y);
    Features features;
    UNROLL for (int i = 0; i < kFeatures; ++i) features.own[i] = 0.0f;
    float largest = -1e30f, total = 0.0f;
    for (int key0 = 0; key0 < query0 + kQueries; key0 += kQueries) {
        if (apart(args, query0, key0)) continue;
        const float made = score(args, shared, at, args.q, query0, args.k, key0, worker) * args.scale;
        const bool seen = sees(args, query0 + own, key0 + worker % kQueries);
        shared.scores[worker] = seen ? made : -1e30f;
        barrier();
        float top = largest;
        for (int i = 0; i < kQueries; ++i) top = larger(top, shared.scores[own * kQueries + i]);
        barrier();
        shared.scores[worker] = seen ? exponential(made - top) : 0.0f;
        barrier();
        const float shrink = exponential(largest - top);
        largest = top;
        total = total * shrink;
        for (int i = 0; i < kQueries; ++i) total = total + shared.scores[own * kQueries + i];
        scale_features(features, shrink);
        mix(args, shared, shared.scores, false, args.v, key0, at.keys, at.key, worker, features);
    }
    if (query0 + own >= args.tokens) return;
    scale_features(features, 1.0f / total);
    store_features(args, features, args.mixed, query0, at.queries, at.query, worker);
    if (worker % kQueries == 0)
        args.log_total[(int64_t)(query0 + own) * args.heads + place.y] = largest + logarithm(total);
}

// The probability of the thread's pair again, in shared.scores, and in shared.dscores the gradient of its score.
DEVICE void score_back(ARGUMENTS(AttentionArgs) args, SHARED(AttentionShared) shared, int head, int query0, int key0,
                       int worker) {
    const Columns at = columns(args, head);
    const float made = score(args, shared, at, args.q, query0, args.k, key0, worker) * args.scale;
    const float dmade = score(args, shared, at, args.dmixed, query0, args.v, key0, worker);
    const int token = query0 + worker / kQueries;
    float p = 0.0f, mean = 0.0f;
    if (sees(args, token, key0 + worker % kQueries)) {
        p = exponential(made - args.log_total[(int64_t)token * args.heads + head]);
        mean = args.mean[(int64_t)token * args.heads + head];
    }
    shared.scores[worker] = p;
    shared.dscores[worker] = p * (dmade - mean) * args.scale;
}

// Grid: tiles of queries, heads.
DEVICE void attend_back_queries(ARGUMENTS(AttentionArgs) args, Place place, SHARED(AttentionShared) shared) {
    const int query0 = place.x * kQueries, worker = place.worker;
    const Columns at = columns(args, place.y);
    Features dq;
    UNROLL for (int i = 0; i < kFeatures; ++i) dq.own[i] = 0.0f;
    for (int key0 = 0; key0 < query0 + kQueries; key0 += kQueries) {
        if (apart(args, query0, key0)) continue;
        score_back(args, shared, place.y, query0, key0, worker);
        mix(args, shared, shared.dscores, false, args.k, key0, at.keys, at.key, worker, dq);
    }
    store_features(args, dq, args.dq, query0, at.queries, at.query, worker);
}

// Grid: tiles of keys, heads of keys. The heads of queries that share these are summed in order.
DEVICE void attend_back_keys(ARGUMENTS(AttentionArgs) args, Place place, SHARED(AttentionShared) shared) {
    const int key0 = place.x * kQueries, worker = place.worker, group = args.heads / args.kv_heads;
    Features dk, dv;
    UNROLL for (int i = 0; i < kFeatures; ++i) dk.own[i] = dv.own[i] = 0.0f;
    for (int head = place.y * group; head < (place.y + 1) * group; ++head) {
        const Columns at = columns(args, head);
        for (int query0 = key0; query0 < args.tokens; query0 += kQueries) {
            if (apart(args, query0, key0)) continue;
            score_back(args, shared, head, query0, key0, worker);
            mix(args, shared, shared.dscores, true, args.q, query0, at.queries, at.query, worker, dk);
            mix(args, shared, shared.scores, true, args.dmixed, query0, at.queries, at.query, worker, dv);
        }
    }
    const Columns at = columns(args, place.y * group);
    store_features(args, dk, args.dk, key0, at.keys, at.key, worker);
    store_features(args, dv, args.dv, key0, at.keys, at.key, worker);
}

// out = sum over a row of x * y. Grid: rows.
DEVICE void dots(ARGUMENTS(DotsArgs) args, Place place, SHARED(Reduction) room) {
    float own = 0.0f;
    for (int f = place.worker; f < args.width; f += kThreads) {
        const int64_t at = (int64_t)place.x * args.width + f;
        own = fused(args.x[at], args.y[at], own);
    }
    const float sum = sum_of_block(room, place.worker, own);
    if (place.worker == 0) args.out[place.x] = sum;
}

}  // namespace edgesleep_device
