// Baked avatars: baked_test golden FILE POSES, refuse FILES, fuzz FILE TIMES, or
// time FILE. All but the last are run under sanitisers.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "FlexAvatar/BakedAvatar.h"
#include "check.h"

using namespace flexavatar;

namespace {

bool isRead(const Bytes& bytes, BakedFile& file) {
    std::string problem;
    const bool read = readBaked(bytes, file, problem);
    CHECK(read == problem.empty());
    return read;
}

// Largest difference from floats at `at`, which moves on.
float farthest(const std::vector<float>& values, const uint8_t*& at) {
    float most = 0;
    for (const float value : values) {
        most = std::max(most, std::fabs(value - load<float>(at)));
        at += 4;
    }
    return most;
}

int largestStep(const Bytes& packed, const uint8_t*& at) {
    int most = 0;
    for (size_t i = 0; i < packed.size(); ++i) {
        const bool half = i % 16 >= 4 && i % 16 < 10;
        if (half && i % 2) continue;
        const int one = half ? load<uint16_t>(&packed[i]) : packed[i];
        const int other = half ? load<uint16_t>(at + i) : at[i];
        most = std::max(most, std::abs(one - other));
    }
    at += packed.size();
    return most;
}

void golden(const char* path, const char* poses) {
    BakedFile file;
    CHECK(isRead(readFile(path), file));
    BakedAvatar avatar(std::move(file));
    const Bytes data = readFile(poses);
    float most[5] = {};
    int steps = 0;
    for (const uint8_t* at = data.data(); at < data.data() + data.size();) {
        float asked[ARKIT_WEIGHTS + 3];
        std::memcpy(asked, at, sizeof asked);
        at += sizeof asked;
        const PosedSplats& shown = avatar.pose(asked, asked + ARKIT_WEIGHTS);
        const std::vector<float>* parts[] = {&shown.means, &shown.quats, &shown.scales,
                                             &shown.opacities, &shown.colors};
        for (int i = 0; i < 5; ++i) most[i] = std::max(most[i], farthest(*parts[i], at));
        Bytes packed;
        avatar.pack(packed);
        steps = std::max(steps, largestStep(packed, at));
    }
    for (const float value : most) std::printf("%g ", double(value));
    std::printf("%d\n", steps);
}

void poseOnce(BakedFile& file) {
    float weights[ARKIT_WEIGHTS];
    std::fill(weights, weights + ARKIT_WEIGHTS, 0.4f);
    const float neck[3] = {0.1f, -0.2f, 0};
    BakedAvatar avatar(std::move(file));
    avatar.pose(weights, neck);
    Bytes packed;
    avatar.pack(packed);
}

void fuzz(const char* path, int times) {
    const Bytes whole = readFile(path);
    std::mt19937 chance(22);
    const auto below = [&](size_t limit) { return chance() % limit; };
    int refused = 0;
    for (int i = 0; i < times; ++i) {
        Bytes bytes = whole;
        const size_t reach[] = {64, 5000, whole.size()};
        for (size_t n = 1 + below(8); n; --n) bytes[below(reach[below(3)])] = uint8_t(chance());
        if (below(3) == 0) bytes.resize(below(bytes.size()));
        BakedFile file;
        if (isRead(bytes, file))
            poseOnce(file);
        else
            ++refused;
    }
    std::printf("%d\n", refused);
}

void timeFrames(const char* path) {
    BakedFile file;
    CHECK(isRead(readFile(path), file));
    BakedAvatar avatar(std::move(file));
    float weights[ARKIT_WEIGHTS];
    std::fill(weights, weights + ARKIT_WEIGHTS, 0.3f);
    const float neck[3] = {0.1f, 0.1f, 0};
    constexpr int FRAMES = 100;
    std::vector<double> pose, pack;
    Bytes packed;
    for (int i = 0; i < FRAMES; ++i) {
        const auto start = std::chrono::steady_clock::now();
        avatar.pose(weights, neck);
        const auto posed = std::chrono::steady_clock::now();
        avatar.pack(packed);
        const auto end = std::chrono::steady_clock::now();
        pose.push_back(std::chrono::duration<double, std::milli>(posed - start).count());
        pack.push_back(std::chrono::duration<double, std::milli>(end - posed).count());
    }
    std::sort(pose.begin(), pose.end());
    std::sort(pack.begin(), pack.end());
    std::printf("%u splats, ms: pose %.2f (p50) %.2f (fastest), pack %.2f %.2f\n",
                avatar.file().splats, pose[FRAMES / 2], pose[0], pack[FRAMES / 2], pack[0]);
}

}  // namespace

int main(int count, char** arguments) {
    CHECK(count >= 3);
    const std::string what = arguments[1];
    if (what == "golden") golden(arguments[2], arguments[3]);
    if (what == "fuzz") fuzz(arguments[2], std::atoi(arguments[3]));
    if (what == "time") timeFrames(arguments[2]);
    for (int i = 2; what == "refuse" && i < count; ++i) {
        BakedFile file;
        CHECK(!isRead(readFile(arguments[i]), file));
    }
}
