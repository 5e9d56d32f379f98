// The card that training steps run on, if there is one.
//
// Owns the choice between processor and cards and what is said of it. Leaves a card's work to its library (device/,
// cuda/, metal/). Must stay true: a card is used only where it was asked for or found fit, and where it fails the
// processor goes on from the same state.
#pragma once

#include <string>

#include "device/library.h"

namespace edgesleep {

// The library of the chosen card, loaded on the first call; null for the processor.
const es_library *chosen_card();
// For tests: this library from now on, or none.
void use_card(const es_library *library);
// Why the processor goes on without the card.
void give_up_card(const std::string &why);

// A network's own part of the card.
class OnCard {
public:
    OnCard() = default;
    OnCard(const OnCard &) = delete;
    OnCard &operator=(const OnCard &) = delete;
    ~OnCard() { drop(); }

    explicit operator bool() const { return network_; }
    // Everything that lies in the card's memory: the whole model and its factors.
    void attach(const es_shape &shape, const es_layer *layers, const es_matrix &embedding, const es_matrix &head,
                const float *norm, bool exact, const es_trained *trained);
    // Rounds, and compares one matrix with the processor's bytes; ES_WEIGHT where a weight would not be finite.
    int round(int32_t first, int32_t last, const es_matrix &matrix, const es_adapter &adapter, int32_t which);
    // Whether the step was done.
    bool learn(const es_batch &batch, const es_targets &targets, float scale, float *losses);
    void drop();

private:
    bool failed(int error);
    const es_library *library_ = nullptr;
    void *network_ = nullptr;
    char words_[ES_WORDS] = "";
};

}  // namespace edgesleep
