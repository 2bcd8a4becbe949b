// What a Link shares with its thread, and the thread: one session after another, for as long as one
// is wanted. The thread holds it alive, so a Link may go without waiting for it.
#pragma once

#include "FlexAvatar/Link.h"

namespace flexavatar {

class LinkWorker : public std::enable_shared_from_this<LinkWorker> {
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

    Frames received;

private:
    void run();
    bool takeWanted();
    void serve();
    void follow(const Calls& calls, const Session& session);
    std::string stream(const Session& session);
    bool sendNewest(const Session& session, class Pipe& pipe);
    void setConnected(bool connected, const std::string& why);
    void fail(const std::string& text);
    void add(EventKind kind, const std::string& text);
    void disconnect(const std::string& why);
    void pause(Seconds time);
    Seconds nextRetry();
    uint64_t knownPts() const;

    std::unique_ptr<Waker> waker_;  // from the first start on
    std::atomic<bool> changed_{false};  // what is wanted: the thread drops what it does

    mutable std::mutex mutex_;  // of what follows
    std::unique_ptr<LinkConfig> wanted_;  // none: stopped
    bool running_ = false;                // the thread
    std::deque<Event> events_;
    Signal next_, known_;  // to be sent; all that was ever said
    Session session_;
    std::string lastFailure_;
    uint64_t driven_ = 0, connections_ = 0, firstPts_ = 0, lastPts_ = 0;
    bool connected_ = false;

    LinkConfig config_;  // the thread's own
    Seconds retry_{0};
    uint32_t seq_ = 0;
    bool over_ = false;
};

}  // namespace flexavatar
