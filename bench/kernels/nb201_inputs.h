// What the passes of a cell share: what is to be run, on which tensors, scratch space, pooling.

#pragma once
#include "winograd.h"

namespace {

constexpr int SKIP = 1, CONV1 = 2, CONV3 = 3, POOL = 4, OPERATIONS = 5, NODES = 3, EDGES = 6;
constexpr int NONE = -1;
constexpr int EDGE[NODES][NODES] = {{0, 1, 3}, {2, 4, -1}, {5, -1, -1}};  // [source][slot]
constexpr double EPSILON = 1e-5;
constexpr int64_t LANES = 4;  // sums of the weights' gradients that are kept apart, for threads
constexpr int64_t STRIP = 64;  // pixels, at least, that one sweep goes over, where there are so many

// As `fused.Shape`: what is to be run. Arrays of 30 are [edges, operations].
struct Shape {
    int64_t images, height, width, threads;
    int64_t channels;  // that are mixed
    int64_t whole;     // of the nodes: more where only a part is mixed and the rest bypasses
    int64_t shuffled;  // whether the two are interleaved
    int64_t given;     // whether the convolutions' statistics are given, not the batch's
    int64_t counted;   // images that statistics are taken from, the first ones
    int64_t active[30];
    int64_t normal[30];   // skips and pools that end in a batch norm
    int64_t touched[30];  // operations whose output y becomes factor·y + addend, element by element;
                          // 2: the addend alone
};

// As `fused.Tensors`: null where there is none or none is wanted. Convolutions are [source][kind],
// kind 0 being 3x3 and 1 being 1x1, those of one node and kind stacked, [.., wide, C].
struct Tensors {
    T* nodes[4];         // the input, nodes 1 and 2 and the output, [images, H, W, whole]
    T* parts[NODES];     // their mixed channels, where that is a part
    T* mixture;          // [30]
    T* edges;            // factor, straight, constant, [3, edges, images]: y becomes f·y + s·x + c
    T* weights[NODES][2];
    T* scale[NODES][2];  // learned, [wide, C]
    T* shift[NODES][2];
    T* outputs[NODES][2];
    double* statistics;  // mean and variance, [source, 2, 8 C]
    T* factor[30];       // [images, H, W, C]
    T* addend[30];
    T* gradients[4];     // of the nodes; the last is given
    T* dmixture;
    T* dedges;
    T* dweights[NODES][2];
    T* dscale[NODES][2];
    T* dshift[NODES][2];
};

// What leaves one node. A slot is an edge; place: of a convolution in the stacked outputs, by kind.
struct Node {
    int source;
    int64_t slots, wide[2] = {0, 0}, place[2][3];
    bool carries[3], any = false, pools = false, normal[OPERATIONS] = {};
    Node(const Shape& s, const Tensors& t, int source) : source(source), slots(NODES - source) {
        for (int j = 0; j < slots; j++) {
            const int64_t first = edge(j) * OPERATIONS;
            const int64_t* on = s.active + first;
            place[0][j] = on[CONV3] ? wide[0]++ : NONE;
            place[1][j] = on[CONV1] ? wide[1]++ : NONE;
            carries[j] = on[CONV3] || on[CONV1] || on[SKIP] || on[POOL];
            carries[j] = t.nodes[target(j)] && (carries[j] || t.edges || s.whole > s.channels);
            any = any || carries[j], pools = pools || on[POOL];
            for (int o : {SKIP, POOL}) normal[o] = normal[o] || (on[o] && s.normal[first + o]);
        }
    }
    int64_t edge(int64_t slot) const { return EDGE[source][slot]; }
    int64_t target(int64_t slot) const { return source + 1 + slot; }
};

// What does not change from node to node.
struct Work {
    const Shape& s;
    const Tensors& t;
    const int64_t C, row, size, pixels, group, groups;
    const int64_t bundle, blocks;  // images that are swept over together
    std::vector<T> shares;  // one over the number of pixels in every neighbourhood: padding is not counted
    Work(const Shape& shape, const Tensors& tensors)
        : s(shape), t(tensors), C(s.channels), row(s.width * C), size(s.height * row),
          pixels(s.height * s.width),
          group(std::max<int64_t>(1, TILES / (((s.height + 1) / 2) * ((s.width + 1) / 2)))),
          groups((s.images + group - 1) / group),
          bundle(t.edges ? 1 : std::max<int64_t>(1, STRIP / pixels)),
          blocks((s.images + bundle - 1) / bundle), shares(pixels) {
        for (int64_t h = 0, i = 0; h < s.height; h++)
            for (int64_t w = 0; w < s.width; w++, i++) {
                const int64_t down = 1 + (h > 0) + (h + 1 < s.height);
                shares[i] = T(1) / T(down * (1 + (w > 0) + (w + 1 < s.width)));
            }
    }
    int64_t first(int64_t g) const { return g * group; }
    int64_t count(int64_t g) const { return std::min(group, s.images - g * group); }
    Tiled tiled(int64_t g) const { return {count(g), s.height, s.width}; }
    bool partial() const { return s.whole > s.channels; }
    const T* mixed(int node) const { return partial() ? t.parts[node] : t.nodes[node]; }

