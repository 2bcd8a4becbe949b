// One tile's pixels while splats are blended into it, and how a splat walks over them.
#pragma once

#include <algorithm>
#include <cstddef>

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

    void clear(int width, int height) {
        std::memset(rows, 0, sizeof rows);
        for (int y = 0; y < TILE; ++y)
            for (int x = 0; x < STRIDE; ++x) rows[y][0][x] = x < width && y < height ? 1.0f : -1.0f;
        find_open();
    }

    void find_open() {
        open = 0;
        for (int block = 0; block < BLOCKS; ++block) {
            for (int x = 0; x < TILE; x += LANES) {
                f8 highest = load(&rows[block << BLOCK_SHIFT][0][x]);
                for (int y = 1; y < 1 << BLOCK_SHIFT; ++y)
                    highest = max8(highest, load(&rows[(block << BLOCK_SHIFT) + y][0][x]));
                const uint64_t lanes = bits(above(highest, splat(0.0f)));
                const uint64_t pair = uint64_t((lanes & 15) != 0) | uint64_t((lanes >> 4) != 0) << 1;
                open |= pair << (block * BLOCKS + (x >> BLOCK_SHIFT));
            }
        }
    }
};

// Eight pixels wide and a few rows high. Going down a row: alpha *= step, step *= splat.ratio and
// u += splat.stiff. `dx` is from the splat's mean to the pixel centres.
struct alignas(64) Column {
    f8 alpha, step, dx, u;
    const Splat* splat;
    uint32_t entry;  // of the tile's list
    int16_t x, y, rows;
};

// Columns wait here until there are enough of them. Finding them is all arithmetic and blending
// them is all unforeseeable branches: taken in turns, each would wait for the other.
struct Columns {
    static constexpr int CAPACITY = 64, MOST_PER_SPLAT = 32;
    Column items[CAPACITY];
    int count = 0;

    bool full() const { return count > CAPACITY - MOST_PER_SPLAT; }
};

// Where eight splats lie in a tile, as strips eight pixels wide; ends included, in its pixels.
struct Strips {
    static constexpr int MOST = TILE / LANES;
    f8 cx, cy;       // means; the pixel centres are at whole numbers
    i8 left, right;  // right < left where a splat misses the tile
    i8 top[MOST], bottom[MOST];
};

// The first pixel at or after `low` and the last at or before `high`, held to the tile.
FLEX_INLINE i8 first_pixel(f8 low) {
    const f8 held = clamp8(low, splat(0.0f), splat(float(TILE)));
    return to_int(-floor8(-held));
}
FLEX_INLINE i8 last_pixel(f8 high) {
    const f8 held = clamp8(high, splat(-1.0f), splat(float(TILE - 1)));
    return to_int(floor8(held));
}

// Finds the strips of splats[ids[0..count)]. In each strip the rows are those between which the
// outline alpha = ALPHA_MIN runs there: its lowest point is at dx = tip, or at a side of the strip.
FLEX_INLINE void find_strips(const Splat* splats, const Entry* ids, int count, int tile_x,
                             int tile_y, Strips& out) {
    f8 f[16];
    for (int l = 0; l < LANES; ++l) {
        const Splat& s = splats[ids[std::min(l, count - 1)].splat];
        f[l] = load(&s.x);
        f[l + 8] = load(&s.red);
    }
    static_assert(offsetof(Splat, red) == 8 * sizeof(float), "the two halves of a splat");
    transpose8(f);
    transpose8(f + 8);
    const f8 inv_xx = f[2], slope = f[3], stiff = f[4], limit = f[7];
    const f8 half_x = f[12], half_y = f[13], tip = f[14];
    out.cx = f[0] - (tile_x + 0.5f);
    out.cy = f[1] - (tile_y + 0.5f);
    out.left = first_pixel(out.cx - half_x);
    out.right = last_pixel(out.cx + half_x);
    const f8 inv_stiff = 1.0f / stiff;
    const float slack = 1e-3f;  // pixels: more than the rounding of these lines
    f8 from = to_float(out.left) - out.cx;
    const i8 width = out.right - out.left;
    for (int k = 0; k < Strips::MOST; ++k, from += float(LANES)) {
        if (!any(~(width - k * LANES) >> 31)) break;
        const f8 to = from + float(LANES - 1);
        const f8 high = clamp8(-tip, from, to), low = clamp8(tip, from, to);
        const f8 up = sqrt8(max8(limit - 0.5f * inv_xx * high * high, splat(0.0f))) * inv_stiff;
        const f8 down = sqrt8(max8(limit - 0.5f * inv_xx * low * low, splat(0.0f))) * inv_stiff;
        out.top[k] = first_pixel(max8(out.cy + slope * high - up - slack, out.cy - half_y));
        out.bottom[k] = last_pixel(min8(out.cy + slope * low + down + slack, out.cy + half_y));
    }
}

