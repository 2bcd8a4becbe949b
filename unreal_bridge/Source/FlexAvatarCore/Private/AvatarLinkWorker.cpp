#include "AvatarLinkWorker.h"

#include <algorithm>

#include "ZmtpConnection.h"
#include "Threads.h"

namespace flexavatar {
namespace {

constexpr size_t LONGEST_MESSAGE = HEADER_BYTES + (size_t(1) << 28);
constexpr size_t MOST_EVENTS = 64;
constexpr Seconds CONNECT{3}, GOODBYE{0.5}, SLICE{0.05};

// Newest wins, part by part; a new face without a head holds it straight.
void mergeSignal(const Signal& from, Signal& into) {
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

void subscribe(const SessionRequest& request, const Session& session, ZmtpPeer& peer) {
    std::vector<Kind> kinds{Kind::End};
    if (request.picture) kinds.push_back(request.jpeg ? Kind::Jpeg : Kind::Rgba8);
    if (request.depth) kinds.push_back(Kind::Depth);
    if (request.splats) kinds.insert(kinds.end(), {Kind::SplatsKey, Kind::SplatsDelta});
    for (const Kind kind : kinds) peer.subscribe(kindTopic(session.topic, kind));
}

// Goes first when nobody takes events: what became of an avatar must be heard.
bool isOfConnection(const Event& event) {
    return event.kind == EventKind::Connected || event.kind == EventKind::Disconnected;
}

}  // namespace

void AvatarLinkWorker::start(const LinkConfig& config) {
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
    const std::weak_ptr<AvatarLinkWorker> other = self;
    const auto end = [other] {
        if (const auto worker = other.lock()) worker->stop();
    };
    if (idle) launch([self] { self->run(); }, end);
}

void AvatarLinkWorker::stop() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        disconnect("stopped");
        wanted_.reset();
        changed_ = true;
    }
    if (waker_) waker_->wake();
}

// The lock is held.
void AvatarLinkWorker::add(EventKind kind, const std::string& text) {
    events_.push_back({kind, text});
    if (events_.size() <= MOST_EVENTS) return;
    const auto oldest = std::find_if(events_.begin(), events_.end(), isOfConnection);
    events_.erase(oldest == events_.end() ? events_.begin() : oldest);
}

// The lock is held.
void AvatarLinkWorker::disconnect(const std::string& why) {
    if (connected_) add(EventKind::Disconnected, why);
    connected_ = false;
}

void AvatarLinkWorker::post(EventKind kind, const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    add(kind, text);
}

void AvatarLinkWorker::fail(const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (text == lastFailure_ || changed_) return;  // said already, or of no interest any more
    lastFailure_ = text;
    add(EventKind::Failed, text);
}

bool AvatarLinkWorker::nextEvent(Event& out) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (events_.empty()) return false;
    out = std::move(events_.front());
    events_.pop_front();
    return true;
}

void AvatarLinkWorker::setConnected(bool connected, const std::string& why) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (connected == connected_ || changed_) return;
    if (!connected) return disconnect(why);
    connected_ = true;
    ++connections_;
    lastFailure_.clear();
    add(EventKind::Connected, why);
}

Seconds AvatarLinkWorker::nextRetry() {
    retry_ = std::min(std::max(config_.retryFirst, 2 * retry_), config_.retryLast);
    return retry_;
}

void AvatarLinkWorker::pause(Seconds time) {
    const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
    while (!changed_ && Clock::now() < until) waitFor(nullptr, 0, nullptr, SLICE);
}

void AvatarLinkWorker::run() {
    while (takeWanted()) serve();
}

bool AvatarLinkWorker::takeWanted() {
    const std::lock_guard<std::mutex> lock(mutex_);
    changed_ = false;
    running_ = wanted_ != nullptr;
    if (running_) config_ = *wanted_;
    return running_;
}

