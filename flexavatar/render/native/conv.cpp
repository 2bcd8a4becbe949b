#include "conv.h"

#include <algorithm>

#include "pool.h"
#include "simd.h"

namespace flex {
namespace {

constexpr int PIECES = 16;  // that the rows of a layer are worked on in

FLEX_INLINE f8 silu8(f8 x) {
    return x / (1.0f + exp8(clamp8(-x, splat(-87.0f), splat(87.0f))));
}

FLEX_INLINE void put(const Layer& layer, size_t place, f8 value) {
    if (layer.add) value += load(layer.add + place);
    store(layer.output + place, value);
    if (layer.active) store(layer.active + place, silu8(value));
}

// `Pixels` outputs in a row from x on, `Vectors` times eight channels from vector `first` on.
template <int Vectors, int Pixels>
FLEX_INLINE void convolve(const Layer& layer, int x, int y, int first) {
    const int border = layer.kernel == 3 ? 0 : 1;
    const size_t step = size_t(layer.stride) * layer.inputs, row = layer.input_width + 2;
    const size_t vector = size_t(layer.kernel) * layer.kernel * layer.inputs * LANES;
    const float* weights = layer.weights + first * vector;
    f8 sum[Pixels][Vectors];
    for (int v = 0; v < Vectors; ++v)
        for (int p = 0; p < Pixels; ++p) sum[p][v] = load(layer.bias + (first + v) * LANES);
    for (int ky = 0; ky < layer.kernel; ++ky) {
        const size_t line = (size_t(y) * layer.stride + ky + border) * row;
        const float* in = layer.input + (line + x * layer.stride + border) * layer.inputs;
        for (int i = 0; i < layer.kernel * layer.inputs; ++i, weights += LANES) {
            f8 share[Vectors];
            for (int v = 0; v < Vectors; ++v) share[v] = load(weights + v * vector);
            for (int p = 0; p < Pixels; ++p)
                for (int v = 0; v < Vectors; ++v) sum[p][v] += in[p * step + i] * share[v];
        }
    }
    const int own = layer.outputs / (layer.spread * layer.spread);
    const size_t wide = size_t(layer.width) * layer.spread + 2;
    for (int v = 0; v < Vectors; ++v) {
        const int channel = (first + v) * LANES, part = channel / own;
        const size_t line = size_t(y) * layer.spread + part / layer.spread + 1;
        for (int p = 0; p < Pixels; ++p) {
            const size_t column = size_t(x + p) * layer.spread + part % layer.spread + 1;
            put(layer, (line * wide + column) * own + channel % own, sum[p][v]);
        }
    }
}

template <int Vectors, int Pixels>
void convolve_row(const Layer& layer, int y) {
    for (int first = 0; first < layer.outputs / LANES; first += Vectors) {
        int x = 0;
        for (; x + Pixels <= layer.width; x += Pixels)
            convolve<Vectors, Pixels>(layer, x, y, first);
        for (; x < layer.width; ++x) convolve<Vectors, 1>(layer, x, y, first);
    }
}

void run_row(const Layer& layer, int y) {
    const int vectors = layer.outputs / LANES;
    if (vectors % 4 == 0) return convolve_row<4, 3>(layer, y);
    if (vectors % 3 == 0) return convolve_row<3, 4>(layer, y);
    if (vectors % 5 == 0) return convolve_row<5, 2>(layer, y);
    if (vectors % 7 == 0) return convolve_row<7, 2>(layer, y);
    convolve_row<1, 8>(layer, y);
}

}  // namespace

void run_layers(const Layer* layers, int count) {
    for (int i = 0; i < count; ++i) {
        const Layer& layer = layers[i];
        const int rows = (layer.height + PIECES - 1) / PIECES;
        parallel_for(PIECES, [&](int piece) {
            const int end = std::min(layer.height, (piece + 1) * rows);
            for (int y = piece * rows; y < end; ++y) run_row(layer, y);
        });
    }
}

}  // namespace flex
