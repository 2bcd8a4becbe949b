// The arithmetic of flexavatar/avatar/uv_maps.py's `apply_change`, eight splats at a time.
#pragma once

#include "deform.h"
#include "simd.h"

namespace flex {

constexpr int CHANNELS = 14;  // position 3, opacity 1, size 3, colour 3, rotation 4
constexpr int TAPS = 4;
constexpr float REACH = 0.1f, MOST_MOVED = 0.3f, MOST_SCALED = 1.5f, MOST_LOGITS = 6.0f;
constexpr float SH_C0 = 0.28209479f;

// e^x, and 1 exactly at 0: what does not change stays the same to the bit.
FLEX_INLINE f8 factor8(f8 x, float most) {
    const f8 bounded = clamp8(x, splat(-most), splat(most));
    return select(above(abs8(bounded), splat(0.0f)), exp8(bounded), splat(1.0f));
}

// sigmoid(logit(share) + by) - share.
FLEX_INLINE f8 shift8(f8 share, f8 by) {
    const f8 factor = factor8(by, MOST_LOGITS);
    return share * factor / (1.0f + share * (factor - 1.0f)) - share;
}

// The map at eight splats, channel by channel; fields 8 and on repeat two of the first eight.
FLEX_INLINE void read_change(const ChangePlan& plan, const float* map, int number,
                             f8 change[CHANNELS]) {
    const int32_t* texels = plan.texels + size_t(number) * TAPS * LANES;
    const float* shares = plan.shares + size_t(number) * TAPS * LANES;
    constexpr int SECOND = CHANNELS - LANES;
    f8 low[LANES], high[LANES];
    for (int l = 0; l < LANES; ++l) {
        low[l] = high[l] = splat(0.0f);
        for (int tap = 0; tap < TAPS; ++tap) {
            const float* texel = map + CHANNELS * size_t(texels[tap * LANES + l]);
            const float share = shares[tap * LANES + l];
            low[l] += share * load(texel);
            high[l] += share * load(texel + SECOND);
        }
    }
    transpose8(low);
    transpose8(high);
    for (int k = 0; k < LANES; ++k) change[k] = low[k];
    for (int k = LANES; k < CHANNELS; ++k) change[k] = high[k - SECOND];
}

// Changes the fields of eight splats, and writes their opacities and colours.
FLEX_INLINE void change_splats(const ChangePlan& plan, const float* map, int number, int first,
                               int lanes, f8 own[SPLAT_FIELDS], const DeformOutput& out) {
    f8 change[CHANNELS];
    read_change(plan, map, number, change);
    for (int k = 0; k < 3; ++k) {
        own[3 + k] += REACH * clamp8(change[k], splat(-MOST_MOVED), splat(MOST_MOVED));
        own[10 + k] *= factor8(change[4 + k], MOST_SCALED);
    }
    f8 turn[4] = {change[10] + 1.0f, change[11], change[12], change[13]}, norm = splat(0.0f);
    for (int k = 0; k < 4; ++k) norm += turn[k] * turn[k];
    norm = 1.0f / sqrt8(max8(norm, splat(1e-24f)));
    for (int k = 0; k < 4; ++k) turn[k] *= norm;
    f8 quats[4];
    multiply_quats(own + 6, turn, quats);
    for (int k = 0; k < 4; ++k) own[6 + k] = quats[k];

    const float* looks = plan.looks + size_t(number) * 4 * LANES;
    const f8 opacity = load(looks);
    const f8 shown[1] = {opacity + shift8(opacity, change[3])};
    f8 sh[3];
    for (int k = 0; k < 3; ++k) {
        const f8 rest = load(looks + (1 + k) * LANES);
        const f8 share = clamp8(0.5f + SH_C0 * rest, splat(0.0f), splat(1.0f));
        sh[k] = rest + shift8(share, change[7 + k]) * (1.0f / SH_C0);
    }
    scatter_items<1>(shown, out.opacities + first, lanes);
    scatter_items<3>(sh, out.sh + 3 * size_t(first), lanes);
}

}  // namespace flex
