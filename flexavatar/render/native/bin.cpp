// Splats to tile lists: a stable counting sort by tile. Lists are sorted by depth when drawn.
#include <algorithm>

#include "pool.h"
#include "raster.h"
#include "sort.h"

namespace flex {

// The last tile row (exclusive) of a band that starts at first_row and fits into memory.
int band_end(const Context& ctx, int first_row) {
    uint64_t entries = 0;
    for (int row = first_row; row < ctx.tiles_y; ++row) {
        for (int x = 0; x < ctx.tiles_x; ++x) entries += ctx.tile_size[row * ctx.tiles_x + x];
        if (entries > ENTRIES_AT_ONCE && row > first_row) return row;
    }
    return ctx.tiles_y;
}

namespace {

// Writes one chunk's splats into the lists; `next` says where in every tile.
void fill_chunk(Context& ctx, int c, int first_row, int last_row, uint32_t* next, uint32_t slot) {
    const int end = std::min(ctx.count, (c + 1) * ctx.chunk);
    for (int i = c * ctx.chunk; i < end; ++i) {
        const TileRect r = ctx.rects[i];
        const int top = std::max<int>(r.y, first_row);
        const int bottom = std::min<int>(r.y + r.height, last_row);
        if (r.width == 0 || top >= bottom) continue;
        Splat& splat = ctx.splats[i];
        uint32_t bits;
        std::memcpy(&bits, &splat.depth, sizeof bits);
        splat.first_slot = slot;
        slot += uint32_t(bottom - top) * r.width;
        for (int y = top; y < bottom; ++y)
            for (int x = r.x; x < r.x + r.width; ++x)
                ctx.entries[next[y * ctx.tiles_x + x]++] = Entry{bits, uint32_t(i)};
    }
}

}  // namespace

// Makes the lists of tile rows [first_row, last_row); returns their total length.
uint32_t fill_band(Context& ctx, int first_row, int last_row) {
    const int tiles = ctx.tiles(), first = first_row * ctx.tiles_x, last = last_row * ctx.tiles_x;
    uint64_t total = 0;
    for (int t = first; t < last; ++t) total += ctx.tile_size[t];
    if (total > 0xffffffffu) throw std::bad_alloc();
    ctx.entries.reserve(total);
    ctx.spare.reserve(total);
    ctx.tile_start.reserve(tiles);
    ctx.next.reserve(size_t(ctx.chunks) * tiles);
    uint32_t slot_start[MAX_CHUNKS + 1] = {};
    uint32_t start = 0;
    for (int t = first; t < last; ++t) {
        ctx.tile_start[t] = start;
        for (int c = 0; c < ctx.chunks; ++c) {
            const size_t at = size_t(c) * tiles + t;
            ctx.next[at] = start;
            start += ctx.chunk_tiles[at];
            slot_start[c + 1] += ctx.chunk_tiles[at];
        }
    }
    for (int c = 0; c < ctx.chunks; ++c) slot_start[c + 1] += slot_start[c];
    parallel_for(ctx.chunks, [&](int c) {
        fill_chunk(ctx, c, first_row, last_row, ctx.next.get() + size_t(c) * tiles, slot_start[c]);
    });
    ctx.filled_first = first_row;
    ctx.filled_last = last_row;
    return uint32_t(total);
}

}  // namespace flex
