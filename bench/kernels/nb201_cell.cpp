// One mixed cell of NAS-Bench-201, forward and backward; called from bench/spaces/nb201/fused.py.
//
// Tensors are channels-last, [images, H, W, C]. Convolutions that leave the same node are stacked,
// [.., wide, C], and one pass after them does batch norm, mixture, skip, pooling and the sum over
// edges together; backward likewise. Only the convolutions' outputs and the nodes are kept. Images go
// through in groups small enough for the cache. Sums run over a row of pixels in the working precision and over
// rows and groups in double, in an order that does not depend on the number of threads.

#include "nb201_node.h"
#include <cmath>

namespace {

// Add sum and sum of squares [2, K] of y [pixels, K], row by row.
template <typename T>
void moments(const T* y, int64_t pixels, int64_t row, int64_t K, double* sums) {
    for (int64_t p = 0; p < pixels; p += row)
        for (int64_t q = 0; q < K; q += Vector<T>::lanes) {
            V<T> one = {}, two = {};
            for (int64_t w = 0; w < row; w++) {
                const V<T> v = at(y + (p + w) * K + q);
                one += v, two += v * v;
            }
            add_to<T>(sums + q, one), add_to<T>(sums + K + q, two);
        }
}

// Run the convolutions of a node; statistics: mean and one over the deviation, [2, wide3 + wide1, C].
template <typename T>
void convolutions(const Work<T>& k, const Node& n, const T* x, const T* w3, const T* w1, T* y3,
                  T* y1, double* statistics) {
    const int64_t K3 = n.wide3 * k.C, K1 = n.wide1 * k.C, K = K3 + K1;
    std::vector<T> u(16 * k.C * K3), flat(k.C * K1);
    transform_weights(w3, K3, k.C, false, u.data());
    for (int64_t o = 0; o < K1; o++)
        for (int64_t i = 0; i < k.C; i++) flat[i * K1 + o] = w1[o * k.C + i];
    std::vector<double> sums(k.groups * 2 * K, 0.0);
#pragma omp parallel num_threads(k.s.threads) if (k.s.threads > 1)
    {
        Scratch<T> scratch(k, false);
#pragma omp for
        for (int64_t g = 0; g < k.groups; g++) {
            const int64_t start = k.first(g) * k.pixels, pixels = k.count(g) * k.pixels;
            double* own = sums.data() + g * 2 * K;
            T* r = scratch.relu.data();
            rectify(x + start * k.C, pixels * k.C, r);
            if (K3) {
                convolve(r, k.tiled(g), k.C, K3, u.data(), scratch.a, scratch.b, y3 + start * K3);
                moments(y3 + start * K3, pixels, k.s.width, K3, own);
            }
            if (K1) {
                product<T, false>(pixels, K1, k.C, r, k.C, 1, flat.data(), K1, y1 + start * K1, K1);
                moments(y1 + start * K1, pixels, k.s.width, K1, own + 2 * K3);
            }
        }
    }
    const double number = double(k.s.images * k.pixels);
    for (int64_t c = 0; c < K; c++) {
        const int64_t at_ = c < K3 ? c : 2 * K3 + c - K3, to_square = c < K3 ? K3 : K1;
        double one = 0, two = 0;
        for (int64_t g = 0; g < k.groups; g++) {
            one += sums[g * 2 * K + at_];
            two += sums[g * 2 * K + at_ + to_square];
        }
        const double mean = one / number, variance = two / number - mean * mean;
        statistics[c] = mean;
        statistics[K + c] = 1 / std::sqrt(std::max(variance, 0.0) + EPSILON);
        if (std::isnan(variance)) statistics[K + c] = variance;
    }
}

// Add to the targets what leaves a node: Σ mixture · operation(x). fresh: not yet written to.
template <typename T>
void combine(const Work<T>& k, const Node& n, int source, const T* x, const T* y3, const T* y1,
             const double* statistics, const T* mixture, T* const* targets, bool* fresh) {
    const int64_t C = k.C, K3 = n.wide3 * C, K = K3 + n.wide1 * C;
    std::vector<T> scale3(3 * C, T(0)), scale1(3 * C, T(0)), shift(3 * C, T(0));
    for (int64_t j = 0; j < n.slots; j++) {
        const T* factors = mixture + EDGE[source][j] * OPERATIONS;
        for (int64_t c = 0; c < C; c++) {
            double constant = 0;
            for (const bool three : {true, false}) {
                const int64_t where = three ? n.at3[j] : n.at1[j];
                if (where == NONE) continue;
                const int64_t i = (three ? 0 : K3) + where * C + c;
                const double a = factors[three ? CONV3 : CONV1] * statistics[K + i];
                (three ? scale3 : scale1)[j * C + c] = T(a);
                constant -= a * statistics[i];
            }
            shift[j * C + c] = T(constant);
        }
    }
#pragma omp parallel num_threads(k.s.threads) if (k.s.threads > 1)
    {
        Scratch<T> scratch(k, false);
#pragma omp for
        for (int64_t b = 0; b < k.s.images; b++)
            for (int64_t h = 0; h < k.s.height; h++) {
                const T* pooled = scratch.pooled.data();
                if (n.pools) k.pool_row(x + b * k.size, h, scratch.line.data(), scratch.pooled.data());
                const int64_t start = b * k.size + h * k.row, pixel = start / C;
                for (int64_t q = 0; q < C; q += k.L)
                    for (int64_t j = 0; j < n.slots; j++) {
                        if (!n.runs[j]) continue;
                        const int64_t* on = k.s.active + EDGE[source][j] * OPERATIONS;
                        const T* factors = mixture + EDGE[source][j] * OPERATIONS;
                        const V<T> a3 = at(&scale3[j * C + q]), a1 = at(&scale1[j * C + q]);
                        const V<T> constant = at(&shift[j * C + q]);
                        const T* p3 = y3 + (pixel * n.wide3 + n.at3[j]) * C + q;
                        const T* p1 = y1 + (pixel * n.wide1 + n.at1[j]) * C + q;
                        T* to = targets[j] + start + q;
                        for (int64_t w = 0; w < k.s.width; w++) {
                            V<T> v = constant;
                            if (!fresh[j]) v += at(to + w * C);
                            if (on[CONV3]) v += a3 * at(p3 + w * K3);
                            if (on[CONV1]) v += a1 * at(p1 + w * n.wide1 * C);
                            if (on[SKIP]) v += factors[SKIP] * at(x + start + q + w * C);
                            if (on[POOL]) v += factors[POOL] * at(pooled + q + w * C);
                            at(to + w * C) = v;
                        }
                    }
            }
    }
    for (int64_t j = 0; j < n.slots; j++) fresh[j] = fresh[j] && !n.runs[j];
}

// Inner products of the targets' gradients g with the operations' outputs:
// [slots, 5, C] of Σg, Σg·y3, Σg·y1, Σg·x, Σg·pooled(x).
template <typename T>
std::vector<double> products(const Work<T>& k, const Node& n, const T* x, const T* y3, const T* y1,
                             const T* const* g) {
    const int64_t C = k.C, length = n.slots * 5 * C;
    std::vector<double> sums(k.s.images * length, 0.0);
#pragma omp parallel num_threads(k.s.threads) if (k.s.threads > 1)
    {
        Scratch<T> scratch(k, false);
#pragma omp for
        for (int64_t b = 0; b < k.s.images; b++)
            for (int64_t h = 0; h < k.s.height; h++) {
                const T* pooled = scratch.pooled.data();
                if (n.pools) k.pool_row(x + b * k.size, h, scratch.line.data(), scratch.pooled.data());
                const int64_t start = b * k.size + h * k.row, pixel = start / C;
                for (int64_t q = 0; q < C; q += k.L)
                    for (int64_t j = 0; j < n.slots; j++) {
                        if (!n.runs[j]) continue;
                        const T* p3 = y3 + (pixel * n.wide3 + n.at3[j]) * C + q;
                        const T* p1 = y1 + (pixel * n.wide1 + n.at1[j]) * C + q;
                        V<T> s = {}, s3 = {}, s1 = {}, sx = {}, sp = {};
                        for (int64_t w = 0; w < k.s.width; w++) {
                            const V<T> v = at(g[j] + start + q + w * C);
                            s += v;
                            if (n.at3[j] != NONE) s3 += v * at(p3 + w * n.wide3 * C);
                            if (n.at1[j] != NONE) s1 += v * at(p1 + w * n.wide1 * C);
                            sx += v * at(x + start + q + w * C);
                            if (n.pools) sp += v * at(pooled + q + w * C);
                        }
                        double* own = sums.data() + b * length + j * 5 * C + q;
                        add_to<T>(own, s), add_to<T>(own + C, s3), add_to<T>(own + 2 * C, s1);
                        add_to<T>(own + 3 * C, sx), add_to<T>(own + 4 * C, sp);
                    }
            }
    }
    for (int64_t b = 1; b < k.s.images; b++)
        for (int64_t i = 0; i < length; i++) sums[i] += sums[b * length + i];
    sums.resize(length);
    return sums;
}

// Gradient of the mixture, and of every convolution's output as d = p·g + r·y + t: returns the
// coefficients [3, wide3 + wide1, C]. With x̂ = (y − mean)/deviation, the gradient of batch norm is
// a·(g − mean(g) − x̂·mean(g·x̂)), a the mixture weight over the deviation.
template <typename T>
std::vector<T> coefficients(const Work<T>& k, const Node& n, int source,
                            const std::vector<double>& sums, const double* statistics,
                            const T* mixture, T* dmixture) {
    const int64_t C = k.C, K3 = n.wide3 * C, K = K3 + n.wide1 * C;
    const double number = double(k.s.images * k.pixels);
    std::vector<T> found(3 * K);
    for (int64_t j = 0; j < n.slots; j++) {
        const int64_t edge = EDGE[source][j] * OPERATIONS;
        const int64_t* on = k.s.active + edge;
        double total[OPERATIONS] = {};
        for (int64_t c = 0; c < C; c++) {
            const double* own = sums.data() + j * 5 * C + c;
            for (const bool three : {true, false}) {
                const int64_t where = three ? n.at3[j] : n.at1[j];
                if (where == NONE) continue;
                const int64_t i = (three ? 0 : K3) + where * C + c;
                const double mean = statistics[i], inverse = statistics[K + i];
                const double along = inverse * (own[(three ? 1 : 2) * C] - mean * own[0]);
                total[three ? CONV3 : CONV1] += along;
                const double a = mixture[edge + (three ? CONV3 : CONV1)] * inverse;
                const double r = -a * inverse * along / number;
                found[i] = T(a), found[K + i] = T(r);
                found[2 * K + i] = T(-r * mean - a * own[0] / number);
            }
            total[SKIP] += own[3 * C], total[POOL] += own[4 * C];
        }
        for (int o = 0; o < OPERATIONS; o++) dmixture[edge + o] = on[o] ? T(total[o]) : T(0);
    }
    return found;
}

// d [pixels, wide, C] = p·g + r·y + t for the stacked outputs whose coefficients start at `own`.
template <typename T>
void spread(const Work<T>& k, const Node& n, const int64_t* where, int64_t wide, int64_t start,
            int64_t pixels, const T* y, const T* const* g, const T* own, int64_t K, T* d) {
    const int64_t C = k.C;
    for (int64_t p = 0; p < pixels; p += k.s.width)
        for (int64_t j = 0; j < n.slots; j++) {
            if (where[j] == NONE) continue;
            for (int64_t q = 0; q < C; q += k.L) {
                const int64_t i = where[j] * C + q;
                const V<T> a = at(own + i), r = at(own + K + i), t = at(own + 2 * K + i);
                for (int64_t w = p; w < p + k.s.width; w++)
                    at(d + w * wide * C + i) = a * at(g[j] + (start + w) * C + q) +
                                               r * at(y + (start + w) * wide * C + i) + t;
            }
        }
}

// dx = dr·[x > 0] + Σ skip·g + the pooling's transpose of Σ pool·g, for one image at `start`.
template <typename T>
void gather(const Work<T>& k, const Node& n, int source, int64_t start, const T* x, const T* dr,
            const T* const* g, const T* mixture, Scratch<T>& scratch, T* dx) {
    T skip[3], pool[3];
    for (int64_t j = 0; j < n.slots; j++) {
        const int64_t edge = EDGE[source][j] * OPERATIONS;
        skip[j] = k.s.active[edge + SKIP] ? mixture[edge + SKIP] : T(0);
        pool[j] = k.s.active[edge + POOL] ? mixture[edge + POOL] : T(0);
    }
    for (int64_t h = 0; n.pools && h < k.s.height; h++)
        for (int64_t w = 0; w < k.s.width; w++)
            for (int64_t q = 0; q < k.C; q += k.L) {
                const int64_t i = h * k.row + w * k.C + q;
                V<T> v = {};
                for (int64_t j = 0; j < n.slots; j++)
                    if (pool[j] != 0) v += pool[j] * at(g[j] + start + i);
                at(&scratch.image[i]) = v * k.share(h, w);
            }
    for (int64_t h = 0; h < k.s.height; h++) {
        T* pooled = scratch.pooled.data();
        if (n.pools) k.sum_row(scratch.image.data(), h, scratch.line.data(), pooled);
        for (int64_t i = 0; i < k.row; i += k.L) {
            const int64_t m = start + h * k.row + i;
            V<T> v = dr ? (at(x + m) <= V<T>{} ? V<T>{} : at(dr + h * k.row + i)) : V<T>{};
            for (int64_t j = 0; j < n.slots; j++)
                if (skip[j] != 0) v += skip[j] * at(g[j] + m);
            if (n.pools) v += at(pooled + i);
            at(dx + m) = v;
        }
    }
}

template <typename T>
void backward_node(const Work<T>& k, const Node& n, int source, const T* x, const T* y3,
                   const T* y1, const T* w3, const T* w1, const T* const* g, const T* mixture,
                   const std::vector<T>& c, T* dx, T* dw3, T* dw1) {
    const int64_t C = k.C, K3 = n.wide3 * C, K1 = n.wide1 * C, K = K3 + K1;
    std::vector<T> u(16 * C * K3), du(dw3 ? LANES * 16 * C * K3 : 0), flat(dw1 ? LANES * C * K1 : 0);
    if (dx) transform_weights(w3, K3, C, true, u.data());
#pragma omp parallel for num_threads(std::min(k.s.threads, LANES)) if (k.s.threads > 1)
    for (int64_t lane = 0; lane < LANES; lane++) {
        Scratch<T> scratch(k, true);
        for (int64_t i = lane * k.groups / LANES; i < (lane + 1) * k.groups / LANES; i++) {
            const int64_t start = k.first(i) * k.pixels, pixels = k.count(i) * k.pixels;
            T *d3 = scratch.d3.data(), *d1 = scratch.d1.data(), *dr = scratch.dr.data();
            if (K3) spread(k, n, n.at3, n.wide3, start, pixels, y3, g, c.data(), K, d3);
            if (K1) spread(k, n, n.at1, n.wide1, start, pixels, y1, g, c.data() + K3, K, d1);
            if (dw3 || dw1) rectify(x + start * C, pixels * C, scratch.relu.data());
            if (dw3)
                convolve_weights(scratch.relu.data(), d3, k.tiled(i), C, K3, scratch.a, scratch.b,
                                 du.data() + lane * 16 * C * K3);
            if (dw1)
                product<T, true>(C, K1, pixels, scratch.relu.data(), 1, C, d1, K1,
                                 flat.data() + lane * C * K1, K1);
            if (!dx) continue;
            if (K3) convolve(d3, k.tiled(i), K3, C, u.data(), scratch.a, scratch.b, dr);
            if (K1 && K3) product<T, true>(pixels, C, K1, d1, K1, 1, w1, C, dr, C);
            if (K1 && !K3) product<T, false>(pixels, C, K1, d1, K1, 1, w1, C, dr, C);
            for (int64_t b = 0; b < k.count(i); b++)
                gather(k, n, source, start * C + b * k.size, x, K ? dr + b * k.size : nullptr, g,
                       mixture, scratch, dx);
        }
    }
    for (int64_t lane = 1; lane < LANES; lane++) {
        for (int64_t i = 0; dw3 && i < 16 * C * K3; i++) du[i] += du[lane * 16 * C * K3 + i];
        for (int64_t i = 0; dw1 && i < C * K1; i++) flat[i] += flat[lane * C * K1 + i];
    }
    if (dw3) transform_weights_back(du.data(), K3, C, dw3);
    for (int64_t o = 0; dw1 && o < K1; o++)
        for (int64_t i = 0; i < C; i++) dw1[o * C + i] = flat[i * K1 + o];
}

// nodes: the input, nodes 1 and 2 (null where nothing live passes) and the output, to be written.
// statistics: [source, 2, 6 C] of double.
template <typename T>
void forward(const Shape* shape, T* const* nodes, const T* mixture, const T* const* w3,
             const T* const* w1, T* const* y3, T* const* y1, double* statistics) {
    const Work<T> k(*shape);
    bool fresh[NODES + 1] = {true, true, true, true};
    for (int s = 0; s < NODES; s++) {
        const Node n(*shape, s);
        if (!n.any) continue;
        double* own = statistics + s * 12 * k.C;
        convolutions(k, n, (const T*)nodes[s], w3[s], w1[s], y3[s], y1[s], own);
        combine(k, n, s, (const T*)nodes[s], (const T*)y3[s], (const T*)y1[s], own, mixture,
                nodes + s + 1, fresh + s + 1);
    }
}

// gradients: of the nodes; the last is given, the first null if not wanted. dw3, dw1: as wanted.
template <typename T>
void backward(const Shape* shape, const T* const* nodes, const T* mixture, const T* const* w3,
              const T* const* w1, const T* const* y3, const T* const* y1, const double* statistics,
              T* const* gradients, T* dmixture, T* const* dw3, T* const* dw1) {
    const Work<T> k(*shape);
    for (int s = NODES - 1; s >= 0; s--) {
        const Node n(*shape, s);
        if (!n.any) continue;
        const double* own = statistics + s * 12 * k.C;
        const T* const* g = gradients + s + 1;
        const auto sums = products(k, n, nodes[s], y3[s], y1[s], g);
        const auto c = coefficients(k, n, s, sums, own, mixture, dmixture);
        if (gradients[s] || dw3[s] || dw1[s])
            backward_node(k, n, s, nodes[s], y3[s], y1[s], w3[s], w1[s], g, mixture, c,
                          gradients[s], dw3[s], dw1[s]);
    }
}

}  // namespace

#define EXPORT(T) \
    extern "C" void forward_##T(const Shape* shape, T* const* nodes, const T* mixture, \
                                const T* const* w3, const T* const* w1, T* const* y3, \
                                T* const* y1, double* statistics) { \
        forward<T>(shape, nodes, mixture, w3, w1, y3, y1, statistics); \
    } \
    extern "C" void backward_##T(const Shape* shape, const T* const* nodes, const T* mixture, \
                                 const T* const* w3, const T* const* w1, const T* const* y3, \
                                 const T* const* y1, const double* statistics, \
                                 T* const* gradients, T* dmixture, T* const* dw3, \
                                 T* const* dw1) { \
        backward<T>(shape, nodes, mixture, w3, w1, y3, y1, statistics, gradients, dmixture, dw3, \
                    dw1); \
    }

EXPORT(float)
EXPORT(double)
