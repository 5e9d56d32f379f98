// The Python module edgesleep._native: the C ABI on numpy arrays, nothing more.
//
// Owns the release of the interpreter lock and the views on arrays. Leaves
// shapes, names and errors to edgesleep/kernel.py, the only caller. Must stay
// true: functions return the ABI's error code, and never copy an array.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

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
        [](const Matrix &w, const Adapter *d, Array<const float> x, int64_t n, Array<float> y) {
            return unlocked([&] { return es_linear(&w.view, view(d), x.data(), n, y.data()); });
        },
        "w"_a, "delta"_a.none(), "x"_a, "n"_a, "y"_a);
    m.def(
        "linear_grad",
        [](const Matrix &w, const Adapter *d, Array<const float> dy, int64_t n, Array<float> dx) {
            return unlocked([&] { return es_linear_grad(&w.view, view(d), dy.data(), n, dx.data()); });
        },
        "w"_a, "delta"_a.none(), "dy"_a, "n"_a, "dx"_a);
}
