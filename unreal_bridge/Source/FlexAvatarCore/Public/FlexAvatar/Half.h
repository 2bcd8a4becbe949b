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

}  // namespace flexavatar
