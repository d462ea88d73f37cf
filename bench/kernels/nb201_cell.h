// One mixed cell of NAS-Bench-201, forward and backward; called from bench/spaces/nb201/fused.py.
//
// Tensors are channels-last, [images, H, W, C]. Convolutions that leave the same node are stacked,
// [.., wide, C], and one pass after them does batch norm, mixture, skip, pooling and the sum over
// edges together; backward likewise. Only the convolutions' outputs and the nodes are kept. What
// variants do inside a cell comes as tensors: factors and addends of operations, of whole edges,
// channels that bypass. Images go through in groups small enough for the cache. Sums run over a row
// of pixels in the working precision and over rows and groups in double, in an order that does not
// depend on the number of threads.

#pragma once
#include "nb201_backward.h"
#include "nb201_forward.h"
#include "nb201_partial.h"

extern "C" void forward(const Shape* shape, const Tensors* tensors) {
    const Work k(*shape, *tensors);
    bool fresh[NODES + 1] = {true, true, true, true};
    std::vector<T> mixed[NODES + 1];
    T* targets[NODES + 1];
    for (int node = 0; node <= NODES; node++) {
        if (k.partial()) mixed[node].resize(node && k.t.nodes[node] ? k.s.images * k.size : 0);
        targets[node] = k.partial() ? mixed[node].data() : k.t.nodes[node];
    }
    for (int node = 0; node <= NODES; node++) {
        if (node && k.t.nodes[node]) {
            if (fresh[node]) std::fill_n(targets[node], k.s.images * k.size, T(0));
            if (k.partial()) weave(k, node, targets[node]);
        }
        if (node == NODES || !k.t.nodes[node]) continue;
        const Node n(*shape, *tensors, node);
        if (!n.any) continue;
        if (k.partial()) split(k, k.t.nodes[node], k.t.parts[node]);
        convolutions(k, n);
        for (int o : {SKIP, POOL})
            if (n.normal[o]) weight_free_statistics(k, n, o);
        const Lines lines(k, n);
        combine(k, lines, targets, fresh);
        combine_touched(k, lines, targets);
        for (int64_t j = 0; j < n.slots; j++) fresh[n.target(j)] &= !n.carries[j];
    }
}

extern "C" void backward(const Shape* shape, const Tensors* tensors) {
    const Work k(*shape, *tensors);
    std::vector<T> mixed[NODES + 1], dx;
    T* g[NODES + 1] = {};
    if (k.t.dedges) std::fill_n(k.t.dedges, 3 * EDGES * k.s.images, T(0));
    for (int node = NODES; node >= 0; node--) {
        T* own = k.t.gradients[node];
        const Node n(*shape, *tensors, node);
        if (node < NODES && k.t.nodes[node]) {
            if (n.any) {
                const bool down = k.t.dweights[node][0] || k.t.dweights[node][1];
                const Lines lines(k, n);
                const auto found = coefficients(lines, gathered(k, lines, g, k.t.dedges));
                if (k.partial() && own) dx.resize(k.s.images * k.size);
                if (own || down) backward_node(k, lines, g, found, k.partial() && own ? dx.data() : own);
                if (k.partial()) bypass_back(k, node, dx.data(), own, k.t.dedges);
            } else if (own) {
                std::fill_n(own, k.s.images * k.pixels * k.s.whole, T(0));
            }
        }
        g[node] = own;
        if (!k.partial() || !own || !node) continue;
        mixed[node].resize(k.s.images * k.size);
        unweave(k, own, mixed[node].data());
        g[node] = mixed[node].data();
    }
}
