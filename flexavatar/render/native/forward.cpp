// Tile lists to a picture: front to back, as gsplat forms it.
#include <algorithm>

#include "pool.h"
#include "raster.h"
#include "sort.h"
#include "tile.h"

namespace flex {
namespace {

enum Plane { T, RED, GREEN, BLUE, DEPTH, PLANES };

constexpr int LOOK_EVERY = 16;  // splats between two looks at which pixels are still open
constexpr int PREFETCH = 6;     // splats ahead

template <bool WithDepth>
FLEX_INLINE void blend_column(Tile<PLANES>& tile, const Splat& s, const Column& c) {
    f8 alpha = c.alpha, step = c.step;
    i8 closed = {};
    for (int y = c.y; y < c.y + c.rows; ++y) {
        float(*row)[STRIDE] = tile.rows[y];
        const f8 before = load(&row[T][c.x]);
        const f8 held = min8(alpha, splat(ALPHA_MAX));
        const f8 part = held * before;
        const f8 after = before - part;
        const i8 seen = alpha >= ALPHA_MIN;
        const i8 open = after > T_MIN;
        const f8 weight = select(seen & open, part, splat(0.0f));
        const i8 closing = seen & ~open;
        store(&row[T][c.x], select(closing, -abs8(before), before - weight));
        closed |= closing & (before > 0.0f);
        store(&row[RED][c.x], load(&row[RED][c.x]) + weight * s.red);
        store(&row[GREEN][c.x], load(&row[GREEN][c.x]) + weight * s.green);
        store(&row[BLUE][c.x], load(&row[BLUE][c.x]) + weight * s.blue);
        if (WithDepth) store(&row[DEPTH][c.x], load(&row[DEPTH][c.x]) + weight * s.depth);
        alpha *= step;
        step *= s.ratio;
    }
    tile.changed |= any(closed);
}

// Blends a tile's list into its pixels; returns how many entries it looked at.
template <bool WithDepth>
int blend_tile(Context& ctx, int t, int x, int y, Tile<PLANES>& tile) {
    const uint32_t start = ctx.tile_start[t];
    Entry* entries = ctx.entries.get() + start;
    const int count = int(ctx.tile_size[t]);
    int used = count;
    visit_sorted(entries, ctx.spare.get() + start, count, [&](int i) {
        __builtin_prefetch(&ctx.splats[entries[std::min(i + PREFETCH, count - 1)].splat]);
        const Splat& s = ctx.splats[entries[i].splat];
        walk(s, x, y, tile.open, [&](const Column& c) { blend_column<WithDepth>(tile, s, c); });
        if (i % LOOK_EVERY || !tile.changed) return true;
        tile.find_open();
        used = tile.open ? count : i + 1;
        return tile.open != 0;
    });
    return used;
}

FLEX_INLINE void store_part(float* p, f8 x, int lanes) {
    if (lanes == LANES) return store(p, x);
    for (int l = 0; l < lanes; ++l) p[l] = x[l];
}

void write_float(const Tile<PLANES>& tile, const Image& image, int x0, int y0, int width, int height) {
    for (int y = 0; y < height; ++y) {
        const float(*row)[STRIDE] = tile.rows[y];
        const size_t at = size_t(y0 + y) * image.width + x0;
        for (int x = 0; x < width; x += LANES) {
            const int lanes = std::min(LANES, width - x);
            const f8 alpha = 1.0f - abs8(load(&row[T][x]));
            const f8 depth = load(&row[DEPTH][x]) / max8(alpha, splat(1e-10f));
            store_part(image.depth + at + x, select(alpha > 0.0f, depth, splat(0.0f)), lanes);
            f8 rgba[8] = {load(&row[RED][x]), load(&row[GREEN][x]), load(&row[BLUE][x]), alpha};
            transpose8(rgba);
            for (int l = 0; l < lanes; ++l)
                std::memcpy(image.rgba + 4 * (at + x + l), &rgba[l], 4 * sizeof(float));
        }
    }
}

FLEX_INLINE i8 to_byte(f8 x) {
    return __builtin_convertvector(clamp8(x * 255.0f + 0.5f, splat(0.0f), splat(255.0f)), i8);
}

void write_bytes(const Tile<PLANES>& tile, const Image& image, int x0, int y0, int width, int height) {
    const float* behind = image.background;
    for (int y = 0; y < height; ++y) {
        const float(*row)[STRIDE] = tile.rows[y];
        uint8_t* to = image.rgba8 + 4 * (size_t(y0 + y) * image.width + x0);
        for (int x = 0; x < width; x += LANES) {
            const f8 rest = abs8(load(&row[T][x]));
            const i8 pixel = to_byte(load(&row[RED][x]) + rest * behind[0]) |
                             to_byte(load(&row[GREEN][x]) + rest * behind[1]) << 8 |
                             to_byte(load(&row[BLUE][x]) + rest * behind[2]) << 16 |
                             to_byte(1.0f - rest + rest * behind[3]) << 24;
            std::memcpy(to + 4 * x, &pixel, 4 * std::min(LANES, width - x));
        }
    }
}

void draw_tile(Context& ctx, const Image& image, int t) {
    const int x = (t % ctx.tiles_x) << TILE_SHIFT, y = (t / ctx.tiles_x) << TILE_SHIFT;
    const int width = std::min(TILE, image.width - x), height = std::min(TILE, image.height - y);
    Tile<PLANES> tile;
    tile.clear(width, height);
    if (image.rgba8) {
        ctx.tile_used[t] = blend_tile<false>(ctx, t, x, y, tile);
        write_bytes(tile, image, x, y, width, height);
    } else {
        ctx.tile_used[t] = blend_tile<true>(ctx, t, x, y, tile);
        write_float(tile, image, x, y, width, height);
    }
}

}  // namespace

void draw(Context& ctx, const Image& image) {
    ctx.tile_used.reserve(ctx.tiles());
    for (int first = 0, last; first < ctx.tiles_y; first = last) {
        last = band_end(ctx, first);
        fill_band(ctx, first, last);
        const int offset = first * ctx.tiles_x;
        parallel_for(last * ctx.tiles_x - offset,
                     [&](int t) { draw_tile(ctx, image, offset + t); });
    }
}

}  // namespace flex
