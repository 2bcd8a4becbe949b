// Damaged bytes of every kind, for a while: fuzz_test GOLDEN SECONDS SEED. Run it under sanitisers.
#include <functional>
#include <random>

#include "FlexAvatar/DrivePacket.h"
#include "FlexAvatar/FrameDecoder.h"
#include "FlexAvatar/Http.h"
#include "FlexAvatar/Json.h"
#include "FlexAvatar/Zmtp.h"
#include "check.h"

using namespace flexavatar;

namespace {

std::mt19937 chance;

size_t below(size_t limit) { return limit ? chance() % limit : 0; }

// Some bytes changed, cut off, doubled, or numbers at the edge.
Bytes damaged(Bytes bytes) {
    static const uint32_t EDGES[] = {0, 1, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff, 0x7f800000};
    for (size_t times = 1 + below(4); times; --times) {
        const size_t at = below(bytes.size() + 1);
        switch (below(5)) {
            case 0: bytes.resize(at); break;
            case 1: bytes.insert(bytes.begin() + ptrdiff_t(at), uint8_t(chance())); break;
            case 2:
                if (at + 4 <= bytes.size()) store(bytes.data() + at, EDGES[below(8)]);
                break;
            case 3:
                if (at < bytes.size()) bytes[at] = uint8_t(bytes[at] ^ 1u << below(8));
                break;
            default:
                if (at < bytes.size()) bytes.erase(bytes.begin() + ptrdiff_t(at));
        }
    }
    return bytes;
}

// Damage in the header alone, with a length that fits: gets past the first checks.
Bytes lied(Bytes bytes) {
    const size_t at = 24 + below(HEADER_BYTES - 24);
    if (bytes.size() < HEADER_BYTES) return bytes;
    bytes[at] = uint8_t(chance());
    if (below(2)) bytes.resize(HEADER_BYTES + below(bytes.size()));
    store(bytes.data() + 64, uint32_t(bytes.size() - HEADER_BYTES));
    store(bytes.data() + 68, uint32_t(HEADER_BYTES));
    return bytes;
}

// In pieces of any size.
void feedInPieces(const Bytes& bytes, const std::function<bool(ByteView)>& feed) {
    for (size_t at = 0; at < bytes.size();) {
        const size_t size = std::min(bytes.size() - at, 1 + below(200));
        if (!feed({bytes.data() + at, size})) return;
        at += size;
    }
}

struct Corpus {
    std::vector<Bytes> frames, drives, http, json;
    Bytes zmtp;

    explicit Corpus(const std::string& golden) {
        for (const char* kind : {"end", "rgba8", "jpeg", "depth", "splats_key", "splats_delta"}) {
            frames.push_back(readFile(golden + "/wire_" + kind + ".bin"));
        }
        for (const char* const name : {"weights", "view", "all"}) {
            drives.push_back(readFile(golden + "/drive_" + name + ".bin"));
        }
        for (const char* const text :
             {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"}) {
            http.emplace_back(text, text + std::char_traits<char>::length(text));
        }
        const std::string text = "{\"a\": [1, -2.5e3, true, null, \"\\u00e9\\n\"], \"b\": {\"c\": \"d\"}}";
        json.emplace_back(text.begin(), text.end());
        ZmtpPeer peer("PUB", 1 << 20);
        Bytes other(64, 0);
        other[0] = 0xff, other[9] = 0x7f, other[10] = 3;
        other.insert(other.begin() + 12, {'N', 'U', 'L', 'L'});
        other.resize(64);
        for (const char c : {'\4', '\6', '\5', 'R', 'E', 'A', 'D', 'Y'}) other.push_back(uint8_t(c));
        CHECK(peer.feed(other, [](ByteView) {}) && peer.ready());
        for (const Bytes& frame : frames) peer.send(frame);
        zmtp.assign(peer.output().data, peer.output().data + peer.output().size);
    }
};

void once(const Corpus& corpus, FrameDecoder& frames, SplatBuffer& splats) {
    std::string note;
    const Bytes& frame = corpus.frames[below(corpus.frames.size())];
    frames.feed(below(2) ? lied(frame) : damaged(frame), note);
    if (below(4) == 0) frames.feed(frame, note);  // a good one, so that deltas have a keyframe
    frames.takePicture();
    if (frames.takeSplats(splats)) {
        CHECK(splats.packed.size() == size_t(splats.count) * SPLAT_BYTES);
        std::vector<uint32_t> order;
        const float row[4] = {0.1f, -0.2f, 0.9f, 1};
        sortBackToFront(splats, row, order);
    }
    DrivePacket packet;
    unpackDrive(damaged(corpus.drives[below(3)]), packet, note);
    HttpResponse answer;
    feedInPieces(damaged(corpus.http[below(2)]), [&](ByteView piece) { return answer.feed(piece); });
    const Bytes text = damaged(corpus.json[0]);
    Json json;
    parseJson(std::string(text.begin(), text.end()), json, note);
    ZmtpPeer peer("SUB", 1 << 20);
    std::string ignored;
    feedInPieces(damaged(corpus.zmtp), [&](ByteView piece) {
        return peer.feed(piece, [&](ByteView message) { frames.feed(message, ignored); });
    });
    Bytes back;
    fromBase64(std::string(text.begin(), text.end()), back);
}

}  // namespace

int main(int argc, char** argv) {
    CHECK(argc == 4);
    chance.seed(unsigned(std::atoi(argv[3])));
    const Corpus corpus(argv[1]);
    FrameDecoder frames;
    SplatBuffer splats;
    uint64_t rounds = 0;
    const auto until = Clock::now() + std::chrono::seconds(std::atoi(argv[2]));
    for (; Clock::now() < until; ++rounds) {
        if (rounds % 64 == 0) frames.expect(below(2) == 1, below(2) == 1);
        once(corpus, frames, splats);
    }
    std::printf("%llu rounds\n", static_cast<unsigned long long>(rounds));
    return 0;
}
