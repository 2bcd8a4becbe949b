// Newest wins, between one thread that writes and one that reads; neither waits.
#pragma once

#include <atomic>
#include <cstdint>

namespace flexavatar {

template <class Value>
class TripleBuffer {
public:
    // The writer's own, to be filled; what it held before is old.
    Value& back() { return values_[back_]; }
    // Hands `back` over.
    void publish() {
        back_ = uint8_t(middle_.exchange(uint8_t(back_ | NEWS), std::memory_order_acq_rel) & PLACE);
    }

    // Takes the newest, if there is one that was not taken yet.
    bool take() {
        if (!(middle_.load(std::memory_order_relaxed) & NEWS)) return false;
        front_ = uint8_t(middle_.exchange(front_, std::memory_order_acq_rel) & PLACE);
        return true;
    }
    // The reader's own: what was taken last.
    Value& front() { return values_[front_]; }

private:
    static constexpr uint8_t PLACE = 3, NEWS = 4;
    Value values_[3];
    uint8_t back_ = 0, front_ = 1;
    std::atomic<uint8_t> middle_{2};
};

}  // namespace flexavatar
