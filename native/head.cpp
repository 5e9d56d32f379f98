// The output rows: losses, their gradient, and the likeliest tokens.
//
// Owns the one pass over the vocabulary, in which softmax and gradient are summed
// tile by tile as attention is (arXiv:2205.14135), so that logits never exist but
// for one tile. Leaves tiles to tiles.h. Must stay true: the vocabulary is cut
// into the same shares whatever the threads, and they are joined in order.
#include <cmath>

#include "network.h"

namespace edgesleep {
namespace {

constexpr int kShares = 8;
constexpr float kNone = -1e30f;

// Rows of the vocabulary that one share covers: whole pieces.
int64_t share_rows(const Call &head) {
    const int64_t pieces = (head.w.rows + kPiece - 1) / kPiece;
    return (pieces + kShares - 1) / kShares * kPiece;
}

// Calls work(first row, rows, weights, logits) for the tiles of one share; logits are a panel of `rows` features.
// Weights are [rows][cols], all columns of the tile.
template <class Work>
bool each_tile(const Call &head, int64_t share, const Panel &hidden, Work work) {
    std::vector<float> weights((size_t)(kPiece * head.w.cols)), logits((size_t)(hidden.blocks * kPiece * kTokens));
    const int64_t begin = share * share_rows(head), end = std::min(head.w.rows, begin + share_rows(head));
    bool good = true;
    for (int64_t row = begin; row < end; row += kPiece) {
        const int rows = (int)std::min<int64_t>(kPiece, end - row);
        for (int64_t col = 0; col < head.w.cols; col += kStrip)
            good &= tile(head, row, rows, col, (int)std::min<int64_t>(kStrip, head.w.cols - col), weights.data() + col,
                         head.w.cols);
        std::fill(logits.begin(), logits.end(), 0.0f);
        head.kernel.product({rows, (int)head.w.cols, 1, hidden.blocks, weights.data(), head.w.cols, 1, 0, hidden.data,
                             0, hidden.stride(), logits.data(), kTokens, kPiece * kTokens});
        work(row, rows, weights.data(), logits.data());
    }
    return good;
}

// What one share of the vocabulary adds up to, per token.
struct Share {
    std::vector<float> largest, total, sum;
};

bool sum_share(const Call &head, int64_t index, const Panel &hidden, Share &share) {
    const size_t tokens = (size_t)(hidden.blocks * kTokens);
    share.largest.assign(tokens, kNone);
    share.total.assign(tokens, 0.0f);
    share.sum.assign(tokens * (size_t)head.w.cols, 0.0f);
    const int width = (int)head.w.cols;
    return each_tile(head, index, hidden, [&](int64_t, int rows, const float *weights, float *logits) {
        for (int64_t block = 0; block < hidden.blocks; ++block) {
            float *own = logits + block * kPiece * kTokens, *sum = share.sum.data() + block * width * kTokens;
            head.kernel.layers.head(
                {rows, width, share.largest.data() + block * kTokens, share.total.data() + block * kTokens, sum}, own);
        }
        head.kernel.product({width, rows, 1, hidden.blocks, weights, 1, width, 0, logits, 0, kPiece * kTokens,
                             share.sum.data(), kTokens, width * kTokens});
    });
}

// Joins the shares of one block: log of the softmax's total per token, and sum_j q_j w_j in `mean`, [width][kTokens].
void join(const std::vector<Share> &shares, int64_t block, int64_t width, float *log_total, float *mean) {
    float largest[kTokens], total[kTokens] = {};
    std::fill_n(largest, kTokens, kNone);
    for (const Share &share : shares)
        for (int t = 0; t < kTokens; ++t)
            largest[t] = std::max(largest[t], share.largest[(size_t)(block * kTokens + t)]);
    std::fill_n(mean, width * kTokens, 0.0f);
    for (const Share &share : shares) {
        float weight[kTokens];
        for (int t = 0; t < kTokens; ++t) {
            weight[t] = std::exp(share.largest[(size_t)(block * kTokens + t)] - largest[t]);
            total[t] += weight[t] * share.total[(size_t)(block * kTokens + t)];
        }
        const float *sum = share.sum.data() + block * width * kTokens;
        for (int64_t f = 0; f < width; ++f)
            for (int t = 0; t < kTokens; ++t) mean[f * kTokens + t] += weight[t] * sum[f * kTokens + t];
    }
    for (int64_t f = 0; f < width; ++f)
        for (int t = 0; t < kTokens; ++t) mean[f * kTokens + t] /= total[t];
    for (int t = 0; t < kTokens; ++t) log_total[t] = largest[t] + std::log(total[t]);
}

// Listed rows of the vocabulary, [listed][width], and their probabilities under one token's hidden state.
bool listed_rows(const Call &head, const float *hidden, float log_total, const int32_t *ids, int listed, float *rows,
                 float *q) {
    bool good = true;
    for (int k = 0; k < listed; ++k) {
        float *row = rows + k * head.w.cols, logit = 0.0f;
        for (int64_t col = 0; col < head.w.cols; col += kStrip)
            good &= tile(head, ids[k], 1, col, (int)std::min<int64_t>(kStrip, head.w.cols - col), row + col, 0);
        for (int64_t f = 0; f < head.w.cols; ++f) logit = std::fmaf(row[f], hidden[f * kTokens], logit);
        q[k] = std::exp(logit - log_total);
    }
    return good;
}

// One token's loss; its gradient in place of `mean`, the softmax's mean row. dL/dz_j = q_j - p_j for listed tokens and
// q_j (1 - p_tail / q_tail) for the others.
float finish(const float *rows, const float *q, const float *p, int listed, int64_t width, float scale, float *mean) {
    float p_tail = 1.0f, q_tail = 1.0f, loss = 0.0f;
    for (int k = 0; k < listed; ++k) {
        p_tail -= p[k];
        q_tail -= q[k];
        loss -= p[k] * std::log(std::max(q[k], 1e-30f));
    }
    if (p_tail <= 1e-6f) p_tail = 0.0f;
    q_tail = std::max(q_tail, 1e-6f);
    loss -= p_tail * std::log(q_tail);
    const float ratio = p_tail / q_tail;
    for (int64_t f = 0; f < width; ++f) {
        float sum = mean[f * kTokens] * (1.0f - ratio);
        for (int k = 0; k < listed; ++k) sum = std::fmaf(q[k] * ratio - p[k], rows[k * width + f], sum);
        mean[f * kTokens] = sum * scale;
    }
    return loss;
}

}  // namespace

bool head_loss(const Call &head, const Panel &hidden, const es_targets &targets, float scale, float *losses,
               const Panel &dhidden) {
    std::atomic<bool> good{true};
    std::vector<Share> shares(kShares);
    each(kShares, [&](int64_t i) {
        if (!sum_share(head, i, hidden, shares[(size_t)i])) good = false;
    });
    const int64_t width = head.w.cols;
    each(hidden.blocks, [&](int64_t block) {
        float log_total[kTokens];
        float *mean = dhidden.at(block);
        join(shares, block, width, log_total, mean);
        std::vector<float> rows((size_t)(targets.listed * width)), q((size_t)targets.listed);
        for (int t = 0; t < kTokens; ++t) {
            const int64_t target = block * kTokens + t;
            if (target >= targets.count) {
                for (int64_t f = 0; f < width; ++f) mean[f * kTokens + t] = 0.0f;
                continue;
            }
            // Entries at the end that have no probability are filling, not listed.
            const float *p = targets.probs + target * targets.listed;
            int listed = targets.listed;
            while (listed > 1 && p[listed - 1] == 0.0f) --listed;
            const int32_t *ids = targets.ids + target * targets.listed;
            if (!listed_rows(head, hidden.at(block) + t, log_total[t], ids, listed, rows.data(), q.data()))
                good = false;
            losses[target] = finish(rows.data(), q.data(), p, listed, width, scale, mean + t);
        }
    });
    return good;
}

bool head_top(const Call &head, const Panel &hidden, int64_t count, int32_t listed, int32_t *ids, float *probs) {
    struct Found {
        float logit;
        int32_t id;
        // Of equal logits the lower id comes first, so that the result does not depend on the shares.
        bool operator<(const Found &other) const {
            return logit > other.logit || (logit == other.logit && id < other.id);
        }
    };
    struct Best {
        std::vector<Found> heap;  // the worst of the best on top
        float largest = kNone, total = 0.0f;
    };
    std::atomic<bool> good{true};
    std::vector<std::vector<Best>> shares(kShares, std::vector<Best>((size_t)count));
    each(kShares, [&](int64_t i) {
        auto &best = shares[(size_t)i];
        if (!each_tile(head, i, hidden, [&](int64_t row, int rows, const float *, float *logits) {
                for (int64_t n = 0; n < count; ++n) {
                    const float *own = logits + n / kTokens * kPiece * kTokens + n % kTokens;
                    Best &mine = best[(size_t)n];
                    float largest = mine.largest;
                    for (int r = 0; r < rows; ++r) largest = std::max(largest, own[r * kTokens]);
                    mine.total *= std::exp(mine.largest - largest);
                    mine.largest = largest;
                    for (int r = 0; r < rows; ++r) {
                        const float logit = own[r * kTokens];
                        const Found found{logit == logit ? logit : kNone, (int32_t)(row + r)};  // NaN has no order
                        mine.total += std::exp(found.logit - largest);
                        if ((int32_t)mine.heap.size() == listed) {
                            if (!(found < mine.heap.front())) continue;
                            std::pop_heap(mine.heap.begin(), mine.heap.end());
                            mine.heap.pop_back();
                        }
                        mine.heap.push_back(found);
                        std::push_heap(mine.heap.begin(), mine.heap.end());
                    }
                }
            }))
            good = false;
    });
    each(count, [&](int64_t n) {
        std::vector<Found> all;
        float largest = kNone, total = 0.0f;
        for (const auto &share : shares) largest = std::max(largest, share[(size_t)n].largest);
        for (const auto &share : shares) {
            const Best &best = share[(size_t)n];
            total += best.total * std::exp(best.largest - largest);
            all.insert(all.end(), best.heap.begin(), best.heap.end());
        }
        std::sort(all.begin(), all.end());
        for (int32_t k = 0; k < listed; ++k) {
            ids[n * listed + k] = all[(size_t)k].id;
            probs[n * listed + k] = std::exp(all[(size_t)k].logit - largest) / total;
        }
    });
    return good;
}

}  // namespace edgesleep
