// Convolutions of channels-last tensors [images, H, W, C]: 1x1 as matrix products, 3x3 by Winograd.
//
// Winograd's F(2x2, 3x3) forms an output tile of 2x2 from 16 products where the plain sum takes 36
// (Lavin and Gray 2015, arXiv:1509.09308); in float32 it is as exact as a plain sum to about twice
// its rounding. The gradient of the weights is the same algorithm transposed. Channels must fill
// whole vectors (8 of float, 4 of double).

#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

template <typename T>
struct Vector {
    static constexpr int64_t lanes = 32 / sizeof(T);
    typedef T type __attribute__((vector_size(32), aligned(sizeof(T)), may_alias));
    typedef double wide
        __attribute__((vector_size(32 / sizeof(T) * sizeof(double)), aligned(8), may_alias));
};
template <typename T>
using V = typename Vector<T>::type;

template <typename T>
inline V<T>& at(T* p) {
    return *reinterpret_cast<V<T>*>(p);
}
template <typename T>
inline const V<T>& at(const T* p) {
    return *reinterpret_cast<const V<T>*>(p);
}

// c [R, B vectors] = or += a·b over K; a(r, k) lies at r·ar + k·ak.
template <typename T, int R, int B, bool ADD>
inline void product_block(int64_t K, const T* a, int64_t ar, int64_t ak, const T* b, int64_t bk,
                          T* c, int64_t cr) {
    constexpr int64_t L = Vector<T>::lanes;
    V<T> sum[R][B];
    for (int r = 0; r < R; r++)
        for (int j = 0; j < B; j++) sum[r][j] = ADD ? at(c + r * cr + j * L) : V<T>{};
    for (int64_t k = 0; k < K; k++) {
        V<T> line[B];
        for (int j = 0; j < B; j++) line[j] = at(b + k * bk + j * L);
        for (int r = 0; r < R; r++) {
            const T factor = a[r * ar + k * ak];
            for (int j = 0; j < B; j++) sum[r][j] += factor * line[j];
        }
    }
    for (int r = 0; r < R; r++)
        for (int j = 0; j < B; j++) at(c + r * cr + j * L) = sum[r][j];
}

// As many rows at once as the registers hold beside B columns.
template <typename T, int B, bool ADD>
void product_columns(int64_t M, int64_t K, const T* a, int64_t ar, int64_t ak, const T* b,
                     int64_t bk, T* c, int64_t cr) {
#ifdef __AVX512VL__
    constexpr int R = B == 4 ? 6 : B == 3 ? 8 : B == 2 ? 12 : 16;
#else
    constexpr int R = B == 4 ? 2 : B == 3 ? 4 : B == 2 ? 6 : 8;
#endif
    int64_t r = 0;
    for (; r + R <= M; r += R)
        product_block<T, R, B, ADD>(K, a + r * ar, ar, ak, b, bk, c + r * cr, cr);
    for (; r + 4 <= M; r += 4)
        product_block<T, 4, B, ADD>(K, a + r * ar, ar, ak, b, bk, c + r * cr, cr);
    for (; r < M; r++)
        product_block<T, 1, B, ADD>(K, a + r * ar, ar, ak, b, bk, c + r * cr, cr);
}

// c [M, N] = or += a [M, K]·b [K, N]; N in whole vectors.
template <typename T, bool ADD>
void product(int64_t M, int64_t N, int64_t K, const T* a, int64_t ar, int64_t ak, const T* b,
             int64_t bk, T* c, int64_t cr) {
    constexpr int64_t L = Vector<T>::lanes;
    int64_t n = 0;
    if (N % (3 * L))
        for (; n + 4 * L <= N; n += 4 * L)
            product_columns<T, 4, ADD>(M, K, a, ar, ak, b + n, bk, c + n, cr);
    for (; n + 3 * L <= N; n += 3 * L)
        product_columns<T, 3, ADD>(M, K, a, ar, ak, b + n, bk, c + n, cr);
    for (; n + 2 * L <= N; n += 2 * L)
        product_columns<T, 2, ADD>(M, K, a, ar, ak, b + n, bk, c + n, cr);
    for (; n + L <= N; n += L)
        product_columns<T, 1, ADD>(M, K, a, ar, ak, b + n, bk, c + n, cr);
}

constexpr int64_t TILES = 48;  // worked on at a time; a multiple of every number of rows above

