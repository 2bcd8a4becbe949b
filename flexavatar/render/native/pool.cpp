#include "pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "simd.h"

namespace flex {
namespace {

constexpr int SPINS = 2000;  // some 20 us: longer than the gap between two stages of one frame
constexpr int MAX_THREADS = 64;

void relax() {
#if defined(__SSE__)
    _mm_pause();
#else
    asm volatile("" ::: "memory");
#endif
}

struct Job {
    void (*body)(void*, int);
    void* data;
    int count;
    std::atomic<int> next{0};
    std::atomic<int> helpers{0};

    void work() {
        FlushDenormals flush;
        for (int i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) body(data, i);
    }
    bool has_work() const { return next.load(std::memory_order_relaxed) < count; }
};

class Pool {
public:
    std::atomic<int> threads{1};

    void run(Job& job) {
        const int wanted = std::min(threads.load(), job.count) - 1;
        if (wanted > 0) offer(job, wanted);
        job.work();
        if (wanted > 0) withdraw(job);
    }

private:
    // New work is seen by workers that still spin; sleeping ones are woken.
    void offer(Job& job, int wanted) {
        std::lock_guard<std::mutex> lock(mutex_);
        while (workers_ < wanted) {
            std::thread([this] { live(); }).detach();
            ++workers_;
        }
        jobs_.push_back(&job);
        posted_.fetch_add(1);
        if (sleeping_ > 0) wake_.notify_all();
    }

    void withdraw(Job& job) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            jobs_.erase(std::find(jobs_.begin(), jobs_.end(), &job));
        }
        for (int i = 0; i < SPINS; ++i) {
            if (job.helpers.load(std::memory_order_acquire) == 0) return;
            relax();
        }
        std::unique_lock<std::mutex> lock(mutex_);
        left_.wait(lock, [&] { return job.helpers.load() == 0; });
    }

    Job* join_any() {
        for (Job* job : jobs_) {
            if (job->has_work() && job->helpers.load() < threads.load() - 1) {
                job->helpers.fetch_add(1);
                return job;
            }
        }
        return nullptr;
    }

    void live() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            const unsigned seen = posted_.load();
            if (Job* job = join_any()) {
                lock.unlock();
                job->work();
                lock.lock();
                job->helpers.fetch_sub(1, std::memory_order_release);
                left_.notify_all();
                continue;
            }
            lock.unlock();
            for (int i = 0; i < SPINS && posted_.load() == seen; ++i) relax();
            lock.lock();
            ++sleeping_;
            wake_.wait(lock, [&] { return posted_.load() != seen; });
            --sleeping_;
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_, left_;
    std::vector<Job*> jobs_;
    std::atomic<unsigned> posted_{0};
    int workers_ = 0;
    int sleeping_ = 0;
};

Pool* make_pool();

// Never destroyed: its threads outlive main.
Pool*& pool() {
    static Pool* instance = make_pool();
    return instance;
}

// A forked child has no workers and perhaps a locked mutex: it starts with a new pool.
void renew_pool() {
    const int threads = pool()->threads.load();
    pool() = new Pool();
    pool()->threads = threads;
}

Pool* make_pool() {
    pthread_atfork(nullptr, nullptr, renew_pool);
    return new Pool();
}

}  // namespace

void set_threads(int count) { pool()->threads = std::clamp(count, 1, MAX_THREADS); }

int get_threads() { return pool()->threads.load(); }

void run_parallel(int count, void (*body)(void*, int), void* data) {
    Job job{body, data, count};
    pool()->run(job);
}

}  // namespace flex
