// The splat shader's arithmetic as C++.
//
//   splat_test project                   reads "row0 row1 row2 focal centre size unit" and then
//       Gaussians, "mean wxyz scale opacity", from stdin; writes mean, covariance, extent, depth,
//       axes, and the camera's point of the corner (1, -1)
//   splat_test draw MESSAGE OUT FOCAL SIDE  a keyframe, as the component and its material draw it,
//       from "place right up forward" of stdin: SIDE x SIDE floats, premultiplied RGBA, gamma
#include <cstdio>
#include <iostream>

#include "FlexAvatar/Half.h"
#include "FlexAvatar/SplatTexture.h"
#include "check.h"
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

void project() {
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
}

// ---- a picture, by way of the component's textures

flexavatar::SplatBuffer readSplats(const char* file) {
    const flexavatar::Bytes bytes = readFile(file);
    flexavatar::Message message;
    flexavatar::SplatDecoder store;
    flexavatar::SplatBuffer splats;
    std::string problem;
    CHECK(flexavatar::parseMessage(bytes, message, problem));
    CHECK(store.feed(message, problem) == flexavatar::FeedResult::Shown && store.take(splats));
    return splats;
}

float4 texel(const std::vector<uint16_t>& rows, uint32_t index, uint32_t part) {
    const uint16_t* at = rows.data() + size_t(index * 4 + part) * 4;
    using flexavatar::halfToFloat;
    return {halfToFloat(at[0]), halfToFloat(at[1]), halfToFloat(at[2]), halfToFloat(at[3])};
}

// As a graphics card fills the quad: corners from -1 to 1 along its axes.
void blend(const FlexQuad& quad, float4 color, int side, std::vector<float4>& picture) {
    const float2 a = quad.axis0, b = quad.axis1;
    const float area = a.x * b.y - a.y * b.x;
    const float reachX = std::fabs(a.x) + std::fabs(b.x), reachY = std::fabs(a.y) + std::fabs(b.y);
    const int left = int(max(quad.mean.x - reachX, 0.0f)), top = int(max(quad.mean.y - reachY, 0.0f));
    const int right = int(min(quad.mean.x + reachX + 1, float(side)));
    const int bottom = int(min(quad.mean.y + reachY + 1, float(side)));
    for (int y = top; y < bottom; ++y) {
        for (int x = left; x < right; ++x) {
            const float2 d(float(x) + 0.5f - quad.mean.x, float(y) + 0.5f - quad.mean.y);
            const float2 corner((d.x * b.y - d.y * b.x) / area, (d.y * a.x - d.x * a.y) / area);
            if (std::fabs(corner.x) > 1 || std::fabs(corner.y) > 1) continue;
            const float alpha = flexAlpha(color.w, quad.extent, corner);
            float4& under = picture[size_t(y) * size_t(side) + size_t(x)];
            under.x = under.x * (1 - alpha) + color.x * alpha;
            under.y = under.y * (1 - alpha) + color.y * alpha;
            under.z = under.z * (1 - alpha) + color.z * alpha;
            under.w = under.w * (1 - alpha) + alpha;
        }
    }
}

float4 row(const float* at) { return {at[0], at[1], at[2], at[3]}; }

void draw(const char* message, const char* out, float focal, int side) {
    flexavatar::LocalCamera local;
    for (float* const vector : {local.place, local.right, local.up, local.forward}) {
        for (int i = 0; i < 3; ++i) vector[i] = next();
    }
    const flexavatar::SplatCamera camera = flexavatar::splatCamera(local);
    const flexavatar::SplatBuffer splats = readSplats(message);
    const uint32_t chunks = flexavatar::chunkCount(splats.count);
    std::vector<uint16_t> rows(size_t(chunks) * flexavatar::ROW_TEXELS * 4);
    flexavatar::SplatRows writer;
    for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
        writer.write(splats, chunk, rows.data() + size_t(chunk) * flexavatar::ROW_TEXELS * 4);
    }
    std::vector<uint32_t> order;
    flexavatar::sortBackToFront(splats, camera.rows[2], order);
    const float2 size{float(side), float(side)};
    FlexCamera lens;
    lens.row0 = row(camera.rows[0]);
    lens.row1 = row(camera.rows[1]);
    lens.row2 = row(camera.rows[2]);
    lens.focal = {focal, focal};
    lens.centre = size * 0.5f;
    lens.size = size;
    lens.unit = 100;
    std::vector<float4> picture(size_t(side) * size_t(side));
    for (const uint32_t i : order) {
        const float4 mean = texel(rows, i, 0), scale = texel(rows, i, 2), color = texel(rows, i, 3);
        const FlexQuad quad =
            flexProject(lens, FLEX_XYZ(mean), texel(rows, i, 1), FLEX_XYZ(scale), mean.w);
        if (quad.depth > 0) blend(quad, {color.x, color.y, color.z, mean.w}, side, picture);
    }
    const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(picture.data());
    writeFile(out, flexavatar::Bytes(bytes, bytes + picture.size() * sizeof(float4)));
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "project") {
        project();
    } else if (what == "draw" && argc == 6) {
        draw(argv[2], argv[3], float(std::atof(argv[4])), std::atoi(argv[5]));
    } else {
        return 2;
    }
    return 0;
}
