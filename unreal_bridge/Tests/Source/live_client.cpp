// The core against a real server, as an engine's game thread would use it.
//
//   live_client PORT AVATAR MODE FRAMES [FPS [SIDE [MAX_FPS [FRAME_ADDRESS]]]]
//
// Every frame is driven by the one before, at most FPS of them a second; what happened is one JSON
// object on stdout.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "FlexAvatar/Json.h"
#include "FlexAvatar/AvatarLink.h"
#include "Threads.h"

using namespace flexavatar;

namespace {

void nap() { waitFor(nullptr, 0, nullptr, Seconds(0.001)); }

double residentMib() {
    std::ifstream status("/proc/self/statm");
    double all = 0, resident = 0;
    status >> all >> resident;
    return resident * 4096 / (1 << 20);
}

struct Run {
    AvatarLink link;
    SplatBuffer splats;
    Bytes texture;  // what an engine would upload
    uint64_t pictures = 0, splatFrames = 0, wrongPixels = 0;
    int disconnects = 0;
    std::string lastFailure, created;

    void events() {
        Event event;
        while (link.nextEvent(event)) {
            std::fprintf(stderr, "event %d %s\n", int(event.kind), event.text.c_str());
            disconnects += event.kind == EventKind::Disconnected;
            if (event.kind == EventKind::Failed) lastFailure = event.text;
            if (event.kind == EventKind::AvatarReady) created = event.text;
        }
    }

    // What is new: an uploaded texture, an updated buffer. Whether a whole frame has come.
    bool take(const SessionRequest& request) {
        if (link.takePicture()) {
            const Picture& picture = link.picture();
            texture.assign(picture.color.begin(), picture.color.end());
            const size_t pixels = size_t(picture.header.width) * picture.header.height;
            wrongPixels += !picture.jpeg && texture.size() != 4 * pixels;
            ++pictures;
            hasPicture = true;
        }
        if (link.takeSplats(splats)) ++splatFrames, hasSplats = true;
        events();
        const bool whole = hasPicture == request.picture && hasSplats == request.splats;
        if (whole) hasPicture = hasSplats = false;
        return whole;
    }

    bool hasPicture = false, hasSplats = false;
};

void drive(Run& run, uint64_t frame) {
    Signal signal;
    signal.parts = PART_ARKIT;
    signal.weights[17] = float(frame % 100) * 0.001f;  // jawOpen
    run.link.drive(signal);
}

Clock::time_point in(double seconds) {
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
}

bool waitForFrame(Run& run, const SessionRequest& request, double seconds) {
    for (const auto until = in(seconds); Clock::now() < until; nap()) {
        if (run.take(request)) return true;
    }
    return false;
}

double stopMs(AvatarLink& link) {
    const auto before = Clock::now();
    link.stop();
    return 1000 * Seconds(Clock::now() - before).count();
}

void report(Run& run, double firstMib) {
    const LinkStats stats = run.link.stats();
    JsonWriter out;
    out.open().number("pictures", double(run.pictures)).number("splats", double(run.splatFrames));
    out.number("missed", double(stats.frames.missed));
    out.number("incomplete", double(stats.frames.incomplete));
    out.number("refused", double(stats.frames.refused));
    out.number("wrong_pixels", double(run.wrongPixels));
    out.number("driven", double(stats.driven)).number("connections", double(stats.connections));
    out.number("disconnects", run.disconnects).number("count", run.splats.count);
    out.number("p50_ms", stats.latencyP50Ms).number("p99_ms", stats.latencyP99Ms);
    out.number("first_mib", firstMib).number("last_mib", residentMib());
    out.number("stop_ms", stopMs(run.link)).text("failure", run.lastFailure).close();
    std::printf("%s\n", out.str().c_str());
}

bool has(const char* mode, char what) { return std::strchr(mode, what) != nullptr; }

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5) return 2;
    LinkConfig config;
    config.server.port = uint16_t(std::atoi(argv[1]));
    config.request.avatar = argv[2];
    const char* mode = argv[3];  // p picture, j JPEG, d depth, s splats, c create
    config.request.picture = has(mode, 'p') || has(mode, 'j');
    config.request.jpeg = has(mode, 'j');
    config.request.depth = has(mode, 'd');
    config.request.splats = has(mode, 's');
    const double fps = argc > 5 ? std::atof(argv[5]) : 0, period = fps > 0 ? 1 / fps : 0;
    config.request.width = config.request.height = argc > 6 ? uint32_t(std::atoi(argv[6])) : 64;
    config.request.maxFps = argc > 7 ? float(std::atof(argv[7])) : 240;
    if (argc > 8) config.frameAddress = argv[8];
    config.stall = Seconds(1.5);
    const uint64_t wanted = uint64_t(std::atoll(argv[4]));

    Run run;
    if (has(mode, 'c')) {
        NewAvatar avatar;
        avatar.name = argv[2];
        run.link.createAvatar(config, avatar, [](std::vector<Bytes>& photos, std::string&) {
            const std::string photo = "a photo of nobody";
            photos.emplace_back(photo.begin(), photo.end());
            return true;
        });
        while (run.created.empty() && run.lastFailure.empty()) {
            run.events();
            nap();
        }
    }
    run.link.start(config);
    double firstMib = 0;
    uint64_t frame = 0;
    for (; frame < wanted; ++frame) {
        const auto next = in(period);
        drive(run, frame);
        if (!waitForFrame(run, config.request, 30)) break;
        if (frame == wanted / 10) firstMib = residentMib();
        if (frame % 50 == 49) std::fprintf(stderr, "frame %d\n", int(frame + 1));
        while (Clock::now() < next) nap();
    }
    report(run, firstMib);
    joinThreads();
    return frame == wanted ? 0 : 1;
}
