// Tile lists to a picture: front to back, as gsplat forms it.
#include <algorithm>

#include "pool.h"
#include "raster.h"
#include "sort.h"
#include "tile.h"

namespace flex {
namespace {

enum Plane { T, RED, GREEN, BLUE, DEPTH, PLANES };

template <bool WithDepth>
FLEX_INLINE void blend_column(Tile<PLANES>& tile, const Column& c) {
    const Splat& s = *c.splat;
    const f8 red = splat(s.red), green = splat(s.green), blue = splat(s.blue);
    const f8 ratio = splat(s.ratio), depth = splat(s.depth);
    float* row = &tile.rows[c.y][0][c.x];
    f8 alpha = c.alpha, step = c.step;
    for (int y = 0; y < c.rows; ++y, row += PLANES * STRIDE) {
        const f8 before = load(row + T * STRIDE);
        const f8 held = min8(alpha, splat(ALPHA_MAX));
        const f8 after = before - held * before;
        const i8 seen = reaches(alpha, splat(ALPHA_MIN));
        const i8 open = seen & above(after, splat(T_MIN));
        const f8 weight = select(open, held * before, splat(0.0f));
        store(row + T * STRIDE, select(open, after, select(seen, minus_abs8(before), before)));
        store(row + RED * STRIDE, load(row + RED * STRIDE) + weight * red);
        store(row + GREEN * STRIDE, load(row + GREEN * STRIDE) + weight * green);
        store(row + BLUE * STRIDE, load(row + BLUE * STRIDE) + weight * blue);
        if (WithDepth) store(row + DEPTH * STRIDE, load(row + DEPTH * STRIDE) + weight * depth);
        alpha *= step;
        step *= ratio;
    }
}

// Kept out of line: it leaves the compiler all registers for the loop.
template <bool WithDepth>
__attribute__((noinline)) void blend_columns(Tile<PLANES>& tile, Columns& columns) {
    for (int i = 0; i < columns.count; ++i) blend_column<WithDepth>(tile, columns.items[i]);
    columns.count = 0;
    tile.find_open();
}

// Blends a tile's list into its pixels; returns how many entries it looked at.
template <bool WithDepth>
int blend_tile(Context& ctx, int t, int x, int y, Tile<PLANES>& tile) {
    const uint32_t start = ctx.tile_start[t];
    Entry* entries = ctx.entries.get() + start;
    const int count = int(ctx.tile_size[t]);
    SortedList list(entries, ctx.spare.get() + start, count);
    Columns columns;
    Strips strips;
    int used = 0;
    while (used < count && tile.open) {
        const int some = std::min(LANES, count - used);
        list.reach(used + some);
        for (int i = used + LANES; i < std::min(used + 2 * LANES, count); ++i)
            __builtin_prefetch(&ctx.splats[entries[i].splat]);
        find_strips(ctx.splats.get(), entries + used, some, x, y, strips);
        for (int l = 0; l < some; ++l, ++used) {
            add_columns(ctx.splats[entries[used].splat], strips, l, used, tile.open, columns);
            if (columns.full()) blend_columns<WithDepth>(tile, columns);
        }
    }
    blend_columns<WithDepth>(tile, columns);
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
            store_part(image.depth + at + x, select(above(alpha, splat(0.0f)), depth, splat(0.0f)), lanes);
            if (!image.rgba) continue;
            f8 rgba[8] = {load(&row[RED][x]), load(&row[GREEN][x]), load(&row[BLUE][x]), alpha};
            transpose8(rgba);
            for (int l = 0; l < lanes; ++l)
                std::memcpy(image.rgba + 4 * (at + x + l), &rgba[l], 4 * sizeof(float));
        }
    }
}

FLEX_INLINE i8 to_byte(f8 x) {
    return to_int(clamp8(x * 255.0f + 0.5f, splat(0.0f), splat(255.0f)));
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

void draw(Context& ctx, const Image& image, int first_row, int last_row) {
    ctx.tile_used.reserve(ctx.tiles());
    for (int first = first_row, last; first < last_row; first = last) {
        last = std::min(last_row, band_end(ctx, first));
        fill_band(ctx, first, last);
        const int offset = first * ctx.tiles_x;
        parallel_for(last * ctx.tiles_x - offset,
                     [&](int t) { draw_tile(ctx, image, offset + t); });
    }
}

}  // namespace flex
