#include "FlexAvatar/Http.h"

#include <algorithm>
#include <cstdlib>

namespace flexavatar {
namespace {

constexpr size_t LONGEST_HEAD = 64 << 10, LONGEST_BODY = 16 << 20;
constexpr Seconds SLICE{0.05};  // how late a stop is noticed

std::string lower(std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
    return text;
}

// A header's value, "" without one. `head` is in lower case, its lines end with \r\n.
std::string header(const std::string& head, const std::string& name) {
    const size_t at = head.find("\r\n" + name + ":");
    if (at == std::string::npos) return "";
    const size_t start = head.find_first_not_of(" \t", at + name.size() + 3);
    const size_t end = head.find("\r\n", at + 2);
    return start < end ? head.substr(start, end - start) : "";
}

bool parseSize(const std::string& text, int base, size_t& out) {
    char* stop = nullptr;
    const char first = text.empty() ? ' ' : text[0];
    const bool digit = (first >= '0' && first <= '9') || (base == 16 && first >= 'a' && first <= 'f');
    const unsigned long long value = std::strtoull(text.c_str(), &stop, base);
    out = size_t(value);
    return digit && text.size() <= 16 && (*stop == 0 || *stop == ';') && value <= LONGEST_BODY;
}

std::string request(const HttpRequest& call) {
    const bool six = call.to.host.find(':') != std::string::npos;
    std::string out = "POST " + call.path + " HTTP/1.1\r\nHost: ";
    out += (six ? "[" + call.to.host + "]" : call.to.host) + ":" + std::to_string(call.to.port);
    out += "\r\nContent-Type: application/json\r\nAccept-Encoding: identity\r\n";
    if (!call.token.empty()) out += "Authorization: Bearer " + call.token + "\r\n";
    out += "Connection: close\r\nContent-Length: " + std::to_string(call.body.size()) + "\r\n\r\n";
    return out + call.body;
}

}  // namespace

bool HttpResponse::fail(const char* why) {
    state_ = State::Broken;
    problem_ = why;
    return false;
}

bool HttpResponse::line(std::string& out) {
    const size_t end = in_.find("\r\n");
    if (end == std::string::npos) return false;
    out = in_.substr(0, end);
    in_.erase(0, end + 2);
    return true;
}

bool HttpResponse::readHead() {
    const size_t end = in_.find("\r\n\r\n");
    const std::string head = lower(in_.substr(0, end + 2));
    in_.erase(0, end + 4);
    if (head.compare(0, 7, "http/1.") != 0 || head.size() < 14) return fail("no HTTP answers there");
    status = std::atoi(head.c_str() + 9);
    if (status >= 100 && status < 200) return true;  // of a body still to be sent
    const std::string length = header(head, "content-length");
    if (header(head, "transfer-encoding").find("chunked") != std::string::npos) {
        state_ = State::ChunkSize;
    } else if (length.empty()) {
        state_ = State::Unsized;
    } else if (parseSize(length, 10, left_)) {
        state_ = left_ ? State::Sized : State::Complete;
    } else {
        return fail("an answer too long");
    }
    return true;
}

bool HttpResponse::readChunkSize() {
    std::string size;
    if (!line(size)) return true;
    if (!parseSize(lower(size), 16, left_)) return fail("no size of a chunk");
    state_ = left_ ? State::Chunk : State::Trailer;
    return true;
}

bool HttpResponse::step(bool& moved) {
    const State before = state_;
    const size_t waiting = in_.size();
    std::string text;
    switch (state_) {
        case State::Head:
            if (in_.size() > LONGEST_HEAD) return fail("a head too long");
            if (in_.find("\r\n\r\n") != std::string::npos && !readHead()) return false;
            break;
        case State::ChunkSize:
            if (!readChunkSize()) return false;
            break;
        case State::Sized:
        case State::Unsized:
        case State::Chunk: {
            const size_t size = state_ == State::Unsized ? in_.size() : std::min(left_, in_.size());
            if (body.size() + size > LONGEST_BODY) return fail("an answer too long");
            body.append(in_, 0, size);
            in_.erase(0, size);
            if (state_ == State::Unsized) break;
            left_ -= size;
            if (!left_) state_ = state_ == State::Sized ? State::Complete : State::ChunkEnd;
            break;
        }
        case State::ChunkEnd:
            if (!line(text)) break;
            if (!text.empty()) return fail("a chunk longer than it says");
            state_ = State::ChunkSize;
            break;
        case State::Trailer:
            if (line(text) && text.empty()) state_ = State::Complete;
            break;
        case State::Complete:
        case State::Broken: break;
    }
    moved = state_ != before || in_.size() != waiting;
    return true;
}

bool HttpResponse::feed(ByteView bytes) {
    if (state_ == State::Broken) return false;
    in_.append(reinterpret_cast<const char*>(bytes.data), bytes.size);
    for (bool moved = true; moved && !complete();) {
        if (!step(moved)) return false;
    }
    return in_.size() <= LONGEST_BODY || fail("an answer too long");
}

bool HttpResponse::ended() {
    if (state_ == State::Unsized) state_ = State::Complete;
    return complete() || fail("the server hung up");
}

bool post(const HttpRequest& call, const std::atomic<bool>& stop, HttpResponse& out,
          std::string& problem) {
    TcpSocket socket;
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(call.timeout);
    if (!socket.connect(call.to, call.timeout, stop, problem)) return false;
    const std::string asked = request(call);
    size_t sent = 0;
    uint8_t piece[16384];
    while (!out.complete()) {
        if (stop || Clock::now() > deadline) {
            problem = stop ? "stopped" : "no answer came in time";
            return false;
        }
        const PollEntry one{&socket, sent < asked.size()};
        waitFor(&one, 1, nullptr, SLICE);
        size_t moved = 0;
        const uint8_t* rest = reinterpret_cast<const uint8_t*>(asked.data()) + sent;
        if (one.toWrite && socket.write({rest, asked.size() - sent}, moved) != Io::Closed) {
            sent += moved;
        }
        const Io io = socket.read(piece, sizeof piece, moved);
        const bool fine = io == Io::Closed ? out.ended() : out.feed({piece, moved});
        if (!fine) {
            problem = out.problem();
            return false;
        }
    }
    return true;
}

}  // namespace flexavatar