// Narrows rows to blocks with open pixels in columns [left, left + LANES); false if there are none.
FLEX_INLINE bool keep_open(uint64_t open, int left, int& top, int& bottom) {
    const int right = std::min(left + LANES, TILE) - 1;
    const uint64_t columns = (2ull << (right >> BLOCK_SHIFT)) - (1ull << (left >> BLOCK_SHIFT));
    const uint64_t below = ~0ull << (BLOCKS * (top >> BLOCK_SHIFT));
    const uint64_t above = ~0ull >> (BLOCKS * (BLOCKS - 1 - (bottom >> BLOCK_SHIFT)));
    open &= columns * 0x0101010101010101ull & below & above;
    if (!open) return false;
    top = std::max(top, (__builtin_ctzll(open) >> 3) << BLOCK_SHIFT);
    bottom = std::min(bottom, ((63 - __builtin_clzll(open)) >> 3 << BLOCK_SHIFT) + 3);
    return true;
}

// Rows that a column may have. Its exponential is exact at the head and goes on by recurrence, so
// alpha must not climb from below the smallest float up to ALPHA_MIN on the way: sqrt(2 sigma)
// would fall from 13.2 to 3.33, and falls by at most sqrt(2) stiff per row.
FLEX_INLINE int longest_column(float stiff) {
    return stiff < 0.43f ? 16 : stiff < 0.59f ? 12 : stiff < 0.93f ? 8 : 6;
}

// Appends the columns of splat `lane` of the strips.
FLEX_INLINE void add_columns(const Splat& s, const Strips& strips, int lane, uint32_t entry,
                             uint64_t open, Columns& columns) {
    const float cx = strips.cx[lane], cy = strips.cy[lane];
    const int longest = longest_column(s.stiff), right = strips.right[lane];
    int x = strips.left[lane];
    for (int k = 0; x <= right; ++k, x += LANES) {
        int top = strips.top[k][lane], bottom = strips.bottom[k][lane];
        if (top > bottom || !keep_open(open, x, top, bottom)) continue;
        const f8 dx = lane_numbers() + (x - cx);
        const f8 across = 0.5f * s.inv_xx * dx * dx;
        const f8 middle = s.slope * dx + cy;
        for (int y = top; y <= bottom; y += longest) {
            Column& column = columns.items[columns.count++];
            const f8 u = s.stiff * (float(y) - middle);
            const f8 sigma = across + u * u;
            column.alpha = select(above(splat(87.0f), sigma), s.opacity * exp8(-sigma), splat(0.0f));
            column.step = exp8(-s.stiff * (u + u + s.stiff));
            column.dx = dx;
            column.u = u;
            column.splat = &s;
            column.entry = entry;
            column.x = int16_t(x);
            column.y = int16_t(y);
            column.rows = int16_t(std::min(longest, bottom - y + 1));
        }
    }
}

}  // namespace flex