// Some images and their tiles of 2x2.
template <typename T>
struct Tiled {
    int64_t images, height, width;
    int64_t down() const { return (height + 1) / 2; }
    int64_t across() const { return (width + 1) / 2; }
    int64_t tiles() const { return images * down() * across(); }
    // Top left pixel of a tile.
    void place(int64_t tile, int64_t& image, int64_t& h, int64_t& w) const {
        const int64_t inside = tile % (down() * across());
        image = tile / (down() * across());
        h = inside / across() * 2;
        w = inside % across() * 2;
    }
    int64_t pixel(int64_t image, int64_t h, int64_t w) const {
        return (image * height + h) * width + w;
    }
};

// A transformed operand [16, TILES, C]; the planes are kept out of step with the cache's sets.
template <typename T>
struct Planes {
    int64_t channels, stride;
    std::vector<T> data, zero;
    explicit Planes(int64_t most)
        : channels(most), stride(TILES * most + 16), data(16 * (TILES * most + 16)),
          zero(most, T(0)) {}
    void narrow(int64_t C) { channels = C, stride = TILES * C + 16; }
    T* plane(int64_t i) { return data.data() + i * stride; }
};

// Bᵀ d B of the 4x4 neighbourhoods of `count` tiles.
template <typename T>
void transform_input(const T* x, const Tiled<T>& s, int64_t first, int64_t count, Planes<T>& out) {
    const int64_t C = out.channels, P = out.stride;
    for (int64_t t = 0; t < count; t++) {
        int64_t image, h0, w0;
        s.place(first + t, image, h0, w0);
        const T* from[4][4];
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                const int64_t h = h0 + i - 1, w = w0 + j - 1;
                const bool inside = h >= 0 && h < s.height && w >= 0 && w < s.width;
                from[i][j] = inside ? x + s.pixel(image, h, w) * C : out.zero.data();
            }
        for (int64_t q = 0; q < C; q += Vector<T>::lanes) {
            V<T> e[4][4];
            for (int j = 0; j < 4; j++) {
                const V<T> a = at(from[0][j] + q), b = at(from[1][j] + q);
                const V<T> c = at(from[2][j] + q), d = at(from[3][j] + q);
                e[0][j] = a - c, e[1][j] = b + c, e[2][j] = c - b, e[3][j] = b - d;
            }
            T* to = out.data.data() + t * C + q;
            for (int i = 0; i < 4; i++, to += 4 * P) {
                at(to) = e[i][0] - e[i][2];
                at(to + P) = e[i][1] + e[i][2];
                at(to + 2 * P) = e[i][2] - e[i][1];
                at(to + 3 * P) = e[i][1] - e[i][3];
            }
        }
    }
}

// Aᵀ m A of `count` tiles: their 2x2 pixels of y.
template <typename T>
void transform_output(const Planes<T>& m, const Tiled<T>& s, int64_t first, int64_t count, T* y) {
    const int64_t C = m.channels, P = m.stride;
    for (int64_t t = 0; t < count; t++) {
        int64_t image, h, w;
        s.place(first + t, image, h, w);
        T* to = y + s.pixel(image, h, w) * C;
        const bool below = h + 1 < s.height, right = w + 1 < s.width;
        for (int64_t q = 0; q < C; q += Vector<T>::lanes) {
            V<T> e[2][4];
            for (int j = 0; j < 4; j++) {
                const T* from = m.data.data() + t * C + q + j * P;
                const V<T> a = at(from), b = at(from + 4 * P);
                const V<T> c = at(from + 8 * P), d = at(from + 12 * P);
                e[0][j] = a + b + c, e[1][j] = b - c - d;
            }
            at(to + q) = e[0][0] + e[0][1] + e[0][2];
            if (right) at(to + C + q) = e[0][1] - e[0][2] - e[0][3];
            if (below) at(to + s.width * C + q) = e[1][0] + e[1][1] + e[1][2];
            if (below && right) at(to + s.width * C + C + q) = e[1][1] - e[1][2] - e[1][3];
        }
    }
}

