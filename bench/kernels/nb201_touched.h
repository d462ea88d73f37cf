// Operations whose output is touched element by element: y becomes factor·y + addend, for masks and
// noise. They are left out of the passes over everything and have these of their own.

#pragma once
#include "nb201_inputs.h"

namespace {

// What a touched operation gave before slope and offset, at a row of pixels: where and how far apart.
struct Raw {
    const T* z;
    int64_t apart;
    Raw(const Work& k, const Node& n, int64_t slot, int o, int64_t pixel, const T* pooled)
        : z(pooled), apart(k.C) {
        if (o == SKIP) z = k.mixed(n.source) + pixel * k.C;
        if (o != CONV1 && o != CONV3) return;
        const int kind = o == CONV1;
        apart = n.wide[kind] * k.C;
        z = k.t.outputs[n.source][kind] + (pixel * n.wide[kind] + n.place[kind][slot]) * k.C;
    }
};

// Call work(image, first pixel, pooled row, scratch) for every row of pixels.
template <typename F>
void rows_of(const Work& k, const Node& n, bool pools, F work) {
    const T* x = k.mixed(n.source);
#pragma omp parallel num_threads(k.s.threads) if (k.s.threads > 1)
    {
        std::vector<T> line(k.row + 2 * k.C, T(0)), pooled(k.row);
#pragma omp for
        for (int64_t b = 0; b < k.s.images; b++)
            for (int64_t h = 0; h < k.s.height; h++) {
                if (pools) k.pool_row(x + b * k.size, h, line.data(), pooled.data());
                work(b, b * k.pixels + h * k.s.width, (const T*)pooled.data());
            }
    }
}

// Add to the targets f·mixture·(factor·(slope·z + offset) + addend).
void combine_touched(const Work& k, const Lines& lines, T* const* targets) {
    const Node& n = lines.n;
    for (int64_t j = 0; j < n.slots; j++)
        for (int o : {SKIP, CONV1, CONV3, POOL}) {
            const int64_t e = n.edge(j), which = e * OPERATIONS + o;
            if (!n.carries[j] || !k.touched(e, o)) continue;
            const T p = k.mixture(e, o), *factor = k.t.factor[which], *addend = k.t.addend[which];
            const bool replaced = k.s.touched[which] == 2;
            rows_of(k, n, o == POOL && !replaced, [&](int64_t b, int64_t pixel, const T* pooled) {
                const Raw raw(k, n, j, o, pixel, pooled);
                const T weight = p * k.edge(0, e, b);
                for (int64_t q = 0; q < k.C; q += L) {
                    V a, c;
                    for (int i = 0; i < L; i++) a[i] = T(lines.slope[lines.place(j, o) + q + i]);
                    for (int i = 0; i < L; i++) c[i] = T(lines.offset[lines.place(j, o) + q + i]);
                    for (int64_t w = 0; w < k.s.width; w++) {
                        const int64_t i = (pixel + w) * k.C + q;
                        V v = {};
                        if (!replaced) v = a * at(raw.z + w * raw.apart + q) + c;
                        if (factor) v *= at(factor + i);
                        if (addend) v += at(addend + i);
                        at(targets[n.target(j)] + i) += weight * v;
                    }
                }
            });
        }
}

// Inner products of an image's gradient g with factor, factor·z and addend: [images, 3, C].
std::vector<double> products_touched(const Work& k, const Node& n, int64_t j, int o, const T* g) {
    const int64_t which = n.edge(j) * OPERATIONS + o;
    const T *factor = k.t.factor[which], *addend = k.t.addend[which];
    const bool replaced = k.s.touched[which] == 2;
    std::vector<double> sums(k.s.images * 3 * k.C, 0.0);
    rows_of(k, n, o == POOL && !replaced, [&](int64_t b, int64_t pixel, const T* pooled) {
        const Raw raw(k, n, j, o, pixel, pooled);
        for (int64_t q = 0; q < k.C; q += L) {
            V one = {}, along = {}, added = {};
            for (int64_t w = 0; w < k.s.width; w++) {
                const int64_t i = (pixel + w) * k.C + q;
                V v = at(g + i);
                if (addend) added += v * at(addend + i);
                if (replaced) continue;
                if (factor) v *= at(factor + i);
                one += v, along += v * at(raw.z + w * raw.apart + q);
            }
            double* own = &sums[b * 3 * k.C + q];
            add_to(own, one), add_to(own + k.C, along), add_to(own + 2 * k.C, added);
        }
    });
    return sums;
}

}  // namespace
