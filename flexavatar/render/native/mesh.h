// A z-buffer for triangle meshes: which face covers each pixel, and where in it.
#pragma once

#include <cstdint>

namespace flex {

// Vertices are projected: pixels and depth in metres. Corners are indices of vertices.
struct ProjectedMesh {
    const double* vertices;  // [V, 3] x, y, z
    const int64_t* corners;  // [F, 3]
    int32_t faces;
};

struct MeshPicture {
    int64_t* face_ids;  // [H, W], -1 where empty
    float* bary;        // [H, W, 3] perspective-correct
    float* depth;       // [H, W] metres, inf where empty
    int32_t width, height;
};

void draw_mesh(const ProjectedMesh& mesh, const MeshPicture& out);

}  // namespace flex