// A d Aᵀ of the 2x2 pixels of `count` tiles: `transform_output` transposed.
template <typename T>
void transform_gradient(const T* d, const Tiled<T>& s, int64_t first, int64_t count,
                        Planes<T>& out) {
    const int64_t C = out.channels, P = out.stride;
    for (int64_t t = 0; t < count; t++) {
        int64_t image, h, w;
        s.place(first + t, image, h, w);
        const bool below = h + 1 < s.height, right = w + 1 < s.width;
        const T* zero = out.zero.data();
        const T* p = d + s.pixel(image, h, w) * C;
        const T* p01 = right ? p + C : zero;
        const T* p10 = below ? p + s.width * C : zero;
        const T* p11 = below && right ? p + s.width * C + C : zero;
        for (int64_t q = 0; q < C; q += Vector<T>::lanes) {
            const V<T> a = at(p + q), b = at(p01 + q), c = at(p10 + q), e = at(p11 + q);
            const V<T> lines[4][2] = {{a, b}, {a + c, b + e}, {a - c, b - e}, {-c, -e}};
            T* to = out.data.data() + t * C + q;
            for (int i = 0; i < 4; i++, to += 4 * P) {
                at(to) = lines[i][0];
                at(to + P) = lines[i][0] + lines[i][1];
                at(to + 2 * P) = lines[i][0] - lines[i][1];
                at(to + 3 * P) = -lines[i][1];
            }
        }
    }
}

// y = 3x3 convolution of x with weights u [16, in, out] (`transform_weights`).
template <typename T>
void convolve(const T* x, const Tiled<T>& s, int64_t in, int64_t out, const T* u, Planes<T>& a,
              Planes<T>& b, T* y) {
    a.narrow(in), b.narrow(out);
    for (int64_t first = 0, count; first < s.tiles(); first += count) {
        count = std::min(TILES, s.tiles() - first);
        transform_input(x, s, first, count, a);
        for (int64_t i = 0; i < 16; i++)
            product<T, false>(count, out, in, a.plane(i), in, 1, u + i * in * out, out, b.plane(i),
                              out);
        transform_output(b, s, first, count, y);
    }
}

// du [16, in, out] += the transformed gradient of the weights, from x and the output's gradient d.
template <typename T>
void convolve_weights(const T* x, const T* d, const Tiled<T>& s, int64_t in, int64_t out,
                      Planes<T>& a, Planes<T>& b, T* du) {
    a.narrow(in), b.narrow(out);
    for (int64_t first = 0, count; first < s.tiles(); first += count) {
        count = std::min(TILES, s.tiles() - first);
        transform_input(x, s, first, count, a);
        transform_gradient(d, s, first, count, b);
        for (int64_t i = 0; i < 16; i++)
            product<T, true>(in, out, count, a.plane(i), 1, in, b.plane(i), out,
                             du + i * in * out, out);
    }
}

// G w Gᵀ of w [out, in, 3, 3] as [16, in, out]; `back`: of the kernel that maps gradients of the
// outputs to those of the inputs, turned by half a circle, as [16, out, in].
template <typename T>
void transform_weights(const T* w, int64_t out, int64_t in, bool back, T* u) {
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) {
            const T* k = w + (o * in + i) * 9;
            T half[4][3];
            for (int c = 0; c < 3; c++) {
                const T x = k[back ? 8 - c : c], y = k[back ? 5 - c : 3 + c];
                const T z = k[back ? 2 - c : 6 + c];
                half[0][c] = x, half[3][c] = z;
                half[1][c] = (x + y + z) / 2, half[2][c] = (x - y + z) / 2;
            }
            T* to = u + (back ? o * in + i : i * out + o);
            for (int r = 0; r < 4; r++) {
                const T x = half[r][0], y = half[r][1], z = half[r][2];
                const T line[4] = {x, (x + y + z) / 2, (x - y + z) / 2, z};
                for (int c = 0; c < 4; c++) to[(r * 4 + c) * in * out] = line[c];
            }
        }
}

// dw [out, in, 3, 3] = Gᵀ du G: `transform_weights` transposed.
template <typename T>
void transform_weights_back(const T* du, int64_t out, int64_t in, T* dw) {
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) {
            T half[3][4];
            for (int c = 0; c < 4; c++) {
                const T* from = du + i * out + o + c * in * out;
                const T x = from[0], y = from[4 * in * out], z = from[8 * in * out];
                const T last = from[12 * in * out];
                half[0][c] = x + (y + z) / 2, half[1][c] = (y - z) / 2;
                half[2][c] = (y + z) / 2 + last;
            }
            T* to = dw + (o * in + i) * 9;
            for (int r = 0; r < 3; r++) {
                const T x = half[r][0], y = half[r][1], z = half[r][2];
                to[r * 3] = x + (y + z) / 2, to[r * 3 + 1] = (y - z) / 2;
                to[r * 3 + 2] = (y + z) / 2 + half[r][3];
            }
        }
}
