#include "LinkWorker.h"

#include <algorithm>

#include "Pipe.h"
#include "Threads.h"

namespace flexavatar {
namespace {

constexpr size_t LONGEST_MESSAGE = HEADER_BYTES + (size_t(1) << 28);
constexpr size_t MOST_EVENTS = 64;
constexpr Seconds CONNECT{3}, GOODBYE{0.5}, SLICE{0.05};

// Newest wins, part by part; a new face without a head holds it straight.
void merge(const Signal& from, Signal& into) {
    Signal merged = from;
    merged.parts = uint16_t(into.parts | from.parts);
    if (!(from.parts & PART_ARKIT)) {
        std::copy(into.weights, into.weights + ARKIT_COUNT, merged.weights);
    } else if (!(from.parts & PART_HEAD)) {
        merged.parts = uint16_t(merged.parts & ~PART_HEAD);
    }
    if (!(from.parts & PART_HEAD)) {
        std::copy(into.neckPose, into.neckPose + 3, merged.neckPose);
        std::copy(into.globalOrient, into.globalOrient + 3, merged.globalOrient);
        std::copy(into.transl, into.transl + 3, merged.transl);
    }
    if (!(from.parts & PART_ORBIT)) {
        merged.yawDeg = into.yawDeg;
        merged.pitchDeg = into.pitchDeg;
    }
    if (!(from.parts & PART_MORPH)) merged.morph = into.morph;
    into = merged;
}

void subscribe(const SessionPlan& plan, const Session& session, ZmtpPeer& peer) {
    std::vector<Kind> kinds{Kind::End};
    if (plan.picture) kinds.push_back(plan.jpeg ? Kind::Jpeg : Kind::Rgba8);
    if (plan.depth) kinds.push_back(Kind::Depth);
    if (plan.splats) kinds.insert(kinds.end(), {Kind::SplatsKey, Kind::SplatsDelta});
    for (const Kind kind : kinds) peer.subscribe(kindTopic(session.topic, kind));
}

// Goes first when nobody takes events: what became of an avatar must be heard.
bool isOfConnection(const Event& event) {
    return event.kind == EventKind::Connected || event.kind == EventKind::Disconnected;
}

}  // namespace

void LinkWorker::start(const LinkConfig& config) {
    if (!waker_) waker_ = std::make_unique<Waker>();
    bool idle = false;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        disconnect("stopped");
        lastFailure_.clear();
        wanted_ = std::make_unique<LinkConfig>(config);
        changed_ = true;
        idle = !running_;
        running_ = true;
    }
    waker_->wake();
    const auto self = shared_from_this();
    const std::weak_ptr<LinkWorker> other = self;
    const auto end = [other] {
        if (const auto worker = other.lock()) worker->stop();
    };
    if (idle) launch([self] { self->run(); }, end);
}

void LinkWorker::stop() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        disconnect("stopped");
        wanted_.reset();
        changed_ = true;
    }
    if (waker_) waker_->wake();
}

// The lock is held.
void LinkWorker::add(EventKind kind, const std::string& text) {
    events_.push_back({kind, text});
    if (events_.size() <= MOST_EVENTS) return;
    const auto oldest = std::find_if(events_.begin(), events_.end(), isOfConnection);
    events_.erase(oldest == events_.end() ? events_.begin() : oldest);
}

// The lock is held.
void LinkWorker::disconnect(const std::string& why) {
    if (connected_) add(EventKind::Disconnected, why);
    connected_ = false;
}

void LinkWorker::post(EventKind kind, const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    add(kind, text);
}

void LinkWorker::fail(const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (text == lastFailure_ || changed_) return;  // said already, or of no interest any more
    lastFailure_ = text;
    add(EventKind::Failed, text);
}

bool LinkWorker::nextEvent(Event& out) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (events_.empty()) return false;
    out = std::move(events_.front());
    events_.pop_front();
    return true;
}

void LinkWorker::setConnected(bool connected, const std::string& why) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (connected == connected_ || changed_) return;
    if (!connected) return disconnect(why);
    connected_ = true;
    ++connections_;
    lastFailure_.clear();
    add(EventKind::Connected, why);
}

Seconds LinkWorker::nextRetry() {
    retry_ = std::min(std::max(config_.retryFirst, 2 * retry_), config_.retryLast);
    return retry_;
}

void LinkWorker::pause(Seconds time) {
    const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
    while (!changed_ && Clock::now() < until) waitFor(nullptr, 0, nullptr, SLICE);
}

void LinkWorker::run() {
    while (takeWanted()) serve();
}

