// The choice of a card by EDGESLEEP_DEVICE, and the way back to the processor.
//
// Owns the loading of cards' libraries from the folder of our own. Leaves what they do to them. Must stay true: without
// a driver nothing is loaded but a library that looks for one; the bytes that a card rounds to are those of the
// processor, or it is not used; whatever leaves the processor alone is said.
#include "card.h"

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

#include <cstdlib>
#include <cstdio>
#include <mutex>
#include <vector>

#include "tiles.h"

namespace edgesleep {
namespace {

#if defined(__APPLE__)
constexpr const char *kKinds[] = {"metal"}, *kEnding = ".dylib";
#else
constexpr const char *kKinds[] = {"cuda"}, *kEnding = ".so";
#endif

std::mutex mutex;
bool looked = false;
const es_library *library = nullptr;
std::string name = "cpu", reason;

#if defined(_WIN32)
const es_library *load(const std::string &, std::string &words) {
    words = "not for Windows yet";
    return nullptr;
}
#else
std::string own_folder() {
    Dl_info info{};
    if (!dladdr((const void *)&chosen_card, &info) || !info.dli_fname) return ".";
    const std::string path = info.dli_fname;
    const size_t end = path.rfind('/');
    return end == std::string::npos ? "." : path.substr(0, end);
}

// The library for one kind of card; null, with the reason in words, where it is of no use.
const es_library *load(const std::string &kind, std::string &words) {
    const std::string path = own_folder() + "/libedgesleep_" + kind + kEnding;
    void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        words = "built without " + kind;
        return nullptr;
    }
    const auto entry = (es_library_entry)dlsym(handle, "es_library_table");
    const es_library *found = entry ? entry() : nullptr;
    char said[ES_WORDS] = "";
    if (!found || found->version != ES_LIBRARY_VERSION)
        words = "its library is of another version";
    else if (found->probe(said) == ES_OK) {
        words = said;
        return found;
    } else
        words = said;
    return nullptr;
}
#endif

// "auto" goes through all kinds; a kind that was asked for and is not there leaves the processor, and says so.
void look() {
    looked = true;
    library = nullptr;
    name = "cpu";
    const char *asked = std::getenv("EDGESLEEP_DEVICE");
    const std::string wanted = asked && *asked ? asked : "auto";
    if (wanted == "cpu") {
        reason = "EDGESLEEP_DEVICE=cpu";
        return;
    }
    std::string found;
    for (const char *kind : kKinds) {
        std::string words;
        if (wanted != "auto" && wanted != kind) continue;
        library = load(kind, words);
        if (library) {
            name = kind;
            reason = words;
            return;
        }
        found += std::string(found.empty() ? "" : "; ") + kind + ": " + words;
    }
    reason = found.empty() ? wanted + ": not on this system" : found;
}

}  // namespace

const es_library *chosen_card() {
    std::lock_guard<std::mutex> lock(mutex);
    if (!looked) look();
    return library;
}

void use_card(const es_library *wanted) {
    std::lock_guard<std::mutex> lock(mutex);
    looked = true;
    library = wanted;
    name = wanted ? wanted->name : "cpu";
    reason = "chosen by a test";
}

void give_up_card(const std::string &why) {
    std::lock_guard<std::mutex> lock(mutex);
    reason = name + " was given up: " + why;
    name = "cpu";
    library = nullptr;
}

bool OnCard::failed(int error) {
    if (!error) return false;
    give_up_card(*words_ ? words_ : es_message(error));
    drop();
    return true;
}

void OnCard::attach(const es_shape &shape, const es_layer *layers, const es_matrix &embedding, const es_matrix &head,
                    const float *norm, bool exact, const es_trained *trained) {
    drop();
    library_ = chosen_card();
    if (!library_ || failed(library_->create(&shape, layers, &embedding, &head, norm, exact, &network_, words_)))
        return;
    failed(library_->attach(network_, trained, words_));
}

int OnCard::round(int32_t first, int32_t last, const es_matrix &matrix, const es_adapter &adapter, int32_t which) {
    const int error = library_->round(network_, first, last, words_);
    if (error == ES_WEIGHT) return error;
    if (failed(error)) return ES_OK;
    std::vector<uint8_t> own(
        (size_t)(matrix.rows * matrix.cols / layout(matrix.type).weights * layout(matrix.type).bytes)),
        found(own.size());
    if (failed(library_->rounded(network_, first, which, found.data(), words_))) return ES_OK;
    if (const int wrong = round_into(matrix, adapter, own.data())) return wrong;
    if (found == own) return ES_OK;
    std::snprintf(words_, sizeof words_, "it rounds otherwise than the processor");
    failed(ES_KERNEL);
    return ES_OK;
}

bool OnCard::learn(const es_batch &batch, const es_targets &targets, float scale, float *losses) {
    return !failed(library_->learn(network_, &batch, &targets, scale, losses, words_));
}

void OnCard::drop() {
    if (network_) library_->destroy(network_);
    network_ = nullptr;
}

}  // namespace edgesleep

extern "C" void es_device(const char **which, const char **why) {
    using namespace edgesleep;
    static thread_local std::string said[2];
    chosen_card();
    std::lock_guard<std::mutex> lock(mutex);
    said[0] = name;
    said[1] = reason;
    *which = said[0].c_str();
    *why = said[1].c_str();
}