    bool on(int64_t edge, int o) const { return s.active[edge * OPERATIONS + o]; }
    bool touched(int64_t edge, int o) const { return on(edge, o) && s.touched[edge * OPERATIONS + o]; }
    // Run in the passes over everything; what is touched has passes of its own.
    bool plain(int64_t edge, int o) const { return on(edge, o) && !s.touched[edge * OPERATIONS + o]; }
    T mixture(int64_t edge, int o) const { return on(edge, o) ? t.mixture[edge * OPERATIONS + o] : T(0); }
    // What becomes of an edge's mixture in one image: kind 0 the factor, 1 straight, 2 constant.
    T edge(int kind, int64_t edge, int64_t image) const {
        if (!t.edges) return T(kind == 0);
        return t.edges[(kind * EDGES + edge) * s.images + image];
    }
    // Of the mixed channels: where these are a part, bypassed channels have a pass of their own.
    T inner(int kind, int64_t e, int64_t image) const {
        return partial() && kind ? T(0) : edge(kind, e, image);
    }
    // Statistics of one source: means, then variances, [2, 8 C]: convolutions, skip, pool.
    double* statistics(const Node& n) const { return t.statistics + n.source * 16 * C; }
    // Where the statistics of an operation of a slot begin.
    int64_t column(const Node& n, int64_t slot, int o) const {
        if (o == SKIP || o == POOL) return (6 + (o == POOL)) * C;
        return (o == CONV1 ? n.wide[0] + n.place[1][slot] : n.place[0][slot]) * C;
    }

