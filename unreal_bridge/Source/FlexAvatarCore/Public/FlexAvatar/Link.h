// A session, kept up by a thread of its own: started over HTTP, driven and read over ZeroMQ,
// and started anew when the server or the network comes back.
#pragma once

#include <deque>
#include <memory>
#include <thread>

#include "FlexAvatar/Calls.h"
#include "FlexAvatar/DrivePacket.h"
#include "FlexAvatar/Frames.h"

namespace flexavatar {

struct LinkConfig {
    Endpoint server{"127.0.0.1", 50052};  // of `flexavatar serve --http-port`
    std::string token;                    // of the server, if it asks for one
    SessionPlan plan;
    std::string frameAddress, driveAddress;  // through a tunnel; empty: as the server says
    Seconds stall{3};                     // without a message: something is wrong
    Seconds retryFirst{0.25}, retryLast{5};
};

enum class EventKind { Connected, Disconnected, AvatarReady, Failed };

struct Event {
    EventKind kind = EventKind::Failed;
    std::string text;  // why, or the new avatar's name
};

struct LinkStats {
    FrameCounts frames;
    uint64_t driven = 0;       // packets sent
    uint64_t connections = 0;  // that brought frames
    bool connected = false;
    double latencyP50Ms = 0, latencyP99Ms = 0;  // drive to taken, of the last 256 frames
};

// All calls are for one thread, the game's. None of them waits, but `stop` a moment.
class FLEXAVATARCORE_API Link {
public:
    Link() = default;
    ~Link() { stop(); }
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    void start(const LinkConfig& config);
    void stop();
    bool running() const { return thread_.joinable(); }

    // Shows this next: the newest wins. ptsNs 0 is now.
    void drive(const Signal& signal);
    // Makes an avatar; AvatarReady or Failed tell how it went. False while another is being made.
    bool createAvatar(const LinkConfig& config, NewAvatar avatar);

    bool nextEvent(Event& out);
    bool takePicture();
    const Picture& picture() { return frames_.picture(); }
    bool takeSplats(SplatBuffer& own);
    LinkStats stats() const;
    Session session() const;

private:
    void run();
    void follow(const Calls& calls, const Session& session);
    std::string stream(const Session& session);
    bool sendNewest(const Session& session, class Pipe& pipe);
    void setConnected(bool connected, const std::string& why);
    void post(EventKind kind, const std::string& text);
    void failed(const std::string& text);
    void pause(Seconds time);
    Seconds nextRetry();
    uint64_t knownPts() const;
    void measure(const Header& header);

    LinkConfig config_;
    Frames frames_;
    std::unique_ptr<Waker> waker_;  // from the first start on
    std::thread thread_, creating_;
    std::atomic<bool> stop_{false}, abandon_{false}, busy_{false};

    mutable std::mutex mutex_;  // of what follows
    std::deque<Event> events_;
    Signal next_, known_;       // to be sent; all that was ever said
    Session session_;
    std::string lastFailure_;
    uint64_t driven_ = 0, connections_ = 0, firstPts_ = 0, lastPts_ = 0;
    bool connected_ = false;

    Seconds retry_{0};          // the thread's own
    uint32_t seq_ = 0;
    bool over_ = false;

    std::vector<double> latencies_;  // the game's own
    size_t latencyAt_ = 0;
};

}  // namespace flexavatar
