// One HTTP/1.1 POST at a time: enough for the server's calls.
#pragma once

#include "FlexAvatar/Net.h"

namespace flexavatar {

// Reads an answer from bytes as they come; no sockets here.
class FLEXAVATARCORE_API HttpResponse {
public:
    // False, and why in problem(), for what is not HTTP.
    bool feed(ByteView bytes);
    // The other end has closed: the end of a body that says no length.
    bool ended();
    bool complete() const { return state_ == State::Complete; }
    const std::string& problem() const { return problem_; }

    int status = 0;
    std::string body;

private:
    enum class State { Head, Sized, Unsized, ChunkSize, Chunk, ChunkEnd, Trailer, Complete, Broken };

    bool fail(const char* why);
    bool step(bool& moved);
    bool readHead();
    bool readChunkSize();
    bool line(std::string& out);

    State state_ = State::Head;
    std::string in_, problem_;
    size_t left_ = 0;
};

struct HttpRequest {
    Endpoint to;
    std::string path, token, body;
    Seconds timeout{10};
};
// False, and why, if no whole answer came in time or before `stop`; any status is an answer.
FLEXAVATARCORE_API bool post(const HttpRequest& call, const std::atomic<bool>& stop,
                             HttpResponse& out, std::string& problem);

}  // namespace flexavatar
