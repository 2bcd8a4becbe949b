// What Windows and POSIX call differently about sockets.
#pragma once

#if defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <cerrno>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

namespace flexavatar {

#if defined(_WIN32)

using Native = SOCKET;
inline int RecvSize(size_t size) { return int(size > 1u << 30 ? 1u << 30 : size); }
constexpr int SEND_FLAGS = 0;

struct Winsock {
    Winsock() { WSAStartup(MAKEWORD(2, 2), &data); }
    ~Winsock() { WSACleanup(); }
    WSADATA data;
};
inline void startSockets() { static Winsock winsock; }
inline bool isSocket(Native socket) { return socket != INVALID_SOCKET; }
inline void closeSocket(Native socket) { closesocket(socket); }
inline bool isLater() { return WSAGetLastError() == WSAEWOULDBLOCK; }
inline bool isUnderWay() { return isLater(); }
inline int pollSockets(pollfd* all, unsigned int count, int milliseconds) {
    return WSAPoll(all, count, milliseconds);
}
inline bool dontBlock(Native socket) {
    u_long on = 1;
    return ioctlsocket(socket, FIONBIO, &on) == 0;
}
inline void noSignal(Native) {}

#else

using Native = int;
inline size_t RecvSize(size_t size) { return size; }
#if defined(MSG_NOSIGNAL)
constexpr int SEND_FLAGS = MSG_NOSIGNAL;
#else
constexpr int SEND_FLAGS = 0;
#endif

inline void startSockets() {}
inline bool isSocket(Native socket) { return socket >= 0; }
inline void closeSocket(Native socket) { ::close(socket); }
inline bool isLater() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }
inline bool isUnderWay() { return errno == EINPROGRESS; }
inline int pollSockets(pollfd* all, unsigned int count, int milliseconds) {
    return ::poll(all, count, milliseconds);
}
inline bool dontBlock(Native socket) {
    return fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK) == 0;
}
inline void noSignal(Native socket) {
#if defined(SO_NOSIGPIPE)
    const int one = 1;
    setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
#else
    (void)socket;
#endif
}

#endif

}  // namespace flexavatar
