// A library's table out of a card.
//
// Owns the turning of what a card throws into codes and words. Leaves the card to its home. Must stay true: nothing is
// thrown across the border, and gradients are untouched where a step failed.
#pragma once

#include <stdio.h>

#include <exception>
#include <new>

#include "library.h"
#include "network.h"

namespace edgesleep_device {

// Card has a constructor without arguments, which may throw CardError, and describe(words).
template <class Card>
struct Table {
    struct Both {
        Card card;
        Network<Card> network;
        Both(const es_shape &shape, const es_layer *layers, const es_matrix &embedding, const es_matrix &head,
             const float *norm, bool exact)
            : network(card, shape, layers, embedding, head, norm, exact) {}
    };

    template <class Body>
    static int guarded(char *words, Body body) {
        try {
            return body();
        } catch (const CardError &error) {
            snprintf(words, ES_WORDS, "%s", error.what);
            return ES_KERNEL;
        } catch (const std::exception &) {
            snprintf(words, ES_WORDS, "not enough free memory on the card");
            return ES_MEMORY;
        }
    }
    static Network<Card> &of(void *both) { return static_cast<Both *>(both)->network; }

    static int probe(char *words) {
        return guarded(words, [&] {
            Card().describe(words);
            return ES_OK;
        });
    }
    static int create(const es_shape *shape, const es_layer *layers, const es_matrix *embedding, const es_matrix *head,
                      const float *norm, int exact, void **network, char *words) {
        return guarded(words, [&] {
            if (shape->head_width > kMostWidth)
                throw CardError{"the model's heads are too wide for the card's kernels"};
            *network = new Both(*shape, layers, *embedding, *head, norm, exact != 0);
            return ES_OK;
        });
    }
    static void destroy(void *both) { delete static_cast<Both *>(both); }
    static int attach(void *both, const es_trained *trained, char *words) {
        return guarded(words, [&] {
            of(both).attach(trained);
            return ES_OK;
        });
    }
    static int round(void *both, int32_t first, int32_t last, char *words) {
        return guarded(words, [&]() -> int { return of(both).round(first, last) ? ES_OK : ES_WEIGHT; });
    }
    static int learn(void *both, const es_batch *batch, const es_targets *targets, float scale, float *losses,
                     char *words) {
        return guarded(words, [&] {
            of(both).learn(*batch, *targets, scale, losses);
            return ES_OK;
        });
    }
    static int rounded(void *both, int32_t layer, int32_t which, uint8_t *out, char *words) {
        return guarded(words, [&] {
            const std::vector<uint8_t> bytes = of(both).rounded(layer, which);
            std::copy(bytes.begin(), bytes.end(), out);
            return ES_OK;
        });
    }

    static constexpr es_library table(const char *name) {
        return {ES_LIBRARY_VERSION, name, probe, create, destroy, attach, round, learn, rounded};
    }
};

}  // namespace edgesleep_device
