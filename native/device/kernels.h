// All kernels by name.
//
// Owns the list from which each home makes its entry points. Must stay true: a kernel is body(arguments, place, shared
// memory) in blocks of kThreads threads; a name here is also that of its entry point.
#pragma once

#include "attention.h"
#include "layers.h"
#include "loss.h"
#include "round.h"
#include "tiles.h"

// what(body, arguments, shared memory)
// clang-format off
#define EDGESLEEP_KERNELS(what)                               \
    what(round_weights, RoundArgs, RoundShared)               \
    what(read_rows, RowsArgs, NoShared)                       \
    what(linear, LinearArgs, ProductShared)                   \
    what(linear_bf16, LinearArgs, TilesShared)                \
    what(product, ProductArgs, ProductShared)                 \
    what(norm, NormArgs, Reduction)                           \
    what(norm_back, NormArgs, Reduction)                      \
    what(turn, TurnArgs, NoShared)                            \
    what(gate, GateArgs, NoShared)                            \
    what(gate_back, GateArgs, NoShared)                       \
    what(add, AddArgs, NoShared)                              \
    what(places, PlacesArgs, NoShared)                        \
    what(adam, AdamArgs, NoShared)                            \
    what(attend, AttentionArgs, AttentionShared)              \
    what(attend_back_queries, AttentionArgs, AttentionShared) \
    what(attend_back_keys, AttentionArgs, AttentionShared)    \
    what(dots, DotsArgs, Reduction)                           \
    what(loss, LossArgs, LossShared)
// clang-format on
