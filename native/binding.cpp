// The Python module edgesleep._native: the C ABI on numpy arrays, nothing more.
//
// Owns the release of the interpreter lock and the views on arrays. Leaves
// shapes, names and errors to edgesleep/kernel.py and network.py. Must stay
// true: functions return the ABI's error code, and never copy an array.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <vector>

#include "edgesleep.h"

namespace nb = nanobind;
using namespace nb::literals;

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

namespace {

// Both hold their arrays, so that the pointers inside stay valid while Python holds the object.
struct Matrix {
    Array<const uint8_t> data;
    es_matrix view;
};

struct Adapter {
    Array<const float> a, b;
    es_adapter view;
};

// All of a layer's arrays; the network borrows what they point to.
struct Layer {
    std::vector<Matrix> matrices;
    std::vector<std::optional<Array<const float>>> biases, norms;

    es_layer view() const {
        es_layer made{};
        for (size_t i = 0; i < ES_MATRICES; ++i) {
            made.matrices[i] = matrices.at(i).view;
            made.biases[i] = biases.at(i) ? biases[i]->data() : nullptr;
        }
        for (size_t i = 0; i < ES_NORMS; ++i) made.norms[i] = norms.at(i) ? norms[i]->data() : nullptr;
        return made;
    }
};

struct Trained {
    Adapter adapter;
    Array<float> a_gradient, b_gradient;
};

// The network with everything that it borrows.
struct Network {
    std::vector<Layer> layers;
    Matrix embedding, head;
    Array<const float> norm;
    std::vector<Trained> trained;
    es_network *made = nullptr;
    int error = ES_OK;

    Network(const es_shape &shape, Array<const double> turns, Array<const double> local_turns,
            std::vector<Layer> own_layers, Matrix own_embedding, Matrix own_head, Array<const float> own_norm,
            bool exact)
        : layers(std::move(own_layers)), embedding(own_embedding), head(own_head), norm(own_norm) {
        es_shape full = shape;
        full.turns = turns.data();
        full.local_turns = local_turns.data();
        full.layers = (int32_t)layers.size();
        std::vector<es_layer> views;
        for (const Layer &layer : layers) views.push_back(layer.view());
        made = es_network_new(&full, views.data(), &embedding.view, &head.view, norm.data(), exact, &error);
    }
    ~Network() { es_network_free(made); }
    Network(const Network &) = delete;
    Network &operator=(const Network &) = delete;

    int attach(std::vector<Trained> own, bool copy, bool remember) {
        trained = std::move(own);
        std::vector<es_trained> views;
        for (Trained &one : trained) views.push_back({one.adapter.view, one.a_gradient.data(), one.b_gradient.data()});
        return es_network_attach(made, views.data(), copy, remember);
    }
};

es_batch batch(const Array<const int32_t> &tokens, const Array<const int32_t> &starts, int64_t shared) {
    return {(int64_t)tokens.size(), shared, tokens.data(), starts.data()};
}

const es_adapter *view(const Adapter *adapter) { return adapter ? &adapter->view : nullptr; }

template <class Work>
int unlocked(Work work) {
    nb::gil_scoped_release release;
    return work();
}

}  // namespace

