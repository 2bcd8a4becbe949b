// IEEE half precision, as positions are on the wire.
#pragma once

#include "FlexAvatar/Bytes.h"

namespace flexavatar {

inline float halfToFloat(uint16_t half) {
    const uint32_t sign = uint32_t(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 31u, fraction = half & 1023u;
    uint32_t bits = sign | ((exponent + 112) << 23) | (fraction << 13);
    if (exponent == 31) bits = sign | 0x7f800000u | (fraction << 13);
    if (exponent == 0) {  // a denormal is a fraction of 2^-14
        const float value = float(fraction) / 16777216.0f;
        return sign ? -value : value;
    }
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// Rounded to the nearest; too large becomes infinite, too small 0.
inline uint16_t floatToHalf(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = uint16_t(bits >> 16 & 0x8000u);
    bits &= 0x7fffffffu;
    if (bits >= 0x7f800000u) return uint16_t(sign | (bits > 0x7f800000u ? 0x7e00u : 0x7c00u));
    if (bits >= 0x477ff000u) return uint16_t(sign | 0x7c00u);
    if (bits < 0x38800000u) {  // a denormal counts in steps of 2^-24
        float size;
        std::memcpy(&size, &bits, sizeof size);
        return uint16_t(sign | uint32_t(size * 16777216.0f + 0.5f));
    }
    const uint32_t even = bits >> 13 & 1u;
    return uint16_t(sign | ((bits + 0xfffu + even - 0x38000000u) >> 13));
}

}  // namespace flexavatar
