// The splat shader's arithmetic as C++: reads "row0 row1 row2 focal centre size unit" and then
// Gaussians, "mean wxyz scale opacity", from stdin; writes mean, covariance, extent, depth, axes,
// and the camera's point of the corner (1, -1).
#include <cstdio>
#include <iostream>

#include "hlsl.h"

namespace hlsl {
#include "../../Shaders/Private/FlexAvatarSplatMath.ush"
}

using namespace hlsl;

namespace {

float next() {
    float value = 0;
    std::cin >> value;
    return value;
}

float2 next2() {
    const float x = next();
    return {x, next()};
}

float3 next3() {
    const float2 start = next2();
    return {start.x, start.y, next()};
}

float4 next4() {
    const float3 start = next3();
    return {start.x, start.y, start.z, next()};
}

}  // namespace

int main() {
    FlexCamera camera;
    camera.row0 = next4();
    camera.row1 = next4();
    camera.row2 = next4();
    camera.focal = next2();
    camera.centre = next2();
    camera.size = next2();
    camera.unit = next();
    while (std::cin >> std::ws && !std::cin.eof()) {
        const float3 mean = next3();
        const float4 quat = next4();
        const float3 scale = next3();
        const FlexQuad quad = flexProject(camera, mean, quat, scale, next());
        const float3 corner = flexCorner(camera, quad, float2(1, -1));
        const float out[] = {quad.mean.x,       quad.mean.y,  quad.covariance.x, quad.covariance.y,
                             quad.covariance.z, quad.extent,  quad.depth,        quad.axis0.x,
                             quad.axis0.y,      quad.axis1.x, quad.axis1.y,      corner.x,
                             corner.y,          corner.z,     flexAlpha(0.5f, quad.extent, {0.5f, 0})};
        for (const float number : out) std::printf("%.9g ", double(number));
        std::printf("\n");
    }
    return 0;
}
