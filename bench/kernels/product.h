// Products of a tall matrix with a small one, the small one's columns in whole vectors.

#pragma once
#include "vector.h"

// c [R, B vectors] = or += a·b over K; a(r, k) lies at r·ar + k·ak.
template <int R, int B, bool ADD>
inline void product_block(int64_t K, const T* a, int64_t ar, int64_t ak, const T* b, int64_t bk,
                          T* c, int64_t cr) {
    V sum[R][B];
    for (int r = 0; r < R; r++)
        for (int j = 0; j < B; j++) sum[r][j] = ADD ? at(c + r * cr + j * L) : V{};
    for (int64_t k = 0; k < K; k++) {
        V line[B];
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
template <int B, bool ADD>
void product_columns(int64_t M, int64_t K, const T* a, int64_t ar, int64_t ak, const T* b,
                     int64_t bk, T* c, int64_t cr) {
#ifdef __AVX512VL__
    constexpr int R = B == 4 ? 6 : B == 3 ? 8 : B == 2 ? 12 : 16;
#else
    constexpr int R = B == 4 ? 2 : B == 3 ? 4 : B == 2 ? 6 : 8;
#endif
    int64_t r = 0;
    for (; r + R <= M; r += R)
        product_block<R, B, ADD>(K, a + r * ar, ar, ak, b, bk, c + r * cr, cr);
    for (; r + 4 <= M; r += 4)
        product_block<4, B, ADD>(K, a + r * ar, ar, ak, b, bk, c + r * cr, cr);
    for (; r < M; r++)
        product_block<1, B, ADD>(K, a + r * ar, ar, ak, b, bk, c + r * cr, cr);
}

// c [M, N] = or += a [M, K]·b [K, N]; N in whole vectors.
template <bool ADD>
void product(int64_t M, int64_t N, int64_t K, const T* a, int64_t ar, int64_t ak, const T* b,
             int64_t bk, T* c, int64_t cr) {
    int64_t n = 0;
    if (N % (3 * L))
        for (; n + 4 * L <= N; n += 4 * L)
            product_columns<4, ADD>(M, K, a, ar, ak, b + n, bk, c + n, cr);
    for (; n + 3 * L <= N; n += 3 * L)
        product_columns<3, ADD>(M, K, a, ar, ak, b + n, bk, c + n, cr);
    for (; n + 2 * L <= N; n += 2 * L)
        product_columns<2, ADD>(M, K, a, ar, ak, b + n, bk, c + n, cr);
    for (; n + L <= N; n += L)
        product_columns<1, ADD>(M, K, a, ar, ak, b + n, bk, c + n, cr);
}

