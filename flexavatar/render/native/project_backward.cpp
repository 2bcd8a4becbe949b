// The gradient of the projection, eight Gaussians at a time.
#include <algorithm>

#include "pool.h"
#include "projection.h"
#include "raster.h"

namespace flex {
namespace {

// What the tiles collected for one splat, as the first fields of its slots; s = dL/d(sigma).
struct SplatGrads8 {
    f8 u, uu, udx, dx, dxdx, s, red, green, blue, depth;
};
constexpr int COLLECTED = 10;

// Adds up a splat's slots in their fixed order, so that the result is the same on every run.
FLEX_INLINE void add_slots(const Context& ctx, int i, f8& low, f8& high) {
    const TileRect& r = ctx.rects[i];
    const int top = std::max<int>(r.y, ctx.filled_first);
    const int bottom = std::min<int>(r.y + r.height, ctx.filled_last);
    if (r.width == 0 || top >= bottom) return;
    const uint32_t first = ctx.splats[i].first_slot;
    for (uint32_t slot = first; slot < first + uint32_t(bottom - top) * r.width; ++slot) {
        if (!ctx.touched[slot]) continue;
        low += load(&ctx.slots[size_t(slot) * GRADS]);
        high += load(&ctx.slots[size_t(slot) * GRADS + LANES]);
    }
}

FLEX_INLINE SplatGrads8 collect(const Context& ctx, int first, int lanes, bool summed) {
    f8 rows[16] = {};
    for (int l = 0; l < lanes; ++l) {
        if (summed) {
            rows[l] = load(&ctx.sums[size_t(first + l) * GRADS]);
            rows[l + 8] = load(&ctx.sums[size_t(first + l) * GRADS + LANES]);
        } else {
            add_slots(ctx, first + l, rows[l], rows[l + 8]);
        }
    }
    transpose8(rows);
    transpose8(rows + 8);
    SplatGrads8 grads;
    static_assert(sizeof grads == COLLECTED * sizeof(f8), "fields in the order of the slots");
    std::memcpy(&grads, rows, sizeof grads);
    return grads;
}

// Gradients of the covariance's xx, xy and determinant from those of inv_xx, slope and stiff.
struct CovGrads {
    f8 xx, xy, det;
};

FLEX_INLINE CovGrads covariance_grads(const Projection8& p, const SplatGrads8& g) {
    const f8 inv_xx = 1.0f / p.xx, slope = p.xy * inv_xx;
    const f8 conic_yy = p.xx / p.det;  // stiff = sqrt(conic_yy / 2)
    const f8 stiff = sqrt8(0.5f * conic_yy);
    const f8 grad_conic = g.uu / conic_yy;
    const f8 grad_slope = -2.0f * stiff * g.udx;
    CovGrads grads;
    grads.xy = grad_slope * inv_xx;
    grads.xx = -0.5f * g.dxdx * inv_xx * inv_xx - grads.xy * slope + grad_conic / p.det;
    grads.det = -grad_conic * conic_yy / p.det;
    return grads;
}

struct Grads8 {
    V3 mean;
    f8 quat[4];
    f8 scale[3];
    f8 opacity;
    V3 sh;
};

// Gradient of a unit quaternion's rotation matrix (columns), then of its normalisation.
FLEX_INLINE void quat_grads(const Projection8& p, const V3 grad[3], f8 out[4]) {
    const f8 w = p.unit[0], x = p.unit[1], y = p.unit[2], z = p.unit[3];
    const f8 yz = grad[1].z - grad[2].y, zx = grad[2].x - grad[0].z, xy = grad[0].y - grad[1].x;
    const f8 syz = grad[1].z + grad[2].y, szx = grad[2].x + grad[0].z, sxy = grad[0].y + grad[1].x;
    const f8 xx = grad[0].x, yy = grad[1].y, zz = grad[2].z;
    const f8 unit[4] = {2.0f * (x * yz + y * zx + z * xy),
                        2.0f * (w * yz + y * sxy + z * szx - 2.0f * x * (yy + zz)),
                        2.0f * (w * zx + x * sxy + z * syz - 2.0f * y * (xx + zz)),
                        2.0f * (w * xy + x * szx + y * syz - 2.0f * z * (xx + yy))};
    const f8 along = unit[0] * w + unit[1] * x + unit[2] * y + unit[3] * z;
    for (int k = 0; k < 4; ++k) out[k] = (unit[k] - p.unit[k] * along) * p.inv_norm;
}

// From the projection's two rows and the mean on the image plane back to the point in the world.
FLEX_INLINE V3 point_grads(const Pinhole& c, const Projection8& p, const SplatGrads8& g, V3 row_x,
                           V3 row_y) {
    const V3 view[3] = {view_row(c, 0), view_row(c, 1), view_row(c, 2)};
    const f8 scale_x = c.fx * p.inv_z, scale_y = c.fy * p.inv_z;
    const f8 inv_xx = 1.0f / p.xx, stiff = sqrt8(0.5f * p.xx / p.det);
    const f8 mean_x = 2.0f * stiff * (p.xy * inv_xx) * g.u - inv_xx * g.dx;
    const f8 mean_y = -2.0f * stiff * g.u;
    // row_x = (view0 - slope_x view2) fx / z, and slope_x = x / z unless it is held.
    const f8 slope_x = select(p.free_x, -scale_x * dot(row_x, view[2]), splat(0.0f));
    const f8 slope_y = select(p.free_y, -scale_y * dot(row_y, view[2]), splat(0.0f));
    const f8 x = (slope_x + c.fx * mean_x) * p.inv_z, y = (slope_y + c.fy * mean_y) * p.inv_z;
    const f8 z = g.depth - x * (p.point.x * p.inv_z) - y * (p.point.y * p.inv_z) -
                 (dot(row_x, p.row_x) + dot(row_y, p.row_y)) * p.inv_z;
    return view[0] * x + view[1] * y + view[2] * z;
}

FLEX_INLINE Grads8 backward8(const Pinhole& c, const Gaussians8& in, const SplatGrads8& g) {
    const Projection8 p = project8(c, in);
    const CovGrads cov = covariance_grads(p, g);
    // xx = p.p + eps, xy = p.q, det = |p x q|^2 + eps (p.p + q.q) + eps^2
    const V3 grad_p = p.p * (2.0f * (cov.xx + EPS2D * cov.det)) + p.q * cov.xy +
                      cross(p.q, p.normal) * (2.0f * cov.det);
    const V3 grad_q = p.p * cov.xy + p.q * (2.0f * EPS2D * cov.det) +
                      cross(p.normal, p.p) * (2.0f * cov.det);
    const f8 gp[3] = {grad_p.x, grad_p.y, grad_p.z}, gq[3] = {grad_q.x, grad_q.y, grad_q.z};
    Grads8 out;
    V3 grad_turn[3], row_x = {}, row_y = {};
    for (int k = 0; k < 3; ++k) {  // p[k] = row_x . turn[k] scale[k]
        out.scale[k] = gp[k] * p.along_x[k] + gq[k] * p.along_y[k];
        grad_turn[k] = (p.row_x * gp[k] + p.row_y * gq[k]) * in.scale[k];
        row_x = row_x + p.turn[k] * (gp[k] * in.scale[k]);
        row_y = row_y + p.turn[k] * (gq[k] * in.scale[k]);
    }
    quat_grads(p, grad_turn, out.quat);
    out.mean = point_grads(c, p, g, row_x, row_y);
    out.opacity = -g.s / in.opacity;
    const f8 zero = splat(0.0f);
    out.sh = {select(above(0.5f + SH_C0 * in.sh.x, zero), SH_C0 * g.red, zero),
              select(above(0.5f + SH_C0 * in.sh.y, zero), SH_C0 * g.green, zero),
              select(above(0.5f + SH_C0 * in.sh.z, zero), SH_C0 * g.blue, zero)};
    return out;
}

// Writes a group of eight; Gaussians that were not drawn get zeros.
FLEX_INLINE void write_grads(const Context& ctx, const GradientArrays& to, int first, int lanes,
                             Grads8& g) {
    i8 drawn = {};
    for (int l = 0; l < lanes; ++l) drawn[l] = ctx.rects[first + l].width ? -1 : 0;
    f8 mean[3] = {g.mean.x, g.mean.y, g.mean.z}, sh[3] = {g.sh.x, g.sh.y, g.sh.z};
    const f8 zero = splat(0.0f);
    for (int k = 0; k < 4; ++k) g.quat[k] = select(drawn, g.quat[k], zero);
    for (int k = 0; k < 3; ++k) {
        mean[k] = select(drawn, mean[k], zero);
        g.scale[k] = select(drawn, g.scale[k], zero);
        sh[k] = select(drawn, sh[k], zero);
    }
    g.opacity = select(drawn, g.opacity, zero);
    scatter_items<3>(mean, to.means + 3 * size_t(first), lanes);
    scatter_items<4>(g.quat, to.quats + 4 * size_t(first), lanes);
    scatter_items<3>(g.scale, to.scales + 3 * size_t(first), lanes);
    scatter_items<1>(&g.opacity, to.opacities + first, lanes);
    scatter_items<3>(sh, to.sh + 3 * size_t(first), lanes);
}

}  // namespace

// Adds the slots of the band at hand to every Gaussian's sums.
void sum_slots(Context& ctx, bool fresh) {
    parallel_for(ctx.chunks, [&](int c) {
        for (int i = c * ctx.chunk; i < std::min(ctx.count, (c + 1) * ctx.chunk); ++i) {
            float* sums = &ctx.sums[size_t(i) * GRADS];
            f8 low = {}, high = {};
            if (!fresh) low = load(sums), high = load(sums + LANES);
            add_slots(ctx, i, low, high);
            store(sums, low);
            store(sums + LANES, high);
        }
    });
}

// From the collected sums (`summed`), or from the slots of the only band, to the Gaussians.
void project_backward(Context& ctx, const GaussianArrays& in, const GradientArrays& out,
                      bool summed) {
    parallel_for(ctx.chunks, [&](int c) {
        const int end = std::min(ctx.count, (c + 1) * ctx.chunk);
        for (int i = c * ctx.chunk; i < end; i += LANES) {
            const int lanes = std::min(LANES, end - i);
            const SplatGrads8 collected = collect(ctx, i, lanes, summed);
            Grads8 grads = backward8(ctx.camera, read_gaussians(in, i, lanes), collected);
            write_grads(ctx, out, i, lanes, grads);
        }
    });
}

}  // namespace flex
