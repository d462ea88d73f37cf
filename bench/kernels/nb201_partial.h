// Partial channels: the first C of a node are mixed, the rest bypasses; shuffled, the two interleave.

#pragma once
#include "nb201_inputs.h"

namespace {

// Where channel c of [mixed, bypassed] stands in a node.
int64_t position(const Work& k, int64_t c) {
    return k.s.shuffled ? c % k.C * (k.s.whole / k.C) + c / k.C : c;
}

// parts = the mixed channels of a node.
void split(const Work& k, const T* node, T* part) {
    for (int64_t p = 0; p < k.s.images * k.pixels; p++)
        std::copy_n(node + p * k.s.whole, k.C, part + p * k.C);
}

// A node from the sum of its mixtures and the bypassed channels of all sources before it.
void weave(const Work& k, int target, const T* mixed) {
    const int64_t whole = k.s.whole;
    T* node = k.t.nodes[target];
    for (int64_t b = 0; b < k.s.images; b++)
        for (int64_t p = b * k.pixels; p < (b + 1) * k.pixels; p++) {
            T* to = node + p * whole;
            for (int64_t c = 0; c < k.C; c++) to[position(k, c)] = mixed[p * k.C + c];
            for (int64_t c = k.C; c < whole; c++) to[position(k, c)] = 0;
        }
    for (int source = 0; source < target; source++) {
        const int64_t e = EDGE[source][target - source - 1];
        for (int64_t b = 0; b < k.s.images; b++) {
            const T f = k.edge(0, e, b), s = k.edge(1, e, b), constant = k.edge(2, e, b);
            for (int64_t p = b * k.pixels; p < (b + 1) * k.pixels; p++) {
                const T* x = k.t.nodes[source] + p * whole;
                T* to = node + p * whole;
                for (int64_t c = k.C; c < whole; c++) to[position(k, c)] += f * x[c];
                if (s != 0 || constant != 0)
                    for (int64_t c = 0; c < whole; c++) to[c] += s * x[c] + constant;
            }
        }
    }
}

// The gradient of a node's mixed channels, of those after the shuffle.
void unweave(const Work& k, const T* gradient, T* mixed) {
    for (int64_t p = 0; p < k.s.images * k.pixels; p++)
        for (int64_t c = 0; c < k.C; c++) mixed[p * k.C + c] = gradient[p * k.s.whole + position(k, c)];
}

// dx of a source from that of its mixed channels and what bypassed; adds to the edges' gradients.
void bypass_back(const Work& k, int source, const T* mixed, T* dx, T* dedges) {
    const int64_t whole = k.s.whole, kinds = EDGES * k.s.images;
    const T* x = k.t.nodes[source];
    for (int64_t p = 0; dx && p < k.s.images * k.pixels; p++)
        for (int64_t c = 0; c < whole; c++) dx[p * whole + c] = c < k.C ? mixed[p * k.C + c] : T(0);
    for (int target = source + 1; target <= NODES; target++) {
        const T* g = k.t.gradients[target];
        const int64_t e = EDGE[source][target - source - 1];
        if (!g || !k.t.nodes[target]) continue;
        for (int64_t b = 0; b < k.s.images; b++) {
            const T f = k.edge(0, e, b), s = k.edge(1, e, b);
            double passed = 0, straight = 0, constant = 0;
            for (int64_t i = b * k.pixels * whole; i < (b + 1) * k.pixels * whole; i += whole) {
                for (int64_t c = k.C; c < whole; c++) {
                    const T v = g[i + position(k, c)];
                    if (dx) dx[i + c] += f * v;
                    passed += double(v) * x[i + c];
                }
                if (dx && s != 0)
                    for (int64_t c = 0; c < whole; c++) dx[i + c] += s * g[i + c];
                for (int64_t c = 0; dedges && c < whole; c++)
                    straight += double(g[i + c]) * x[i + c], constant += g[i + c];
            }
            if (!dedges) continue;
            T* own = dedges + e * k.s.images + b;
            own[0] += T(passed), own[kinds] += T(straight), own[2 * kinds] += T(constant);
        }
    }
}

}  // namespace
