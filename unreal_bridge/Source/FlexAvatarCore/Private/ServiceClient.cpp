#include "FlexAvatar/ServiceClient.h"

#include "FlexAvatar/Json.h"
#include "FlexAvatar/Wire.h"

namespace flexavatar {
namespace {

constexpr Seconds SHORT{10}, CREATE{600};

bool readNumbers(const Json& list, double* out, size_t count) {
    if (list.items.size() != count) return false;
    for (size_t i = 0; i < count; ++i) out[i] = list.items[i].number;
    return true;
}

bool readSession(const Json& json, Session& out) {
    out.id = json["sessionId"].text;
    out.token = json["ownerToken"].text;
    out.frameAddress = json["frameAddress"].text;
    out.driveAddress = json["driveAddress"].text;
    out.width = uint32_t(json["width"].number);
    out.height = uint32_t(json["height"].number);
    out.gaussians = uint32_t(json["gaussians"].number);
    out.encrypted = json["curve"].type == Json::Type::Object;
    const Json& camera = json["camera"];
    const bool seen = readNumbers(camera["viewmat"], out.viewmat, 16) &&
                      readNumbers(camera["K"], out.K, 9);
    return seen && out.id.size() == 16 && out.token.size() == 32 &&
           fromBase64(json["topic"].text, out.topic) && out.topic.size() == TOPIC_BYTES;
}

std::string sessionBody(const SessionRequest& request) {
    JsonWriter body;
    body.open().text("avatar", request.avatar).number("width", request.width);
    body.number("height", request.height).number("maxFps", double(request.maxFps));
    if (!request.morphTo.empty()) body.text("morphTo", request.morphTo);
    body.open("kinds", '[');
    if (request.picture) body.text(nullptr, request.jpeg ? "STREAM_KIND_JPEG" : "STREAM_KIND_RGBA8");
    if (request.depth) body.text(nullptr, "STREAM_KIND_DEPTH");
    if (request.splats) body.text(nullptr, "STREAM_KIND_SPLATS");
    body.close().open("sources", '[');
    for (const std::string& name : request.sources) body.open().text("name", name).close();
    return body.close().close().str();
}

JsonWriter owned(const Session& session) {
    JsonWriter body;
    body.open().text("sessionId", session.id).text("ownerToken", session.token);
    return body;
}

}  // namespace

bool ServiceClient::call(const char* name, const std::string& body, Seconds timeout,
                 const std::atomic<bool>& stop, Json& out, CallError& error) const {
    HttpRequest asked;
    asked.to = server_;
    asked.path = std::string("/flexavatar.v1.FlexAvatar/") + name;
    asked.token = token_;
    asked.body = body;
    asked.timeout = timeout;
    HttpResponse answer;
    error = CallError();
    if (!post(asked, stop, answer, error.message)) return false;
    std::string problem;
    const bool json = parseJson(answer.body, out, problem);
    error.answered = true;
    if (answer.status == 200 && json) return true;
    error.code = out["code"].text;
    error.message = out["message"].text;
    if (error.message.empty()) error.message = "HTTP status " + std::to_string(answer.status);
    return false;
}

bool ServiceClient::createAvatar(const NewAvatar& avatar, const std::atomic<bool>& stop,
                                 std::string& name, CallError& error) const {
    JsonWriter body;
    body.open().open("header").text("name", avatar.name);
    body.text("quality", avatar.quick ? "QUALITY_QUICK" : "QUALITY_FULL");
    body.flag("replace", avatar.replace).close().open("photos", '[');
    for (const Bytes& photo : avatar.photos) body.text(nullptr, toBase64(photo));
    body.close().close();
    Json answer;
    if (!call("CreateAvatarOnce", body.str(), CREATE, stop, answer, error)) return false;
    name = answer["name"].text;
    return true;
}

bool ServiceClient::startSession(const SessionRequest& request, const std::atomic<bool>& stop,
                                 Session& out, CallError& error) const {
    Json answer;
    if (!call("StartSession", sessionBody(request), SHORT, stop, answer, error)) return false;
    if (readSession(answer, out)) return true;
    error.message = "StartSession: an answer without a session";
    return false;
}

bool ServiceClient::isAlive(const Session& session, uint64_t ptsNs, const std::atomic<bool>& stop,
                    CallError& error) const {
    Json answer;
    const std::string body = owned(session).integer("ptsNs", ptsNs).close().str();
    return call("DriveOnce", body, SHORT, stop, answer, error);
}

void ServiceClient::endSession(const Session& session, Seconds timeout) const {
    const std::atomic<bool> never{false};
    Json answer;
    CallError ignored;
    call("EndSession", owned(session).close().str(), timeout, never, answer, ignored);
}

}  // namespace flexavatar
