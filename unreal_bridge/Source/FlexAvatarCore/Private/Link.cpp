#include "FlexAvatar/Link.h"

#include <algorithm>

#include "LinkWorker.h"
#include "Threads.h"

namespace flexavatar {
namespace {

constexpr size_t MOST_LATENCIES = 256;

}  // namespace

// An avatar that is being made. Its owner hears of it once: whoever sets `told` says it.
struct Link::Creation {
    std::string name;
    std::atomic<bool> abandoned{false}, told{false};
};

Link::Link() : worker_(std::make_shared<LinkWorker>()) {}

Link::~Link() {
    stop();
    abandonAvatar("nobody is left to hear of it");
}

void Link::start(const LinkConfig& config) {
    running_ = true;
    hasPictures_ = config.plan.picture;
    worker_->start(config);
}

void Link::stop() {
    running_ = false;
    worker_->stop();
}

void Link::drive(const Signal& signal) { worker_->drive(signal); }

bool Link::createAvatar(const LinkConfig& config, NewAvatar avatar) {
    if (creation_ && !creation_->told) return false;
    const auto creation = std::make_shared<Creation>();
    creation->name = avatar.name;
    auto make = [creation, config, avatar = std::move(avatar), worker = worker_] {
        std::string name;
        CallError error;
        const Calls calls(config.server, config.token);
        const bool made = calls.createAvatar(avatar, creation->abandoned, name, error);
        if (creation->told.exchange(true)) return;
        worker->post(made ? EventKind::AvatarReady : EventKind::Failed, made ? name : error.message);
    };
    launch(std::move(make), [creation] { creation->abandoned = true; });
    creation_ = creation;
    return true;
}

void Link::abandonAvatar(const std::string& why) {
    if (!creation_ || creation_->told.exchange(true)) return;
    creation_->abandoned = true;
    worker_->post(EventKind::Failed, "the avatar \"" + creation_->name +
                                         "\" is not waited for any more: " + why);
}

bool Link::nextEvent(Event& out) { return worker_->nextEvent(out); }

void Link::measure(const Header& header) {
    const uint64_t now = nowNs();
    if (header.repeated() || now < header.ptsNs || !worker_->isOwn(header.ptsNs)) return;
    latencies_.resize(std::max(latencies_.size(), std::min(latencyAt_ + 1, MOST_LATENCIES)));
    latencies_[latencyAt_++ % MOST_LATENCIES] = double(now - header.ptsNs) * 1e-6;
}

bool Link::takePicture() {
    if (!worker_->received.takePicture()) return false;
    measure(picture().header);
    return true;
}

const Picture& Link::picture() { return worker_->received.picture(); }

bool Link::takeSplats(SplatBuffer& own) {
    if (!worker_->received.takeSplats(own)) return false;
    if (!hasPictures_) measure(own.header);
    return true;
}

LinkStats Link::stats() const {
    LinkStats stats;
    std::vector<double> sorted = latencies_;
    std::sort(sorted.begin(), sorted.end());
    if (!sorted.empty()) {
        stats.latencyP50Ms = sorted[sorted.size() / 2];
        stats.latencyP99Ms = sorted[(sorted.size() - 1) * 99 / 100];
    }
    worker_->addStats(stats);
    return stats;
}

Session Link::session() const { return worker_->session(); }

}  // namespace flexavatar