    // Sums over the 3x3 neighbourhoods of row h; `line` has a zero pixel before and after the row.
    void sum_row(const T* image, int64_t h, T* line, T* out) const {
        T* middle = line + C;
        const T* here = image + h * row;
        for (int64_t i = 0; i < row; i += L) {
            V v = at(here + i);
            if (h > 0) v += at(here + i - row);
            if (h + 1 < s.height) v += at(here + i + row);
            at(middle + i) = v;
        }
        for (int64_t i = 0; i < row; i += L)
            at(out + i) = at(middle + i - C) + at(middle + i) + at(middle + i + C);
    }
    // Means over the neighbourhoods of some rows of pixels, from the first pixel of one.
    void pool(const T* x, int64_t pixel, int64_t number, T* line, T* out) const {
        const T* image = x + pixel / pixels * size;
        for (int64_t h = pixel % pixels / s.width; number > 0; number -= s.width, out += row) {
            sum_row(image, h, line, out);
            for (int64_t w = 0; w < s.width; w++)
                for (int64_t q = 0; q < C; q += L) at(out + w * C + q) *= shares[h * s.width + w];
            if (++h == s.height) h = 0, image += size;
        }
    }
    // Pixels that a sweep goes over at once: whole rows, or whole images of a bundle.
    int64_t strip() const {
        return bundle > 1 ? bundle * pixels : s.width * std::max<int64_t>(1, STRIP / s.width);
    }
};

// Call work(block, first image, first pixel, pixels, pooled) over all pixels, block by block.
template <typename F>
void sweep(const Work& k, const T* x, bool pools, int64_t images, F work) {
#pragma omp parallel num_threads(k.s.threads) if (k.s.threads > 1)
    {
        std::vector<T> line(k.row + 2 * k.C, T(0));
        const Buffer pooled(k.strip() * k.C);
#pragma omp for
        for (int64_t block = 0; block < k.blocks; block++) {
            const int64_t first = block * k.bundle, end = std::min(first + k.bundle, images) * k.pixels;
            for (int64_t p = first * k.pixels, number; p < end; p += number) {
                number = std::min(k.strip(), end - p);
                if (k.bundle == 1) number = std::min(number, (first + 1) * k.pixels - p);
                if (pools) k.pool(x, p, number, line.data(), pooled.data());
                work(block, first, p, number, (const T*)pooled.data());
            }
        }
    }
}

// Of a group of images.
struct Scratch {
    std::vector<T> line;
    Buffer pooled, image, relu, d3, d1, dr;
    Planes a, b;
    Scratch(const Work& k, bool backward)
        : line(k.row + 2 * k.C, T(0)), pooled(backward ? k.size : 0), image(backward ? k.size : 0),
          relu(k.group * k.size), d3(backward ? 3 * k.group * k.size : 0),
          d1(backward ? 3 * k.group * k.size : 0), dr(backward ? k.group * k.size : 0), a(3 * k.C),
          b(3 * k.C) {}
};

// An operation's output before its factor and addend: slope·z + offset per channel, z being what the
// convolution, the skip or the pooling gave. [slots, operations, C].
struct Lines {
    const Work& k;
    const Node& n;
    std::vector<double> slope, offset, inverse;
    Lines(const Work& k, const Node& n)
        : k(k), n(n), slope(n.slots * OPERATIONS * k.C, 1.0), offset(slope.size(), 0.0), inverse(slope) {
        const double* mean = k.statistics(n);
        const double* variance = mean + 8 * k.C;
        for (int64_t j = 0; j < n.slots; j++)
            for (int o : {SKIP, CONV1, CONV3, POOL}) {
                if (!k.on(n.edge(j), o) || !normalised(j, o)) continue;
                const int64_t from = k.column(n, j, o), to = place(j, o);
                const T *scale = learned(k.t.scale, j, o), *shift = learned(k.t.shift, j, o);
                for (int64_t c = 0; c < k.C; c++) {
                    const double v = variance[from + c];
                    inverse[to + c] = 1 / std::sqrt((v < 0 ? 0.0 : v) + EPSILON);  // NaN stays
                    slope[to + c] = inverse[to + c] * (scale ? scale[c] : 1);
                    offset[to + c] = (shift ? shift[c] : 0) - slope[to + c] * mean[from + c];
                }
            }
    }
    int64_t place(int64_t slot, int o) const { return (slot * OPERATIONS + o) * k.C; }
    bool normalised(int64_t slot, int o) const {
        return o == CONV1 || o == CONV3 || k.s.normal[n.edge(slot) * OPERATIONS + o];
    }
    // What is learned of a convolution, or its gradient: null where there is none.
    T* learned(T* const (*of)[2], int64_t slot, int o) const {
        if (o != CONV1 && o != CONV3) return nullptr;
        T* stacked = of[n.source][o == CONV1];
        return stacked ? stacked + n.place[o == CONV1][slot] * k.C : nullptr;
    }
};

}  // namespace
