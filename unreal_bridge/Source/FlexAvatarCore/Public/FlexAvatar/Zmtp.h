// ZeroMQ's wire protocol, ZMTP 3.0 (rfc.zeromq.org/spec/23), one peer with the NULL mechanism.
// No sockets here: bytes in, bytes out. CURVE is not spoken: a server that asks for it is refused.
#pragma once

#include <functional>
#include <string>

#include "FlexAvatar/Bytes.h"

namespace flexavatar {

class FLEXAVATARCORE_API ZmtpPeer {
public:
    using OnMessage = std::function<void(ByteView)>;

    // `type` is what this end is: "SUB" or "PUSH". Longer messages than `longest` are refused.
    ZmtpPeer(const char* type, size_t longest);

    // Takes what came; every whole message is handed on. False, and why in problem(), once broken.
    bool feed(ByteView bytes, const OnMessage& onMessage);
    // Whether messages may be sent: the handshake is over.
    bool ready() const { return state_ == State::Ready; }
    void send(ByteView message) { frame(0, message); }
    void subscribe(ByteView topic);

    // What is to be sent next, and how much of it was.
    ByteView output() const { return ByteView(out_).from(sent_); }
    void markSent(size_t bytes);

    const std::string& problem() const { return problem_; }

private:
    enum class State { Greeting, Handshake, Ready, Broken };

    bool fail(std::string why);
    void frame(uint8_t flags, ByteView body);
    bool readGreeting();
    // Size of a frame's head at the start of these bytes; 0 if more is needed.
    size_t readHead(ByteView bytes, uint8_t& flags, uint64_t& size) const;
    bool takeFrame(uint8_t flags, ByteView body, const OnMessage& onMessage);
    bool takeCommand(ByteView body);

    State state_ = State::Greeting;
    std::string type_, problem_;
    size_t longest_, sent_ = 0;
    Bytes in_, out_;
};

}  // namespace flexavatar
