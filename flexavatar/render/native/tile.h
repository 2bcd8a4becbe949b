// One tile's pixels while splats are blended into it, and how a splat walks over them.
#pragma once

#include <algorithm>
#include <cmath>

#include "raster.h"

namespace flex {

constexpr int STRIDE = TILE + LANES;  // a column may hang over the right edge
constexpr int BLOCK_SHIFT = 2;        // 8x8 blocks of 4x4 pixels: one bit each in a word
constexpr int BLOCKS = TILE >> BLOCK_SHIFT;
static_assert(BLOCKS == 8, "one 64-bit word of blocks");

// Plane 0 of every tile is the transmittance T; a closed pixel, or one outside the picture, holds
// it with a minus sign, so that it fails every test without another plane.
template <int Planes>
struct alignas(64) Tile {
    float rows[TILE][Planes][STRIDE];
    uint64_t open;  // blocks with a pixel that is not closed
    bool changed;   // a pixel was closed since `open` was made

    void clear(int width, int height) {
        std::memset(rows, 0, sizeof rows);
        for (int y = 0; y < TILE; ++y)
            for (int x = 0; x < STRIDE; ++x) rows[y][0][x] = x < width && y < height ? 1.0f : -1.0f;
        find_open();
    }

    void find_open() {
        open = 0;
        changed = false;
        for (int block = 0; block < BLOCKS; ++block) {
            for (int x = 0; x < TILE; x += LANES) {
                f8 highest = load(&rows[block << BLOCK_SHIFT][0][x]);
                for (int y = 1; y < 1 << BLOCK_SHIFT; ++y)
                    highest = max8(highest, load(&rows[(block << BLOCK_SHIFT) + y][0][x]));
                const uint64_t lanes = bits(highest > 0.0f);
                const uint64_t pair = uint64_t((lanes & 15) != 0) | uint64_t((lanes >> 4) != 0) << 1;
                open |= pair << (block * BLOCKS + (x >> BLOCK_SHIFT));
            }
        }
    }
};

// The part of a splat's box that lies in a tile, in the tile's pixels, ends included.
struct Box {
    int left, top, right, bottom;
};

// The first pixel centre at or after `low` and the last at or before `high`, inside the tile.
FLEX_INLINE int first_pixel(float low) {
    return int(std::ceil(std::min(std::max(low, 0.0f), float(TILE))));
}
FLEX_INLINE int last_pixel(float high) {
    return int(std::floor(std::min(std::max(high, -1.0f), float(TILE - 1))));
}

// Narrows the box to blocks with open pixels; false if there are none.
FLEX_INLINE bool keep_open(uint64_t open, Box& box) {
    const uint64_t columns =
        (2ull << (box.right >> BLOCK_SHIFT)) - (1ull << (box.left >> BLOCK_SHIFT));
    const uint64_t below = ~0ull << (BLOCKS * (box.top >> BLOCK_SHIFT));
    const uint64_t above = ~0ull >> (BLOCKS * (BLOCKS - 1 - (box.bottom >> BLOCK_SHIFT)));
    open &= columns * 0x0101010101010101ull & below & above;
    if (!open) return false;
    box.top = std::max(box.top, (__builtin_ctzll(open) >> 3) << BLOCK_SHIFT);
    box.bottom = std::min(box.bottom, ((63 - __builtin_clzll(open)) >> 3 << BLOCK_SHIFT) + 3);
    return true;
}

// Eight pixels wide and a few rows high. Going down a row: alpha *= step, step *= splat.ratio and
// u += splat.stiff. `dx` is from the splat's mean to the pixel centres.
struct Column {
    int x, y, rows;
    f8 dx, u, alpha, step;
};

// Rows between which the splat can reach ALPHA_MIN for dx in [from, to]; tightens the box.
FLEX_INLINE void rows_in_strip(const Splat& s, float cy, float from, float to, Box& box) {
    const float low = std::min(std::max(-s.tip, from), to);
    const float high = std::min(std::max(s.tip, from), to);
    const float slack = 1e-3f;  // pixels: more than the rounding of these lines
    const float inv = 1.0f / s.stiff;
    const float up = std::sqrt(std::max(0.0f, s.limit - 0.5f * s.inv_xx * low * low)) * inv;
    const float down = std::sqrt(std::max(0.0f, s.limit - 0.5f * s.inv_xx * high * high)) * inv;
    box.top = std::max(box.top, first_pixel(cy + s.slope * low - up - slack));
    box.bottom = std::min(box.bottom, last_pixel(cy + s.slope * high + down + slack));
}

// Calls visit(Column) for every column of the splat in the tile at (tile_x, tile_y) pixels.
//
// The exponential is exact at the head of a column and goes on by recurrence. A column is short
// enough that alpha cannot climb from below the smallest float up to ALPHA_MIN within it: there
// sqrt(2 sigma) falls by at most sqrt(2) stiff per row, from 13.2 to 3.33.
template <class Visit>
FLEX_INLINE void walk(const Splat& s, int tile_x, int tile_y, uint64_t open, Visit visit) {
    const float cx = s.x - tile_x - 0.5f, cy = s.y - tile_y - 0.5f;
    Box box = {first_pixel(cx - s.half_x), first_pixel(cy - s.half_y), last_pixel(cx + s.half_x),
               last_pixel(cy + s.half_y)};
    if (box.left > box.right || box.top > box.bottom || !keep_open(open, box)) return;
    const int longest = s.stiff < 0.93f ? 8 : 6;
    const bool wide = box.right - box.left >= LANES;
    for (int x = box.left; x <= box.right; x += LANES) {
        Box strip = box;
        if (wide) rows_in_strip(s, cy, x - cx, x + LANES - 1 - cx, strip);
        Column column;
        column.x = x;
        column.dx = lane_numbers() + (x - cx);
        const f8 across = 0.5f * s.inv_xx * column.dx * column.dx;
        const f8 middle = s.slope * column.dx + cy;
        for (int y = strip.top; y <= strip.bottom; y += longest) {
            column.y = y;
            column.rows = std::min(longest, strip.bottom - y + 1);
            column.u = s.stiff * (float(y) - middle);
            const f8 sigma = across + column.u * column.u;
            column.alpha = select(sigma < 87.0f, s.opacity * exp8(-sigma), splat(0.0f));
            column.step = exp8(-s.stiff * (column.u + column.u + s.stiff));
            visit(column);
        }
    }
}

}  // namespace flex
