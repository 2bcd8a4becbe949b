// TCP that never blocks for long, on Windows and POSIX.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "FlexAvatar/Bytes.h"

namespace flexavatar {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

inline uint64_t nowNs() {
    using std::chrono::nanoseconds;
    const auto since = Clock::now().time_since_epoch();
    return uint64_t(std::chrono::duration_cast<nanoseconds>(since).count());
}

struct Endpoint {
    std::string host;
    uint16_t port = 0;
};
// "tcp://127.0.0.1:5556", "tcp://[::1]:5556" or the same without "tcp://".
FLEXAVATARCORE_API bool parseEndpoint(const std::string& text, Endpoint& out);

enum class Io { Done, Later, Closed };

class FLEXAVATARCORE_API TcpSocket {
public:
    TcpSocket() = default;
    ~TcpSocket() { close(); }
    TcpSocket(const TcpSocket&) = delete;
    TcpSocket& operator=(const TcpSocket&) = delete;

    // Waits at most `timeout`, or until `stop`. False, and why.
    bool connect(const Endpoint& to, Seconds timeout, const std::atomic<bool>& stop,
                 std::string& problem);
    Io read(uint8_t* into, size_t room, size_t& got);
    Io write(ByteView bytes, size_t& sent);
    void close();
    bool open() const { return handle_ != NONE; }
    intptr_t handle() const { return handle_; }

private:
    static constexpr intptr_t NONE = -1;
    intptr_t handle_ = NONE;
};

// Wakes a thread that waits: a UDP socket that sends to itself, which works everywhere.
class FLEXAVATARCORE_API Waker {
public:
    Waker();
    ~Waker();
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;

    void wake();
    void drain();
    intptr_t handle() const { return handle_; }

private:
    intptr_t handle_ = -1;
};

struct PollEntry {
    const TcpSocket* socket;
    bool toWrite;
};
// Until a socket can be read (or written, if asked), the waker wakes, or `timeout` is over.
FLEXAVATARCORE_API void waitFor(const PollEntry* sockets, int count, const Waker* waker,
                                Seconds timeout);

}  // namespace flexavatar
