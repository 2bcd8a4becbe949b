// What a session's messages show, ready to be taken by the thread that draws.
#pragma once

#include "FlexAvatar/Splats.h"
#include "FlexAvatar/TripleBuffer.h"

namespace flexavatar {

// One frame's picture; kinds that the session has not are empty.
struct Picture {
    Header header;             // of its colours
    Bytes color;               // width * height * 4, premultiplied RGBA, or a JPEG file over black
    bool jpeg = false;
    std::vector<float> depth;  // width * height metres, 0 where nothing is
};

struct FrameCounts {
    uint64_t pictures = 0, splats = 0;  // whole ones
    uint64_t missed = 0;      // frames that never came
    uint64_t incomplete = 0;  // pictures of which a kind never came, splats without their keyframe
    uint64_t refused = 0;     // messages that could not be read
    uint64_t bytes = 0;
};

// `feed` is for one thread, `takePicture` and `takeSplats` for another, `counts` for any.
class FLEXAVATARCORE_API FrameDecoder {
public:
    // A new session, with these kinds.
    void expect(bool color, bool depth);
    // One message. False once the session has ended; `note` says why, or what was wrong with it.
    bool feed(ByteView bytes, std::string& note);

    bool takePicture() { return pictures_.take(); }
    const Picture& picture() { return pictures_.front(); }
    bool takeSplats(SplatBuffer& own) { return splats_.take(own); }
    FrameCounts counts() const;

private:
    void count(const Header& header);
    void feedPicture(const Message& message);

    TripleBuffer<Picture> pictures_;
    SplatDecoder splats_;
    bool wantsColor_ = false, wantsDepth_ = false;
    bool hasColor_ = false, hasDepth_ = false;  // of the picture under way
    bool counting_ = false;
    uint32_t pictureSeq_ = 0, lastSeq_ = 0;
    FrameCounts counts_;
    mutable std::mutex mutex_;  // of counts_
};

}  // namespace flexavatar
