// Small matrices, by rows, and quaternions, wxyz, of a surface that moves.
#pragma once

#include <algorithm>
#include <cmath>

namespace flexavatar {

// Two edges and the unit normal of a face as columns; the face's area.
inline float faceEdges(const float* a, const float* b, const float* c, float out[9]) {
    const float p[3] = {b[0] - a[0], b[1] - a[1], b[2] - a[2]};
    const float q[3] = {c[0] - a[0], c[1] - a[1], c[2] - a[2]};
    const float n[3] = {p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2],
                        p[0] * q[1] - p[1] * q[0]};
    const float length = std::sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
    const float inverse = 1 / std::max(length, 1e-20f);
    for (int k = 0; k < 3; ++k) {
        out[3 * k] = p[k];
        out[3 * k + 1] = q[k];
        out[3 * k + 2] = n[k] * inverse;
    }
    return length / 2;
}

inline void cofactors(const float m[9], float out[9]) {
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c) {
            const int r1 = (r + 1) % 3 * 3, r2 = (r + 2) % 3 * 3;
            const int c1 = (c + 1) % 3, c2 = (c + 2) % 3;
            out[3 * r + c] = m[r1 + c1] * m[r2 + c2] - m[r1 + c2] * m[r2 + c1];
        }
}

inline float determinant(const float m[9], const float cofactor[9]) {
    return m[0] * cofactor[0] + m[1] * cofactor[1] + m[2] * cofactor[2];
}

inline void invert(const float m[9], float out[9]) {
    float cofactor[9];
    cofactors(m, cofactor);
    const float scale = 1 / determinant(m, cofactor);
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 3; ++c) out[3 * r + c] = cofactor[3 * c + r] * scale;
}

inline void multiply(const float a[9], const float b[9], float out[9]) {
    for (int r = 0; r < 9; r += 3)
        for (int c = 0; c < 3; ++c)
            out[r + c] = a[r] * b[c] + a[r + 1] * b[3 + c] + a[r + 2] * b[6 + c];
}

// Rodrigues' formula.
inline void rotationOf(const float axisAngle[3], float out[9]) {
    const float x = axisAngle[0], y = axisAngle[1], z = axisAngle[2];
    const float squared = x * x + y * y + z * z, angle = std::sqrt(squared);
    const bool small = squared < 1e-8f;
    const float s = small ? 1 - squared / 6 : std::sin(angle) / angle;
    const float v = small ? 0.5f - squared / 24 : (1 - std::cos(angle)) / squared;
    const float rows[9] = {1 - v * (y * y + z * z), v * x * y - s * z, v * x * z + s * y,
                           v * x * y + s * z, 1 - v * (x * x + z * z), v * y * z - s * x,
                           v * x * z - s * y, v * y * z + s * x, 1 - v * (x * x + y * y)};
    std::copy(rows, rows + 9, out);
}

// The nearest rotation, in place, by Higham's iteration; none where the matrix is folded over.
inline void polarRotation(float m[9]) {
    constexpr int STEPS = 6;
    constexpr float FOLDED = 0.05f;
    for (int step = 0; step < STEPS; ++step) {
        float cofactor[9];
        cofactors(m, cofactor);
        const float det = determinant(m, cofactor);
        if (step == 0 && !(det >= FOLDED)) {
            for (int i = 0; i < 9; ++i) m[i] = i % 4 ? 0.0f : 1.0f;
            return;
        }
        const float half = 0.5f / det;
        for (int i = 0; i < 9; ++i) m[i] = 0.5f * m[i] + half * cofactor[i];
    }
}

// A rotation's unit quaternion, w >= 0: the largest of the four ways to get one.
inline void quatOf(const float m[9], float out[4]) {
    const float x = m[7] - m[5], y = m[2] - m[6], z = m[3] - m[1];
    const float xy = m[1] + m[3], xz = m[2] + m[6], yz = m[5] + m[7];
    const float ways[4][4] = {{1 + m[0] + m[4] + m[8], x, y, z},
                              {x, 1 + m[0] - m[4] - m[8], xy, xz},
                              {y, xy, 1 - m[0] + m[4] - m[8], yz},
                              {z, xz, yz, 1 - m[0] - m[4] + m[8]}};
    int best = 0;
    for (int way = 1; way < 4; ++way)
        if (ways[way][way] > ways[best][best]) best = way;
    const float* q = ways[best];
    const float length = std::sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    for (int k = 0; k < 4; ++k) out[k] = q[k] * (q[0] < 0 ? -1 : 1) / length;
}

inline float dot4(const float* a, const float* b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
}

// The turn `b`, then `a`.
inline void multiplyQuats(const float* a, const float* b, float* out) {
    out[0] = a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3];
    out[1] = a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2];
    out[2] = a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1];
    out[3] = a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0];
}

// Where a unit quaternion turns x, y and z, one after the other.
inline void axesOf(const float q[4], float out[9]) {
    const float w = q[0], x = q[1], y = q[2], z = q[3];
    const float axes[9] = {1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y),
                           2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x),
                           2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)};
    std::copy(axes, axes + 9, out);
}

}  // namespace flexavatar