bool LinkWorker::takeWanted() {
    const std::lock_guard<std::mutex> lock(mutex_);
    changed_ = false;
    running_ = wanted_ != nullptr;
    if (running_) config_ = *wanted_;
    return running_;
}

void LinkWorker::serve() {
    const Calls calls(config_.server, config_.token);
    retry_ = Seconds(0);
    while (!changed_) {
        Session session;
        CallError error;
        if (!calls.startSession(config_.plan, changed_, session, error)) {
            fail(error.message);
            pause(nextRetry());
            continue;
        }
        if (!config_.frameAddress.empty()) session.frameAddress = config_.frameAddress;
        if (!config_.driveAddress.empty()) session.driveAddress = config_.driveAddress;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            session_ = session;
        }
        seq_ = 0;
        received.expect(config_.plan.picture, config_.plan.depth);
        follow(calls, session);
    }
}

void LinkWorker::follow(const Calls& calls, const Session& session) {
    over_ = false;
    while (!changed_) {
        const std::string why = stream(session);
        if (changed_) break;
        setConnected(false, why);
        fail(why);
        if (over_) return;
        CallError error;
        do {
            pause(nextRetry());
        } while (!changed_ && !calls.isAlive(session, knownPts(), changed_, error) && !error.answered);
        if (error.answered && !error.message.empty()) return;  // it is gone: another is started
    }
    calls.endSession(session, GOODBYE);
}

uint64_t LinkWorker::knownPts() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return known_.ptsNs;
}

std::string LinkWorker::stream(const Session& session) {
    Pipe frames("SUB", LONGEST_MESSAGE), drives("PUSH", 4096);
    if (session.encrypted) return "the server's frames are encrypted, which is not spoken here";
    if (!frames.connect(session.frameAddress, CONNECT, changed_)) return frames.problem();
    if (!drives.connect(session.driveAddress, CONNECT, changed_)) return drives.problem();
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        merge(next_, known_);
        next_ = known_;  // a new session knows nothing of it, an old one may have missed it
    }
    std::string note;
    bool subscribed = false;
    auto heardAt = Clock::now();
    const ZmtpPeer::OnMessage onMessage = [&](ByteView message) {
        if (changed_) return;
        over_ = over_ || !received.feed(message, note);
        if (over_) return;
        retry_ = Seconds(0);
        setConnected(true, session.id);
    };
    while (!changed_) {
        const Waiting both[] = {frames.waiting(), drives.waiting()};
        waitFor(both, 2, waker_.get(), SLICE);
        waker_->drain();
        if (!drives.pump([](ByteView) {})) return drives.problem();
        if (!sendNewest(session, drives)) return drives.problem();
        if (!frames.pump(onMessage)) return frames.problem();
        if (over_) return note;
        if (frames.peer().ready() && !subscribed) {
            subscribe(config_.plan, session, frames.peer());
            subscribed = frames.flush();
        }
        if (frames.heard()) heardAt = Clock::now();
        if (Clock::now() - heardAt > config_.stall) return "the network is silent";
    }
    return "stopped";
}

bool LinkWorker::sendNewest(const Session& session, Pipe& pipe) {
    if (!pipe.peer().ready() || pipe.sending()) return true;  // the newest waits here
    DrivePacket packet;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!next_.parts) return true;
        packet.signal = next_;
        merge(next_, known_);
        next_.parts = 0;
        ++driven_;
    }
    packet.seq = ++seq_;
    std::memcpy(packet.session, session.id.data(), SESSION_CHARS);
    std::memcpy(packet.token, session.token.data(), TOKEN_CHARS);
    uint8_t bytes[PACKET_BYTES];
    packDrive(packet, bytes);
    pipe.peer().send({bytes, PACKET_BYTES});
    return pipe.flush();
}

void LinkWorker::drive(const Signal& signal) {
    Signal timed = signal;
    if (!timed.ptsNs) timed.ptsNs = nowNs();
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        merge(timed, next_);
        if (!firstPts_) firstPts_ = timed.ptsNs;
        lastPts_ = timed.ptsNs;
    }
    if (waker_) waker_->wake();
}

bool LinkWorker::isOwn(uint64_t ptsNs) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return firstPts_ && ptsNs >= firstPts_ && ptsNs <= lastPts_;
}

void LinkWorker::addStats(LinkStats& stats) const {
    stats.frames = received.counts();
    const std::lock_guard<std::mutex> lock(mutex_);
    stats.driven = driven_;
    stats.connections = connections_;
    stats.connected = connected_;
}

Session LinkWorker::session() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return session_;
}

}  // namespace flexavatar
