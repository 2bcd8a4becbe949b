// Gaussians to 16 bytes each; the layout is in formats/packed16.py.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "pool.h"

#define FLEX_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

constexpr int BLOCK = 4096;
constexpr float PI = 3.14159265358979f;
constexpr float SH_C0 = 0.28209479177387814f;
constexpr float FARTHEST = 65504.0f;  // the largest number of float16

// Whether all of these are finite and of this size at most.
bool within(const float* values, int count, float largest) {
    bool all = true;
    for (int i = 0; i < count; ++i) all &= std::fabs(values[i]) <= largest;  // false for NaN
    return all;
}

uint8_t to_u8(float unit) {
    return static_cast<uint8_t>(std::clamp(unit * 255.0f + 0.5f, 0.0f, 255.0f));
}

// float16, rounded to even (after F. Giesen's float_to_half_fast3_rtne, public domain).
uint16_t to_half(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    const uint32_t sign = bits & 0x80000000u;
    bits ^= sign;
    uint32_t half;
    if (bits >= 0x47800000u) {  // 65536 and more, infinite, not a number
        half = bits > 0x7f800000u ? 0x7e00u : 0x7c00u;
    } else if (bits < 0x38800000u) {  // denormal: adding 0.5 shifts the mantissa into place
        float magnitude;
        std::memcpy(&magnitude, &bits, 4);
        magnitude += 0.5f;
        std::memcpy(&half, &magnitude, 4);
        half -= 0x3f000000u;
    } else {
        bits += 0xc8000fffu + ((bits >> 13) & 1u);  // exponent from bias 127 to 15, and rounding
        half = bits >> 13;
    }
    return static_cast<uint16_t>(half | (sign >> 16));
}

// ln x for x > 0 to 1e-5: exponent, and a polynomial for the mantissa (least squares on 1..2).
float fast_log(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    const float exponent = static_cast<float>(static_cast<int32_t>(bits >> 23) - 127);
    bits = (bits & 0x007fffffu) | 0x3f800000u;
    float m;
    std::memcpy(&m, &bits, 4);
    const float t = (m - 1.0f) / (m + 1.0f), t2 = t * t;  // atanh series: t <= 1/3
    const float mantissa = 2.0f * t * (1.0f + t2 * (1.0f / 3 + t2 * (0.2f + t2 * (1.0f / 7))));
    return exponent * 0.69314718056f + mantissa;
}

// atan2(y, x) for x, y >= 0, not both 0, to 1e-5 (Abramowitz and Stegun 4.4.49).
float fast_atan2(float y, float x) {
    const float low = std::min(x, y), high = std::max(x, y);
    const float q = low / std::max(high, 1e-30f), q2 = q * q;
    float angle = 0.0208351f;
    angle = angle * q2 - 0.0851330f;
    angle = angle * q2 + 0.1801410f;
    angle = angle * q2 - 0.3302995f;
    angle = angle * q2 + 0.9998660f;
    angle *= q;
    return y > x ? 0.5f * PI - angle : angle;
}

void pack_rotation(const float* quat, uint8_t* out) {
    const float side = quat[0] < 0 ? -1.0f : 1.0f;
    const float w = std::fabs(quat[0]);
    float x = quat[1] * side, y = quat[2] * side;
    const float z = quat[3] * side;
    out[15] = to_u8(fast_atan2(std::sqrt(x * x + y * y + z * z), w) * (2.0f / PI));
    const float size = std::max(std::fabs(x) + std::fabs(y) + std::fabs(z), 1e-20f);
    x /= size;
    y /= size;
    const float folded_x = std::copysign(1.0f - std::fabs(y), x);
    const float folded_y = std::copysign(1.0f - std::fabs(x), y);
    out[10] = to_u8((z < 0 ? folded_x : x) * 0.5f + 0.5f);
    out[11] = to_u8((z < 0 ? folded_y : y) * 0.5f + 0.5f);
}

bool packable(const float* const* fields, int i) {
    return within(fields[0] + 3 * i, 3, FARTHEST) && within(fields[1] + 4 * i, 4, FLT_MAX) &&
           within(fields[2] + 3 * i, 3, FLT_MAX) && within(fields[3] + i, 1, FLT_MAX) &&
           within(fields[4] + 3 * i, 3, FLT_MAX);
}

}  // namespace

// Smallest and largest mean x y z and scale: min x y z scale, max x y z scale. Gaussians whose mean
// or scale cannot be packed do not count.
FLEX_EXPORT void flex_extent(int count, const float* means, const float* scales, float* out) {
    float low[4] = {INFINITY, INFINITY, INFINITY, INFINITY};
    float high[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    for (int i = 0; i < count; ++i) {
        if (!within(means + 3 * i, 3, FARTHEST) || !within(scales + 3 * i, 3, FLT_MAX)) continue;
        for (int axis = 0; axis < 3; ++axis) {
            low[axis] = std::min(low[axis], means[3 * i + axis]);
            high[axis] = std::max(high[axis], means[3 * i + axis]);
            low[3] = std::min(low[3], scales[3 * i + axis]);
            high[3] = std::max(high[3], scales[3 * i + axis]);
        }
    }
    std::copy(low, low + 4, out);
    std::copy(high, high + 4, out + 4);
}

// means [N, 3], quats [N, 4] wxyz, scales [N, 3], opacities [N], sh [N, 3] -> out [N, 16]; zeros
// for a Gaussian that is not finite or too far away.
FLEX_EXPORT void flex_pack16(int count, const float* const* fields, float scale_min,
                             float scale_max, uint8_t* out) {
    const float per_step = 254.0f / (scale_max - scale_min);
    flex::parallel_for((count + BLOCK - 1) / BLOCK, [&](int block) {
        const int end = std::min(count, (block + 1) * BLOCK);
        for (int i = block * BLOCK; i < end; ++i) {
            uint8_t* splat = out + 16 * static_cast<size_t>(i);
            if (!packable(fields, i)) {
                std::memset(splat, 0, 16);
                continue;
            }
            uint16_t place[3];
            for (int axis = 0; axis < 3; ++axis) {
                splat[axis] = to_u8(fields[4][3 * i + axis] * SH_C0 + 0.5f);
                place[axis] = to_half(fields[0][3 * i + axis]);
                const float scale = fields[2][3 * i + axis];
                const float step = (fast_log(scale) - scale_min) * per_step + 1.5f;
                splat[12 + axis] =
                    scale > 0 ? static_cast<uint8_t>(std::clamp(step, 1.0f, 255.0f)) : 0;
            }
            splat[3] = to_u8(fields[3][i]);
            std::memcpy(splat + 4, place, 6);
            pack_rotation(fields[1] + 4 * i, splat);
        }
    });
}
