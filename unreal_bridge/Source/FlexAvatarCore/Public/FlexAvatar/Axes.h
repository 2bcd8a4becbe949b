// From the head frame (right-handed, y up, face to +z, metres) to Unreal's (left-handed, z up,
// centimetres). The face looks along Unreal's +x.
#pragma once

#include <cmath>

namespace flexavatar {

constexpr double CENTIMETRES = 100.0;

template <class Number>
void positionToUnreal(const Number head[3], Number unreal[3]) {
    unreal[0] = Number(CENTIMETRES) * head[2];
    unreal[1] = -Number(CENTIMETRES) * head[0];
    unreal[2] = Number(CENTIMETRES) * head[1];
}

// wxyz to wxyz; for Unreal's FQuat, whose order is xyzw, move w to the end.
template <class Number>
void quaternionToUnreal(const Number head[4], Number unreal[4]) {
    unreal[0] = head[0];
    unreal[1] = -head[3];
    unreal[2] = head[1];
    unreal[3] = -head[2];
}

// Sizes along a Gaussian's own axes.
template <class Number>
void scaleToUnreal(const Number head[3], Number unreal[3]) {
    unreal[0] = Number(CENTIMETRES) * head[2];
    unreal[1] = Number(CENTIMETRES) * head[0];
    unreal[2] = Number(CENTIMETRES) * head[1];
}

// positionToUnreal as a matrix, row by row.
constexpr double HEAD_TO_UNREAL[3][3] = {
    {0, 0, CENTIMETRES}, {-CENTIMETRES, 0, 0}, {0, CENTIMETRES, 0}};

// Yaw, pitch, roll in radians as capture apps send them -> axis-angle in the head frame. Yaw is
// positive to the person's left, pitch upwards, roll towards the person's right shoulder; yaw is
// turned first, then pitch, then roll.
template <class Number>
void axisAngleFromYawPitchRoll(Number yaw, Number pitch, Number roll, Number turn[3]) {
    const Number cy = std::cos(yaw / 2), sy = std::sin(yaw / 2);
    const Number cx = std::cos(-pitch / 2), sx = std::sin(-pitch / 2);
    const Number cz = std::cos(roll / 2), sz = std::sin(roll / 2);
    Number w = cy * cx * cz + sy * sx * sz;  // q = y * x * z
    Number axis[3] = {cy * sx * cz + sy * cx * sz, sy * cx * cz - cy * sx * sz,
                      cy * cx * sz - sy * sx * cz};
    const Number side = w < 0 ? Number(-1) : Number(1);
    const Number length =
        std::sqrt(axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2]);
    const Number angle = 2 * std::atan2(length, side * w);
    const Number factor = length > Number(1e-12) ? side * angle / length : Number(2);
    for (int i = 0; i < 3; ++i) turn[i] = factor * axis[i];
}

}  // namespace flexavatar
