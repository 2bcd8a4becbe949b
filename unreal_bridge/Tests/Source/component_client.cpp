// The component against a real server, in the hands of a stand-in for the engine:
//   component_client PORT PHOTO. Ends with 0 if everything that it checks holds.
#include <sys/stat.h>

#include <fstream>

#include "FlexAvatar/Net.h"
#include "FlexAvatar/SplatTexture.h"
#include "FlexAvatarComponent.h"
#include "StandIn.h"
#include "Threads.h"
#include "check.h"

using namespace flexavatar;

namespace {

struct Stage {
    UFlexAvatarComponent avatar;
    int64 frames = 0;
    int connected = 0, disconnected = 0;
    std::string ready, error;

    explicit Stage(int port) {
        avatar.Port = port;
        avatar.Avatar = "ada";
        avatar.Resolution = FIntPoint(64, 32);
        avatar.OnFrame.listeners.push_back([this](int64) { ++frames; });
        avatar.OnConnected.listeners.push_back([this] { ++connected; });
        avatar.OnDisconnected.listeners.push_back([this](const FString&) { ++disconnected; });
        avatar.OnAvatarReady.listeners.push_back([this](const FString& name) { ready = *name; });
        avatar.OnError.listeners.push_back([this](const FString& text) { error = *text; });
    }

    void tick() {
        avatar.TickComponent(0.016f, LEVELTICK_All, &avatar.PrimaryComponentTick);
        waitFor(nullptr, 0, nullptr, Seconds(0.002));
    }

