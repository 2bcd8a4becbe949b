// The arithmetic of flexavatar/render/mesh_reference.py, in bands of rows. A pixel's value comes
// from its faces in their order alone, so any number of threads draws the same picture.
#include "mesh.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "pool.h"
#include "simd.h"

namespace flex {
namespace {

constexpr double NEAR = 0.01;      // metres
constexpr double EDGE_ON = 1e-9;   // pixels^2: twice the area of a face too thin to draw
constexpr double ON_EDGE = -1e-9;  // a barycentric above this counts as inside
constexpr int FACES_AT_ONCE = 2048, BANDS = 16, LEAST_ROWS = 8;

// Pixels [first, last] whose centres lie within [low, high] and the picture.
struct Span {
    int32_t first, last;
};

Span centres(double a, double b, double c, int size) {
    const double low = std::ceil(std::min({a, b, c}) - 0.5);
    const double high = std::floor(std::max({a, b, c}) - 0.5);
    return {int32_t(std::clamp(low, 0.0, double(size))),
            int32_t(std::clamp(high, -1.0, size - 1.0))};
}

struct Corners {
    const double *a, *b, *c;
};

Corners corners_of(const ProjectedMesh& mesh, int face) {
    const int64_t* ids = mesh.corners + 3 * size_t(face);
    return {mesh.vertices + 3 * ids[0], mesh.vertices + 3 * ids[1], mesh.vertices + 3 * ids[2]};
}

bool in_front(const double* v) {
    return v[2] > NEAR && std::isfinite(v[0]) && std::isfinite(v[1]) && std::isfinite(v[2]);
}

// The rows a face may touch; none if it cannot be drawn.
Span rows_of(const ProjectedMesh& mesh, int face, int height) {
    const auto [a, b, c] = corners_of(mesh, face);
    if (!in_front(a) || !in_front(b) || !in_front(c)) return {0, -1};
    return centres(a[1], b[1], c[1], height);
}

// What stays the same over a face: u and v are its barycentrics at corners b and c.
struct Plane {
    double ax, ay, abx, aby, acx, acy, inverse;
    double za, zb, zc;  // one over depth
};

Plane plane_of(const Corners& corners) {
    const auto [a, b, c] = corners;
    Plane p{a[0], a[1], b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1], 0,
            1 / a[2], 1 / b[2], 1 / c[2]};
    const double area = p.abx * p.acy - p.aby * p.acx;
    if (std::abs(area) > EDGE_ON) p.inverse = 1 / area;
    return p;
}

// What a face is at eight pixels of a row; depth is infinite outside of it.
struct Run {
    double wz[LANES], uz[LANES], vz[LANES], depth[LANES];
};

FLEX_INLINE Run run_of(const Plane& p, int x, double dy) {
    Run r;
    for (int l = 0; l < LANES; ++l) {
        const double dx = x + l + 0.5 - p.ax;
        const double u = (dx * p.acy - dy * p.acx) * p.inverse;
        const double v = (dy * p.abx - dx * p.aby) * p.inverse;
        const double w = 1 - u - v;
        r.wz[l] = (w > 0 ? w : 0) * p.za;
        r.uz[l] = (u > 0 ? u : 0) * p.zb;
        r.vz[l] = (v > 0 ? v : 0) * p.zc;
        const double depth = 1 / (r.wz[l] + r.uz[l] + r.vz[l]);
        const bool inside = (w >= ON_EDGE) & (u >= ON_EDGE) & (v >= ON_EDGE);
        r.depth[l] = inside ? depth : std::numeric_limits<double>::infinity();
    }
    return r;
}

// Writes the face where it is nearer than what is there, in the rows [top, bottom].
void draw_face(const ProjectedMesh& mesh, const MeshPicture& out, int face, int top, int bottom) {
    const Corners corners = corners_of(mesh, face);
    const Plane plane = plane_of(corners);
    if (plane.inverse == 0) return;  // seen edge-on
    const Span columns = centres(corners.a[0], corners.b[0], corners.c[0], out.width);
    for (int y = top; y <= bottom; ++y) {
        for (int x = columns.first; x <= columns.last; x += LANES) {
            const Run run = run_of(plane, x, y + 0.5 - plane.ay);
            const size_t pixel = size_t(y) * out.width + x;
            const int lanes = std::min(LANES, columns.last + 1 - x);
            for (int l = 0; l < lanes; ++l) {
                const double depth = run.depth[l];
                if (!(float(depth) < out.depth[pixel + l])) continue;  // equal: the first stays
                out.depth[pixel + l] = float(depth);
                out.face_ids[pixel + l] = face;
                float* bary = out.bary + 3 * (pixel + l);
                bary[0] = float(run.wz[l] * depth);
                bary[1] = float(run.uz[l] * depth);
                bary[2] = float(run.vz[l] * depth);
            }
        }
    }
}

void clear_rows(const MeshPicture& out, int first, int last) {
    const size_t from = size_t(first) * out.width, to = size_t(last + 1) * out.width;
    std::fill(out.face_ids + from, out.face_ids + to, -1);
    std::fill(out.bary + 3 * from, out.bary + 3 * to, 0.0f);
    std::fill(out.depth + from, out.depth + to, std::numeric_limits<float>::infinity());
}

}  // namespace

void draw_mesh(const ProjectedMesh& mesh, const MeshPicture& out) {
    std::vector<Span> rows(mesh.faces);
    parallel_for((mesh.faces + FACES_AT_ONCE - 1) / FACES_AT_ONCE, [&](int piece) {
        const int end = std::min(mesh.faces, (piece + 1) * FACES_AT_ONCE);
        for (int face = piece * FACES_AT_ONCE; face < end; ++face)
            rows[face] = rows_of(mesh, face, out.height);
    });
    const int band = std::max(LEAST_ROWS, (out.height + BANDS - 1) / BANDS);
    parallel_for((out.height + band - 1) / band, [&](int index) {
        const int first = index * band, last = std::min(out.height, first + band) - 1;
        clear_rows(out, first, last);
        for (int face = 0; face < mesh.faces; ++face) {
            const int top = std::max(rows[face].first, first);
            const int bottom = std::min(rows[face].last, last);
            if (top <= bottom) draw_face(mesh, out, face, top, bottom);
        }
    });
}

}  // namespace flex
