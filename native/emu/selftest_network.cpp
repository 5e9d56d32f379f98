// A whole step of training on the emulator against es_network.
//
// Owns a model of two layers with every optional part. Leaves single kernels to the other files. Must stay true: the
// processor keeps what a gradient needs in bf16 and the device in f32, which is what the gradients' tolerance is for.
#include "card.h"

#include "../card.h"

namespace edgesleep_device {
namespace {

constexpr float kLosses = 1e-5f, kCoarse = 2e-2f, kGradients = 2e-2f;
constexpr int kWidth = 64, kHidden = 96, kVocabulary = 100, kHeadWidth = 32, kRank = 3, kTokens = 29, kLayers = 2;

struct Model {
    bool extras;
    std::vector<std::vector<uint8_t>> data;
    std::vector<std::vector<float>> factors, gradients, own_gradients;
    std::vector<float> ones = std::vector<float>(4 * kHeadWidth, 1.0f), bias;
    std::vector<double> turns;
    std::vector<es_layer> layers;
    std::vector<es_trained> trained, own_trained;
    std::vector<int32_t> tokens, starts, places{0, 6, 6, 17, 28}, ids;
    std::vector<float> probs;
    es_matrix embedding{};
    es_shape shape{};

    // Blocks of random codes with a step of 2^-7, and weights around zero.
    es_matrix matrix(int type, int rows, int cols, Random &random) {
        int32_t weights, bytes;
        es_block(type, &weights, &bytes);
        std::vector<uint8_t> made((size_t)(rows * cols / weights * bytes));
        for (uint8_t &byte : made) byte = (uint8_t)random.next();
        for (size_t i = 0; i < made.size(); i += (size_t)bytes) {
            made[i] = 0, made[i + 1] = 0x20;
            if (type == edgesleep::Q4_1 || type == edgesleep::Q5_1) made[i + 2] = 0, made[i + 3] = 0xac;
            for (int k = 2; type == edgesleep::Q8_0 && k < bytes; ++k)
                made[i + (size_t)k] = (uint8_t)((int8_t)made[i + (size_t)k] / 8);
        }
        data.push_back(made);
        return {type, rows, cols, data.back().data(), random.next()};
    }

    explicit Model(bool extras) : extras(extras) {
        Random random{11};
        const int queries = 4 * kHeadWidth, keys = 2 * kHeadWidth;
        const int sizes[ES_MATRICES][2] = {{queries, kWidth}, {keys, kWidth},    {keys, kWidth},   {kWidth, queries},
                                           {kHidden, kWidth}, {kHidden, kWidth}, {kWidth, kHidden}};
        const int types[] = {edgesleep::Q4_1, edgesleep::Q5_0, edgesleep::Q8_0, edgesleep::Q4_0, edgesleep::Q5_1};
        data.reserve(64), factors.reserve(64), gradients.reserve(64), own_gradients.reserve(64);
        bias = random.numbers((size_t)queries, 0.1f);
        for (int l = 0; l < kLayers; ++l) {
            es_layer layer{};
            for (int i = 0; i < ES_MATRICES; ++i) {
                layer.matrices[i] = matrix(types[(l + i) % 5], sizes[i][0], sizes[i][1], random);
                factors.push_back(random.numbers((size_t)(kRank * sizes[i][1]), 0.1f));
                factors.push_back(random.numbers((size_t)(kRank * sizes[i][0]), 0.1f));
                const es_adapter adapter{kRank, 0.5f, factors[factors.size() - 2].data(), factors.back().data()};
                for (size_t k : {factors.size() - 2, factors.size() - 1}) {
                    gradients.push_back(std::vector<float>(factors[k].size()));
                    own_gradients.push_back(gradients.back());
                }
                trained.push_back({adapter, gradients[gradients.size() - 2].data(), gradients.back().data()});
                own_trained.push_back(
                    {adapter, own_gradients[own_gradients.size() - 2].data(), own_gradients.back().data()});
            }
            if (extras) layer.biases[ES_Q] = bias.data();
            for (int i = 0; i < ES_NORMS; ++i)
                if (extras || i == ES_ATTN_NORM || i == ES_FFN_NORM) layer.norms[i] = ones.data();
            layers.push_back(layer);
        }
        embedding = matrix(edgesleep::Q8_0, kVocabulary, kWidth, random);
        for (int j = 0; j < kHeadWidth / 2; ++j) turns.push_back(pow(1e4, -2.0 * j / kHeadWidth));
        for (int i = 0; i < kTokens; ++i) {
            tokens.push_back((int32_t)(random.next() % kVocabulary));
            starts.push_back(i < 7 ? 0 : i < 18 ? 7 : 18);
        }
        for (size_t i = 0; i < 2 * places.size(); ++i) {
            ids.push_back((int32_t)(random.next() % kVocabulary));
            probs.push_back(0.4f);
        }
        shape = {kLayers,        kWidth, 4,     2,    kHeadWidth, kHeadWidth,   extras,      extras,
                 extras ? 5 : 0, 2,      1e-6f, 0.2f, 2.0f,       turns.data(), turns.data()};
    }

