// The gradient of a picture to its splats: the tiles are blended again, front to back.
//
// With G = dL/d(weight) of a splat at a pixel, dL/d(alpha) = T G - rest / (1 - alpha), where rest
// is the sum of weight G over all splats behind. It starts as that sum over the whole pixel, which
// the finished picture gives, so no list of what a pixel has seen is needed.
#include <algorithm>

#include "pool.h"
#include "raster.h"
#include "sort.h"
#include "tile.h"

namespace flex {
namespace {

// GRAD_*: dL/d(sum of weight times red, green, blue, 1, depth).
enum Plane { T, REST, GRAD_RED, GRAD_GREEN, GRAD_BLUE, GRAD_ALPHA, GRAD_DEPTH, PLANES };

// Sums over pixels, in the order of SplatGrads8; s = dL/d(sigma).
struct Sums {
    f8 u = {}, uu = {}, udx = {}, dx = {}, dxdx = {}, s = {};
    f8 red = {}, green = {}, blue = {}, depth = {};
};

template <bool WithDepth>
FLEX_INLINE void replay_column(Tile<PLANES>& tile, const Column& c, Sums& sums) {
    const Splat& splat_ = *c.splat;
    const f8 red = splat(splat_.red), green = splat(splat_.green), blue = splat(splat_.blue);
    const f8 ratio = splat(splat_.ratio), stiff = splat(splat_.stiff), z = splat(splat_.depth);
    float* row = &tile.rows[c.y][0][c.x];
    f8 alpha = c.alpha, step = c.step, u = c.u;
    f8 sum = {}, sum_u = {}, sum_uu = {};
    for (int y = 0; y < c.rows; ++y, row += PLANES * STRIDE) {
        const f8 before = load(row + T * STRIDE);
        const f8 held = min8(alpha, splat(ALPHA_MAX));
        const f8 after = before - held * before;
        const i8 seen = reaches(alpha, splat(ALPHA_MIN));
        const i8 open = seen & above(after, splat(T_MIN));
        const f8 weight = select(open, held * before, splat(0.0f));
        store(row + T * STRIDE, select(open, after, select(seen, minus_abs8(before), before)));

        const f8 grad_red = load(row + GRAD_RED * STRIDE);
        const f8 grad_green = load(row + GRAD_GREEN * STRIDE);
        const f8 grad_blue = load(row + GRAD_BLUE * STRIDE);
        f8 grad = load(row + GRAD_ALPHA * STRIDE) + red * grad_red + green * grad_green +
                  blue * grad_blue;
        if (WithDepth) {
            const f8 grad_depth = load(row + GRAD_DEPTH * STRIDE);
            grad += z * grad_depth;
            sums.depth += weight * grad_depth;
        }
        const f8 rest = load(row + REST * STRIDE) - weight * grad;
        store(row + REST * STRIDE, rest);
        const f8 grad_alpha = before * grad - rest * reciprocal(1.0f - held);
        const f8 s = select(open & reaches(splat(ALPHA_MAX), alpha), -alpha * grad_alpha, splat(0.0f));
        sums.red += weight * grad_red;
        sums.green += weight * grad_green;
        sums.blue += weight * grad_blue;
        const f8 su = s * u;
        sum += s;
        sum_u += su;
        sum_uu += su * u;
        u += stiff;
        alpha *= step;
        step *= ratio;
    }
    sums.s += sum;
    sums.u += sum_u;
    sums.uu += sum_uu;
    sums.udx += sum_u * c.dx;
    sums.dx += sum * c.dx;
    sums.dxdx += sum * c.dx * c.dx;
}

FLEX_INLINE void write_slot(float* slot, const Sums& s) {
    f8 first[8] = {s.u, s.uu, s.udx, s.dx, s.dxdx, s.s, s.red, s.green};
    f8 second[8] = {s.blue, s.depth};
    store(slot, sums8(first));
    store(slot + LANES, sums8(second));
}

// Where a tile writes the gradients of the splats in its list.
struct Slots {
    Context& ctx;
    const Entry* entries;
    int tile_x, tile_y;

