// What an AvatarLink shares with its thread, and the thread: one session after another, for as long
// as one is wanted. The thread holds it alive, so a link may go without waiting for it.
#pragma once

#include "FlexAvatar/AvatarLink.h"

namespace flexavatar {

class AvatarLinkWorker : public std::enable_shared_from_this<AvatarLinkWorker> {
public:
    // The game's side. Nothing waits longer than for a lock.
    void start(const LinkConfig& config);
    void stop();
    void drive(const Signal& signal);
    void post(EventKind kind, const std::string& text);
    bool nextEvent(Event& out);
    // Whether a frame shows a signal of this link, so that its latency can be told.
    bool isOwn(uint64_t ptsNs) const;
    void addStats(LinkStats& stats) const;
    Session session() const;

    FrameDecoder received;

private:
    void run();
    bool takeWanted();
    void serve();
    void follow(const ServiceClient& service, const Session& session);
    std::string stream(const Session& session);
    bool sendNewest(const Session& session, class ZmtpConnection& drives);
    void setConnected(bool connected, const std::string& why);
    void fail(const std::string& text);
    void add(EventKind kind, const std::string& text);
    void disconnect(const std::string& why);
    void pause(Seconds time);
    Seconds nextRetry();
    uint64_t lastDrivenPts() const;

    std::unique_ptr<Waker> waker_;  // from the first start on
    std::atomic<bool> changed_{false};  // what is wanted: the thread drops what it does

    mutable std::mutex mutex_;  // of what follows
    std::unique_ptr<LinkConfig> wanted_;  // none: stopped
    bool running_ = false;                // the thread
    std::deque<Event> events_;
    Signal unsent_, lastDriven_;  // to be sent; all that was ever driven
    Session session_;
    std::string lastFailure_;
    uint64_t driven_ = 0, connections_ = 0, firstPts_ = 0, lastPts_ = 0;
    bool connected_ = false;

    LinkConfig config_;  // the thread's own
    Seconds retry_{0};
    uint32_t seq_ = 0;
    bool ended_ = false;
};

}  // namespace flexavatar
