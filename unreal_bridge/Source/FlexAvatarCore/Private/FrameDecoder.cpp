#include "FlexAvatar/FrameDecoder.h"

namespace flexavatar {

void FrameDecoder::expect(bool color, bool depth) {
    wantsColor_ = color;
    wantsDepth_ = depth;
    hasColor_ = hasDepth_ = counting_ = false;
    splats_.clear();
}

void FrameDecoder::count(const Header& header) {
    const uint32_t step = header.seq - lastSeq_;  // wraps with the numbers
    if (counting_ && (step == 0 || step >= 1u << 31)) return;
    if (counting_) counts_.missed += step - 1;
    lastSeq_ = header.seq;
    counting_ = true;
}

bool FrameDecoder::feed(ByteView bytes, std::string& note) {
    Message message;
    const bool fine = parseMessage(bytes, message, note);
    const Header& header = message.header;
    if (fine && header.kind == Kind::End) {
        note.assign(reinterpret_cast<const char*>(message.payload.data), message.payload.size);
        return false;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    counts_.bytes += bytes.size;
    if (!fine) {
        ++counts_.refused;
        return true;
    }
    count(header);
    if (header.kind == Kind::SplatsKey || header.kind == Kind::SplatsDelta) {
        const FeedResult fed = splats_.feed(message, note);
        counts_.splats += fed == FeedResult::Shown;
        counts_.incomplete += fed == FeedResult::WaitsForKey;
        counts_.refused += fed == FeedResult::Malformed;
    } else {
        feedPicture(message);
    }
    return true;
}

void FrameDecoder::feedPicture(const Message& message) {
    Picture& picture = pictures_.back();
    if ((hasColor_ || hasDepth_) && message.header.seq != pictureSeq_) {
        ++counts_.incomplete;
        hasColor_ = hasDepth_ = false;
    }
    pictureSeq_ = message.header.seq;
    const ByteView payload = message.payload;
    if (message.header.kind == Kind::Depth) {
        picture.depth.resize(payload.size / sizeof(float));
        std::memcpy(picture.depth.data(), payload.data, payload.size);
        if (!wantsColor_) picture.header = message.header;
        hasDepth_ = true;
    } else {
        picture.color.assign(payload.data, payload.data + payload.size);
        picture.jpeg = message.header.kind == Kind::Jpeg;
        picture.header = message.header;
        hasColor_ = true;
    }
    if (hasColor_ != wantsColor_ || hasDepth_ != wantsDepth_) return;
    pictures_.publish();
    hasColor_ = hasDepth_ = false;
    ++counts_.pictures;
}

FrameCounts FrameDecoder::counts() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return counts_;
}

}  // namespace flexavatar
