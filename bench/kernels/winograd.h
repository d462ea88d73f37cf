// 3x3 convolutions of channels-last tensors [images, H, W, C] by Winograd.
//
// Winograd's F(2x2, 3x3) forms an output tile of 2x2 from 16 products where the plain sum takes 36
// (Lavin and Gray 2015, arXiv:1509.09308); in float32 it is as exact as a plain sum to about twice
// its rounding. The gradient of the weights is the same algorithm transposed.

#pragma once
#include "product.h"
#include <memory>

constexpr int64_t TILES = 48;  // worked on at a time; a multiple of every number of rows above

// Some images and their tiles of 2x2.
struct Tiled {
    int64_t images, height, width;
    int64_t down() const { return (height + 1) / 2; }
    int64_t across() const { return (width + 1) / 2; }
    int64_t tiles() const { return images * down() * across(); }
    int64_t pixel(int64_t image, int64_t h, int64_t w) const {
        return (image * height + h) * width + w;
    }
};

// Goes from tile to tile: the top left pixel. Divides once, since small tiles take less than a division.
struct Cursor {
    const Tiled& s;
    int64_t image, h, w;
    Cursor(const Tiled& tiled, int64_t tile) : s(tiled) {
        const int64_t inside = tile % (s.down() * s.across());
        image = tile / (s.down() * s.across());
        h = inside / s.across() * 2, w = inside % s.across() * 2;
    }
    void next() {
        if ((w += 2) < s.width) return;
        w = 0;
        if ((h += 2) < s.height) return;
        h = 0, image++;
    }
};

// Numbers that nobody has set yet.
struct Buffer {
    std::unique_ptr<T[]> own;
    explicit Buffer(int64_t number) : own(new T[number > 0 ? number : 1]) {}
    T* data() const { return own.get(); }
    T& operator[](int64_t i) const { return own[i]; }
};

// A transformed operand [16, TILES, C]; the planes are kept out of step with the cache's sets.
struct Planes {
    int64_t channels, stride;
    Buffer data;
    std::vector<T> zero;
    explicit Planes(int64_t most)
        : channels(most), stride(TILES * most + 16), data(16 * stride), zero(most, T(0)) {}
    void narrow(int64_t C) { channels = C, stride = TILES * C + 16; }
    T* plane(int64_t i) const { return data.data() + i * stride; }
};

// Bᵀ d B of the 4x4 neighbourhoods of `count` tiles.
void transform_input(const T* x, const Tiled& s, int64_t first, int64_t count, Planes& out) {
    const int64_t C = out.channels, P = out.stride;
    Cursor at_(s, first);
    for (int64_t t = 0; t < count; t++, at_.next()) {
        const int64_t image = at_.image, h0 = at_.h, w0 = at_.w;
        const T* from[4][4];
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                const int64_t h = h0 + i - 1, w = w0 + j - 1;
                const bool inside = h >= 0 && h < s.height && w >= 0 && w < s.width;
                from[i][j] = inside ? x + s.pixel(image, h, w) * C : out.zero.data();
            }
        for (int64_t q = 0; q < C; q += L) {
            V e[4][4];
            for (int j = 0; j < 4; j++) {
                const V a = at(from[0][j] + q), b = at(from[1][j] + q);
                const V c = at(from[2][j] + q), d = at(from[3][j] + q);
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
void transform_output(const Planes& m, const Tiled& s, int64_t first, int64_t count, T* y) {
    const int64_t C = m.channels, P = m.stride;
    Cursor at_(s, first);
    for (int64_t t = 0; t < count; t++, at_.next()) {
        const int64_t image = at_.image, h = at_.h, w = at_.w;
        T* to = y + s.pixel(image, h, w) * C;
        const bool below = h + 1 < s.height, right = w + 1 < s.width;
        for (int64_t q = 0; q < C; q += L) {
            V e[2][4];
            for (int j = 0; j < 4; j++) {
                const T* from = m.data.data() + t * C + q + j * P;
                const V a = at(from), b = at(from + 4 * P);
                const V c = at(from + 8 * P), d = at(from + 12 * P);
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
void transform_gradient(const T* d, const Tiled& s, int64_t first, int64_t count,
                        Planes& out) {
    const int64_t C = out.channels, P = out.stride;
    Cursor at_(s, first);
    for (int64_t t = 0; t < count; t++, at_.next()) {
        const int64_t image = at_.image, h = at_.h, w = at_.w;
        const bool below = h + 1 < s.height, right = w + 1 < s.width;
        const T* zero = out.zero.data();
        const T* p = d + s.pixel(image, h, w) * C;
        const T* p01 = right ? p + C : zero;
        const T* p10 = below ? p + s.width * C : zero;
        const T* p11 = below && right ? p + s.width * C + C : zero;
        for (int64_t q = 0; q < C; q += L) {
            const V a = at(p + q), b = at(p01 + q), c = at(p10 + q), e = at(p11 + q);
            const V lines[4][2] = {{a, b}, {a + c, b + e}, {a - c, b - e}, {-c, -e}};
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
void convolve(const T* x, const Tiled& s, int64_t in, int64_t out, const T* u, Planes& a,
              Planes& b, T* y) {
    a.narrow(in), b.narrow(out);
    for (int64_t first = 0, count; first < s.tiles(); first += count) {
        count = std::min(TILES, s.tiles() - first);
        transform_input(x, s, first, count, a);
        for (int64_t i = 0; i < 16; i++)
            product<false>(count, out, in, a.plane(i), in, 1, u + i * in * out, out, b.plane(i),
                              out);
        transform_output(b, s, first, count, y);
    }
}

// du [16, in, out] += the transformed gradient of the weights, from x and the output's gradient d.
void convolve_weights(const T* x, const T* d, const Tiled& s, int64_t in, int64_t out,
                      Planes& a, Planes& b, T* du) {
    a.narrow(in), b.narrow(out);
    for (int64_t first = 0, count; first < s.tiles(); first += count) {
        count = std::min(TILES, s.tiles() - first);
        transform_input(x, s, first, count, a);
        transform_gradient(d, s, first, count, b);
        for (int64_t i = 0; i < 16; i++)
            product<true>(in, out, count, a.plane(i), 1, in, b.plane(i), out,
                             du + i * in * out, out);
    }
}

// G w Gᵀ of w [out, in, 3, 3] as [16, in, out]; `back`: of the kernel that maps gradients of the
// outputs to those of the inputs, turned by half a circle, as [16, out, in].
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
