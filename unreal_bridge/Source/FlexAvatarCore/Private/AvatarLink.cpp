#include "FlexAvatar/AvatarLink.h"

#include <algorithm>

#include "AvatarLinkWorker.h"
#include "Threads.h"

namespace flexavatar {
namespace {

constexpr size_t MOST_LATENCIES = 256;

}  // namespace

// An avatar that is being made. Its owner hears of it once: whoever sets `told` says it.
struct AvatarLink::Creation {
    std::string name;
    std::atomic<bool> abandoned{false}, told{false};
};

AvatarLink::AvatarLink() : worker_(std::make_shared<AvatarLinkWorker>()) {}

AvatarLink::~AvatarLink() {
    stop();
    abandonAvatar("nobody is left to hear of it");
}

void AvatarLink::start(const LinkConfig& config) {
    running_ = true;
    hasPictures_ = config.request.picture;
    worker_->start(config);
}

void AvatarLink::stop() {
    running_ = false;
    worker_->stop();
}

void AvatarLink::drive(const Signal& signal) { worker_->drive(signal); }

bool AvatarLink::createAvatar(const LinkConfig& config, NewAvatar avatar, PhotoReader read) {
    if (creation_ && !creation_->told) return false;
    const auto creation = std::make_shared<Creation>();
    creation->name = avatar.name;
    auto make = [creation, config, avatar = std::move(avatar), read = std::move(read),
                 worker = worker_]() mutable {
        std::string name;
        CallError error;
        const ServiceClient service(config.server, config.token);
        const bool made = read(avatar.photos, error.message) &&
                          service.createAvatar(avatar, creation->abandoned, name, error);
        if (creation->told.exchange(true)) return;
        worker->post(made ? EventKind::AvatarReady : EventKind::Failed,
                     made ? name : error.message);
    };
    launch(std::move(make), [creation] { creation->abandoned = true; });
    creation_ = creation;
    return true;
}

void AvatarLink::abandonAvatar(const std::string& why) {
    if (!creation_ || creation_->told.exchange(true)) return;
    creation_->abandoned = true;
    worker_->post(EventKind::Failed, "the avatar \"" + creation_->name +
                                         "\" is not waited for any more: " + why);
}

bool AvatarLink::nextEvent(Event& out) { return worker_->nextEvent(out); }

void AvatarLink::measureLatency(const Header& header) {
    const uint64_t now = nowNs();
    if (header.repeated() || now < header.ptsNs || !worker_->isOwn(header.ptsNs)) return;
    latencies_.resize(std::max(latencies_.size(), std::min(latencyAt_ + 1, MOST_LATENCIES)));
    latencies_[latencyAt_++ % MOST_LATENCIES] = double(now - header.ptsNs) * 1e-6;
}

bool AvatarLink::takePicture() {
    if (!worker_->received.takePicture()) return false;
    measureLatency(picture().header);
    return true;
}

const Picture& AvatarLink::picture() { return worker_->received.picture(); }

bool AvatarLink::takeSplats(SplatBuffer& own) {
    if (!worker_->received.takeSplats(own)) return false;
    if (!hasPictures_) measureLatency(own.header);
    return true;
}

LinkStats AvatarLink::stats() const {
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

Session AvatarLink::session() const { return worker_->session(); }

}  // namespace flexavatar
