#include "blend.h"

#include <algorithm>

#include "pool.h"
#include "simd.h"

namespace flex {
namespace {

constexpr size_t FLOATS_AT_ONCE = 16384;
constexpr int SPLATS_AT_ONCE = 2048;
constexpr float SMALLEST = 1e-9f;  // metres, so that every size has a logarithm

void lerp_piece(const float* a, const float* b, float share, size_t count, float* out) {
    const float rest = 1 - share;
    if (share < 0.5f)
        for (size_t i = 0; i < count; ++i) out[i] = a[i] + share * (b[i] - a[i]);
    else
        for (size_t i = 0; i < count; ++i) out[i] = b[i] - rest * (b[i] - a[i]);
}

// a (b / a)^share of eight sizes.
FLEX_INLINE f8 power_mean8(f8 a, f8 b, float share) {
    a = max8(a, splat(SMALLEST));
    b = max8(b, splat(SMALLEST));
    return a * exp8(share * log8(b / a));
}

void blend_scales(const float* a, const float* b, float share, int count, float* out) {
    int i = 0;
    for (; i + LANES <= count; i += LANES)
        store(out + i, power_mean8(load(a + i), load(b + i), share));
    if (i == count) return;
    f8 last[2] = {}, made;
    for (int l = 0; i + l < count; ++l) last[0][l] = a[i + l], last[1][l] = b[i + l];
    made = power_mean8(last[0], last[1], share);
    for (int l = 0; i + l < count; ++l) out[i + l] = made[l];
}

void blend_quats(const float* a, const float* b, float share, int lanes, float* out) {
    f8 one[4], other[4], side = splat(0.0f), norm = splat(0.0f);
    gather_items<4>(a, lanes, one);
    gather_items<4>(b, lanes, other);
    for (int k = 0; k < 4; ++k) side += one[k] * other[k];
    const f8 weight = select(above(splat(0.0f), side), splat(-share), splat(share));
    for (int k = 0; k < 4; ++k) one[k] = (1 - share) * one[k] + weight * other[k];
    for (int k = 0; k < 4; ++k) norm += one[k] * one[k];
    norm = 1.0f / sqrt8(max8(norm, splat(1e-24f)));
    for (int k = 0; k < 4; ++k) one[k] *= norm;
    scatter_items<4>(one, out, lanes);
}

}  // namespace

void lerp(const float* a, const float* b, float share, size_t count, float* out) {
    parallel_for(int((count + FLOATS_AT_ONCE - 1) / FLOATS_AT_ONCE), [&](int piece) {
        const size_t start = piece * FLOATS_AT_ONCE;
        const size_t own = std::min(FLOATS_AT_ONCE, count - start);
        lerp_piece(a + start, b + start, share, own, out + start);
    });
}

void blend(int count, const GaussianArrays& a, const GaussianArrays& b, float share,
           const GradientArrays& out) {
    parallel_for((count + SPLATS_AT_ONCE - 1) / SPLATS_AT_ONCE, [&](int piece) {
        const size_t i = size_t(piece) * SPLATS_AT_ONCE;
        const int own = std::min(SPLATS_AT_ONCE, count - int(i));
        lerp_piece(a.means + 3 * i, b.means + 3 * i, share, 3 * size_t(own), out.means + 3 * i);
        lerp_piece(a.sh + 3 * i, b.sh + 3 * i, share, 3 * size_t(own), out.sh + 3 * i);
        lerp_piece(a.opacities + i, b.opacities + i, share, own, out.opacities + i);
        blend_scales(a.scales + 3 * i, b.scales + 3 * i, share, 3 * own, out.scales + 3 * i);
        for (int l = 0; l < own; l += LANES) {
            const size_t at = 4 * (i + l);
            blend_quats(a.quats + at, b.quats + at, share, std::min(LANES, own - l), out.quats + at);
        }
    });
}

}  // namespace flex
