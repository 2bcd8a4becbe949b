// A session, kept up by a thread of its own: started over HTTP, driven and read over ZeroMQ,
// and started anew when the server or the network comes back.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "FlexAvatar/ServiceClient.h"
#include "FlexAvatar/DrivePacket.h"
#include "FlexAvatar/FrameDecoder.h"

namespace flexavatar {

struct LinkConfig {
    Endpoint server{"127.0.0.1", 50052};  // of `flexavatar serve --http-port`
    std::string token;                    // of the server, if it asks for one
    SessionRequest request;
    std::string frameAddress, driveAddress;  // through a tunnel; empty: as the server says
    Seconds stall{3};                     // without a message: something is wrong
    Seconds retryFirst{0.25}, retryLast{2};
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

// Reads an avatar's photos; false, and why. Called once, by the thread that makes the avatar.
using PhotoReader = std::function<bool(std::vector<Bytes>& photos, std::string& problem)>;

// All calls are for one thread, the game's. None of them waits: what takes time ends in threads.
class FLEXAVATARCORE_API AvatarLink {
public:
    AvatarLink();
    ~AvatarLink();
    AvatarLink(const AvatarLink&) = delete;
    AvatarLink& operator=(const AvatarLink&) = delete;

    // Shows what the config says from now on; what was shown before is told to end.
    void start(const LinkConfig& config);
    void stop();
    bool running() const { return running_; }

    // Shows this next: the newest wins. ptsNs 0 is now.
    void drive(const Signal& signal);
    // Makes an avatar, whether started, stopped or started anew: AvatarReady or Failed tell how it
    // went. False while another is being made. Its photos are what `read` gives.
    bool createAvatar(const LinkConfig& config, NewAvatar avatar, PhotoReader read);
    // Waits for that no longer, which Failed tells; the server may finish it.
    void abandonAvatar(const std::string& why);

    bool nextEvent(Event& out);
    bool takePicture();
    const Picture& picture();
    bool takeSplats(SplatBuffer& own);
    LinkStats stats() const;
    Session session() const;

private:
    struct Creation;

    void measureLatency(const Header& header);

    std::shared_ptr<class AvatarLinkWorker> worker_;  // its thread's as well
    std::shared_ptr<Creation> creation_;        // the last one
    bool running_ = false, hasPictures_ = false;
    std::vector<double> latencies_;
    size_t latencyAt_ = 0;
};

}  // namespace flexavatar
