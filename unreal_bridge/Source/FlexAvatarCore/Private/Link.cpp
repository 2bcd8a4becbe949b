#include "FlexAvatar/Link.h"

#include <algorithm>

#include "Pipe.h"

namespace flexavatar {
namespace {

constexpr size_t LONGEST_MESSAGE = HEADER_BYTES + (size_t(1) << 28);
constexpr size_t MOST_EVENTS = 64, MOST_LATENCIES = 256;
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

}  // namespace

void Link::start(const LinkConfig& config) {
    stop();
    config_ = config;
    if (!waker_) waker_ = std::make_unique<Waker>();
    stop_ = false;
    retry_ = Seconds(0);
    thread_ = std::thread([this] { run(); });
}

void Link::stop() {
    stop_ = abandon_ = true;
    if (waker_) waker_->wake();
    if (thread_.joinable()) thread_.join();
    if (creating_.joinable()) creating_.join();
    abandon_ = false;
}

void Link::post(EventKind kind, const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    events_.push_back({kind, text});
    if (events_.size() > MOST_EVENTS) events_.pop_front();
}

void Link::failed(const std::string& text) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (text == lastFailure_ || stop_) return;  // said already
        lastFailure_ = text;
    }
    post(EventKind::Failed, text);
}

bool Link::nextEvent(Event& out) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (events_.empty()) return false;
    out = std::move(events_.front());
    events_.pop_front();
    return true;
}

void Link::setConnected(bool connected, const std::string& why) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (connected == connected_) return;
        connected_ = connected;
        connections_ += connected;
        if (connected) lastFailure_.clear();
    }
    post(connected ? EventKind::Connected : EventKind::Disconnected, why);
}

Seconds Link::nextRetry() {
    retry_ = std::min(std::max(config_.retryFirst, 2 * retry_), config_.retryLast);
    return retry_;
}

void Link::pause(Seconds time) {
    const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
    while (!stop_ && Clock::now() < until) waitFor(nullptr, 0, nullptr, SLICE);
}

void Link::run() {
    const Calls calls(config_.server, config_.token);
    while (!stop_) {
        Session session;
        CallError error;
        if (!calls.startSession(config_.plan, stop_, session, error)) {
            failed(error.message);
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
        frames_.expect(config_.plan.picture, config_.plan.depth);
        follow(calls, session);
    }
    setConnected(false, "stopped");
}

void Link::follow(const Calls& calls, const Session& session) {
    over_ = false;
    while (!stop_) {
        const std::string why = stream(session);
        if (stop_) break;
        setConnected(false, why);
        failed(why);
        if (over_) return;
        CallError error;
        do {
            pause(nextRetry());
        } while (!stop_ && !calls.isAlive(session, knownPts(), stop_, error) && !error.answered);
        if (error.answered && !error.message.empty()) return;  // it is gone: another is started
    }
    calls.endSession(session, GOODBYE);
}

uint64_t Link::knownPts() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return known_.ptsNs;
}

std::string Link::stream(const Session& session) {
    Pipe frames("SUB", LONGEST_MESSAGE), drives("PUSH", 4096);
    if (session.encrypted) return "the server's frames are encrypted, which is not spoken here";
    if (!frames.connect(session.frameAddress, CONNECT, stop_)) return frames.problem();
    if (!drives.connect(session.driveAddress, CONNECT, stop_)) return drives.problem();
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        merge(next_, known_);
        next_ = known_;  // a new session knows nothing of it, an old one may have missed it
    }
    std::string note;
    bool subscribed = false;
    auto heardAt = Clock::now();
    const ZmtpPeer::OnMessage onMessage = [&](ByteView message) {
        over_ = over_ || !frames_.feed(message, note);
        if (over_) return;
        retry_ = Seconds(0);
        setConnected(true, session.id);
    };
    while (!stop_) {
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

bool Link::sendNewest(const Session& session, Pipe& pipe) {
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

void Link::drive(const Signal& signal) {
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

bool Link::createAvatar(const LinkConfig& config, NewAvatar avatar) {
    if (busy_) return false;
    if (creating_.joinable()) creating_.join();
    busy_ = true;
    creating_ = std::thread([this, config, avatar = std::move(avatar)] {
        std::string name;
        CallError error;
        const Calls calls(config.server, config.token);
        const bool done = calls.createAvatar(avatar, abandon_, name, error);
        if (!abandon_) post(done ? EventKind::AvatarReady : EventKind::Failed,
                            done ? name : error.message);
        busy_ = false;
    });
    return true;
}

void Link::measure(const Header& header) {
    const uint64_t now = nowNs();
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const bool own = firstPts_ && header.ptsNs >= firstPts_ && header.ptsNs <= lastPts_;
        if (header.repeated() || !own || now < header.ptsNs) return;
    }
    latencies_.resize(std::max(latencies_.size(), std::min(latencyAt_ + 1, MOST_LATENCIES)));
    latencies_[latencyAt_++ % MOST_LATENCIES] = double(now - header.ptsNs) * 1e-6;
}

bool Link::takePicture() {
    if (!frames_.takePicture()) return false;
    measure(frames_.picture().header);
    return true;
}

bool Link::takeSplats(SplatBuffer& own) {
    if (!frames_.takeSplats(own)) return false;
    if (!config_.plan.picture) measure(own.header);
    return true;
}

LinkStats Link::stats() const {
    LinkStats stats;
    stats.frames = frames_.counts();
    std::vector<double> sorted = latencies_;
    std::sort(sorted.begin(), sorted.end());
    if (!sorted.empty()) {
        stats.latencyP50Ms = sorted[sorted.size() / 2];
        stats.latencyP99Ms = sorted[(sorted.size() - 1) * 99 / 100];
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    stats.driven = driven_;
    stats.connections = connections_;
    stats.connected = connected_;
    return stats;
}

Session Link::session() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return session_;
}

}  // namespace flexavatar
