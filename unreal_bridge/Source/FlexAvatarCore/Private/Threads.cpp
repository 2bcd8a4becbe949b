#include "Threads.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace flexavatar {
namespace {

struct Launched {
    std::thread thread;
    std::function<void()> stop;
    std::shared_ptr<std::atomic<bool>> ended;
};

struct Registry {
    std::mutex mutex;
    std::vector<Launched> threads;
};

Registry& registry() {
    static Registry* const one = new Registry;  // never destroyed: at exit threads may still run
    return *one;
}

// Joined at once: it has ended.
bool collect(Launched& launched) {
    if (!*launched.ended) return false;
    launched.thread.join();
    return true;
}

}  // namespace

void launch(std::function<void()> work, std::function<void()> stop) {
    const auto ended = std::make_shared<std::atomic<bool>>(false);
    Registry& known = registry();
    const std::lock_guard<std::mutex> lock(known.mutex);
    known.threads.erase(std::remove_if(known.threads.begin(), known.threads.end(), collect),
                        known.threads.end());
    auto run = [work = std::move(work), ended] {
        work();
        *ended = true;
    };
    known.threads.push_back({std::thread(std::move(run)), std::move(stop), ended});
}

void joinThreads() {
    std::vector<Launched> all;
    {
        Registry& known = registry();
        const std::lock_guard<std::mutex> lock(known.mutex);
        all.swap(known.threads);
    }
    for (Launched& launched : all) launched.stop();
    for (Launched& launched : all) launched.thread.join();
}

}  // namespace flexavatar
