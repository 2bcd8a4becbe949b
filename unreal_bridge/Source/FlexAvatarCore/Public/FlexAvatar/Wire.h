// Messages of proto/wire.md: one header of 112 bytes, then the payload.
#pragma once

#include <string>

#include "FlexAvatar/Bytes.h"

namespace flexavatar {

constexpr size_t HEADER_BYTES = 112;
constexpr size_t TOPIC_BYTES = 24;
constexpr size_t SPLAT_BYTES = 16;
constexpr uint32_t CHUNK_SPLATS = 256;
constexpr uint32_t CHUNK_BYTES = CHUNK_SPLATS * uint32_t(SPLAT_BYTES);
constexpr uint32_t MAX_SIDE = 16384;
constexpr uint32_t MAX_SPLATS = 1u << 24;
constexpr uint16_t REPEATED = 1;  // of the flags: the same instant again

enum class Kind : uint16_t { End, Rgba8, Jpeg, Depth, SplatsKey, SplatsDelta };

struct Header {
    char session[17] = {};  // 16 lower-case hex digits
    Kind kind = Kind::End;
    uint16_t flags = 0;
    uint32_t seq = 0;
    uint64_t ptsNs = 0;     // of the drive signal, on its sender's clock
    uint64_t serverNs = 0;  // Unix time
    uint32_t width = 0, height = 0;
    uint32_t count = 0;      // splats
    uint32_t baseSeq = 0;    // SplatsDelta: the keyframe that it changes
    float scaleMin = 0, scaleMax = 0;          // splats: ln metres
    float boundsMin[3] = {}, boundsMax[3] = {};  // splats: of the means, metres, head frame

    bool repeated() const { return (flags & REPEATED) != 0; }
};

struct Message {
    Header header;
    ByteView payload;  // lies in what was parsed
};

// A message, checked as proto/wire.md asks; false, and why, for one that is not.
FLEXAVATARCORE_API bool parseMessage(ByteView bytes, Message& out, std::string& problem);
// The way back, byte for byte.
FLEXAVATARCORE_API void writeMessage(const Message& message, Bytes& out);
// What a subscription to one kind starts with: topic of the session, then the kind.
FLEXAVATARCORE_API Bytes kindTopic(ByteView sessionTopic, Kind kind);

inline uint32_t chunkCount(uint32_t splats) { return (splats + CHUNK_SPLATS - 1) / CHUNK_SPLATS; }
inline uint32_t bitmapBytes(uint32_t splats) { return (chunkCount(splats) + 127) / 128 * 16; }

}  // namespace flexavatar
