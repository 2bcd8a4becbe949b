// One ZeroMQ connection over TCP.
#pragma once

#include "FlexAvatar/Net.h"
#include "FlexAvatar/Zmtp.h"

namespace flexavatar {

class ZmtpConnection {
public:
    ZmtpConnection(const char* type, size_t longest) : peer_(type, longest), piece_(256 << 10) {}

    bool connect(const std::string& address, Seconds timeout, const std::atomic<bool>& stop) {
        Endpoint to;
        if (!parseEndpoint(address, to)) return fail("no address: " + address);
        return socket_.connect(to, timeout, stop, problem_);
    }

    // Reads what has come and writes what can be; false, and why in problem(), once it is over.
    bool pump(const ZmtpPeer::OnMessage& onMessage) {
        size_t got = 0;
        for (int i = 0; i < MOST_READS; ++i) {
            const Io io = socket_.read(piece_.data(), piece_.size(), got);
            if (io == Io::Later) break;
            if (io == Io::Closed) return fail("the server hung up");
            heard_ = true;
            if (!peer_.feed({piece_.data(), got}, onMessage)) return fail(peer_.problem());
        }
        return flush();
    }

    bool flush() {
        size_t sent = 0;
        while (peer_.output().size) {
            const Io io = socket_.write(peer_.output(), sent);
            if (io == Io::Closed) return fail("the server hung up");
            if (io == Io::Later) break;
            peer_.markSent(sent);
        }
        return true;
    }

    // Whether something came since the last call.
    bool heard() {
        const bool before = heard_;
        heard_ = false;
        return before;
    }

    ZmtpPeer& peer() { return peer_; }
    bool sending() const { return peer_.output().size != 0; }
    PollEntry pollEntry() const { return {&socket_, sending()}; }
    const std::string& problem() const { return problem_; }

private:
    static constexpr int MOST_READS = 64;  // before others have their turn

    bool fail(const std::string& why) {
        problem_ = why;
        return false;
    }

    TcpSocket socket_;
    ZmtpPeer peer_;
    Bytes piece_;
    std::string problem_;
    bool heard_ = false;
};

}  // namespace flexavatar
