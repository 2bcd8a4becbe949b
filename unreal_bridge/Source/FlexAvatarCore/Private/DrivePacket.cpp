#include "FlexAvatar/DrivePacket.h"

namespace flexavatar {
namespace {

constexpr uint16_t VERSION = 1;

// The packet's table, in one place for both ways: `copy` is called with offset, field and size.
template <class Packet, class Copy>
void eachField(Packet& packet, Copy copy) {
    auto& s = packet.signal;
    copy(6, &s.parts, sizeof s.parts);
    copy(8, packet.session, SESSION_CHARS);
    copy(24, packet.token, TOKEN_CHARS);
    copy(56, &packet.seq, sizeof packet.seq);
    copy(64, &s.ptsNs, sizeof s.ptsNs);
    copy(72, s.weights, sizeof s.weights);
    copy(280, s.neckPose, sizeof s.neckPose);
    copy(292, s.globalOrient, sizeof s.globalOrient);
    copy(304, s.transl, sizeof s.transl);
    copy(316, &s.yawDeg, sizeof s.yawDeg);
    copy(320, &s.pitchDeg, sizeof s.pitchDeg);
    copy(324, &s.morph, sizeof s.morph);
}

}  // namespace

void packDrive(const DrivePacket& packet, uint8_t out[PACKET_BYTES]) {
    std::memset(out, 0, PACKET_BYTES);
    std::memcpy(out, "FLXD", 4);
    store(out + 4, VERSION);
    store(out + 60, uint16_t(PACKET_BYTES));
    eachField(packet, [out](size_t at, const void* field, size_t size) {
        std::memcpy(out + at, field, size);
    });
}

bool unpackDrive(ByteView bytes, DrivePacket& out, std::string& problem) {
    problem = "";
    const uint8_t* in = bytes.data;
    if (bytes.size != PACKET_BYTES) {
        problem = "expected 336 bytes, got " + std::to_string(bytes.size);
    } else if (std::memcmp(in, "FLXD", 4) != 0) {
        problem = "expected to start with FLXD";
    } else if (load<uint16_t>(in + 4) != VERSION || load<uint16_t>(in + 60) != PACKET_BYTES) {
        problem = "expected version 1 with 336 bytes";
    } else if (load<uint16_t>(in + 6) < 1 || load<uint16_t>(in + 6) > ALL_PARTS) {
        problem = "expected parts within 1 to 15";
    }
    if (!problem.empty()) return false;
    out = DrivePacket();
    eachField(out, [in](size_t at, void* field, size_t size) {
        std::memcpy(field, in + at, size);
    });
    return true;
}

}  // namespace flexavatar
