// What the passes of nb201_cell.cpp share: what is to be run, sizes, scratch space, pooling.

#pragma once
#include "convolution.h"

namespace {

constexpr int NONE = -1, CONV1 = 2, CONV3 = 3, SKIP = 1, POOL = 4, OPERATIONS = 5, NODES = 3;
constexpr int EDGE[NODES][NODES] = {{0, 1, 3}, {2, 4, -1}, {5, -1, -1}};  // [source][slot]
constexpr double EPSILON = 1e-5;
constexpr int64_t LANES = 4;  // sums of the weights' gradients that are kept apart, for threads

// As `fused.Shape`: what is to be run. active: [edges, operations], 0 or 1.
struct Shape {
    int64_t images, height, width, channels, threads;
    int64_t active[30];
};

// What leaves one node. A slot is an edge; at3, at1: its place in the stacked outputs, or NONE.
struct Node {
    int64_t slots, wide3 = 0, wide1 = 0, at3[3], at1[3];
    bool runs[3], any = false, pools = false;
    Node(const Shape& s, int source) : slots(NODES - source) {
        for (int j = 0; j < slots; j++) {
            const int64_t* on = s.active + EDGE[source][j] * OPERATIONS;
            at3[j] = on[CONV3] ? wide3++ : NONE;
            at1[j] = on[CONV1] ? wide1++ : NONE;
            runs[j] = on[CONV3] || on[CONV1] || on[SKIP] || on[POOL];
            any = any || runs[j], pools = pools || on[POOL];
        }
    }
};

template <typename T>
void add_to(double* sums, V<T> row) {
    typedef typename Vector<T>::wide Wide;
    *reinterpret_cast<Wide*>(sums) += __builtin_convertvector(row, Wide);
}

template <typename T>
inline V<T> rectified(V<T> v) {
    return v < V<T>{} ? V<T>{} : v;  // so that NaN stays NaN
}

// What does not change from node to node.
template <typename T>
struct Work {
    static constexpr int64_t L = Vector<T>::lanes;
    const Shape& s;
    const int64_t C, row, size, pixels, group, groups;
    explicit Work(const Shape& shape)
        : s(shape), C(s.channels), row(s.width * C), size(s.height * row),
          pixels(s.height * s.width),
          group(std::max<int64_t>(1, TILES / (((s.height + 1) / 2) * ((s.width + 1) / 2)))),
          groups((s.images + group - 1) / group) {}
    int64_t first(int64_t g) const { return g * group; }
    int64_t count(int64_t g) const { return std::min(group, s.images - g * group); }
    Tiled<T> tiled(int64_t g) const { return {count(g), s.height, s.width}; }

    // One over the number of pixels in the neighbourhood of (h, w): padding is not counted.
    T share(int64_t h, int64_t w) const {
        return T(1) / T((1 + (h > 0) + (h + 1 < s.height)) * (1 + (w > 0) + (w + 1 < s.width)));
    }
    // Sums over the 3x3 neighbourhoods of row h; `line` has a zero pixel before and after the row.
    void sum_row(const T* image, int64_t h, T* line, T* out) const {
        T* middle = line + C;
        const T* here = image + h * row;
        for (int64_t i = 0; i < row; i += L) {
            V<T> v = at(here + i);
            if (h > 0) v += at(here + i - row);
            if (h + 1 < s.height) v += at(here + i + row);
            at(middle + i) = v;
        }
        for (int64_t i = 0; i < row; i += L)
            at(out + i) = at(middle + i - C) + at(middle + i) + at(middle + i + C);
    }
    void pool_row(const T* image, int64_t h, T* line, T* out) const {
        sum_row(image, h, line, out);
        for (int64_t w = 0; w < s.width; w++)
            for (int64_t q = 0; q < C; q += L) at(out + w * C + q) *= share(h, w);
    }
};

template <typename T>
struct Scratch {
    std::vector<T> line, pooled, image, relu, d3, d1, dr;
    Planes<T> a, b;
    Scratch(const Work<T>& k, bool backward)
        : line(k.row + 2 * k.C, T(0)), pooled(k.row), image(backward ? k.size : 0),
          relu(k.group * k.size), d3(backward ? 3 * k.group * k.size : 0), d1(d3.size()),
          dr(backward ? k.group * k.size : 0), a(3 * k.C), b(3 * k.C) {}
};

template <typename T>
void rectify(const T* x, int64_t number, T* out) {
    for (int64_t i = 0; i < number; i += Vector<T>::lanes) at(out + i) = rectified<T>(at(x + i));
}

}  // namespace
