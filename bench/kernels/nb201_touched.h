// Operations whose output is touched element by element: y becomes factor·y + addend, for masks and
// noise. They are left out of the passes over everything and have these of their own.

#pragma once
#include "nb201_inputs.h"

namespace {

// What a touched operation gave before slope and offset, at a pixel: where and how far apart.
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

// Add to the targets f·mixture·(factor·(slope·z + offset) + addend).
void combine_touched(const Work& k, const Lines& lines, T* const* targets) {
    const Node& n = lines.n;
    for (int64_t j = 0; j < n.slots; j++)
        for (int o : {SKIP, CONV1, CONV3, POOL}) {
            const int64_t e = n.edge(j), which = e * OPERATIONS + o;
            if (!n.carries[j] || !k.touched(e, o)) continue;
            const T p = k.mixture(e, o), *factor = k.t.factor[which], *addend = k.t.addend[which];
            const bool replaced = k.s.touched[which] == 2;
            std::vector<T> slope(k.C), offset(k.C);
            for (int64_t c = 0; c < k.C; c++) {
                slope[c] = T(lines.slope[lines.place(j, o) + c]);
                offset[c] = T(lines.offset[lines.place(j, o) + c]);
            }
            T* to = targets[n.target(j)];
            sweep(k, k.mixed(n.source), o == POOL && !replaced, k.s.images,
                  [&](int64_t, int64_t b, int64_t pixel, int64_t number, const T* pooled) {
                      const Raw raw(k, n, j, o, pixel, pooled);
                      const T weight = p * k.edge(0, e, b);
                      for (int64_t q = 0; q < k.C; q += L) {
                          const V a = at(&slope[q]), c = at(&offset[q]);
                          for (int64_t w = 0; w < number; w++) {
                              const int64_t i = (pixel + w) * k.C + q;
                              V v = {};
                              if (!replaced) v = a * at(raw.z + w * raw.apart + q) + c;
                              if (factor) v *= at(factor + i);
                              if (addend) v += at(addend + i);
                              at(to + i) += weight * v;
                          }
                      }
                  });
        }
}

// Inner products of the gradient g with factor, factor·z and addend: [blocks, 3, C].
std::vector<double> products_touched(const Work& k, const Node& n, int64_t j, int o, const T* g) {
    const int64_t which = n.edge(j) * OPERATIONS + o;
    const T *factor = k.t.factor[which], *addend = k.t.addend[which];
    const bool replaced = k.s.touched[which] == 2;
    std::vector<double> sums(k.blocks * 3 * k.C, 0.0);
    sweep(k, k.mixed(n.source), o == POOL && !replaced, k.s.images,
          [&](int64_t block, int64_t, int64_t pixel, int64_t number, const T* pooled) {
              const Raw raw(k, n, j, o, pixel, pooled);
              for (int64_t q = 0; q < k.C; q += L) {
                  V one = {}, along = {}, added = {};
                  for (int64_t w = 0; w < number; w++) {
                      const int64_t i = (pixel + w) * k.C + q;
                      V v = at(g + i);
                      if (addend) added += v * at(addend + i);
                      if (replaced) continue;
                      if (factor) v *= at(factor + i);
                      one += v, along += v * at(raw.z + w * raw.apart + q);
                  }
                  double* own = &sums[block * 3 * k.C + q];
                  add_to(own, one), add_to(own + k.C, along), add_to(own + 2 * k.C, added);
              }
          });
    return sums;
}

}  // namespace
