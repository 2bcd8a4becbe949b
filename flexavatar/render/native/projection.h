// The projection of eight Gaussians, with what its gradient needs again.
#pragma once

#include "raster.h"

namespace flex {

struct Gaussians8 {
    V3 mean;
    f8 quat[4];
    f8 scale[3];
    f8 opacity;
    V3 sh;
};

struct Projection8 {
    V3 point;                      // in the camera
    f8 inv_z, slope_x, slope_y;    // x/z and y/z, held inside the margin around the picture
    i8 free_x, free_y;             // where they are not held
    f8 norm2, inv_norm, unit[4];   // of the quaternion
    V3 turn[3];                    // columns of the rotation
    V3 row_x, row_y;               // projection's slope in world coordinates
    f8 along_x[3], along_y[3];     // rows times the columns of the rotation
    V3 p, q;                       // the splat's axes on the image plane: rows of a [2, 3] matrix
    V3 normal;                     // p x q
    f8 xx, xy, det;                // blurred covariance
    f8 mean_x, mean_y;
};

FLEX_INLINE Gaussians8 read_gaussians(const GaussianArrays& in, int first, int lanes) {
    f8 mean[3] = {}, sh[3] = {};
    Gaussians8 g = {};
    gather_items<3>(in.means + 3 * size_t(first), lanes, mean);
    gather_items<4>(in.quats + 4 * size_t(first), lanes, g.quat);
    gather_items<3>(in.scales + 3 * size_t(first), lanes, g.scale);
    gather_items<1>(in.opacities + first, lanes, &g.opacity);
    gather_items<3>(in.sh + 3 * size_t(first), lanes, sh);
    g.mean = {mean[0], mean[1], mean[2]};
    g.sh = {sh[0], sh[1], sh[2]};
    return g;
}

FLEX_INLINE V3 view_row(const Pinhole& c, int row) {
    return {splat(c.view[4 * row]), splat(c.view[4 * row + 1]), splat(c.view[4 * row + 2])};
}

// x/z held to the picture and a margin of 15% of its size on each side, as gsplat does.
FLEX_INLINE f8 held_slope(f8 slope, float focal, float centre, int size, i8& free) {
    const float margin = 0.15f * size / focal;
    const f8 low = splat(-centre / focal - margin), high = splat((size - centre) / focal + margin);
    free = reaches(slope, low) & reaches(high, slope);
    return clamp8(slope, low, high);
}

FLEX_INLINE Projection8 project8(const Pinhole& c, const Gaussians8& g) {
    Projection8 p;
    const V3 view[3] = {view_row(c, 0), view_row(c, 1), view_row(c, 2)};
    p.point = {dot(view[0], g.mean) + c.view[3], dot(view[1], g.mean) + c.view[7],
               dot(view[2], g.mean) + c.view[11]};
    p.inv_z = 1.0f / p.point.z;
    const f8 slope_x = p.point.x * p.inv_z, slope_y = p.point.y * p.inv_z;
    p.mean_x = c.fx * slope_x + c.cx;
    p.mean_y = c.fy * slope_y + c.cy;
    p.slope_x = held_slope(slope_x, c.fx, c.cx, c.width, p.free_x);
    p.slope_y = held_slope(slope_y, c.fy, c.cy, c.height, p.free_y);
    p.row_x = (view[0] - view[2] * p.slope_x) * (c.fx * p.inv_z);
    p.row_y = (view[1] - view[2] * p.slope_y) * (c.fy * p.inv_z);

    p.norm2 = g.quat[0] * g.quat[0] + g.quat[1] * g.quat[1] + g.quat[2] * g.quat[2] +
              g.quat[3] * g.quat[3];
    p.inv_norm = 1.0f / sqrt8(p.norm2);
    for (int k = 0; k < 4; ++k) p.unit[k] = g.quat[k] * p.inv_norm;
    rotation_columns(p.unit, p.turn);
    for (int k = 0; k < 3; ++k) {
        p.along_x[k] = dot(p.row_x, p.turn[k]);
        p.along_y[k] = dot(p.row_y, p.turn[k]);
    }
    p.p = {p.along_x[0] * g.scale[0], p.along_x[1] * g.scale[1], p.along_x[2] * g.scale[2]};
    p.q = {p.along_y[0] * g.scale[0], p.along_y[1] * g.scale[1], p.along_y[2] * g.scale[2]};
    // det(P P^T + eps I) by Lagrange's identity: a sum of squares, exact for the thinnest splat.
    p.normal = cross(p.p, p.q);
    const f8 pp = dot(p.p, p.p), qq = dot(p.q, p.q);
    p.xx = pp + EPS2D;
    p.xy = dot(p.p, p.q);
    p.det = dot(p.normal, p.normal) + EPS2D * (pp + qq) + EPS2D * EPS2D;
    return p;
}

}  // namespace flex
