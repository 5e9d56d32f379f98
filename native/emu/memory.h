// Memory of an emulated device, in which every access is looked at.
//
// Owns checked pointers to global and shared memory and the rules of what may follow what. Leaves threads and barriers
// to emulator.cpp. Must stay true: two accesses to one element, one of them a write, are a race unless one thread makes
// both, or both are made in one block with a barrier between; a shared element is written before it is read; a bad
// access is recorded and goes to a spare element, so that one run finds all of them.
#pragma once

#include <stdint.h>

#include <memory>
#include <string>
#include <vector>

namespace emu {

// The running thread: launches and the phases between barriers are counted up and never used again.
struct Moment {
    int64_t launch = 0, phase = 0;
    int block = -1, thread = -1;
};
extern Moment now;

void barrier();
void fail(const char *what, int64_t at);  // in the running kernel
// What was found since the last call, each kind once.
std::vector<std::string> failures();

// Who touched an element last. Readers are one thread, or several of one block, or of several blocks.
struct Mark {
    Moment written, read;
    bool threads = false, blocks = false;

    // Whether the running thread may not follow `before` without a barrier.
    static bool clash(const Moment &before) {
        if (before.launch != now.launch) return false;
        return before.block != now.block || (before.phase == now.phase && before.thread != now.thread);
    }
    void note_read(int64_t at) {
        if (clash(written)) fail("race: read after another thread's write", at);
        const bool same = read.launch == now.launch && read.block == now.block && read.phase == now.phase;
        blocks = read.launch == now.launch && (blocks || read.block != now.block);
        threads = same && (threads || read.thread != now.thread);
        read = now;
    }
    void note_write(int64_t at) {
        if (clash(written)) fail("race: two threads write", at);
        const bool recent = read.launch == now.launch && read.phase == now.phase;
        if (clash(read) || (read.launch == now.launch && blocks) || (recent && threads))
            fail("race: write after another thread's read", at);
        written = now;
    }
};

// One element: reading and writing are noted.
template <class T>
class Element {
public:
    Element(T *value, Mark *mark, int64_t at, bool shared = false)
        : value_(value), mark_(mark), at_(at), shared_(shared) {}
    operator T() const {
        if (shared_ && (mark_->written.launch != now.launch || mark_->written.block != now.block))
            fail("shared memory is read before it is written", at_);
        mark_->note_read(at_);
        return *value_;
    }
    void operator=(T value) const {
        mark_->note_write(at_);
        *value_ = value;
    }
    void operator=(const Element &other) const { *this = (T)other; }

private:
    T *value_;
    Mark *mark_;
    int64_t at_;
    bool shared_;
};

template <class T>
struct Spare {
    static inline std::remove_const_t<T> value{};
    static inline Mark mark;
};

// A place in a buffer of global memory.
template <class T>
class Pointer {
public:
    Pointer() = default;
    Pointer(std::nullptr_t) {}
    Pointer(T *data, Mark *marks, int64_t size, int64_t at = 0) : data_(data), marks_(marks), size_(size), at_(at) {}
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T>>>
    Pointer(const Pointer<U> &other) : Pointer(other.data_, other.marks_, other.size_, other.at_) {}

    explicit operator bool() const { return data_; }
    Pointer operator+(int64_t by) const { return {data_, marks_, size_, at_ + by}; }
    auto operator[](int64_t index) const {
        const int64_t at = at_ + index;
        const bool inside = at >= 0 && at < size_;
        if (!inside) fail("outside of a buffer", at);
        if constexpr (std::is_const_v<T>) {
            if (!inside) return Spare<T>::value;
            marks_[at].note_read(at);
            return (std::remove_const_t<T>)data_[at];
        } else {
            return inside ? Element<T>(data_ + at, marks_ + at, at)
                          : Element<T>(&Spare<T>::value, &(Spare<T>::mark = {}), at);
        }
    }

private:
    template <class U>
    friend class Pointer;
    T *data_ = nullptr;
    Mark *marks_ = nullptr;
    int64_t size_ = 0, at_ = 0;
};

// A buffer of global memory, and the host's view of it.
template <class T>
struct Buffer {
    std::vector<T> data;
    std::unique_ptr<Mark[]> marks;

    explicit Buffer(std::vector<T> values) : data(std::move(values)), marks(new Mark[data.size()]) {}
    operator Pointer<T>() { return {data.data(), marks.get(), (int64_t)data.size()}; }
    operator Pointer<const T>() { return {data.data(), marks.get(), (int64_t)data.size()}; }
};

// An array in the shared memory of a block, which lives as long as the block.
template <class T, int size>
class Tile {
public:
    Element<T> operator[](int64_t index) {
        if (index < 0 || index >= size) {
            fail("outside of shared memory", index);
            return {&Spare<T>::value, &(Spare<T>::mark = {}), index};
        }
        return {data_ + index, marks_ + index, index, true};
    }
    struct Part {
        Tile *tile;
        int64_t at;
        Element<T> operator[](int64_t index) const { return (*tile)[at + index]; }
        Part operator+(int64_t by) const { return {tile, at + by}; }
    };
    Part operator+(int64_t by) { return {this, by}; }

private:
    T data_[size];
    Mark marks_[size];
};

}  // namespace emu
