#include "FlexAvatar/SplatTexture.h"

#include <algorithm>
#include <cmath>

#include "FlexAvatar/Axes.h"
#include "FlexAvatar/Half.h"

namespace flexavatar {
namespace {

constexpr float PI = 3.14159265358979f;

struct Axis {
    float x, y, z;
};

// The unit axis of octahedral u and v.
Axis octahedral(uint8_t u, uint8_t v) {
    float x = float(u) / 127.5f - 1, y = float(v) / 127.5f - 1;
    const float z = 1 - std::fabs(x) - std::fabs(y);
    const float fold = std::max(-z, 0.0f);
    x -= std::copysign(fold, x);
    y -= std::copysign(fold, y);
    const float length = std::sqrt(x * x + y * y + z * z);
    return {x / length, y / length, z / length};
}

}  // namespace

SplatRows::SplatRows() {
    for (int i = 0; i < 256; ++i) {
        shares_[i] = floatToHalf(float(i) / 255);
        sines_[i] = std::sin(float(i) * PI / 510);
        cosines_[i] = std::cos(float(i) * PI / 510);
    }
    setRange(0, 1);
}

void SplatRows::setRange(float low, float high) {
    low_ = low;
    high_ = high;
    scales_[0] = 0;
    for (int i = 1; i < 256; ++i) {
        scales_[i] = floatToHalf(std::exp(low + float(i - 1) * (high - low) / 254));
    }
}

void SplatRows::write(const SplatBuffer& splats, uint32_t chunk, uint16_t* out) {
    const Header& header = splats.header;
    if (header.scaleMin != low_ || header.scaleMax != high_) {
        setRange(header.scaleMin, header.scaleMax);
    }
    const uint32_t first = chunk * CHUNK_SPLATS;
    const uint32_t last = std::min(first + CHUNK_SPLATS, splats.count);
    std::memset(out, 0, ROW_BYTES);
    for (uint32_t i = first; i < last; ++i, out += 4 * TEXELS_PER_SPLAT) {
        const uint8_t* at = splats.packed.data() + size_t(i) * SPLAT_BYTES;
        std::memcpy(out, at + 4, 3 * sizeof(uint16_t));
        out[3] = shares_[at[3]];
        const Axis axis = octahedral(at[10], at[11]);
        const float sine = sines_[at[15]];
        out[4] = floatToHalf(cosines_[at[15]]);
        out[5] = floatToHalf(axis.x * sine);
        out[6] = floatToHalf(axis.y * sine);
        out[7] = floatToHalf(axis.z * sine);
        for (int k = 0; k < 3; ++k) {
            out[8 + k] = scales_[at[12 + k]];
            out[12 + k] = shares_[at[k]];
        }
    }
}

SplatCamera splatCamera(const LocalCamera& camera) {
    SplatCamera out{};
    for (int k = 0; k < 3; ++k) {
        const float axes[3] = {camera.right[k], -camera.up[k], camera.forward[k]};
        for (int i = 0; i < 3; ++i) {
            for (int h = 0; h < 3; ++h) out.rows[i][h] += axes[i] * float(HEAD_TO_UNREAL[k][h]);
            out.rows[i][3] -= axes[i] * camera.place[k];
            out.back[k][i] = axes[i];
        }
        out.back[k][3] = camera.place[k];
    }
    return out;
}

}  // namespace flexavatar
