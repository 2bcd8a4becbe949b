#include "FlexAvatar/Net.h"

#include "Platform.h"

namespace flexavatar {
namespace {

constexpr Seconds SLICE{0.05};  // how late a stop is noticed
constexpr int MOST_WAITING = 4;

Native native(intptr_t handle) { return Native(handle); }

bool setUp(Native made) {
    const int one = 1;
    const char* value = reinterpret_cast<const char*>(&one);
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, value, sizeof one);
    setsockopt(made, SOL_SOCKET, SO_KEEPALIVE, value, sizeof one);
    noSignal(made);
    return dontBlock(made);
}

// Whether a connection under way has come about.
bool isConnected(Native socket) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket, SOL_SOCKET, SO_ERROR, reinterpret_cast<char*>(&error), &size);
    return error == 0;
}

bool waitConnected(Native socket, Clock::time_point deadline, const std::atomic<bool>& stop) {
    while (!stop && Clock::now() < deadline) {
        pollfd one{};
        one.fd = socket;
        one.events = POLLOUT;
        if (pollSockets(&one, 1, int(1000 * SLICE.count())) > 0) return isConnected(socket);
    }
    return false;
}

}  // namespace

bool parseEndpoint(const std::string& text, Endpoint& out) {
    const std::string rest = text.compare(0, 6, "tcp://") == 0 ? text.substr(6) : text;
    const size_t colon = rest.rfind(':');
    if (colon == std::string::npos || colon == 0) return false;
    const std::string digits = rest.substr(colon + 1);
    if (digits.empty() || digits.size() > 5) return false;
    uint32_t port = 0;
    for (const char c : digits) {
        if (c < '0' || c > '9') return false;
        port = 10 * port + uint32_t(c - '0');
    }
    if (port < 1 || port > 65535) return false;
    out.port = uint16_t(port);
    out.host = rest.substr(0, colon);
    if (out.host.front() == '[' && out.host.back() == ']' && out.host.size() > 2) {
        out.host = out.host.substr(1, out.host.size() - 2);
    }
    return true;
}

bool TcpSocket::connect(const Endpoint& to, Seconds timeout, const std::atomic<bool>& stop,
                        std::string& problem) {
    close();
    startSockets();
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(timeout);
    addrinfo wanted{}, *found = nullptr;
    wanted.ai_socktype = SOCK_STREAM;
    const std::string port = std::to_string(to.port);
    if (getaddrinfo(to.host.c_str(), port.c_str(), &wanted, &found) != 0) {
        problem = "no address of " + to.host + " is known";
        return false;
    }
    for (addrinfo* at = found; at && !open(); at = at->ai_next) {
        const Native made = ::socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (!isSocket(made)) continue;
        bool done = setUp(made) && ::connect(made, at->ai_addr, socklen_t(at->ai_addrlen)) == 0;
        done = done || (isUnderWay() && waitConnected(made, deadline, stop));
        if (done) {
            handle_ = intptr_t(made);
        } else {
            closeSocket(made);
        }
    }
    freeaddrinfo(found);
    if (!open()) problem = "nobody answers at " + to.host + ":" + port;
    return open();
}

Io TcpSocket::read(uint8_t* into, size_t room, size_t& got) {
    const auto count = ::recv(native(handle_), reinterpret_cast<char*>(into), RecvSize(room), 0);
    got = count > 0 ? size_t(count) : 0;
    if (count > 0) return Io::Done;
    return count < 0 && isLater() ? Io::Later : Io::Closed;
}

Io TcpSocket::write(ByteView bytes, size_t& sent) {
    const char* from = reinterpret_cast<const char*>(bytes.data);
    const auto count = ::send(native(handle_), from, RecvSize(bytes.size), SEND_FLAGS);
    sent = count > 0 ? size_t(count) : 0;
    if (count >= 0) return Io::Done;
    return isLater() ? Io::Later : Io::Closed;
}

void TcpSocket::close() {
    if (open()) closeSocket(native(handle_));
    handle_ = NONE;
}

Waker::Waker() {
    startSockets();
    const Native made = ::socket(AF_INET, SOCK_DGRAM, 0);
    if (!isSocket(made)) return;
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof own;
    sockaddr* address = reinterpret_cast<sockaddr*>(&own);
    const bool done = ::bind(made, address, size) == 0 && getsockname(made, address, &size) == 0 &&
                      ::connect(made, address, size) == 0 && dontBlock(made);
    if (done) {
        handle_ = intptr_t(made);
    } else {
        closeSocket(made);
    }
}

Waker::~Waker() {
    if (handle_ != -1) closeSocket(native(handle_));
}

void Waker::wake() {
    if (handle_ != -1) (void)::send(native(handle_), "!", 1, SEND_FLAGS);
}

void Waker::drain() {
    char rest[64];
    while (handle_ != -1 && ::recv(native(handle_), rest, sizeof rest, 0) > 0) {
    }
}

void waitFor(const PollEntry* sockets, int count, const Waker* waker, Seconds timeout) {
    pollfd all[MOST_WAITING + 1] = {};
    unsigned int used = 0;
    for (int i = 0; i < count && i < MOST_WAITING; ++i) {
        if (!sockets[i].socket->open()) continue;
        all[used].fd = native(sockets[i].socket->handle());
        all[used++].events = short(POLLIN | (sockets[i].toWrite ? POLLOUT : 0));
    }
    if (waker && waker->handle() != -1) {
        all[used].fd = native(waker->handle());
        all[used++].events = POLLIN;
    }
    const int milliseconds = int(1000 * timeout.count());
    pollSockets(all, used, milliseconds < 1 ? 1 : milliseconds);
}

}  // namespace flexavatar
