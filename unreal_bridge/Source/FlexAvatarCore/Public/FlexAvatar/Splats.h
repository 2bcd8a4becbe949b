// A session's Gaussians, kept up to date in place from keyframes and what moved.
#pragma once

#include <mutex>

#include "FlexAvatar/Wire.h"

namespace flexavatar {

enum class FeedResult { Shown, WaitsForKey, Malformed };

// One reader's copy: allocated once, then only the chunks that changed are written.
struct SplatBuffer {
    Bytes packed;  // count * SPLAT_BYTES
    uint32_t count = 0;
    Header header;                // of the newest message
    std::vector<uint8_t> changed;  // [chunks] 1: written by the last take
};

// Between the network's thread, which feeds, and one that takes.
class FLEXAVATARCORE_API SplatDecoder {
public:
    // Splats of one message; Malformed says why.
    FeedResult feed(const Message& message, std::string& problem);
    // Brings a buffer up to date; false if there is nothing new.
    bool take(SplatBuffer& own);
    // Forgets everything, for a new session.
    void clear();

private:
    void feedKey(const Message& message);
    FeedResult feedDelta(const Message& message, std::string& problem);
    void resize(uint32_t count);
    void put(uint32_t chunk, const uint8_t* bytes);
    size_t chunkBytes(uint32_t chunk) const;

    std::mutex mutex_;
    Bytes key_, now_;
    std::vector<uint8_t> differs_;  // [chunks] of now_ from key_
    std::vector<uint8_t> changed_;  // [chunks] since the last take
    Header header_;
    uint32_t count_ = 0, keySeq_ = 0;
    bool hasKey_ = false, news_ = false;
};

// What lies farthest along an axis first: row is the third of a head-to-camera matrix, 4 numbers.
// A counting sort in 65536 steps of depth; `order` gets an index for every splat.
FLEXAVATARCORE_API void sortBackToFront(const SplatBuffer& splats, const float row[4],
                                        std::vector<uint32_t>& order);

}  // namespace flexavatar
