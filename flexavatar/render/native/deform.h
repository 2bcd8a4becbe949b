// The frame path before the rasteriser: blendshapes, skinning, and splats that ride on the mesh.
#pragma once

#include <cstdint>

namespace flex {

constexpr int SKIN_BLOCK = 32;     // vertices
constexpr int FACE_STRIDE = 12;    // floats: a 3x3 matrix, row by row, and room
constexpr int VERTEX_STRIDE = 16;  // floats: position 3, deformation gradient 9, quaternion 4
constexpr int SPLAT_FIELDS = 13;   // barycentrics 3, offset 3, unit quaternion 4, scales 3

// What stays the same from frame to frame. Splats lie in blocks of eight, field by field.
struct DeformPlan {
    int32_t vertices, faces, splats;
    const int32_t* corners;         // [F, 3]
    const float* inverses;          // [F, 9]: of (edge, edge, normal) in the neutral head
    const int32_t* around_start;    // [V + 1]
    const int32_t* around_face;     // faces around every vertex, and
    const float* around_weight;     // their share of the area: sums to 1
    const int32_t* splat_vertices;  // [N / 8, 3, 8]
    const float* splat_fields;      // [N / 8, SPLAT_FIELDS, 8]
};
struct DeformOutput {
    float* face_gradients;  // scratch [F, FACE_STRIDE]
    float* vertices;        // scratch [V, VERTEX_STRIDE]
    float* means;           // [N, 3]
    float* quats;           // [N, 4]
    float* scales;          // [N, 3]
    float* opacities;       // [N] and
    float* sh;              // [N, 3]: written where there are changes, and only in their blocks
};

// What an expression changes beside the mesh: a map of 14 numbers a texel, read at four texels.
// Blocks of eight splats have a number among the blocks that change; lanes that do not have shares
// of zero.
struct ChangePlan {
    const int32_t* number;  // [N / 8], -1: nothing changes
    const int32_t* texels;  // [B, 4, 8]
    const float* shares;    // [B, 4, 8]
    const float* looks;     // [B, 4, 8]: opacity, and three of sh, as they are at rest
};

// Points of the surface in blocks of eight.
struct SamplePlan {
    int32_t points;
    const int32_t* vertices;  // [T / 8, 3, 8]
    const float* shares;      // [T / 8, 3, 8]
    const int32_t* rows;      // [T]
};

// Vertices lie in blocks of 32, each x of the block, then y, then z.
struct SkinPlan {
    int32_t vertices, shapes, joints;
    const float* rest;     // [V / 32, 3, 32]
    const float* basis;    // [V / 32, K, 3, 32]
    const float* weights;  // [V / 32, J, 32]
};

// Without `changes` the map is not looked at.
void deform(const DeformPlan& plan, const float* posed, const ChangePlan* changes,
            const float* map, const DeformOutput& out);
// field [V, 3] to table [rows, 3].
void sample(const SamplePlan& plan, const float* field, float* table);
void skin(const SkinPlan& plan, const float* coefficients, const float* transforms, float* out);

}  // namespace flex
