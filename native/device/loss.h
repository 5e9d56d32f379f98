// Cross-entropy with listed targets and a tail.
//
// Owns a target's loss and the gradient of its logits, which take their place. Leaves the products with the output
// rows to products.h. Must stay true: head.cpp has the same formula; what is listed is summed in its order by one
// thread, as a token may be listed twice.
#pragma once

#include "arguments.h"

namespace edgesleep_device {

struct LossShared {
    Reduction room;
    Tile<float, 2> tail;  // p_tail / q_tail, and the softmax's log total
};

// The loss; the rest of both probabilities is left in shared.tail.
DEVICE float listed_loss(ARGUMENTS(LossArgs) args, SHARED(LossShared) shared, int64_t list, int listed, int64_t row,
                         float log_total) {
    float p_tail = 1.0f, q_tail = 1.0f, loss = 0.0f;
    for (int k = 0; k < listed; ++k) {
        const float p = args.probs[list + k], q = exponential(args.logits[row + args.ids[list + k]] - log_total);
        p_tail -= p;
        q_tail -= q;
        loss -= p * logarithm(larger(q, 1e-30f));
    }
    if (p_tail <= 1e-6f) p_tail = 0.0f;
    q_tail = larger(q_tail, 1e-6f);
    shared.tail[0] = p_tail / q_tail;
    shared.tail[1] = log_total;
    return loss - p_tail * logarithm(q_tail);
}

// Grid: targets.
DEVICE void loss(ARGUMENTS(LossArgs) args, Place place, SHARED(LossShared) shared) {
    const int64_t row = (int64_t)place.x * args.vocabulary, list = (int64_t)place.x * args.listed;
    float own = -1e30f, sum = 0.0f;
    for (int j = place.worker; j < args.vocabulary; j += kThreads) own = larger(own, args.logits[row + j]);
    const float largest = largest_of_block(shared.room, place.worker, own);
    for (int j = place.worker; j < args.vocabulary; j += kThreads) sum += exponential(args.logits[row + j] - largest);
    const float total = sum_of_block(shared.room, place.worker, sum);
    int listed = args.listed;  // entries at the end that have no probability are filling, not listed
    while (listed > 1 && args.probs[list + listed - 1] == 0.0f) --listed;
    if (place.worker == 0)
        args.losses[place.x] = listed_loss(args, shared, list, listed, row, largest + logarithm(total));
    barrier();
    const float ratio = shared.tail[0], log_total = shared.tail[1];
    // What the list adds to the common form q (1 - ratio), before the logits are gone.
    for (int j = place.worker; j < args.vocabulary; j += kThreads) {
        const float q = exponential(args.logits[row + j] - log_total);
        float made = q * (1.0f - ratio);
        for (int k = 0; k < listed; ++k)
            if (args.ids[list + k] == j) made = fused(q, ratio, made) - args.probs[list + k];
        args.logits[row + j] = made * args.scale;
    }
}

}  // namespace edgesleep_device
