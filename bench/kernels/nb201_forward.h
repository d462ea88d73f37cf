// The passes of one node forward: its convolutions with their statistics, then one pass that does
// batch norm, mixture, skip, pooling and the sum over edges together.

#pragma once
#include "nb201_inputs.h"
#include <utility>

namespace {

// Add sum and sum of squares, `apart` from it, of y [pixels, K]; in double from strip to strip.
void moments(const T* y, int64_t pixels, int64_t K, double* sums, int64_t apart) {
    for (int64_t p = 0; p < pixels; p += STRIP)
        for (int64_t q = 0; q < K; q += L) {
            V one = {}, two = {};
            for (int64_t w = p; w < std::min(p + STRIP, pixels); w++) {
                const V v = at(y + w * K + q);
                one += v, two += v * v;
            }
            add_to(sums + q, one), add_to(sums + apart + q, two);
        }
}

// Mean and variance, 8 C apart, of K channels from sums of groups [groups, 2, K].
void settle(const Work& k, const std::vector<double>& sums, int64_t K, double* mean) {
    const double number = double(k.s.counted * k.pixels);
    for (int64_t c = 0; c < K; c++) {
        double one = 0, two = 0;
        for (size_t g = 0; g < sums.size(); g += 2 * K) one += sums[g + c], two += sums[g + K + c];
        mean[c] = one / number;
        mean[8 * k.C + c] = two / number - mean[c] * mean[c];
    }
}

// Run the convolutions of a node and, unless they are given, take their statistics.
void convolutions(const Work& k, const Node& n) {
    const T* x = k.mixed(n.source);
    T *const *y = k.t.outputs[n.source], *const *weights = k.t.weights[n.source];
    const int64_t K3 = n.wide[0] * k.C, K1 = n.wide[1] * k.C, K = K3 + K1;
    if (!K) return;
    std::vector<T> u(16 * k.C * K3), flat(k.C * K1);
    transform_weights(weights[0], K3, k.C, false, u.data());
    for (int64_t o = 0; o < K1; o++)
        for (int64_t i = 0; i < k.C; i++) flat[i * K1 + o] = weights[1][o * k.C + i];
    std::vector<double> sums(k.s.given ? 0 : k.groups * 2 * K, 0.0);
#pragma omp parallel num_threads(k.s.threads) if (k.s.threads > 1)
    {
        Scratch scratch(k, false);
#pragma omp for
        for (int64_t g = 0; g < k.groups; g++) {
            const int64_t start = k.first(g) * k.pixels, pixels = k.count(g) * k.pixels;
            const int64_t counted = k.s.counted - k.first(g);
            const int64_t seen = std::clamp<int64_t>(counted, 0, k.count(g)) * k.pixels;
            T *r = scratch.relu.data(), *y3 = y[0] + start * K3, *y1 = y[1] + start * K1;
            double* own = sums.data() + g * 2 * K;
            rectify(x + start * k.C, pixels * k.C, r);
            if (K3) convolve(r, k.tiled(g), k.C, K3, u.data(), scratch.a, scratch.b, y3);
            if (K1) product<false>(pixels, K1, k.C, r, k.C, 1, flat.data(), K1, y1, K1);
            if (k.s.given) continue;
            if (K3) moments(y3, seen, K3, own, K);
            if (K1) moments(y1, seen, K1, own + K3, K);
        }
    }
    if (!k.s.given) settle(k, sums, K, k.statistics(n));
}

// Take the statistics of the node itself, or of what pooling makes of it, where a batch norm follows.
void weight_free_statistics(const Work& k, const Node& n, int operation) {
    const T* x = k.mixed(n.source);
    std::vector<double> sums(k.blocks * 2 * k.C, 0.0);
    sweep(k, x, operation == POOL, k.s.counted,
          [&](int64_t block, int64_t, int64_t pixel, int64_t number, const T* pooled) {
              const T* z = operation == POOL ? pooled : x + pixel * k.C;
              moments(z, number, k.C, &sums[block * 2 * k.C], k.C);
          });
    settle(k, sums, k.C, k.statistics(n) + (6 + (operation == POOL)) * k.C);
}

// Coefficients of the operations that are not touched: mixture times slope, and the constants' sum.
struct Mixed {
    std::vector<T> slope, constant;  // [slots, operations, C] and [slots, C]
    explicit Mixed(const Lines& lines) : slope(lines.slope.size(), T(0)), constant(3 * lines.k.C) {
        const Work& k = lines.k;
        for (int64_t j = 0; j < lines.n.slots; j++)
            for (int64_t c = 0; c < k.C; c++) {
                double shift = 0;
                for (int o : {SKIP, CONV1, CONV3, POOL}) {
                    if (!k.plain(lines.n.edge(j), o)) continue;
                    const double p = k.mixture(lines.n.edge(j), o);
                    slope[lines.place(j, o) + c] = T(p * lines.slope[lines.place(j, o) + c]);
                    shift += p * lines.offset[lines.place(j, o) + c];
                }
                constant[j * k.C + c] = T(shift);
            }
    }
};

// Some pixels of one edge, L channels of it: to = or += f·Σ mixture·operation(x) + s·x + c.
// Which of these there are is settled outside the loop over pixels.
struct Line {
    static constexpr int ONE = 1, THREE = 2, POOLED = 4, STRAIGHT = 8, ADD = 16;
    const T *x, *pooled, *y3, *y1;
    int64_t C, wide3, wide1, number;
    V a3, a1, skip, pool, constant;
    template <int WHICH>
    static void line(const Line& r, T* to) {
        for (int64_t w = 0; w < r.number; w++) {
            V v = r.constant;
            if (WHICH & ADD) v += at(to + w * r.C);
            if (WHICH & THREE) v += r.a3 * at(r.y3 + w * r.wide3);
            if (WHICH & ONE) v += r.a1 * at(r.y1 + w * r.wide1);
            if (WHICH & STRAIGHT) v += r.skip * at(r.x + w * r.C);
            if (WHICH & POOLED) v += r.pool * at(r.pooled + w * r.C);
            at(to + w * r.C) = v;
        }
    }
    template <int... WHICH>
    void run(int which, T* to, std::integer_sequence<int, WHICH...>) const {
        static constexpr void (*lines[])(const Line&, T*) = {line<WHICH>...};
        lines[which](*this, to);
    }
};

// Add to the targets what leaves a node. fresh: targets that nothing was written to.
void combine(const Work& k, const Lines& lines, T* const* targets, const bool* fresh) {
    const Node& n = lines.n;
    const int64_t C = k.C;
    const T *x = k.mixed(n.source), *y3 = k.t.outputs[n.source][0], *y1 = k.t.outputs[n.source][1];
    const Mixed mixed(lines);
    sweep(k, x, n.pools, k.s.images, [&](int64_t, int64_t b, int64_t pixel, int64_t number, const T* pooled) {
        Line line;
        line.C = C, line.wide3 = n.wide[0] * C, line.wide1 = n.wide[1] * C, line.number = number;
        for (int64_t j = 0; j < n.slots; j++) {
            const int64_t e = n.edge(j), p3 = n.place[0][j], p1 = n.place[1][j];
            const T f = k.edge(0, e, b), s = k.inner(1, e, b), c = k.inner(2, e, b);
            if (!n.carries[j]) continue;
            const int which = k.plain(e, CONV1) * Line::ONE + k.plain(e, CONV3) * Line::THREE +
                              k.plain(e, POOL) * Line::POOLED +
                              (s != 0 || k.plain(e, SKIP)) * Line::STRAIGHT +
                              !fresh[n.target(j)] * Line::ADD;
            for (int64_t q = 0; q < C; q += L) {
                const T* slope = &mixed.slope[lines.place(j, 0) + q];
                line.x = x + pixel * C + q, line.pooled = pooled + q;
                line.y3 = y3 + (pixel * n.wide[0] + p3) * C + q;
                line.y1 = y1 + (pixel * n.wide[1] + p1) * C + q;
                line.a3 = f * at(slope + CONV3 * C), line.a1 = f * at(slope + CONV1 * C);
                line.pool = f * at(slope + POOL * C), line.skip = f * at(slope + SKIP * C) + s;
                line.constant = f * at(&mixed.constant[j * C + q]) + c;
                line.run(which, targets[n.target(j)] + pixel * C + q,
                         std::make_integer_sequence<int, 32>());
            }
        }
    });
}

}  // namespace
