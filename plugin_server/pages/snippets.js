// The same thing in other languages: start a session, open the jaw.

/** Programs by language, for the avatar on the stage. */
export function snippets(stage) {
  const avatar = stage?.avatar ?? "me";
  const url = `${location.origin}/flexavatar.v1.FlexAvatar`;
  const json = `'content-type: application/json'`;
  return {
    curl: `session=$(curl -s ${url}/StartSession -H ${json} -d '{"avatar": "${avatar}"}')
curl -s ${url}/DriveOnce -H ${json} -d "$(echo "$session" | jq '{sessionId, ownerToken,
  arkit: {weights: {jawOpen: 0.5, mouthSmileLeft: 1}}}')"`,
    Python: `from plugin_server.client import FlexAvatarClient

with FlexAvatarClient("${location.hostname}:50051") as client:
    with client.start_session("${avatar}") as session:
        reader = session.reader()
        session.drive({"jawOpen": 0.5, "mouthSmileLeft": 1.0})
        frame = reader.receive(timeout=1.0)  # .rgba: [512, 512, 4] uint8
        reader.close()`,
    "C#": `using System.Net.Http.Json;
using System.Text.Json;

var http = new HttpClient { BaseAddress = new Uri("${location.origin}/flexavatar.v1.FlexAvatar/") };
var started = await http.PostAsJsonAsync("StartSession", new { avatar = "${avatar}" });
var session = await started.Content.ReadFromJsonAsync<JsonElement>();
await http.PostAsJsonAsync("DriveOnce", new {
    sessionId = session.GetProperty("sessionId").GetString(),
    ownerToken = session.GetProperty("ownerToken").GetString(),
    arkit = new { weights = new { jawOpen = 0.5, mouthSmileLeft = 1.0 } },
});`,
    "C++": `// with cpp-httplib and nlohmann::json
#include <httplib.h>
#include <nlohmann/json.hpp>

int main() {
    httplib::Client http("${location.origin}");
    const std::string service = "/flexavatar.v1.FlexAvatar/";
    auto call = [&](const std::string& name, const nlohmann::json& fields) {
        auto answer = http.Post(service + name, fields.dump(), "application/json");
        return nlohmann::json::parse(answer->body);
    };
    auto session = call("StartSession", {{"avatar", "${avatar}"}});
    call("DriveOnce", {{"sessionId", session["sessionId"]},
                       {"ownerToken", session["ownerToken"]},
                       {"arkit", {{"weights", {{"jawOpen", 0.5}, {"mouthSmileLeft", 1.0}}}}}});
}`,
  };
}
