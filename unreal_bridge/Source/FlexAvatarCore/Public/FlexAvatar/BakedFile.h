// A baked avatar as read from its .glb: the extension FLEXAVATAR_rig, see docs/baked.md.
#pragma once

#include <array>
#include <string>

#include "FlexAvatar/Bytes.h"

namespace flexavatar {

constexpr size_t ARKIT_WEIGHTS = 52;  // in the order of Arkit.h
constexpr size_t BAKED_JOINTS = 5;  // global, neck, jaw, left eye, right eye

struct BakedFile {
    uint32_t vertices = 0, faces = 0, splats = 0, products = 0, fields = 0, bases = 0;
    uint32_t changing = 0;  // the first splats, whose colours change

    std::vector<float> rest;          // [V, 3] metres
    std::vector<uint32_t> corners;    // [F, 3]
    std::vector<float> lbsWeights;    // [V, 5] sum to 1
    std::vector<uint32_t> factors;    // [products, 2] 52 stands for 1
    std::vector<uint32_t> fieldStart; // [fields + 1]
    std::vector<uint32_t> fieldVertices;
    std::vector<float> deltas;        // [entries, 3]
    std::array<std::vector<float>, 3> hangingPoses;  // [52, 3] jaw, left eye, right eye
    std::vector<float> eyelids;       // [52, 2]
    std::array<std::vector<uint32_t>, 4> lidRings;   // left upper, lower, right upper, lower
    std::vector<uint32_t> bound;      // [N, 3]
    std::vector<float> bary;          // [N, 2]
    std::vector<float> offsets;       // [N, 3]
    std::vector<float> quats;         // [N, 4] wxyz, unit
    std::vector<float> scales;        // [N, 3] metres
    std::vector<float> opacities;     // [N]
    std::vector<float> colors;        // [N, 3]
    std::vector<float> lids;          // [N, 2]
    std::vector<int8_t> colorBases;   // [bases, changing, 3]
    std::vector<float> baseSteps;     // [bases]
    std::vector<float> shares;        // [fields, bases]

    float joints[BAKED_JOINTS][3] = {};
    float usualOpenings[2] = {};
    float packedScaleLogs[2] = {};  // the range of scales for packed16 in every pose
};

// False, and why, for anything that is no baked avatar, or a damaged one.
FLEXAVATARCORE_API bool readBaked(ByteView bytes, BakedFile& out, std::string& problem);

}  // namespace flexavatar
