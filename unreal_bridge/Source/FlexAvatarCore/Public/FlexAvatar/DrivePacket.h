// Drive packets of proto/wire.md: 336 bytes.
#pragma once

#include <string>

#include "FlexAvatar/Arkit.h"

namespace flexavatar {

constexpr size_t PACKET_BYTES = 336;
constexpr size_t SESSION_CHARS = 16, TOKEN_CHARS = 32;

enum Parts : uint16_t { PART_ARKIT = 1, PART_HEAD = 2, PART_ORBIT = 4, PART_MORPH = 8 };
constexpr uint16_t ALL_PARTS = 15;

// One signal; what `parts` leaves out says nothing.
struct Signal {
    uint16_t parts = 0;
    uint64_t ptsNs = 0;                 // the sender's clock
    float weights[ARKIT_COUNT] = {};    // 0..1
    float neckPose[3] = {}, globalOrient[3] = {};  // axis-angle, radians, head frame
    float transl[3] = {};               // metres
    float yawDeg = 0, pitchDeg = 0;     // of the camera around the head
    float morph = 0;                    // 0..1
};

struct DrivePacket {
    char session[SESSION_CHARS + 1] = {};
    char token[TOKEN_CHARS + 1] = {};
    uint32_t seq = 0;
    Signal signal;
};

FLEXAVATARCORE_API void packDrive(const DrivePacket& packet, uint8_t out[PACKET_BYTES]);
// The way back; false, and why, for what is not a packet.
FLEXAVATARCORE_API bool unpackDrive(ByteView bytes, DrivePacket& out, std::string& problem);

}  // namespace flexavatar
