// Dropout's factors by a counted generator: number i of a key is a hash of both, as in bench/dropout.py.

#include <cstdint>

namespace {

uint32_t mixed(uint32_t x) {  // Wellons's lowbias32
    x ^= x >> 16, x *= 0x7feb352du;
    x ^= x >> 15, x *= 0x846ca68bu;
    return x ^ x >> 16;
}

template <typename T>
void fill(uint32_t one, uint32_t two, uint32_t below, double factor, int64_t number, T* out) {
    const T kept = T(factor);
    for (int64_t i = 0; i < number; i++)
        out[i] = mixed((uint32_t(i) + one) ^ two) >> 8 < below ? kept : T(0);
}

}  // namespace

extern "C" void fill_float(uint32_t one, uint32_t two, uint32_t below, double factor,
                           int64_t number, float* out) {
    fill(one, two, below, factor, number, out);
}
extern "C" void fill_double(uint32_t one, uint32_t two, uint32_t below, double factor,
                            int64_t number, double* out) {
    fill(one, two, below, factor, number, out);
}
