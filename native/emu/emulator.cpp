// The emulator's threads: one context each, which hand over at barriers.
//
// Owns the order in which they run and what is said of a bad kernel. Leaves memory to memory.h. Must stay true: one
// processor thread does it all, so that a run can be repeated; contexts are made once and used for every block.
#undef _FORTIFY_SOURCE  // it takes a jump to another stack for a mistake
#include "emulator.h"

#include <setjmp.h>
#include <ucontext.h>

#include <set>

namespace emu {

Moment now;

namespace {

constexpr size_t kStack = 1 << 16;

struct Thread {
    ucontext_t context{};
    jmp_buf at;
    std::vector<char> stack = std::vector<char>(kStack);
    const std::function<void(int)> *body = nullptr;
    int index = 0;
    bool begun = false, waits = false;
};

std::vector<std::unique_ptr<Thread>> pool;
jmp_buf scheduler;
Thread *running = nullptr;
const char *kernel = "";
std::set<std::string> found;
uint64_t drawn = 1;

uint32_t draw() { return (uint32_t)((drawn = drawn * 6364136223846793005u + 1442695040888963407u) >> 33); }

// A context is entered once by setcontext, which asks the system; from then on by jumps, which do not.
void suspend(Thread &own) {
    if (!_setjmp(own.at)) _longjmp(scheduler, 1);
}

[[noreturn]] void serve() {
    for (;;) {
        Thread &own = *running;
        (*own.body)(own.index);
        suspend(own);
    }
}

__attribute__((noinline)) void resume(Thread &own) {
    running = &own;
    if (_setjmp(scheduler)) return;
    if (own.begun) _longjmp(own.at, 1);
    own.begun = true;
    setcontext(&own.context);
}

Thread &thread(size_t index) {
    while (pool.size() <= index) {
        auto made = std::make_unique<Thread>();
        getcontext(&made->context);
        made->context.uc_stack.ss_sp = made->stack.data();
        made->context.uc_stack.ss_size = kStack;
        made->context.uc_link = nullptr;
        makecontext(&made->context, serve, 0);
        pool.push_back(std::move(made));
    }
    return *pool[index];
}

void run_block(int threads, const std::function<void(int)> &body) {
    std::vector<int> order((size_t)threads);
    for (int i = 0; i < threads; ++i) {
        order[(size_t)i] = i;
        thread((size_t)i).body = &body;
        thread((size_t)i).index = i;
    }
    for (size_t left = order.size(); left;) {
        ++now.phase;
        for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[draw() % i]);
        std::vector<int> waiting;
        for (int index : order) {
            Thread &own = thread((size_t)index);
            own.waits = false;
            now.thread = index;
            resume(own);
            if (own.waits) waiting.push_back(index);
        }
        if (!waiting.empty() && waiting.size() != left)
            fail("a barrier that not all threads reach", (int64_t)waiting.size());
        order = waiting;
        left = waiting.size();
    }
}

}  // namespace

void barrier() {
    running->waits = true;
    suspend(*running);
}

void fail(const char *what, int64_t at) {
    const std::string kind = std::string(kernel) + ": " + what;
    for (const std::string &known : found)
        if (known.compare(0, kind.size(), kind) == 0) return;
    found.insert(kind + ": element " + std::to_string(at) + ", block " + std::to_string(now.block) + ", thread " +
                 std::to_string(now.thread));
}

std::vector<std::string> failures() {
    std::vector<std::string> all(found.begin(), found.end());
    found.clear();
    return all;
}

void launch(const char *name, Extent grid, int threads, const std::function<void()> &fresh,
            const std::function<void(int x, int y, int z, int thread)> &body) {
    kernel = name;
    ++now.launch;
    now.block = 0;
    for (int z = 0; z < grid.z; ++z)
        for (int y = 0; y < grid.y; ++y)
            for (int x = 0; x < grid.x; ++x, ++now.block) {
                fresh();
                run_block(threads, [&](int thread) { body(x, y, z, thread); });
            }
    ++now.launch;  // what the host reads is no part of it
}

}  // namespace emu
