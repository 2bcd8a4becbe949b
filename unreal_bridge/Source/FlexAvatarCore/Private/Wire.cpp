#include "FlexAvatar/Wire.h"

#include <cmath>

namespace flexavatar {
namespace {

constexpr uint16_t VERSION = 1;
constexpr float LARGEST_HALF = 65504.0f;  // the largest number of float16
constexpr uint32_t END_BYTES = 4096;

bool fail(std::string& problem, std::string text) {
    problem = std::move(text);
    return false;
}

bool isSession(const uint8_t* at) {
    for (int i = 0; i < 16; ++i) {
        const bool digit = at[i] >= '0' && at[i] <= '9';
        if (!digit && !(at[i] >= 'a' && at[i] <= 'f')) return false;
    }
    return true;
}

bool fitHalf(const float* numbers, int count) {
    for (int i = 0; i < count; ++i) {
        if (!(std::fabs(numbers[i]) <= LARGEST_HALF)) return false;  // also of what is not a number
    }
    return true;
}

void readHeader(const uint8_t* at, Header& out) {
    std::memcpy(out.session, at + 8, 16);
    out.session[16] = 0;
    out.kind = Kind(load<uint16_t>(at + 24));
    out.flags = load<uint16_t>(at + 26);
    out.seq = load<uint32_t>(at + 28);
    out.ptsNs = load<uint64_t>(at + 32);
    out.serverNs = load<uint64_t>(at + 40);
    out.width = load<uint32_t>(at + 48);
    out.height = load<uint32_t>(at + 52);
    out.count = load<uint32_t>(at + 56);
    out.baseSeq = load<uint32_t>(at + 60);
    out.scaleMin = load<float>(at + 72);
    out.scaleMax = load<float>(at + 76);
    std::memcpy(out.boundsMin, at + 80, sizeof out.boundsMin);
    std::memcpy(out.boundsMax, at + 92, sizeof out.boundsMax);
}

bool isPicture(Kind kind) {
    return kind == Kind::Rgba8 || kind == Kind::Jpeg || kind == Kind::Depth;
}

bool isSplats(Kind kind) { return kind == Kind::SplatsKey || kind == Kind::SplatsDelta; }

// Smallest and largest size of a payload.
void payloadSizes(const Header& header, uint64_t& smallest, uint64_t& largest) {
    const uint64_t pixels = uint64_t(header.width) * header.height;
    const uint64_t splats = uint64_t(header.count) * SPLAT_BYTES;
    switch (header.kind) {
        case Kind::End: smallest = 0, largest = END_BYTES; break;
        case Kind::Rgba8:
        case Kind::Depth: smallest = largest = 4 * pixels; break;
        case Kind::Jpeg: smallest = 1, largest = 4 * pixels + 65536; break;
        case Kind::SplatsKey: smallest = largest = splats; break;
        case Kind::SplatsDelta:
            smallest = bitmapBytes(header.count);
            largest = smallest + splats;
            break;
    }
}

bool checkSplats(const Header& header, std::string& problem) {
    if (header.count < 1 || header.count > MAX_SPLATS) {
        return fail(problem, "impossible number of splats " + std::to_string(header.count));
    }
    const float scales[] = {header.scaleMin, header.scaleMax};
    if (!fitHalf(scales, 2) || !fitHalf(header.boundsMin, 3) || !fitHalf(header.boundsMax, 3)) {
        return fail(problem, "impossible bounds of splats");
    }
    return header.scaleMin < header.scaleMax || fail(problem, "empty range of scales");
}

bool checkSizes(const Header& header, size_t payload, std::string& problem) {
    const bool drawn = header.width >= 1 && header.width <= MAX_SIDE && header.height >= 1 &&
                       header.height <= MAX_SIDE;
    if (isPicture(header.kind) && !drawn) return fail(problem, "impossible size of a picture");
    if (isSplats(header.kind) && !checkSplats(header, problem)) return false;
    uint64_t smallest = 0, largest = 0;
    payloadSizes(header, smallest, largest);
    if (payload >= smallest && payload <= largest) return true;
    return fail(problem, "kind " + std::to_string(int(header.kind)) + ": expected " +
                             std::to_string(smallest) + " to " + std::to_string(largest) +
                             " payload bytes, got " + std::to_string(payload));
}

}  // namespace

bool parseMessage(ByteView bytes, Message& out, std::string& problem) {
    if (bytes.size < HEADER_BYTES) {
        return fail(problem, "expected 112 bytes or more, got " + std::to_string(bytes.size));
    }
    const uint8_t* at = bytes.data;
    if (std::memcmp(at, "FLXA", 4) != 0) return fail(problem, "expected to start with FLXA");
    const uint16_t version = load<uint16_t>(at + 4);
    if (version != VERSION || load<uint32_t>(at + 68) != HEADER_BYTES) {
        return fail(problem, "expected version 1 of the wire, got " + std::to_string(version));
    }
    if (!isSession(at + 8)) return fail(problem, "expected 16 hex digits as session");
    if (load<uint16_t>(at + 24) > uint16_t(Kind::SplatsDelta)) return fail(problem, "unknown kind");
    if (load<uint32_t>(at + 64) != bytes.size - HEADER_BYTES) {
        return fail(problem, "expected as many payload bytes as the header says");
    }
    readHeader(at, out.header);
    out.payload = bytes.from(HEADER_BYTES);
    return checkSizes(out.header, out.payload.size, problem);
}

void writeMessage(const Message& message, Bytes& out) {
    const Header& header = message.header;
    out.assign(HEADER_BYTES + message.payload.size, 0);
    uint8_t* at = out.data();
    std::memcpy(at, "FLXA", 4);
    store(at + 4, VERSION);
    std::memcpy(at + 8, header.session, 16);
    store(at + 24, uint16_t(header.kind));
    store(at + 26, header.flags);
    store(at + 28, header.seq);
    store(at + 32, header.ptsNs);
    store(at + 40, header.serverNs);
    const uint32_t sizes[] = {header.width,   header.height, header.count,
                              header.baseSeq, uint32_t(message.payload.size),
                              uint32_t(HEADER_BYTES)};
    std::memcpy(at + 48, sizes, sizeof sizes);
    store(at + 72, header.scaleMin);
    store(at + 76, header.scaleMax);
    std::memcpy(at + 80, header.boundsMin, sizeof header.boundsMin);
    std::memcpy(at + 92, header.boundsMax, sizeof header.boundsMax);
    if (message.payload.size) {
        std::memcpy(at + HEADER_BYTES, message.payload.data, message.payload.size);
    }
}

Bytes kindTopic(ByteView sessionTopic, Kind kind) {
    Bytes topic(sessionTopic.data, sessionTopic.data + sessionTopic.size);
    topic.push_back(uint8_t(kind));
    topic.push_back(0);
    return topic;
}

}  // namespace flexavatar
