// The passes of one node backward: inner products, from these the coefficients of every gradient,
// then one pass by groups of images, small enough for the cache, that forms and uses them.

#pragma once
#include "nb201_touched.h"

namespace {

// Inner products over the batch of the gradients of operations' outputs: with one, z and addend.
struct Sums {
    std::vector<double> one, along, added;  // [slots, operations, C]
    explicit Sums(const Lines& lines) : one(lines.slope.size(), 0.0), along(one), added(one) {}
};

// Inner products of the targets' gradients with the operations' outputs, block by block of images:
// [blocks, slots, 5, C] of Σg, Σg·y3, Σg·y1, Σg·x, Σg·pooled(x).
std::vector<double> products(const Work& k, const Node& n, const T* const* g) {
    const int64_t C = k.C, length = n.slots * 5 * C;
    const T *x = k.mixed(n.source), *y3 = k.t.outputs[n.source][0], *y1 = k.t.outputs[n.source][1];
    std::vector<double> sums(k.blocks * length, 0.0);
    sweep(k, x, n.pools, k.s.images,
          [&](int64_t block, int64_t, int64_t pixel, int64_t number, const T* pooled) {
              for (int64_t j = 0; j < n.slots; j++) {
                  if (!n.carries[j]) continue;
                  const bool on3 = n.place[0][j] != NONE, on1 = n.place[1][j] != NONE;
                  for (int64_t q = 0; q < C; q += L) {
                      const T* own = g[n.target(j)] + pixel * C + q;
                      const T* p3 = y3 + (pixel * n.wide[0] + n.place[0][j]) * C + q;
                      const T* p1 = y1 + (pixel * n.wide[1] + n.place[1][j]) * C + q;
                      V s = {}, s3 = {}, s1 = {}, sx = {}, sp = {};
                      for (int64_t w = 0; w < number; w++) {
                          const V v = at(own + w * C);
                          s += v, sx += v * at(x + (pixel + w) * C + q);
                          if (on3) s3 += v * at(p3 + w * n.wide[0] * C);
                          if (on1) s1 += v * at(p1 + w * n.wide[1] * C);
                          if (n.pools) sp += v * at(pooled + w * C + q);
                      }
                      double* to = sums.data() + block * length + j * 5 * C + q;
                      add_to(to, s), add_to(to + C, s3), add_to(to + 2 * C, s1);
                      add_to(to + 3 * C, sx), add_to(to + 4 * C, sp);
                  }
              }
          });
    return sums;
}

// The sums over the batch, edges' factors applied, and the gradients of what acts on whole edges.
Sums gathered(const Work& k, const Lines& lines, const T* const* g, T* dedges) {
    const Node& n = lines.n;
    const int64_t C = k.C, kinds = EDGES * k.s.images;
    Sums total(lines);
    const auto plain = products(k, n, g);
    constexpr int at_[OPERATIONS] = {0, 3, 2, 1, 4};  // where an operation's products lie
    for (int64_t j = 0; j < n.slots; j++) {
        const int64_t e = n.edge(j);
        if (!n.carries[j]) continue;
        for (int o : {SKIP, CONV1, CONV3, POOL}) {
            if (!k.on(e, o)) continue;
            const auto own = k.touched(e, o) ? products_touched(k, n, j, o, g[n.target(j)])
                                             : std::vector<double>();
            const int64_t to = lines.place(j, o);
            for (int64_t b = 0; b < k.blocks; b++) {  // images, where edges have factors
                const double *shared = &plain[(b * n.slots + j) * 5 * C], f = k.edge(0, e, b);
                const double* one = own.empty() ? shared : &own[b * 3 * C];
                const double* along = own.empty() ? shared + at_[o] * C : one + C;
                double passed = 0;
                for (int64_t c = 0; c < C; c++) {
                    const double added = own.empty() ? 0 : one[2 * C + c];
                    total.one[to + c] += f * one[c], total.along[to + c] += f * along[c];
                    total.added[to + c] += f * added;
                    passed += lines.slope[to + c] * along[c] + lines.offset[to + c] * one[c] + added;
                }
                if (dedges) dedges[e * k.s.images + b] += T(k.mixture(e, o) * passed);
            }
        }
        for (int64_t b = 0; dedges && !k.partial() && b < k.s.images; b++)
            for (int64_t c = 0; c < C; c++) {
                const double* shared = &plain[(b * n.slots + j) * 5 * C + c];
                dedges[kinds + e * k.s.images + b] += T(shared[3 * C]);
                dedges[2 * kinds + e * k.s.images + b] += T(shared[0]);
            }
    }
    return total;
}

// What an operation's gradient is made of: f·factor·a·g + r·z + t, [slots, operations, C]. With
// x̂ = (z − mean)/deviation, the gradient of batch norm is a·(g − mean(g) − x̂·mean(g·x̂)), a the
// mixture weight times the scale over the deviation.
struct Coefficients {
    std::vector<T> a, r, t;
    explicit Coefficients(const Lines& lines) : a(lines.slope.size(), T(0)), r(a), t(a) {}
};

// Find them, and write the gradients of the mixture and of learned scales and shifts.
Coefficients coefficients(const Lines& lines, const Sums& sums) {
    const Work& k = lines.k;
    const Node& n = lines.n;
    const double number = double(k.s.images * k.pixels);
    Coefficients found(lines);
    for (int64_t j = 0; j < n.slots; j++)
        for (int o : {SKIP, CONV1, CONV3, POOL}) {
            const int64_t e = n.edge(j), to = lines.place(j, o);
            if (!k.on(e, o)) continue;
            const double p = k.mixture(e, o), *mean = k.statistics(n) + k.column(n, j, o);
            const bool moves = lines.normalised(j, o) && !(k.s.given && (o == CONV1 || o == CONV3));
            T *dscale = lines.learned(k.t.dscale, j, o), *dshift = lines.learned(k.t.dshift, j, o);
            double total = 0;
            for (int64_t c = 0; c < k.C; c++) {
                const int64_t i = to + c;
                const double one = sums.one[i], slope = lines.slope[i], inverse = lines.inverse[i];
                total += slope * sums.along[i] + lines.offset[i] * one + sums.added[i];
                found.a[i] = T(p * slope);
                if (!lines.normalised(j, o)) continue;
                const double along = inverse * (sums.along[i] - mean[c] * one);
                if (dscale) dscale[c] = T(p * along);
                if (dshift) dshift[c] = T(p * one);
                if (!moves) continue;
                const double r = -p * slope * inverse * along / number;
                found.r[i] = T(r), found.t[i] = T(-r * mean[c] - p * slope * one / number);
            }
            k.t.dmixture[e * OPERATIONS + o] = T(total);
        }
    return found;
}

// d [pixels, wide, C] = f·factor·a·g + r·y + t of the convolutions of one kind, for some images.
void spread(const Work& k, const Lines& lines, int kind, int64_t first, int64_t count,
            const T* const* g, const Coefficients& own, T* d) {
    const Node& n = lines.n;
    const int64_t C = k.C, wide = n.wide[kind] * C;
    const int64_t number = k.t.edges ? k.pixels : std::min(k.strip(), count * k.pixels);
    const int o = kind ? CONV1 : CONV3;
    for (int64_t p = 0, image = first; p < count * k.pixels; p += number, image++)
        for (int64_t j = 0; j < n.slots; j++) {
            if (n.place[kind][j] == NONE) continue;
            const int64_t e = n.edge(j), which = e * OPERATIONS + o, start = first * k.pixels + p;
            const int64_t end = std::min(number, count * k.pixels - p);
            const T f = k.edge(0, e, image);
            const T* factor = k.touched(e, o) ? k.t.factor[which] : nullptr;
            const bool replaced = k.touched(e, o) && k.s.touched[which] == 2;
            for (int64_t q = 0; q < C; q += L) {
                const int64_t c = lines.place(j, o) + q, i = n.place[kind][j] * C + q;
                const V a = replaced ? V{} : f * at(&own.a[c]), r = at(&own.r[c]), t = at(&own.t[c]);
                const T* from = g[n.target(j)] + start * C + q;
                const T* y = k.t.outputs[n.source][kind] + start * wide + i;
                T* to = d + p * wide + i;
                if (factor)
                    for (int64_t w = 0; w < end; w++)
                        at(to + w * wide) = a * at(factor + (start + w) * C + q) * at(from + w * C) +
                                            r * at(y + w * wide) + t;
                else
                    for (int64_t w = 0; w < end; w++)
                        at(to + w * wide) = a * at(from + w * C) + r * at(y + w * wide) + t;
            }
        }
}

// What a node's skips (or pools) give the gradient of what they read, z, at some pixels of an image.
void weight_free(const Work& k, const Lines& lines, int o, int64_t b, int64_t pixel, int64_t number,
                 const T* const* g, const Coefficients& own, const T* z, T* to) {
    const Node& n = lines.n;
    const int64_t C = k.C;
    bool fresh = true;
    for (int64_t j = 0; j < n.slots; j++) {
        const int64_t e = n.edge(j), which = e * OPERATIONS + o;
        if (!n.carries[j]) continue;
        const bool on = k.on(e, o) && !(k.touched(e, o) && k.s.touched[which] == 2);
        const T f = k.edge(0, e, b), straight = o == SKIP ? k.inner(1, e, b) : T(0);
        const T* mask = on && k.touched(e, o) ? k.t.factor[which] : nullptr;  // none: an addend alone
        const T* factor = mask ? mask + pixel * C : nullptr;
        if (!on && straight == 0) continue;
        const bool moves = on && lines.normalised(j, o);
        for (int64_t q = 0; q < C; q += L) {
            const int64_t c = lines.place(j, o) + q;
            const V a = on ? f * at(&own.a[c]) : V{}, s = straight + V{};
            const V r = at(&own.r[c]), t = at(&own.t[c]);
            const T* from = g[n.target(j)] + pixel * C + q;
            if (!factor && !moves && fresh)
                for (int64_t w = 0; w < number; w++) at(to + w * C + q) = (a + s) * at(from + w * C);
            else if (!factor && !moves)
                for (int64_t w = 0; w < number; w++) at(to + w * C + q) += (a + s) * at(from + w * C);
            else
                for (int64_t w = 0; w < number; w++) {
                    V sum = (factor ? a * at(factor + w * C + q) + s : a + s) * at(from + w * C);
                    if (moves) sum += r * at(z + w * C + q) + t;
                    at(to + w * C + q) = fresh ? sum : at(to + w * C + q) + sum;
                }
        }
        fresh = false;
    }
    if (fresh) std::fill_n(to, number * C, T(0));
}

// dx = dr·[x > 0] + gradients of skips + the pooling's transpose of those of pools, for one image.
void gather(const Work& k, const Lines& lines, int64_t b, const T* dr, const T* const* g,
            const Coefficients& own, Scratch& scratch, T* dx) {
    const Node& n = lines.n;
    const T* x = k.mixed(n.source) + b * k.size;
    T *line = scratch.line.data(), *pooled = scratch.pooled.data(), *image = scratch.image.data();
    T* to = dx + b * k.size;
    if (n.pools) {
        if (n.normal[POOL]) k.pool(x, 0, k.pixels, line, pooled);
        weight_free(k, lines, POOL, b, b * k.pixels, k.pixels, g, own, pooled, image);
        for (int64_t p = 0; p < k.pixels; p++)
            for (int64_t q = 0; q < k.C; q += L) at(image + p * k.C + q) *= k.shares[p];
    }
    weight_free(k, lines, SKIP, b, b * k.pixels, k.pixels, g, own, x, to);
    for (int64_t h = 0; n.pools && h < k.s.height; h++) {
        k.sum_row(image, h, line, pooled);
        for (int64_t i = 0; i < k.row; i += L) at(to + h * k.row + i) += at(pooled + i);
    }
    for (int64_t i = 0; dr && i < k.size; i += L)
        at(to + i) += at(x + i) <= V{} ? V{} : at(dr + i);
}

// dx, if wanted, and the weights' gradients, as wanted, of one node.
void backward_node(const Work& k, const Lines& lines, const T* const* g, const Coefficients& own,
                   T* dx) {
    const Node& n = lines.n;
    T *dw3 = k.t.dweights[n.source][0], *dw1 = k.t.dweights[n.source][1];
    const T* x = k.mixed(n.source);
    const int64_t C = k.C, K3 = n.wide[0] * C, K1 = n.wide[1] * C;
    // Few groups are not worth keeping apart. Not by the number of threads: it must change no bit.
    const int64_t lanes = std::clamp<int64_t>(k.groups / 4, 1, LANES);
    std::vector<T> u(16 * C * K3), du(dw3 ? lanes * 16 * C * K3 : 0), flat(dw1 ? lanes * C * K1 : 0);
    if (dx) transform_weights(k.t.weights[n.source][0], K3, C, true, u.data());
    const T* w1 = k.t.weights[n.source][1];
#pragma omp parallel num_threads(std::min(k.s.threads, lanes)) if (k.s.threads > 1)
    {
        Scratch scratch(k, true);
#pragma omp for
    for (int64_t lane = 0; lane < lanes; lane++) {
        for (int64_t i = lane * k.groups / lanes; i < (lane + 1) * k.groups / lanes; i++) {
            const int64_t start = k.first(i) * k.pixels, pixels = k.count(i) * k.pixels;
            T *d3 = scratch.d3.data(), *d1 = scratch.d1.data(), *dr = scratch.dr.data();
            if (K3) spread(k, lines, 0, k.first(i), k.count(i), g, own, d3);
            if (K1) spread(k, lines, 1, k.first(i), k.count(i), g, own, d1);
            if (dw3 || dw1) rectify(x + start * C, pixels * C, scratch.relu.data());
            if (dw3)
                convolve_weights(scratch.relu.data(), d3, k.tiled(i), C, K3, scratch.a, scratch.b,
                                 du.data() + lane * 16 * C * K3);
            if (dw1)
                product<true>(C, K1, pixels, scratch.relu.data(), 1, C, d1, K1,
                              flat.data() + lane * C * K1, K1);
            if (!dx) continue;
            if (K3) convolve(d3, k.tiled(i), K3, C, u.data(), scratch.a, scratch.b, dr);
            if (K1 && K3) product<true>(pixels, C, K1, d1, K1, 1, w1, C, dr, C);
            if (K1 && !K3) product<false>(pixels, C, K1, d1, K1, 1, w1, C, dr, C);
            for (int64_t b = 0; b < k.count(i); b++)
                gather(k, lines, k.first(i) + b, K3 + K1 ? dr + b * k.size : nullptr, g, own, scratch,
                       dx);
        }
    }
    }
    for (int64_t lane = 1; lane < lanes; lane++) {
        for (int64_t i = 0; dw3 && i < 16 * C * K3; i++) du[i] += du[lane * 16 * C * K3 + i];
        for (int64_t i = 0; dw1 && i < C * K1; i++) flat[i] += flat[lane * C * K1 + i];
    }
    if (dw3) transform_weights_back(du.data(), K3, C, dw3);
    for (int64_t o = 0; dw1 && o < K1; o++)
        for (int64_t i = 0; i < C; i++) dw1[o * C + i] = flat[i * K1 + o];
}

}  // namespace
