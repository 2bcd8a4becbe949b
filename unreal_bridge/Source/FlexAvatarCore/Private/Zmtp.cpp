#include "FlexAvatar/Zmtp.h"

namespace flexavatar {
namespace {

constexpr size_t GREETING_BYTES = 64, MECHANISM_AT = 12, MECHANISM_BYTES = 20;
constexpr uint8_t MORE = 1, LONG = 2, COMMAND = 4;
constexpr size_t LONGEST_COMMAND = 4096;

bool startsWith(ByteView bytes, const char* text, size_t size) {
    return bytes.size >= size && std::memcmp(bytes.data, text, size) == 0;
}

void append(Bytes& out, const void* data, size_t size) {
    const uint8_t* bytes = static_cast<const uint8_t*>(data);
    out.insert(out.end(), bytes, bytes + size);
}

// A name of a command or property: its length in a byte, then itself.
void appendName(Bytes& out, const std::string& name) {
    out.push_back(uint8_t(name.size()));
    append(out, name.data(), name.size());
}

Bytes readyCommand(const std::string& type) {
    Bytes body;
    appendName(body, "READY");
    appendName(body, "Socket-Type");
    const uint8_t size[4] = {0, 0, 0, uint8_t(type.size())};
    append(body, size, sizeof size);
    append(body, type.data(), type.size());
    return body;
}

std::string printable(ByteView bytes) {
    std::string text;
    for (size_t i = 0; i < bytes.size && i < 60; ++i) {
        if (bytes.data[i] >= 32 && bytes.data[i] < 127) text += char(bytes.data[i]);
    }
    return text;
}

}  // namespace

ZmtpPeer::ZmtpPeer(const char* type, size_t longest) : type_(type), longest_(longest) {
    out_.assign(GREETING_BYTES, 0);
    out_[0] = 0xff;
    out_[9] = 0x7f;
    out_[10] = 3;  // version 3.0
    std::memcpy(out_.data() + MECHANISM_AT, "NULL", 4);
}

bool ZmtpPeer::fail(std::string why) {
    state_ = State::Broken;
    problem_ = std::move(why);
    return false;
}

void ZmtpPeer::markSent(size_t bytes) {
    sent_ += bytes;
    if (sent_ == out_.size()) {
        out_.clear();
        sent_ = 0;
    }
}

void ZmtpPeer::subscribe(ByteView topic) {
    Bytes body(1, 1);  // 1: subscribe
    append(body, topic.data, topic.size);
    send(body);
}

void ZmtpPeer::frame(uint8_t flags, ByteView body) {
    if (body.size > 255) {
        out_.push_back(uint8_t(flags | LONG));
        for (int shift = 56; shift >= 0; shift -= 8) {
            out_.push_back(uint8_t(uint64_t(body.size) >> shift));
        }
    } else {
        out_.push_back(flags);
        out_.push_back(uint8_t(body.size));
    }
    append(out_, body.data, body.size);
}

bool ZmtpPeer::readGreeting() {
    const uint8_t* at = in_.data();
    if (at[0] != 0xff || !(at[9] & 1)) return fail("no ZeroMQ answers there");
    if (at[10] < 3) return fail("ZeroMQ there is older than version 4");
    char mechanism[MECHANISM_BYTES + 1] = {};
    std::memcpy(mechanism, at + MECHANISM_AT, MECHANISM_BYTES);
    if (std::string(mechanism) != "NULL") {
        return fail("the server wants " + printable({at + MECHANISM_AT, MECHANISM_BYTES}) +
                    ", which this client does not speak: use a tunnel to its loopback");
    }
    in_.erase(in_.begin(), in_.begin() + GREETING_BYTES);
    state_ = State::Handshake;
    frame(COMMAND, readyCommand(type_));
    return true;
}

size_t ZmtpPeer::readHead(ByteView bytes, uint8_t& flags, uint64_t& size) const {
    if (bytes.size < 2) return 0;
    flags = bytes.data[0];
    size = bytes.data[1];
    if (!(flags & LONG)) return 2;
    if (bytes.size < 9) return 0;
    size = 0;
    for (int i = 1; i < 9; ++i) size = size << 8 | bytes.data[i];
    return 9;
}

bool ZmtpPeer::takeCommand(ByteView body) {
    if (startsWith(body, "\5READY", 6)) {
        state_ = State::Ready;
        return true;
    }
    if (startsWith(body, "\5ERROR", 6)) return fail("refused: " + printable(body.from(6)));
    if (startsWith(body, "\4PING", 5) && body.size >= 7) {  // two bytes of time, then a context
        Bytes pong{4, 'P', 'O', 'N', 'G'};
        append(pong, body.data + 7, body.size - 7);
        frame(COMMAND, pong);
    }
    return true;  // others: of later versions
}

bool ZmtpPeer::takeFrame(uint8_t flags, ByteView body, const OnMessage& onMessage) {
    if (flags & COMMAND) return takeCommand(body);
    if (state_ != State::Ready) return fail("a message before the handshake's end");
    if (flags & MORE) return fail("a message of several parts");
    onMessage(body);
    return true;
}

bool ZmtpPeer::feed(ByteView bytes, const OnMessage& onMessage) {
    if (state_ == State::Broken) return false;
    append(in_, bytes.data, bytes.size);
    if (state_ == State::Greeting) {
        if (in_.size() < GREETING_BYTES) return true;
        if (!readGreeting()) return false;
    }
    size_t done = 0;
    while (true) {
        const ByteView left = ByteView(in_).from(done);
        uint8_t flags = 0;
        uint64_t size = 0;
        const size_t head = readHead(left, flags, size);
        if (!head) break;
        if (flags & ~(MORE | LONG | COMMAND)) return fail("a frame with unknown flags");
        if (size > (flags & COMMAND ? LONGEST_COMMAND : longest_)) return fail("a frame too long");
        if (left.size - head < size) {
            in_.reserve(done + head + size_t(size));
            break;
        }
        if (!takeFrame(flags, {left.data + head, size_t(size)}, onMessage)) return false;
        done += head + size_t(size);
    }
    in_.erase(in_.begin(), in_.begin() + ptrdiff_t(done));
    return true;
}

}  // namespace flexavatar
