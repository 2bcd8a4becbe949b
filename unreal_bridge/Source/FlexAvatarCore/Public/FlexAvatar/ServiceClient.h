// The server's calls over HTTP (Connect, JSON), see proto/flexavatar/v1/flexavatar.proto.
#pragma once

#include <vector>

#include "FlexAvatar/Http.h"

namespace flexavatar {

class JsonWriter;
struct Json;

struct CallError {
    bool answered = false;  // by a server; else nobody was reached
    std::string code;       // "not_found", "already_exists", ...
    std::string message;
};

// What is to be shown, and how.
struct SessionRequest {
    std::string avatar, morphTo;
    uint32_t width = 512, height = 512;
    bool picture = true;       // premultiplied RGBA
    bool jpeg = false;         // RGB over black instead: a tenth of the bytes, no alpha
    bool depth = false;        // metres along the camera's z
    bool splats = false;
    float maxFps = 0;          // 0: the server's default
    std::vector<std::string> sources;  // of the server's gateways; "drive" for this client
};

struct Session {
    std::string id, token, frameAddress, driveAddress;
    Bytes topic;
    uint32_t width = 0, height = 0, gaussians = 0;
    double viewmat[16] = {};  // row by row, head to camera, OpenCV
    double K[9] = {};
    bool encrypted = false;
};

struct NewAvatar {
    std::string name;  // empty: the server picks one
    bool quick = false, replace = false;
    std::vector<Bytes> photos;  // files
};

class FLEXAVATARCORE_API ServiceClient {
public:
    ServiceClient(const Endpoint& server, const std::string& token)
        : server_(server), token_(token) {}

    // Each waits for its answer, or until `stop`; false, and why.
    bool createAvatar(const NewAvatar& avatar, const std::atomic<bool>& stop, std::string& name,
                      CallError& error) const;
    bool startSession(const SessionRequest& request, const std::atomic<bool>& stop, Session& out,
                      CallError& error) const;
    // Whether the session still runs.
    bool isAlive(const Session& session, uint64_t ptsNs, const std::atomic<bool>& stop,
                 CallError& error) const;
    void endSession(const Session& session, Seconds timeout) const;

private:
    bool call(const char* name, const std::string& body, Seconds timeout,
              const std::atomic<bool>& stop, Json& out, CallError& error) const;

    Endpoint server_;
    std::string token_;
};

}  // namespace flexavatar
