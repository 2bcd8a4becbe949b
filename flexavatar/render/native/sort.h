// Stable sorting of a tile's list by depth, lazily: a closed tile never sorts what is hidden.
#pragma once

#include <algorithm>

#include "raster.h"

namespace flex {

constexpr int MAX_BUCKETS = 1024;
constexpr int SHORT_LIST = 24;  // below this, insertion is fastest

inline void insertion_sort(Entry* entries, int count) {
    for (int i = 1; i < count; ++i) {
        const Entry item = entries[i];
        int j = i;
        for (; j > 0 && entries[j - 1].depth_bits > item.depth_bits; --j) entries[j] = entries[j - 1];
        entries[j] = item;
    }
}

// One stable pass into buckets of equal depth range, in place through `spare`.
// Fills bounds[0..buckets]; returns the number of buckets, 1 if all depths are equal.
inline int bucket_pass(Entry* entries, Entry* spare, int count, uint32_t* bounds) {
    uint32_t low = ~0u, high = 0;
    for (int i = 0; i < count; ++i) {
        low = std::min(low, entries[i].depth_bits);
        high = std::max(high, entries[i].depth_bits);
    }
    int buckets = 32, shift = 0;
    while (buckets < count && buckets < MAX_BUCKETS) buckets *= 2;
    while (((high - low) >> shift) >= uint32_t(buckets)) ++shift;
    buckets = int((high - low) >> shift) + 1;
    std::fill(bounds, bounds + buckets + 1, 0u);
    for (int i = 0; i < count; ++i) ++bounds[((entries[i].depth_bits - low) >> shift) + 1];
    for (int b = 0; b < buckets; ++b) bounds[b + 1] += bounds[b];
    std::copy(entries, entries + count, spare);
    for (int i = 0; i < count; ++i)
        entries[bounds[(spare[i].depth_bits - low) >> shift]++] = spare[i];
    for (int b = buckets; b > 0; --b) bounds[b] = bounds[b - 1];
    bounds[0] = 0;
    return buckets;
}

inline void sort_entries(Entry* entries, Entry* spare, int count) {
    if (count <= SHORT_LIST) return insertion_sort(entries, count);
    uint32_t bounds[MAX_BUCKETS + 1];
    const int buckets = bucket_pass(entries, spare, count, bounds);
    if (buckets == 1) return;
    for (int b = 0; b < buckets; ++b) {
        const int from = int(bounds[b]), size = int(bounds[b + 1]) - from;
        if (size > 1) sort_entries(entries + from, spare + from, size);
    }
}

// A list that is sorted only as far as it is read.
class SortedList {
public:
    SortedList(Entry* entries, Entry* spare, int count)
        : entries_(entries), spare_(spare), count_(count) {
        if (count <= SHORT_LIST) {
            insertion_sort(entries, count);
            ready_ = count;
        } else if ((buckets_ = bucket_pass(entries, spare, count, bounds_)) == 1) {
            ready_ = count;
        }
    }

    // Sorts on until entries [0, end) are in place.
    void reach(int end) {
        for (end = std::min(end, count_); ready_ < end; ++bucket_) {
            const int from = int(bounds_[bucket_]), to = int(bounds_[bucket_ + 1]);
            if (to > from + 1) sort_entries(entries_ + from, spare_ + from, to - from);
            ready_ = to;
        }
    }

private:
    Entry* entries_;
    Entry* spare_;
    int count_, buckets_ = 0, bucket_ = 0, ready_ = 0;
    uint32_t bounds_[MAX_BUCKETS + 1];
};

}  // namespace flex