NB_MODULE(_native, m) {
    nb::class_<Matrix>(m, "Matrix")
        .def("__init__", [](Matrix *self, int32_t type, int64_t rows, int64_t cols, Array<const uint8_t> data,
                            uint64_t seed) { new (self) Matrix{data, {type, rows, cols, data.data(), seed}}; });
    nb::class_<Adapter>(m, "Adapter")
        .def("__init__", [](Adapter *self, int32_t rank, float scale, Array<const float> a, Array<const float> b) {
            new (self) Adapter{a, b, {rank, scale, a.data(), b.data()}};
        });

    m.attr("FORCED") = (int)ES_KERNEL;
    m.attr("DAMAGED") = nb::make_tuple((int)ES_ADAPTER, (int)ES_WEIGHT);
    m.def("message", &es_message);
    m.def("block", [](int32_t type) {
        int32_t weights = 0, bytes = 0;
        es_block(type, &weights, &bytes);
        return nb::make_tuple(weights, bytes);
    });
    m.def("kernels", [] {
        nb::list all;
        for (int i = 0; i < es_kernel_count(); ++i)
            all.append(nb::make_tuple(es_kernel_name(i), es_kernel_runs(i) != 0));
        return all;
    });
    m.def("selected", &es_selected);
    m.def("select", &es_select);
    m.def("set_threads", &es_set_threads);
    m.def("device", [] {
        const char *which, *why;
        unlocked([&] { return es_device(&which, &why), 0; });
        return nb::make_tuple(which, why);
    });

    m.def("dequantize", [](const Matrix &w, int64_t row0, int64_t row1, Array<float> out) {
        return unlocked([&] { return es_dequantize(&w.view, row0, row1, out.data()); });
    });
    m.def("gather", [](const Matrix &w, Array<const int64_t> ids, Array<float> out) {
        return unlocked([&] { return es_gather(&w.view, ids.data(), (int64_t)ids.size(), out.data()); });
    });
    m.def(
        "effective",
        [](const Matrix &w, const Adapter *d, int64_t row0, int64_t row1, Array<float> out) {
            return unlocked([&] { return es_effective(&w.view, view(d), row0, row1, out.data()); });
        },
        "w"_a, "delta"_a.none(), "row0"_a, "row1"_a, "out"_a);
    m.def(
        "effective_bf16",
        [](const Matrix &w, const Adapter *d, int64_t row0, int64_t row1, Array<uint16_t> out) {
            return unlocked([&] { return es_effective_bf16(&w.view, view(d), row0, row1, out.data()); });
        },
        "w"_a, "delta"_a.none(), "row0"_a, "row1"_a, "out"_a);
    m.def(
        "merge",
        [](const Matrix &w, const Adapter *d, int64_t row0, int64_t row1, Array<uint8_t> out) {
            es_moves moves{};
            const int error = unlocked([&] { return es_merge(&w.view, view(d), row0, row1, out.data(), &moves); });
            return nb::make_tuple(error, moves.codes, moves.moved, moves.clamped, moves.delta_squares,
                                  moves.change_dot);
        },
        "w"_a, "delta"_a.none(), "row0"_a, "row1"_a, "out"_a);
    m.def(
        "linear",
        [](const Matrix &w, const Adapter *d, bool exact, Array<const float> x, int64_t n, Array<float> y) {
            return unlocked([&] { return es_linear(&w.view, view(d), exact, x.data(), n, y.data()); });
        },
        "w"_a, "delta"_a.none(), "exact"_a, "x"_a, "n"_a, "y"_a);
    m.def(
        "linear_grad",
        [](const Matrix &w, const Adapter *d, bool exact, Array<const float> dy, int64_t n, Array<float> dx) {
            return unlocked([&] { return es_linear_grad(&w.view, view(d), exact, dy.data(), n, dx.data()); });
        },
        "w"_a, "delta"_a.none(), "exact"_a, "dy"_a, "n"_a, "dx"_a);

    nb::class_<es_shape>(m, "Shape")
        .def("__init__", [](es_shape *self) { new (self) es_shape{}; })
        .def_rw("width", &es_shape::width)
        .def_rw("heads", &es_shape::heads)
        .def_rw("kv_heads", &es_shape::kv_heads)
        .def_rw("head_width", &es_shape::head_width)
        .def_rw("turned", &es_shape::turned)
        .def_prop_rw(
            "halves", [](const es_shape &shape) { return shape.halves != 0; },
            [](es_shape &shape, bool value) { shape.halves = value; })
        .def_prop_rw(
            "gelu", [](const es_shape &shape) { return shape.gelu != 0; },
            [](es_shape &shape, bool value) { shape.gelu = value; })
        .def_rw("window", &es_shape::window)
        .def_rw("local_every", &es_shape::local_every)
        .def_rw("epsilon", &es_shape::epsilon)
        .def_rw("attention_scale", &es_shape::attention_scale)
        .def_rw("embedding_scale", &es_shape::embedding_scale);
    nb::class_<Layer>(m, "Layer")
        .def("__init__",
             [](Layer *self, std::vector<Matrix> matrices, std::vector<std::optional<Array<const float>>> biases,
                std::vector<std::optional<Array<const float>>> norms) {
                 new (self) Layer{std::move(matrices), std::move(biases), std::move(norms)};
             });
    nb::class_<Trained>(m, "Trained")
        .def("__init__", [](Trained *self, const Adapter &adapter, Array<float> a, Array<float> b) {
            new (self) Trained{adapter, a, b};
        });
    nb::class_<Network>(m, "Network")
        .def(nb::init<const es_shape &, Array<const double>, Array<const double>, std::vector<Layer>, Matrix, Matrix,
                      Array<const float>, bool>())
        .def_ro("error", &Network::error)
        .def("attach",
             [](Network &net, std::vector<Trained> trained, bool copy, bool remember) {
                 return unlocked([&] { return net.attach(std::move(trained), copy, remember); });
             })
        .def("round", [](Network &net, int32_t first,
                         int32_t last) { return unlocked([&] { return es_network_round(net.made, first, last); }); })
        .def("learn",
             [](Network &net, Array<const int32_t> tokens, Array<const int32_t> starts, int64_t shared,
                Array<const int32_t> places, Array<const int32_t> ids, Array<const float> probs, float scale,
                Array<float> losses) {
                 const es_batch rows = batch(tokens, starts, shared);
                 const int64_t count = (int64_t)places.size();
                 const es_targets targets{count, count ? (int32_t)(ids.size() / places.size()) : 0, places.data(),
                                          ids.data(), probs.data()};
                 return unlocked([&] { return es_network_learn(net.made, &rows, &targets, scale, losses.data()); });
             })
        .def("top",
             [](Network &net, Array<const int32_t> tokens, Array<const int32_t> starts, int64_t shared,
                Array<const int32_t> places, int32_t listed, Array<int32_t> ids, Array<float> probs) {
                 const es_batch rows = batch(tokens, starts, shared);
                 return unlocked([&] {
                     return es_network_top(net.made, &rows, places.data(), (int64_t)places.size(), listed, ids.data(),
                                           probs.data());
                 });
             })
        .def("logits",
             [](Network &net, Array<const int32_t> tokens, Array<const int32_t> starts, int64_t shared,
                Array<float> logits) {
                 const es_batch rows = batch(tokens, starts, shared);
                 return unlocked([&] { return es_network_logits(net.made, &rows, logits.data()); });
             })
        .def("write", [](Network &net, int32_t texts,
                         int32_t room) { return unlocked([&] { return es_network_write(net.made, texts, room); }); })
        .def("extend",
             [](Network &net, Array<const int32_t> tokens, Array<const int32_t> texts, Array<const int32_t> places,
                Array<float> logits) {
                 return unlocked([&] {
                     return es_network_extend(net.made, (int64_t)tokens.size(), tokens.data(), texts.data(),
                                              places.data(), (int64_t)places.size(), logits.data());
                 });
             })
        .def("share",
             [](Network &net, int32_t texts) { return unlocked([&] { return es_network_share(net.made, texts); }); });
    m.def("adam", [](Array<float> value, Array<const float> gradient, Array<float> first, Array<float> second,
                     int64_t step, float rate, float beta1, float beta2, float epsilon, float clip) {
        return unlocked([&] {
            return es_adam((int64_t)value.size(), step, rate, beta1, beta2, epsilon, clip, gradient.data(),
                           value.data(), first.data(), second.data());
        });
    });
}
