// The core without a network: the golden set, and every part by itself.
//
//   core_test golden GOLDEN OUT   reads GOLDEN/*.bin, writes what it makes of them into OUT
//   core_test axes                lines of "yaw pitch roll x y z w x y z sx sy sz" from stdin
//   core_test camera              lines of "place right up forward point" from stdin
//   core_test parts               the rest
#include <cmath>
#include <cstring>
#include <iostream>
#include <thread>

#include "FlexAvatar/Axes.h"
#include "FlexAvatar/DrivePacket.h"
#include "FlexAvatar/FrameDecoder.h"
#include "FlexAvatar/Half.h"
#include "FlexAvatar/Http.h"
#include "FlexAvatar/Json.h"
#include "FlexAvatar/SplatTexture.h"
#include "FlexAvatar/Zmtp.h"
#include "check.h"

using namespace flexavatar;

namespace {

Message parsed(const Bytes& bytes) {
    Message message;
    std::string problem;
    const bool fine = parseMessage(bytes, message, problem);
    if (!fine) std::fprintf(stderr, "%s\n", problem.c_str());
    CHECK(fine);
    return message;
}

ByteView view(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// ---- golden

const char* const KINDS[] = {"end", "rgba8", "jpeg", "depth", "splats_key", "splats_delta"};

void goldenFrames(const std::string& golden, const std::string& out) {
    for (int kind = 0; kind < 6; ++kind) {
        const std::string name = std::string("wire_") + KINDS[kind] + ".bin";
        const Bytes bytes = readFile(golden + "/" + name);
        const Message message = parsed(bytes);
        CHECK(int(message.header.kind) == kind);
        CHECK(std::string(message.header.session) == "0123456789abcdef");
        CHECK(message.header.ptsNs == 1234567890123u);
        Bytes again;
        writeMessage(message, again);
        CHECK(again == bytes);
        writeFile(out + "/" + name, again);
    }
    const Bytes depth = readFile(golden + "/wire_depth.bin");
    CHECK(load<float>(parsed(depth).payload.data + 4) == 0.5f);
}

// Key and delta through the store; the splats that come out are for Python to compare.
void goldenSplats(const std::string& golden, const std::string& out) {
    const Bytes key = readFile(golden + "/wire_splats_key.bin");
    const Bytes delta = readFile(golden + "/wire_splats_delta.bin");
    SplatDecoder store;
    SplatBuffer own;
    std::string problem;
    CHECK(store.feed(parsed(delta), problem) == FeedResult::WaitsForKey);
    CHECK(!store.take(own));
    CHECK(store.feed(parsed(key), problem) == FeedResult::Shown);
    CHECK(store.take(own) && !store.take(own));
    CHECK(own.count == 600 && own.packed.size() == 9600);
    CHECK(own.changed == (std::vector<uint8_t>{1, 1, 1}));
    const Bytes before = own.packed;
    const uint8_t* const place = own.packed.data();
    CHECK(store.feed(parsed(delta), problem) == FeedResult::Shown);
    CHECK(store.take(own));
    CHECK(own.changed == (std::vector<uint8_t>{1, 0, 1}));  // the first and the last moved
    CHECK(own.packed.data() == place && own.packed != before);
    writeFile(out + "/splats.bin", own.packed);
    SplatRows rows;
    Bytes texels;
    for (uint32_t chunk = 0; chunk < chunkCount(own.count); ++chunk) {
        std::vector<uint16_t> row(size_t(ROW_TEXELS) * 4);
        rows.write(own, chunk, row.data());
        const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(row.data());
        texels.insert(texels.end(), bytes, bytes + ROW_BYTES);
    }
    writeFile(out + "/texels.bin", texels);
    CHECK(store.feed(parsed(key), problem) == FeedResult::Shown);
    CHECK(store.take(own) && own.packed == before);
    std::vector<uint32_t> order;
    const float row[4] = {0, 0, 1, 2};
    sortBackToFront(own, row, order);
    CHECK(order.size() == 600);
    float last = 1e9f;
    const float step = (own.header.boundsMax[2] - own.header.boundsMin[2]) / 65535;
    for (const uint32_t i : order) {
        const float z = halfToFloat(load<uint16_t>(own.packed.data() + 16 * size_t(i) + 8));
        CHECK(z <= last + 2 * step);
        last = z;
    }
}

void goldenDrives(const std::string& golden, const std::string& out) {
    for (const char* const name : {"drive_weights", "drive_view", "drive_all"}) {
        const Bytes bytes = readFile(golden + "/" + name + ".bin");
        DrivePacket packet;
        std::string problem;
        CHECK(unpackDrive(bytes, packet, problem));
        Bytes again(PACKET_BYTES);
        packDrive(packet, again.data());
        CHECK(again == bytes);
        writeFile(out + "/" + name + ".bin", again);
    }
    DrivePacket own;  // drive_all from numbers alone
    std::strcpy(own.session, "0123456789abcdef");
    std::strcpy(own.token, "an-owner_token-of-the-tests-0123");
    own.seq = 0xFFFFFFFF;
    own.signal.parts = ALL_PARTS;
    own.signal.ptsNs = 1234567890123u;
    for (int i = 0; i < ARKIT_COUNT; ++i) own.signal.weights[i] = float(51 - i) / 64;
    float* const pose[] = {own.signal.neckPose, own.signal.globalOrient, own.signal.transl};
    for (int i = 0; i < 9; ++i) pose[i / 3][i % 3] = float(i - 4) / 8;
    own.signal.yawDeg = 15;
    own.signal.pitchDeg = -7.5f;
    own.signal.morph = 0.25f;
    Bytes made(PACKET_BYTES);
    packDrive(own, made.data());
    CHECK(made == readFile(golden + "/drive_all.bin"));
    std::string names;
    for (const char* const name : ARKIT_NAMES) names += std::string(name) + "\n";
    writeFile(out + "/names.txt", Bytes(names.begin(), names.end()));
}

// ---- axes, compared by Python

void axes() {
    double in[13];
    while (std::cin >> in[0]) {
        for (int i = 1; i < 13; ++i) std::cin >> in[i];
        double turn[3], position[3], quaternion[4], scale[3];
        axisAngleFromYawPitchRoll(in[0], in[1], in[2], turn);
        positionToUnreal(in + 3, position);
        quaternionToUnreal(in + 6, quaternion);
        scaleToUnreal(in + 10, scale);
        for (const double x : turn) std::printf("%.12g ", x);
        for (const double x : position) std::printf("%.12g ", x);
        for (const double x : quaternion) std::printf("%.12g ", x);
        for (const double x : scale) std::printf("%.12g ", x);
        std::printf("\n");
        for (int i = 0; i < 3; ++i) {
            double sum = 0;
            for (int k = 0; k < 3; ++k) sum += HEAD_TO_UNREAL[i][k] * in[3 + k];
            CHECK(std::fabs(sum - position[i]) < 1e-9);
        }
    }
}

// A camera in Unreal's space, and where the head's points are for it: lines of
// "place right up forward point" -> the point for the camera, and back.
void camera() {
    LocalCamera own;
    float* const numbers[] = {own.place, own.right, own.up, own.forward};
    while (std::cin >> numbers[0][0]) {
        for (int i = 1; i < 12; ++i) std::cin >> numbers[i / 3][i % 3];
        float point[3], seen[3];
        std::cin >> point[0] >> point[1] >> point[2];
        const SplatCamera made = splatCamera(own);
        for (int i = 0; i < 3; ++i) {
            const float* const row = made.rows[i];
            seen[i] = row[0] * point[0] + row[1] * point[1] + row[2] * point[2] + row[3];
            std::printf("%.9g ", double(seen[i]));
        }
        for (const float* const row : {made.back[0], made.back[1], made.back[2]}) {
            const float back = row[0] * seen[0] + row[1] * seen[1] + row[2] * seen[2] + row[3];
            std::printf("%.9g ", double(back));
        }
        std::printf("\n");
    }
}

// ---- parts

void json() {
    JsonWriter writer;
    writer.open().text("a\"b", "x\n\\").number("n", 0.25).integer("i", 1u << 31).flag("f", true);
    writer.open("list", '[').text(nullptr, "1").open().close().close().close();
    Json read;
    std::string problem;
    CHECK(parseJson(writer.str(), read, problem));
    CHECK(read["a\"b"].text == "x\n\\" && read["n"].number == 0.25);
    CHECK(read["i"].text == "2147483648" && read["f"].number == 1);
    CHECK(read["list"].items.size() == 2 && read["none"].type == Json::Type::Null);
    CHECK(parseJson("\"\\ud83d\\ude00\\u00e9\"", read, problem));
    CHECK(read.text == "\xF0\x9F\x98\x80\xC3\xA9");
    for (const char* bad : {"", "{", "[1,]", "{\"a\" 1}", "\"\\ud83d\"", "nul", "1 2", "\"\n\"", "1e999",
                            "{1:2}", "\"\\x\""}) {
        CHECK(!parseJson(bad, read, problem));
    }
    CHECK(!parseJson(std::string(1000, '['), read, problem));
    Bytes bytes;
    for (const char* const text : {"", "a", "ab", "abc", "abcd"}) {
        CHECK(fromBase64(toBase64(view(text)), bytes));
        CHECK(std::string(bytes.begin(), bytes.end()) == text);
    }
    CHECK(!fromBase64("*", bytes));
}

bool answers(const std::string& text, int status, const std::string& body, bool ended = false) {
    HttpResponse whole, pieces;
    bool fine = whole.feed(view(text));
    for (const char c : text) fine = fine && pieces.feed(view(std::string(1, c)));
    if (ended) fine = whole.ended() && pieces.ended() && fine;
    return fine && whole.complete() && whole.status == status && whole.body == body &&
           pieces.complete() && pieces.body == body;
}

void http() {
    CHECK(answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"));
    CHECK(answers("HTTP/1.1 404 No\r\ncontent-length:0\r\n\r\n", 404, ""));
    CHECK(answers("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
                  200, "abc"));
    CHECK(answers("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x"));
    CHECK(answers("HTTP/1.0 200 OK\r\n\r\nrest", 200, "rest", true));
    for (const char* const bad :
         {"FLXA and more bytes\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"}) {
        HttpResponse answer;
        CHECK(!answer.feed(view(bad)) && !answer.problem().empty());
    }
    Endpoint to;
    CHECK(parseEndpoint("tcp://[::1]:5556", to) && to.host == "::1" && to.port == 5556);
    CHECK(parseEndpoint("localhost:1", to) && to.host == "localhost");
    for (const char* const bad : {"", "tcp://", "a", "a:", "a:0", "a:65536", ":1", "a:1x"}) {
        CHECK(!parseEndpoint(bad, to));
    }
}

Bytes copied(ByteView bytes) { return Bytes(bytes.data, bytes.data + bytes.size); }

Bytes greeting(const char* mechanism) {
    Bytes out(64, 0);
    out[0] = 0xff, out[9] = 0x7f, out[10] = 3;
    std::memcpy(out.data() + 12, mechanism, std::strlen(mechanism));
    return out;
}

void zmtp() {
    int messages = 0;
    const ZmtpPeer::OnMessage ignore = [&](ByteView) { ++messages; };
    ZmtpPeer sub("SUB", 1000), pub("XPUB", 1000);
    std::string heard;
    const ZmtpPeer::OnMessage hear = [&](ByteView message) {
        heard.assign(reinterpret_cast<const char*>(message.data), message.size);
    };
    for (int turn = 0; turn < 4; ++turn) {  // each to the other, a byte at a time
        const Bytes a = copied(sub.output()), b = copied(pub.output());
        sub.markSent(a.size());
        pub.markSent(b.size());
        for (const uint8_t& byte : a) CHECK(pub.feed({&byte, 1}, hear));
        for (const uint8_t& byte : b) CHECK(sub.feed({&byte, 1}, ignore));
        if (turn == 1) {
            CHECK(sub.ready() && pub.ready());
            sub.subscribe(view("abc"));
            pub.send(view(std::string(300, 'x')));
        }
    }
    CHECK(heard == "\1abc" && messages == 1);
    pub.send(view(std::string(1001, 'x')));
    CHECK(!sub.feed(pub.output(), ignore) && sub.problem() == "a frame too long");
    for (const char* const mechanism : {"CURVE", "PLAIN"}) {
        ZmtpPeer peer("SUB", 1000);
        CHECK(!peer.feed(greeting(mechanism), ignore));
        CHECK(peer.problem().find(mechanism) != std::string::npos);
    }
    ZmtpPeer other("SUB", 1000);
    CHECK(!other.feed(view(std::string(64, 'H')), ignore));
}

void ping() {
    ZmtpPeer peer("SUB", 1000);
    const ZmtpPeer::OnMessage ignore = [](ByteView) {};
    Bytes in = greeting("NULL");
    for (const char c : {'\4', '\6', '\5', 'R', 'E', 'A', 'D', 'Y'}) in.push_back(uint8_t(c));
    for (const char c : {'\4', '\x9', '\4', 'P', 'I', 'N', 'G', '\0', '\1', 'c', 'd'}) {
        in.push_back(uint8_t(c));
    }
    CHECK(peer.feed(in, ignore) && peer.ready());
    const ByteView out = peer.output();
    const std::string sent(reinterpret_cast<const char*>(out.data), out.size);
    CHECK(sent.find(std::string("\4PONG") + "cd") != std::string::npos);
}

// One thread writes numbers, the other reads them: never torn, never older than before.
void triple() {
    struct Pair {
        uint64_t a = 0, b = 0;
    };
    TripleBuffer<Pair> buffer;
    constexpr uint64_t LAST = 200000;
    std::thread writer([&] {
        for (uint64_t i = 1; i <= LAST; ++i) {
            buffer.back().a = buffer.back().b = i;
            buffer.publish();
        }
    });
    uint64_t before = 0;
    while (before < LAST) {
        if (!buffer.take()) continue;
        CHECK(buffer.front().a == buffer.front().b && buffer.front().a > before);
        before = buffer.front().a;
    }
    writer.join();
    CHECK(!buffer.take());
}

Bytes message(Kind kind, uint32_t seq, size_t payload) {
    Message made;
    std::strcpy(made.header.session, "0123456789abcdef");
    made.header.kind = kind;
    made.header.seq = seq;
    made.header.width = made.header.height = 2;
    const Bytes body(payload, 7);
    made.payload = body;
    Bytes out;
    writeMessage(made, out);
    return out;
}

void frames() {
    FrameDecoder shown;
    std::string note;
    shown.expect(true, true);
    CHECK(shown.feed(message(Kind::Rgba8, 5, 16), note) && !shown.takePicture());
    CHECK(shown.feed(message(Kind::Depth, 5, 16), note) && shown.takePicture());
    CHECK(shown.picture().header.seq == 5 && shown.picture().depth.size() == 4);
    CHECK(shown.feed(message(Kind::Rgba8, 6, 16), note));
    CHECK(shown.feed(message(Kind::Depth, 9, 16), note) && !shown.takePicture());
    CHECK(shown.feed(message(Kind::Rgba8, 9, 16), note) && shown.takePicture());
    CHECK(shown.feed(message(Kind::Rgba8, 10, 15), note) && !note.empty());
    CHECK(!shown.feed(message(Kind::End, 0, 3), note) && note == "\7\7\7");
    const FrameCounts counts = shown.counts();
    CHECK(counts.pictures == 2 && counts.missed == 2);
    CHECK(counts.incomplete == 1 && counts.refused == 1);
}

void halves() {
    CHECK(halfToFloat(0x3c00) == 1.0f && halfToFloat(0xc000) == -2.0f);
    CHECK(halfToFloat(0x0001) == std::ldexp(1.0f, -24) && halfToFloat(0x8000) == 0.0f);
    CHECK(halfToFloat(0x7bff) == 65504.0f && std::isinf(halfToFloat(0x7c00)));
    for (uint32_t half = 0; half < 0x7c00; ++half) {
        CHECK(floatToHalf(halfToFloat(uint16_t(half))) == half);
        CHECK(floatToHalf(-halfToFloat(uint16_t(half))) == (half | 0x8000));
    }
    CHECK(floatToHalf(1e9f) == 0x7c00 && floatToHalf(65519.0f) == 0x7bff);
    CHECK(arkitIndex("jawOpen") == 17 && arkitIndex("JawOpen") == 17 && arkitIndex("jaw") == -1);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "golden" && argc == 4) {
        goldenFrames(argv[2], argv[3]);
        goldenSplats(argv[2], argv[3]);
        goldenDrives(argv[2], argv[3]);
    } else if (what == "axes") {
        axes();
    } else if (what == "camera") {
        camera();
    } else if (what == "parts") {
        json(), http(), zmtp(), ping(), triple(), frames(), halves();
    } else {
        return 2;
    }
    return 0;
}
