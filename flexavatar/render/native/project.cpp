// Gaussians to splats: EWA projection (Zwicker et al. 2001), eight at a time.
#include <algorithm>

#include "pool.h"
#include "projection.h"
#include "raster.h"

namespace flex {
namespace {

// log(x) for normal positive x, to 2 units in the last place (Cephes).
FLEX_INLINE f8 log8(f8 x) {
    i8 bits = (i8)x;
    f8 exponent = to_float((bits >> 23) - 126);
    f8 m = (f8)((bits & 0x007fffff) | 0x3f000000);  // 0.5 .. 1
    i8 low = above(splat(0.707106781f), m);
    exponent = exponent - select(low, splat(1.0f), splat(0.0f));
    m = select(low, m + m, m) - 1.0f;
    f8 z = m * m;
    f8 y = splat(7.0376836292e-2f);
    for (float c : {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                    -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f})
        y = y * m + c;
    y = y * m * z - exponent * 2.12194440e-4f - 0.5f * z;
    return m + y + exponent * 0.693359375f;
}

struct Drawn {
    f8 fields[15];  // of Splat, in its order
    i8 valid;
    i8 left, top, right, bottom;  // first and last pixel of the box, inside the picture
};

FLEX_INLINE f8 ceil8(f8 x) { return -floor8(-x); }

FLEX_INLINE Drawn draw_info(const Pinhole& camera, const Gaussians8& g, const Projection8& p) {
    const f8 zero = splat(0.0f);
    Drawn d;
    f8 cov_yy = dot(p.q, p.q) + EPS2D;
    f8 limit = log8(max8(g.opacity, splat(1e-30f)) * 255.0f);
    f8 reach = sqrt8(max8(2.0f * limit, zero));
    f8 half_x = reach * sqrt8(p.xx), half_y = reach * sqrt8(cov_yy);
    f8 conic_yy = p.xx / p.det;
    f8 fields[15] = {p.mean_x,
                     p.mean_y,
                     1.0f / p.xx,
                     p.xy / p.xx,
                     sqrt8(0.5f * conic_yy),
                     exp8(-conic_yy),
                     g.opacity,
                     limit,
                     max8(0.5f + SH_C0 * g.sh.x, zero),
                     max8(0.5f + SH_C0 * g.sh.y, zero),
                     max8(0.5f + SH_C0 * g.sh.z, zero),
                     p.point.z,
                     half_x,
                     half_y,
                     p.xy / cov_yy * half_y};
    f8 left = max8(ceil8(p.mean_x - half_x - 0.5f), zero);
    f8 top = max8(ceil8(p.mean_y - half_y - 0.5f), zero);
    f8 right = min8(floor8(p.mean_x + half_x - 0.5f), splat(camera.width - 1.0f));
    f8 bottom = min8(floor8(p.mean_y + half_y - 0.5f), splat(camera.height - 1.0f));
    f8 odd = g.sh.x + g.sh.y + g.sh.z;  // not finite if any value in use is not
    for (const f8& field : fields) odd = odd + field;
    d.valid = reaches(odd * 0.0f, zero) & reaches(p.point.z, splat(NEAR_PLANE)) &
              reaches(g.opacity, splat(ALPHA_MIN)) & above(p.norm2, splat(1e-20f)) &
              above(splat(DET_MAX), p.det) & reaches(right, left) & reaches(bottom, top);
    std::copy(fields, fields + 15, d.fields);
    d.left = to_int(left), d.top = to_int(top);
    d.right = to_int(right), d.bottom = to_int(bottom);
    return d;
}

// Stores a group of eight and counts the tiles they touch.
FLEX_INLINE void keep(Context& ctx, int first, int lanes, const Drawn& d, uint32_t* counts) {
    f8 rows[16];
    std::copy(d.fields, d.fields + 15, rows);
    rows[15] = splat(0.0f);
    transpose8(rows);
    transpose8(rows + 8);
    for (int l = 0; l < lanes; ++l) {
        TileRect& rect = ctx.rects[first + l];
        rect = TileRect{0, 0, 0, 0};
        if (!d.valid[l]) continue;
        float* splat = reinterpret_cast<float*>(&ctx.splats[first + l]);
        store(splat, rows[l]);
        store(splat + 8, rows[8 + l]);
        const int x = d.left[l] >> TILE_SHIFT, y = d.top[l] >> TILE_SHIFT;
        const int x_end = (d.right[l] >> TILE_SHIFT) + 1, y_end = (d.bottom[l] >> TILE_SHIFT) + 1;
        rect = TileRect{uint16_t(x), uint16_t(y), uint16_t(x_end - x), uint16_t(y_end - y)};
        for (int ty = y; ty < y_end; ++ty)
            for (int tx = x; tx < x_end; ++tx) ++counts[ty * ctx.tiles_x + tx];
    }
}

}  // namespace

void project(Context& ctx, const GaussianArrays& in) {
    const int n = ctx.count, tiles = ctx.tiles();
    ctx.chunk = std::max(512, (n + MAX_CHUNKS * LANES - 1) / (MAX_CHUNKS * LANES) * LANES);
    ctx.chunks = (n + ctx.chunk - 1) / ctx.chunk;
    ctx.splats.reserve(n);
    ctx.rects.reserve(n);
    ctx.chunk_tiles.reserve(size_t(ctx.chunks) * tiles);
    ctx.tile_size.reserve(tiles);
    ctx.filled_first = -1;
    parallel_for(ctx.chunks, [&](int c) {
        uint32_t* counts = ctx.chunk_tiles.get() + size_t(c) * tiles;
        std::fill(counts, counts + tiles, 0u);
        const int end = std::min(n, (c + 1) * ctx.chunk);
        for (int i = c * ctx.chunk; i < end; i += LANES) {
            const int lanes = std::min(LANES, end - i);
            const Gaussians8 g = read_gaussians(in, i, lanes);
            keep(ctx, i, lanes, draw_info(ctx.camera, g, project8(ctx.camera, g)), counts);
        }
    });
    std::fill(ctx.tile_size.get(), ctx.tile_size.get() + tiles, 0u);
    for (int c = 0; c < ctx.chunks; ++c)
        for (int t = 0; t < tiles; ++t) ctx.tile_size[t] += ctx.chunk_tiles[size_t(c) * tiles + t];
}

}  // namespace flex
