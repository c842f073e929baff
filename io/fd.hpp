#pragma once

#include <utility>

namespace magpie::io {

// Owns a file descriptor, and closes it. Move-only; one thread at a time. No operation may be in flight on the
// descriptor when it is closed: the operation would go on, on a file that nobody can name any more.
class fd {
public:
    fd() = default;
    explicit fd(int descriptor) noexcept : descriptor_(descriptor) {}
    fd(fd&& other) noexcept : descriptor_(other.release()) {}
    fd& operator=(fd&& other) noexcept {
        reset(other.release());
        return *this;
    }
    ~fd() { reset(); }

    int get() const noexcept { return descriptor_; }
    explicit operator bool() const noexcept { return descriptor_ >= 0; }

    // Gives up ownership.
    [[nodiscard]] int release() noexcept { return std::exchange(descriptor_, -1); }

    // Closes what it owns and owns `descriptor` from then on. Keeps errno.
    void reset(int descriptor = -1) noexcept {
        int const old = std::exchange(descriptor_, descriptor);
        if (old >= 0 && old != descriptor) {
            close_quietly(old);
        }
    }

private:
    static void close_quietly(int descriptor) noexcept;

    int descriptor_ = -1;
};

}  // namespace magpie::io