    uint32_t index(uint32_t entry) const {
        const uint32_t id = entries[entry].splat;
        const TileRect& rect = ctx.rects[id];
        const int top = std::max<int>(rect.y, ctx.filled_first);
        return ctx.splats[id].first_slot + (tile_y - top) * rect.width + (tile_x - rect.x);
    }
    float* at(uint32_t slot) const { return ctx.slots.get() + size_t(slot) * GRADS; }
};

template <bool WithDepth>
__attribute__((noinline)) void replay_columns(Tile<PLANES>& tile, Columns& columns,
                                              const Slots& slots) {
    for (int i = 0; i < columns.count;) {
        const uint32_t entry = columns.items[i].entry;
        Sums sums;
        for (; i < columns.count && columns.items[i].entry == entry; ++i)
            replay_column<WithDepth>(tile, columns.items[i], sums);
        const uint32_t slot = slots.index(entry);
        write_slot(slots.at(slot), sums);
        slots.ctx.touched[slot] = 1;
    }
    columns.count = 0;
    tile.find_open();
}

// Loads a row of eight pixels' gradients; `lanes` of them are in the picture.
FLEX_INLINE void load_gradients(const PictureGradient& in, size_t at, int lanes,
                                float (*row)[STRIDE], int x) {
    f8 rgba[4] = {}, grad[4] = {}, depth[1] = {}, grad_depth[1] = {};
    gather_items<4>(in.rgba + 4 * at, lanes, rgba);
    gather_items<4>(in.grad_rgba + 4 * at, lanes, grad);
    f8 rest = rgba[0] * grad[0] + rgba[1] * grad[1] + rgba[2] * grad[2] + rgba[3] * grad[3];
    if (in.grad_depth) {
        // depth = sum(w z) / sum(w): what it adds to `rest` is zero, as its sum over w is.
        gather_items<1>(in.depth + at, lanes, depth);
        gather_items<1>(in.grad_depth + at, lanes, grad_depth);
        grad_depth[0] = select(above(rgba[3], splat(0.0f)), grad_depth[0] / rgba[3], splat(0.0f));
        grad[3] -= grad_depth[0] * depth[0];
        store(&row[GRAD_DEPTH][x], grad_depth[0]);
    }
    store(&row[REST][x], rest);
    for (int k = 0; k < 4; ++k) store(&row[GRAD_RED + k][x], grad[k]);
}

template <bool WithDepth>
void replay_tile(Context& ctx, const PictureGradient& in, int t, bool sorted) {
    const int tile_x = t % ctx.tiles_x, tile_y = t / ctx.tiles_x;
    const int x0 = tile_x << TILE_SHIFT, y0 = tile_y << TILE_SHIFT;
    const int width = std::min(TILE, ctx.camera.width - x0);
    const int height = std::min(TILE, ctx.camera.height - y0);
    const int used = int(ctx.tile_used[t]);
    if (!used) return;
    Tile<PLANES> tile;
    tile.clear(width, height);
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; x += LANES)
            load_gradients(in, size_t(y0 + y) * ctx.camera.width + x0 + x,
                           std::min(LANES, width - x), tile.rows[y], x);

    const uint32_t start = ctx.tile_start[t];
    Entry* entries = ctx.entries.get() + start;
    if (!sorted) sort_entries(entries, ctx.spare.get() + start, int(ctx.tile_size[t]));
    const Slots slots{ctx, entries, tile_x, tile_y};
    Columns columns;
    Strips strips;
    for (int i = 0; i < used; i += LANES) {
        const int some = std::min(LANES, used - i);
        for (int k = i + LANES; k < std::min(i + 2 * LANES, used); ++k) {
            __builtin_prefetch(&ctx.splats[entries[k].splat]);
            __builtin_prefetch(&ctx.rects[entries[k].splat]);
        }
        find_strips(ctx.splats.get(), entries + i, some, x0, y0, strips);
        for (int l = 0; l < some; ++l) {
            __builtin_prefetch(slots.at(slots.index(i + l)), 1);  // else its store holds up others
            add_columns(ctx.splats[entries[i + l].splat], strips, l, i + l, tile.open, columns);
            if (columns.full()) replay_columns<WithDepth>(tile, columns, slots);
        }
    }
    replay_columns<WithDepth>(tile, columns, slots);
}

void replay_band(Context& ctx, const PictureGradient& in, int first, int last, bool sorted) {
    const int offset = first * ctx.tiles_x, end = last * ctx.tiles_x;
    size_t total = 0;
    for (int t = offset; t < end; ++t) total += ctx.tile_size[t];
    ctx.slots.reserve(total * GRADS);
    std::fill_n(ctx.touched.reserve(total), total, uint8_t(0));
    parallel_for(end - offset, [&](int i) {
        if (in.grad_depth)
            replay_tile<true>(ctx, in, offset + i, sorted);
        else
            replay_tile<false>(ctx, in, offset + i, sorted);
    });
}

}  // namespace

void draw_backward(Context& ctx, const PictureGradient& in, const GaussianArrays& gaussians,
                   const GradientArrays& out) {
    int last = band_end(ctx, 0);
    if (last == ctx.tiles_y) {
        replay_band(ctx, in, 0, last, true);
        return project_backward(ctx, gaussians, out, false);
    }
    ctx.sums.reserve(size_t(ctx.count) * GRADS);
    for (int first = 0; first < ctx.tiles_y; first = last) {
        last = band_end(ctx, first);
        fill_band(ctx, first, last);
        replay_band(ctx, in, first, last, false);
        sum_slots(ctx, first == 0);
    }
    project_backward(ctx, gaussians, out, true);
}

}  // namespace flex
