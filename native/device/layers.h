// What a layer does besides products and attention, and the optimiser.
//
// Owns norm, rotary turn, gated activation, sums, chosen places and Adam, with their gradients; cpu/layers.h has the
// same formulas on panels. Must stay true: where nothing is summed across features the numbers are those of the
// processor but for the exponential, which is the device's own.
#pragma once

#include "arguments.h"

namespace edgesleep_device {

// One row for each block. Grid: rows.
DEVICE float inverse_rms(ARGUMENTS(NormArgs) args, Place place, SHARED(Reduction) room) {
    float squares = 0.0f;
    for (int f = place.worker; f < args.width; f += kThreads) {
        const float x = args.x[(int64_t)place.x * args.width + f];
        squares = fused(x, x, squares);
    }
    return 1.0f / root(sum_of_block(room, place.worker, squares) / (float)args.width + args.epsilon);
}

DEVICE void norm(ARGUMENTS(NormArgs) args, Place place, SHARED(Reduction) room) {
    const float inverse = inverse_rms(args, place, room);
    const int64_t row = (int64_t)place.x * args.width;
    for (int f = place.worker; f < args.width; f += kThreads)
        args.y[row + f] = args.x[row + f] * inverse * args.weight[f];
}

DEVICE void norm_back(ARGUMENTS(NormArgs) args, Place place, SHARED(Reduction) room) {
    const float inverse = inverse_rms(args, place, room);
    const int64_t row = (int64_t)place.x * args.width;
    float own = 0.0f;
    for (int f = place.worker; f < args.width; f += kThreads)
        own = fused(args.dy[row + f] * args.x[row + f], args.weight[f], own);
    const float dot = sum_of_block(room, place.worker, own);
    const float pull = dot * inverse * inverse * inverse / (float)args.width;
    for (int f = place.worker; f < args.width; f += kThreads) {
        const float made = args.dy[row + f] * inverse * args.weight[f] - args.x[row + f] * pull;
        args.y[row + f] = args.add ? args.y[row + f] + made : made;
    }
}

// Grid: pieces of kThreads of all pairs of a token, tokens.
DEVICE void turn(ARGUMENTS(TurnArgs) args, Place place, SHARED(NoShared)) {
    const int index = place.x * kThreads + place.worker, token = place.y;
    if (index >= args.heads * args.pairs) return;
    const int head = index / args.pairs, j = index % args.pairs;
    const int64_t row = ((int64_t)token * args.heads + head) * args.head_width;
    const int64_t first = row + (args.halves ? j : 2 * j), second = first + (args.halves ? args.pairs : 1);
    const float cos = args.cos[(int64_t)token * args.pairs + j], sine = args.sin[(int64_t)token * args.pairs + j];
    const float sin = args.back ? -sine : sine, a = args.x[first], b = args.x[second];
    args.x[first] = a * cos - b * sin;
    args.x[second] = a * sin + b * cos;
}

DEVICE float logistic(float x, int gelu) {
    const float g = gelu ? 1.5957691216f * (x + 0.044715f * x * x * x) : x;
    return 1.0f / (1.0f + exponential(larger(-g, -87.0f)));
}

DEVICE int64_t own_element(Place place) { return (int64_t)place.x * kThreads + place.worker; }

// Grid of the elementwise kernels: pieces of kThreads.
DEVICE void gate(ARGUMENTS(GateArgs) args, Place place, SHARED(NoShared)) {
    const int64_t i = own_element(place);
    if (i >= args.count) return;
    const float x = args.gate[i];
    args.y[i] = x * logistic(x, args.gelu) * args.up[i];
}

DEVICE void gate_back(ARGUMENTS(GateArgs) args, Place place, SHARED(NoShared)) {
    const int64_t i = own_element(place);
    if (i >= args.count) return;
    const float x = args.gate[i], u = args.up[i], d = args.y[i], s = logistic(x, args.gelu);
    const float slope = args.gelu ? 1.5957691216f * (1.0f + 0.134145f * x * x) : 1.0f;
    args.y[i] = x * s * u;
    args.gate[i] = d * u * (s + x * s * (1.0f - s) * slope);
    args.up[i] = d * x * s;
}

DEVICE void add(ARGUMENTS(AddArgs) args, Place place, SHARED(NoShared)) {
    const int64_t i = own_element(place);
    if (i < args.count) args.y[i] = args.a[i] + args.b[i];
}

// Grid: pieces of kThreads features, then places; or tokens with `back`, each of which looks for its own places.
DEVICE void places(ARGUMENTS(PlacesArgs) args, Place place, SHARED(NoShared)) {
    const int f = place.x * kThreads + place.worker;
    if (f >= args.width) return;
    const int64_t own = (int64_t)place.y * args.width + f;
    if (!args.back) {
        args.y[own] = args.x[(int64_t)args.places[place.y] * args.width + f];
        return;
    }
    float sum = args.y[own];
    for (int i = 0; i < args.count; ++i)
        if (args.places[i] == place.y) sum += args.x[(int64_t)i * args.width + f];
    args.y[own] = sum;
}

DEVICE void adam(ARGUMENTS(AdamArgs) args, Place place, SHARED(NoShared)) {
    const int64_t i = own_element(place);
    if (i >= args.count) return;
    const float g = args.gradient[i] * args.clip;
    const float first = args.beta1 * args.first[i] + (1.0f - args.beta1) * g;
    const float second = args.beta2 * args.second[i] + (1.0f - args.beta2) * g * g;
    args.first[i] = first;
    args.second[i] = second;
    const float spread = root(second * args.correction2) + args.epsilon;
    args.value[i] = args.value[i] - args.rate * (first * args.correction1) / spread;
}

}  // namespace edgesleep_device