void AvatarLinkWorker::serve() {
    const ServiceClient service(config_.server, config_.token);
    retry_ = Seconds(0);
    while (!changed_) {
        Session session;
        CallError error;
        if (!service.startSession(config_.request, changed_, session, error)) {
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
        received.expect(config_.request.picture, config_.request.depth);
        follow(service, session);
    }
}

void AvatarLinkWorker::follow(const ServiceClient& service, const Session& session) {
    ended_ = false;
    while (!changed_) {
        const std::string why = stream(session);
        if (changed_) break;
        setConnected(false, why);
        fail(why);
        if (ended_) return;
        CallError error;
        do {
            pause(nextRetry());
        } while (!changed_ && !service.isAlive(session, lastDrivenPts(), changed_, error) &&
                 !error.answered);
        if (error.answered && !error.message.empty()) return;  // it is gone: another is started
    }
    service.endSession(session, GOODBYE);
}

uint64_t AvatarLinkWorker::lastDrivenPts() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return lastDriven_.ptsNs;
}

std::string AvatarLinkWorker::stream(const Session& session) {
    ZmtpConnection frames("SUB", LONGEST_MESSAGE), drives("PUSH", 4096);
    if (session.encrypted) return "the server's frames are encrypted, which is not spoken here";
    if (!frames.connect(session.frameAddress, CONNECT, changed_)) return frames.problem();
    if (!drives.connect(session.driveAddress, CONNECT, changed_)) return drives.problem();
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        mergeSignal(unsent_, lastDriven_);
        unsent_ = lastDriven_;  // a new session knows nothing of it, an old one may have missed it
    }
    std::string note;
    bool subscribed = false;
    auto heardAt = Clock::now();
    const ZmtpPeer::OnMessage onMessage = [&](ByteView message) {
        if (changed_) return;
        ended_ = ended_ || !received.feed(message, note);
        if (ended_) return;
        retry_ = Seconds(0);
        setConnected(true, session.id);
    };
    while (!changed_) {
        const PollEntry both[] = {frames.pollEntry(), drives.pollEntry()};
        waitFor(both, 2, waker_.get(), SLICE);
        waker_->drain();
        if (!drives.pump([](ByteView) {})) return drives.problem();
        if (!sendNewest(session, drives)) return drives.problem();
        if (!frames.pump(onMessage)) return frames.problem();
        if (ended_) return note;
        if (frames.peer().ready() && !subscribed) {
            subscribe(config_.request, session, frames.peer());
            subscribed = frames.flush();
        }
        if (frames.heard()) heardAt = Clock::now();
        if (Clock::now() - heardAt > config_.stall) return "the network is silent";
    }
    return "stopped";
}

bool AvatarLinkWorker::sendNewest(const Session& session, ZmtpConnection& drives) {
    if (!drives.peer().ready() || drives.sending()) return true;  // the newest waits here
    DrivePacket packet;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!unsent_.parts) return true;
        packet.signal = unsent_;
        mergeSignal(unsent_, lastDriven_);
        unsent_.parts = 0;
        ++driven_;
    }
    packet.seq = ++seq_;
    std::memcpy(packet.session, session.id.data(), SESSION_CHARS);
    std::memcpy(packet.token, session.token.data(), TOKEN_CHARS);
    uint8_t bytes[PACKET_BYTES];
    packDrive(packet, bytes);
    drives.peer().send({bytes, PACKET_BYTES});
    return drives.flush();
}

void AvatarLinkWorker::drive(const Signal& signal) {
    Signal timed = signal;
    if (!timed.ptsNs) timed.ptsNs = nowNs();
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        mergeSignal(timed, unsent_);
        if (!firstPts_) firstPts_ = timed.ptsNs;
        lastPts_ = timed.ptsNs;
    }
    if (waker_) waker_->wake();
}

bool AvatarLinkWorker::isOwn(uint64_t ptsNs) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return firstPts_ && ptsNs >= firstPts_ && ptsNs <= lastPts_;
}

void AvatarLinkWorker::addStats(LinkStats& stats) const {
    stats.frames = received.counts();
    const std::lock_guard<std::mutex> lock(mutex_);
    stats.driven = driven_;
    stats.connections = connections_;
    stats.connected = connected_;
}

Session AvatarLinkWorker::session() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return session_;
}

}  // namespace flexavatar
