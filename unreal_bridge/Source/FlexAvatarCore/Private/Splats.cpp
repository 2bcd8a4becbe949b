#include "FlexAvatar/Splats.h"

#include <algorithm>

#include "FlexAvatar/Half.h"

namespace flexavatar {
namespace {

bool bit(const uint8_t* bitmap, uint32_t chunk) { return (bitmap[chunk / 8] >> chunk % 8) & 1; }

}  // namespace

FeedResult SplatDecoder::feed(const Message& message, std::string& problem) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (message.header.kind == Kind::SplatsKey) {
        feedKey(message);
        return FeedResult::Shown;
    }
    if (message.header.kind == Kind::SplatsDelta) return feedDelta(message, problem);
    problem = "expected splats";
    return FeedResult::Malformed;
}

void SplatDecoder::resize(uint32_t count) {
    const size_t bytes = size_t(count) * SPLAT_BYTES, chunks = chunkCount(count);
    key_.assign(bytes, 0);
    now_.assign(bytes, 0);
    differs_.assign(chunks, 0);
    changed_.assign(chunks, 1);
    count_ = count;
}

size_t SplatDecoder::chunkBytes(uint32_t chunk) const {
    return std::min<size_t>(CHUNK_BYTES, now_.size() - size_t(chunk) * CHUNK_BYTES);
}

void SplatDecoder::put(uint32_t chunk, const uint8_t* bytes) {
    uint8_t* own = now_.data() + size_t(chunk) * CHUNK_BYTES;
    const size_t size = chunkBytes(chunk);
    if (std::memcmp(own, bytes, size) == 0) return;
    std::memcpy(own, bytes, size);
    changed_[chunk] = 1;
}

void SplatDecoder::feedKey(const Message& message) {
    if (message.header.count != count_) resize(message.header.count);
    std::memcpy(key_.data(), message.payload.data, message.payload.size);
    for (uint32_t c = 0; c < chunkCount(count_); ++c) {
        put(c, key_.data() + size_t(c) * CHUNK_BYTES);
        differs_[c] = 0;
    }
    header_ = message.header;
    keySeq_ = message.header.seq;
    hasKey_ = news_ = true;
}

FeedResult SplatDecoder::feedDelta(const Message& message, std::string& problem) {
    const Header& header = message.header;
    const uint32_t chunks = chunkCount(header.count), bitmap = bitmapBytes(header.count);
    const uint8_t* bits = message.payload.data;
    size_t expected = bitmap;
    for (uint32_t c = 0; c < 8 * bitmap; ++c) {
        if (!bit(bits, c)) continue;
        const bool last = c == chunks - 1 && header.count % CHUNK_SPLATS;
        expected += last ? header.count % CHUNK_SPLATS * SPLAT_BYTES : CHUNK_BYTES;
        if (c >= chunks) {
            problem = "bits set beyond the last chunk";
            return FeedResult::Malformed;
        }
    }
    if (message.payload.size != expected) {
        problem = "expected " + std::to_string(expected) + " bytes of changed chunks";
        return FeedResult::Malformed;
    }
    if (!hasKey_ || header.baseSeq != keySeq_) return FeedResult::WaitsForKey;
    const bool same = header.scaleMin == header_.scaleMin && header.scaleMax == header_.scaleMax;
    if (header.count != count_ || !same) {
        problem = "does not fit the keyframe that it names";
        return FeedResult::Malformed;
    }
    const uint8_t* next = bits + bitmap;
    for (uint32_t c = 0; c < chunks; ++c) {
        if (bit(bits, c)) {
            put(c, next);
            next += chunkBytes(c);
        } else if (differs_[c]) {
            put(c, key_.data() + size_t(c) * CHUNK_BYTES);
        }
        differs_[c] = bit(bits, c);
    }
    header_ = header;
    news_ = true;
    return FeedResult::Shown;
}

bool SplatDecoder::take(SplatBuffer& own) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!news_) return false;
    if (own.count != count_) {
        own.packed.assign(now_.size(), 0);
        own.count = count_;
        std::fill(changed_.begin(), changed_.end(), uint8_t(1));
    }
    own.header = header_;
    own.changed = changed_;
    for (uint32_t c = 0; c < changed_.size(); ++c) {
        const size_t at = size_t(c) * CHUNK_BYTES;
        if (changed_[c]) std::memcpy(own.packed.data() + at, now_.data() + at, chunkBytes(c));
    }
    std::fill(changed_.begin(), changed_.end(), uint8_t(0));
    news_ = false;
    return true;
}

void SplatDecoder::clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    hasKey_ = news_ = false;  // what a reader holds stays until there is something new
}

void sortBackToFront(const SplatBuffer& splats, const float row[4], std::vector<uint32_t>& order) {
    constexpr uint32_t STEPS = 1 << 16;
    const float* low = splats.header.boundsMin;
    const float* high = splats.header.boundsMax;
    float nearest = row[3], farthest = row[3];
    for (int i = 0; i < 3; ++i) {
        nearest += std::min(row[i] * low[i], row[i] * high[i]);
        farthest += std::max(row[i] * low[i], row[i] * high[i]);
    }
    const float perStep = farthest > nearest ? (STEPS - 1) / (farthest - nearest) : 0.0f;
    std::vector<uint32_t> starts(STEPS + 1, 0);
    std::vector<uint16_t> steps(splats.count);
    for (uint32_t i = 0; i < splats.count; ++i) {
        const uint8_t* at = splats.packed.data() + size_t(i) * SPLAT_BYTES + 4;
        float depth = row[3];
        for (int k = 0; k < 3; ++k) depth += row[k] * halfToFloat(load<uint16_t>(at + 2 * k));
        const float step = (farthest - depth) * perStep;  // not a number becomes 0 below
        steps[i] = uint16_t(step > 0 ? std::min(step, float(STEPS - 1)) : 0.0f);
        ++starts[steps[i] + 1u];
    }
    for (uint32_t s = 0; s < STEPS; ++s) starts[s + 1] += starts[s];
    order.resize(splats.count);
    for (uint32_t i = 0; i < splats.count; ++i) order[starts[steps[i]]++] = i;
}

}  // namespace flexavatar
