// Numbers and vectors of them. REAL and WIDTH are set by the file that is compiled: one library for
// each precision and number of channels that fill a vector, so that narrow networks waste nothing.

#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

using T = REAL;
constexpr int64_t L = WIDTH;  // channels in a vector; every number of channels is a multiple of it
typedef T V __attribute__((vector_size(WIDTH * sizeof(T)), aligned(sizeof(T)), may_alias));
typedef double Wide __attribute__((vector_size(WIDTH * sizeof(double)), aligned(8), may_alias));

inline V& at(T* p) { return *reinterpret_cast<V*>(p); }
inline const V& at(const T* p) { return *reinterpret_cast<const V*>(p); }

inline void add_to(double* sums, V row) {
    *reinterpret_cast<Wide*>(sums) += __builtin_convertvector(row, Wide);
}
inline V rectified(V v) { return v < V{} ? V{} : v; }  // so that NaN stays NaN

inline void rectify(const T* x, int64_t number, T* out) {
    for (int64_t i = 0; i < number; i += L) at(out + i) = rectified(at(x + i));
}