    es_batch batch() const { return {kTokens, 7, tokens.data(), starts.data()}; }
    es_targets targets() const { return {(int64_t)places.size(), 2, places.data(), ids.data(), probs.data()}; }
};

std::vector<float> flat(const std::vector<std::vector<float>> &all, size_t first, size_t last) {
    std::vector<float> made;
    for (size_t i = first; i < last; ++i) made.insert(made.end(), all[i].begin(), all[i].end());
    return made;
}

void check_step(Report &report, bool extras, bool coarse) {
    Model model(extras);
    const es_batch batch = model.batch();
    const es_targets targets = model.targets();
    std::vector<float> expected(model.places.size()), losses(model.places.size());
    int error;
    es_network *net = es_network_new(&model.shape, model.layers.data(), &model.embedding, &model.embedding,
                                     model.ones.data(), 1, &error);
    report.expect("the processor's step", net && !es_network_attach(net, model.trained.data(), 1, 1) &&
                                              !es_network_round(net, 0, kLayers) &&
                                              !es_network_learn(net, &batch, &targets, 1.5f, expected.data()));
    es_network_free(net);

    EmulatedCard card;
    Network<EmulatedCard> own(card, model.shape, model.layers.data(), model.embedding, model.embedding,
                              model.ones.data(), !coarse);
    own.attach(model.own_trained.data());
    report.expect("the step's weights are finite", own.round(0, kLayers));
    for (int l = 0; l < kLayers; ++l)
        for (int i = 0; i < ES_MATRICES; ++i) {
            const es_matrix &w = model.layers[(size_t)l].matrices[i];
            const std::vector<uint8_t> found = own.rounded(l, i);
            std::vector<uint8_t> merged(found.size());
            es_moves moves{};
            es_merge(&w, &model.trained[(size_t)(l * ES_MATRICES + i)].adapter, 0, w.rows, merged.data(), &moves);
            report.expect("the step uses the bytes of the merge", found == merged && moves.moved > 0);
        }
    own.learn(batch, targets, 1.5f, losses.data());
    report.compare(coarse ? "a step's losses in bf16" : "a step's losses", losses, expected,
                   coarse ? kCoarse : kLosses);
    for (size_t i = 0; i < model.gradients.size(); ++i)
        report.compare(coarse ? "a step's gradients in bf16" : "a step's gradients", model.own_gradients[i],
                       model.gradients[i], coarse ? 5 * kGradients : kGradients);
    // A second step adds to the gradients, of fewer tokens in the same room.
    std::vector<float> doubled = flat(model.own_gradients, 0, model.gradients.size());
    for (float &value : doubled) value *= 2.0f;
    own.learn(batch, targets, 1.5f, losses.data());
    report.compare("steps add up", flat(model.own_gradients, 0, model.gradients.size()), doubled, 1e-6f);
}

// Losses and gradients by way of the ABI, from a card or from the processor.
std::vector<float> through_abi(Report &report, const es_library *library) {
    edgesleep::use_card(library);
    Model model(false);
    const es_batch batch = model.batch();
    const es_targets targets = model.targets();
    std::vector<float> made(model.places.size());
    int error;
    es_network *net = es_network_new(&model.shape, model.layers.data(), &model.embedding, &model.embedding,
                                     model.ones.data(), 1, &error);
    report.expect("a step by way of the ABI", net && !es_network_attach(net, model.trained.data(), 1, 1) &&
                                                  !es_network_round(net, 0, 1) && !es_network_round(net, 1, kLayers) &&
                                                  !es_network_learn(net, &batch, &targets, 1.5f, made.data()));
    es_network_free(net);
    const std::vector<float> gradients = flat(model.gradients, 0, model.gradients.size());
    made.insert(made.end(), gradients.begin(), gradients.end());
    return made;
}

bool device_is(const char *which, const char *why) {
    const char *name, *reason;
    es_device(&name, &reason);
    return std::string(name) == which && std::string(reason).find(why) != std::string::npos;
}

int wrong_bytes(void *both, int32_t layer, int32_t which, uint8_t *out, char *words) {
    const int error = Table<EmulatedCard>::rounded(both, layer, which, out, words);
    out[2] ^= 1;
    return error;
}
int no_step(void *, const es_batch *, const es_targets *, float, float *losses, char *words) {
    losses[0] = 7.0f;
    snprintf(words, ES_WORDS, "it fell out of the machine");
    return ES_KERNEL;
}

// Whatever a card fails at, the processor goes on as if there had been none.
void check_choice(Report &report) {
    es_library card = Table<EmulatedCard>::table("emulated");
    const std::vector<float> plain = through_abi(report, nullptr), by_card = through_abi(report, &card);
    report.expect("a card stays in use", device_is("emulated", "") && by_card != plain);
    report.compare("a step on a card by way of the ABI", by_card, plain, kGradients);
    EmulatedCard::budget = 20000;
    report.expect("short memory is told",
                  through_abi(report, &card) == plain && device_is("cpu", "not enough free memory"));
    EmulatedCard::budget = 1 << 30;
    card.rounded = wrong_bytes;
    report.expect("other bytes than the processor's are refused",
                  through_abi(report, &card) == plain && device_is("cpu", "rounds otherwise"));
    card = Table<EmulatedCard>::table("emulated");
    card.learn = no_step;
    report.expect("a step that failed is done again",
                  through_abi(report, &card) == plain && device_is("cpu", "fell out"));
    edgesleep::use_card(nullptr);
}

}  // namespace

void check_network(Report &report) {
    check_choice(report);
    check_step(report, false, false);
    check_step(report, true, false);
    check_step(report, true, true);
}

}  // namespace edgesleep_device