    template <class Condition>
    void until(Condition condition) {
        const auto deadline = Clock::now() + std::chrono::seconds(20);
        while (!condition()) {
            tick();
            if (Clock::now() > deadline) std::fprintf(stderr, "error: %s\n", error.c_str());
            CHECK(Clock::now() < deadline);
        }
    }
};

// Red is the height of the tiny engine's first Gaussian, in millimetres.
int red(const Stage& stage) { return stage.avatar.Picture->pixels[0]; }

void create(int port, const char* photo) {
    Stage stage(port);
    stage.avatar.CreateAvatar("ada", {photo});
    stage.avatar.CreateAvatar("bob", {photo});
    stage.until([&] { return !stage.error.empty() && !stage.ready.empty(); });
    CHECK(stage.error == "another avatar is being made" && stage.ready == "ada");
    stage.avatar.CreateAvatar("eve", {"/nowhere.jpg"});
    stage.until([&] { return stage.error == "cannot read /nowhere.jpg"; });
    stage.avatar.CreateAvatar("ada", {photo});
    stage.until([&] { return stage.error.find("ada") != std::string::npos; });  // it exists
}

// The game goes on while a disk that sleeps, here a pipe, does not give a photo yet.
void createSlowly(int port, const char* photo) {
    Stage stage(port);
    const std::string pipe = std::string(photo) + ".pipe";
    CHECK(mkfifo(pipe.c_str(), 0600) == 0);
    stage.avatar.CreateAvatar("slow", {pipe.c_str()});
    for (int i = 0; i < 10; ++i) stage.tick();
    CHECK(stage.ready.empty() && stage.error.empty());
    std::ofstream(pipe, std::ios::binary) << std::ifstream(photo, std::ios::binary).rdbuf();
    stage.until([&] { return stage.ready == "slow"; });
}

// Connecting has nothing to do with an avatar that is being made; the end of play has.
void createMeanwhile(int port, const char* photo) {
    Stage stage(port);
    stage.avatar.CreateAvatar("connected", {photo});
    stage.avatar.Connect();
    stage.avatar.Connect();
    stage.until([&] { return stage.ready == "connected"; });
    stage.avatar.CreateAvatar("disconnected", {photo});
    stage.avatar.Disconnect();
    stage.until([&] { return stage.ready == "disconnected"; });
    CHECK(stage.error.empty());
    stage.avatar.CreateAvatar("left", {photo});
    stage.avatar.EndPlay(EEndPlayReason::EndPlayInEditor);
    CHECK(stage.error == "the avatar \"left\" is not waited for any more: play has ended");
    stage.avatar.CreateAvatar("next", {photo});  // at once
    stage.until([&] { return stage.ready == "next"; });
}

void picture(int port) {
    Stage stage(port);
    UMeshComponent screen;
    UMaterialInterface material;
    USceneComponent other;
    other.SetupAttachment(&stage.avatar);
    screen.SetupAttachment(&stage.avatar);  // found by itself
    stage.avatar.bShowStats = true;
    stage.avatar.Material = &material;
    stage.avatar.BeginPlay();
    stage.until([&] { return stage.frames > 0; });
    CHECK(stage.connected == 1 && stage.error.empty());
    CHECK(stage.avatar.Picture->width == 64 && stage.avatar.Picture->height == 32);
    CHECK(!stage.avatar.Picture->SRGB && stage.avatar.Depth->texelBytes == 4);
    CHECK(stage.avatar.Picture->Filter == TF_Bilinear && stage.avatar.Depth->Filter == TF_Nearest);
    CHECK(screen.material->textures.at("Picture") == stage.avatar.Picture);
    CHECK(screen.material->textures.at("Depth") == stage.avatar.Depth);
    CHECK(std::fabs(screen.material->scalars.at("Distance") - 1) < 1e-5f);
    CHECK(load<float>(stage.avatar.Depth->pixels.data()) == 0.0f);
    CHECK(std::fabs(load<float>(&stage.avatar.Depth->pixels[64 * 31 * 4]) - 1) < 1e-5f);
    const int before = red(stage);
    const UTexture2D* const same = stage.avatar.Picture;
    stage.avatar.Drive({{FName("JawOpen"), 0.05f}, {FName("notARKit"), 1.0f}});
    stage.until([&] { return (red(stage) - before + 256) % 256 >= 49; });
    CHECK(stage.avatar.Picture == same);  // updated in place
    CHECK(stage.avatar.SetBlendShape("jawOpen", 2.0f) && !stage.avatar.SetBlendShape("jaw", 1));
    stage.avatar.SetHead(10, 5, 0);
    stage.avatar.SetOrbit(20, 0);
    stage.until([&] { return stage.avatar.GetStats().Frames > 5; });
    CHECK(stage.avatar.GetStats().bConnected && stage.avatar.GetStats().Refused == 0);
    CHECK(std::string(*stage.avatar.GetStatsText()).find("ada: live") == 0);
    CHECK(GEngine->said.find("ada: live") == 0);
    stage.avatar.EndPlay(EEndPlayReason::EndPlayInEditor);
    CHECK(stage.disconnected == 1 && !stage.avatar.GetStats().bConnected);
    stage.avatar.Connect();  // once more: a session of its own
    stage.until([&] { return stage.connected == 2; });
}

void jpeg(int port) {
    Stage stage(port);
    stage.avatar.bJpeg = true;
    stage.avatar.bDepth = false;
    IImageWrapper::pixels = 64 * 32;
    stage.avatar.BeginPlay();
    stage.until([&] { return stage.frames > 0; });
    CHECK(stage.avatar.Picture->pixels[5] == 128 && !stage.avatar.Depth);
}

void liveLink(int port) {
    Stage stage(port);
    stage.avatar.DriveFrom = EFlexAvatarDrive::LiveLink;
    stage.avatar.Subject.Name = "Phone";
    auto& client = IModularFeatures::Get().GetModularFeature<ILiveLinkClient>("LiveLink");
    client.now.StaticData.data.PropertyNames = {"JawOpen", "HeadYaw"};
    client.now.FrameData.data.PropertyValues = {0.0f, 0.1f};
    stage.avatar.BeginPlay();
    stage.until([&] { return stage.frames > 3; });
    const int before = red(stage);
    client.now.FrameData.data.PropertyValues = {0.03f, 0.1f};
    stage.until([&] { return (red(stage) - before + 256) % 256 >= 29; });
}

void curves(int port) {
    Stage stage(port);
    USkeletalMeshComponent body;
    UAnimInstance animation;
    body.animation = &animation;
    stage.avatar.BeginPlay();
    stage.until([&] { return stage.frames > 0; });
    const int before = red(stage);
    stage.avatar.CurveSource = &body;
    stage.avatar.DriveFrom = EFlexAvatarDrive::Curves;
    stage.until([&] { return (red(stage) - before + 256) % 256 >= 49; });
}

void gaussians(int port) {
    Stage stage(port);
    UMaterialInterface material;
    stage.avatar.Mode = EFlexAvatarMode::Gaussians;
    stage.avatar.Material = &material;
    stage.avatar.BeginPlay();
    stage.until([&] { return stage.frames > 0; });
    const UProceduralMeshComponent* const mesh = UProceduralMeshComponent::newest;
    const UMaterialInstanceDynamic& own = *mesh->material;
    UTexture2D* const rows = static_cast<UTexture2D*>(own.textures.at("Splats"));
    UTexture2D* const order = static_cast<UTexture2D*>(own.textures.at("Order"));
    const int32 count = 2000, quads = count + 2;
    CHECK(mesh->registered && mesh->vertices == 4 * quads && mesh->indices == 6 * quads);
    CHECK(rows->width == 1024 && rows->height == 8 && order->height == 2);
    CHECK(own.vectors.at("Lens").G == 640 && std::fabs(own.vectors.at("Lens").R - 320) < 1e-3f);
    CHECK(own.vectors.at("Row2").A == 200);  // the camera is two metres away
    std::vector<int> seen(size_t(count), 0);
    for (int32 i = 0; i < count; ++i) {
        ++seen.at(size_t(load<float>(order->pixels.data() + 4 * size_t(i))));
    }
    for (const int times : seen) CHECK(times == 1);
    const int64 before = stage.frames;
    const uint64_t written = rows->rows;
    stage.avatar.SetBlendShape("jawOpen", 0.1f);  // moves the first half
    stage.until([&] { return stage.frames > before; });
    CHECK(rows->rows > written && rows == own.textures.at("Splats"));
    CHECK(StrongObjects::held == 4 && rows->Filter == TF_Nearest && order->Filter == TF_Nearest);
    stage.avatar.EndPlay(EEndPlayReason::EndPlayInEditor);
    CHECK(!mesh->registered && StrongObjects::held == 0);  // nothing keeps the world
    stage.avatar.Connect();  // once more
    stage.until([&] { return stage.frames > before + 1 && StrongObjects::held == 4; });
    stage.avatar.Disconnect();
    CHECK(StrongObjects::held == 0);
}

void nobody(int port) {
    Stage stage(port);
    stage.avatar.Avatar = "nobody";
    stage.avatar.BeginPlay();
    stage.until([&] { return !stage.error.empty(); });
    CHECK(stage.error.find("nobody") != std::string::npos && stage.frames == 0);
    stage.avatar.Disconnect();
    stage.avatar.Port = 1;  // and where no server is
    stage.error.clear();
    stage.avatar.Connect();
    stage.until([&] { return stage.error.find("nobody answers") != std::string::npos; });
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const int port = std::atoi(argv[1]);
    create(port, argv[2]);
    createSlowly(port, argv[2]);
    createMeanwhile(port, argv[2]);
    picture(port);
    jpeg(port);
    liveLink(port);
    curves(port);
    gaussians(port);
    nobody(port);
    joinThreads();  // as the module's shutdown does
    return 0;
}
