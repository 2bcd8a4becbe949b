// As much of HLSL in C++ as FlexAvatarSplatMath.ush uses.
#pragma once

#include <algorithm>
#include <cmath>

namespace hlsl {

struct float2 {
    float x = 0, y = 0;
    float2() = default;
    float2(float a, float b) : x(a), y(b) {}
};
struct float3 {
    float x = 0, y = 0, z = 0;
    float3() = default;
    float3(float a, float b, float c) : x(a), y(b), z(c) {}
};
struct float4 {
    float x = 0, y = 0, z = 0, w = 0;
    float4() = default;
    float4(float a, float b, float c, float d) : x(a), y(b), z(c), w(d) {}
};
#define FLEX_OUT(Type) Type&
#define FLEX_XYZ(v) float3((v).x, (v).y, (v).z)

using std::exp;
using std::log;
using std::max;
using std::min;
using std::sqrt;

inline float2 operator+(float2 a, float2 b) { return {a.x + b.x, a.y + b.y}; }
inline float2 operator*(float2 a, float s) { return {a.x * s, a.y * s}; }
inline float3 operator+(float3 a, float3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline float3 operator*(float3 a, float s) { return {a.x * s, a.y * s, a.z * s}; }
inline float dot(float2 a, float2 b) { return a.x * b.x + a.y * b.y; }
inline float dot(float3 a, float3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline float clamp(float x, float low, float high) { return std::min(std::max(x, low), high); }

}  // namespace hlsl
