// Posed splats to the 16 bytes that streams have: proto/wire.md.
#include <algorithm>
#include <cmath>

#include "FlexAvatar/BakedAvatar.h"
#include "FlexAvatar/Half.h"

namespace flexavatar {
namespace {

constexpr float HALF_TURN = 3.14159265f;
constexpr float LARGEST_HALF = 65504.0f;  // the largest number of float16
constexpr size_t SPLAT_SIZE = 16;

uint8_t toByte(float unit) { return uint8_t(std::clamp(unit * 255 + 0.5f, 0.0f, 255.0f)); }

void packTurn(const float* quat, uint8_t* out) {
    const float side = quat[0] < 0 ? -1.0f : 1.0f;
    float x = quat[1] * side, y = quat[2] * side;
    const float z = quat[3] * side;
    const float half = std::atan2(std::sqrt(x * x + y * y + z * z), std::fabs(quat[0]));
    out[15] = toByte(half * (2 / HALF_TURN));
    const float size = std::max(std::fabs(x) + std::fabs(y) + std::fabs(z), 1e-20f);
    x /= size;
    y /= size;
    const float foldedX = std::copysign(1 - std::fabs(y), x);
    const float foldedY = std::copysign(1 - std::fabs(x), y);
    out[10] = toByte((z < 0 ? foldedX : x) * 0.5f + 0.5f);
    out[11] = toByte((z < 0 ? foldedY : y) * 0.5f + 0.5f);
}

}  // namespace

void BakedAvatar::pack(Bytes& out) const {
    const float low = file_.packedScaleLogs[0];
    const float perStep = 254 / (file_.packedScaleLogs[1] - low);
    out.assign(SPLAT_SIZE * file_.splats, 0);
    for (size_t i = 0; i < file_.splats; ++i) {
        const float *mean = &shown_.means[3 * i], *scale = &shown_.scales[3 * i];
        const float *quat = &shown_.quats[4 * i], *color = &shown_.colors[3 * i];
        float sum = shown_.opacities[i] + quat[0];
        for (int k = 0; k < 3; ++k) sum += mean[k] + scale[k] + color[k] + quat[1 + k];
        if (!(std::fabs(sum) < LARGEST_HALF)) continue;
        uint8_t* splat = out.data() + SPLAT_SIZE * i;
        for (int k = 0; k < 3; ++k) {
            splat[k] = toByte(color[k]);
            store(splat + 4 + 2 * k, floatToHalf(mean[k]));
            const float step = (std::log(scale[k]) - low) * perStep + 1.5f;
            splat[12 + k] = scale[k] > 0 ? uint8_t(std::clamp(step, 1.0f, 255.0f)) : uint8_t(0);
        }
        splat[3] = toByte(shown_.opacities[i]);
        packTurn(quat, splat);
    }
}

}  // namespace flexavatar
