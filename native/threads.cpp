// A small pool of threads.
//
// Owns the workers and how a job's pieces are handed out. Leaves the cutting of
// a job into pieces to ops.cpp. Must stay true: a piece owns its outputs, so the
// result never depends on the number of threads; one job runs at a time; a
// forked child, which has no workers, starts its own.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "kernel.h"

namespace edgesleep {
namespace {

constexpr int kLooks = 1000;  // ten to seventy microseconds, by how long a processor pauses

inline void relax() {
#if defined(EDGESLEEP_X86)
    __builtin_ia32_pause();
#elif defined(EDGESLEEP_ARM)
    asm volatile("yield");
#endif
}

std::atomic<int> limit{0};  // 0: as many as the processor has

class Pool {
public:
    void run(int threads, int64_t count, void (*work)(void *, int64_t), void *context) {
        std::lock_guard<std::mutex> one_job(job_);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            grow(threads - 1);
            work_ = work;
            context_ = context;
            count_ = count;
            next_ = 0;
            wanted_ = std::min(threads - 1, workers_);
            busy_ = wanted_;
            ++number_;
        }
        start_.notify_all();
        pull();
        const auto done = [&] { return busy_ == 0; };
        look_for(done);
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, done);
        if (failed_.exchange(false)) throw std::bad_alloc();  // all that a piece throws
    }

private:
    void grow(int workers) {
        for (; workers_ < workers; ++workers_) {
            try {
                std::thread(&Pool::serve, this, workers_, number_.load()).detach();
            } catch (const std::system_error &) {
                return;  // the system allows no more: the job runs on fewer
            }
        }
    }

    void serve(int id, uint64_t seen) {
        for (;;) {
            const auto more = [&] { return number_ != seen; };
            look_for(more);
            {
                std::unique_lock<std::mutex> lock(mutex_);
                start_.wait(lock, more);
                seen = number_;
                if (id >= wanted_) continue;
            }
            pull();
            if (--busy_ == 0) {
                std::lock_guard<std::mutex> lock(mutex_);
                done_.notify_one();
            }
        }
    }

    // Most jobs follow each other within microseconds: looking for a moment is cheaper than sleeping and being woken.
    template <class Ready>
    static void look_for(Ready ready) {
        for (int look = 0; look < kLooks && !ready(); ++look) relax();
    }

    void pull() {
        try {
            for (int64_t i; (i = next_.fetch_add(1)) < count_;) work_(context_, i);
        } catch (...) {
            failed_ = true;  // the others finish what is left
        }
    }

    std::mutex job_, mutex_;
    std::condition_variable start_, done_;
    std::atomic<int64_t> next_{0};
    std::atomic<bool> failed_{false};
    void (*work_)(void *, int64_t) = nullptr;
    void *context_ = nullptr;
    int64_t count_ = 0;
    std::atomic<uint64_t> number_{0};
    std::atomic<int> busy_{0};
    int workers_ = 0, wanted_ = 0;
};

// Never destroyed: workers may still wait on it while the process ends.
Pool &pool() {
    static std::mutex mutex;
    static Pool *current = nullptr;
    static pid_t owner = 0;
    std::lock_guard<std::mutex> lock(mutex);
    if (owner != getpid()) {
        current = new Pool;
        owner = getpid();
    }
    return *current;
}

}  // namespace

void parallel(int64_t count, void (*work)(void *, int64_t), void *context) {
    int threads = limit ? limit.load() : (int)std::thread::hardware_concurrency();
    threads = (int)std::min<int64_t>(std::max(threads, 1), count);
    if (threads <= 1) {
        for (int64_t i = 0; i < count; ++i) work(context, i);
        return;
    }
    pool().run(threads, count, work, context);
}

}  // namespace edgesleep

extern "C" void es_set_threads(int32_t threads) { edgesleep::limit = std::max(threads, 0); }
