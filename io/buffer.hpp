#pragma once

#include <magpie/io/op.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace magpie::detail {
class buffer_pool;
}

namespace magpie::io {

// Bytes that were received into a buffer of an event loop's (config.io.buffer_ring), borrowed: an idle connection holds
// no memory. Give it back soon, by destroying it or by reset(), on any thread: while all of a loop's buffers are lent,
// its receives wait. Move-only. It may outlive the runtime.
class [[nodiscard]] buffer {
public:
    buffer() = default;
    buffer(buffer&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), bytes_(std::exchange(other.bytes_, {})), id_(other.id_) {}
    buffer& operator=(buffer&& other) noexcept {
        if (this != &other) {
            reset();
            pool_ = std::exchange(other.pool_, nullptr);
            bytes_ = std::exchange(other.bytes_, {});
            id_ = other.id_;
        }
        return *this;
    }
    ~buffer() { reset(); }

    std::byte* data() const noexcept { return bytes_.data(); }
    std::size_t size() const noexcept { return bytes_.size(); }
    bool empty() const noexcept { return bytes_.empty(); }
    std::span<std::byte> bytes() const noexcept { return bytes_; }
    std::string_view text() const noexcept { return {reinterpret_cast<char const*>(bytes_.data()), bytes_.size()}; }
    operator std::span<std::byte const>() const noexcept { return bytes_; }

    // Gives it back; it is empty afterwards.
    void reset() noexcept;

    // The buffer that an operation's completion names, if it names one: for maps of io/op.hpp.
    static buffer of(completed const& end) noexcept;

private:
    detail::buffer_pool* pool_ = nullptr;
    std::span<std::byte> bytes_;
    std::uint16_t id_ = 0;
};

// A receive into a borrowed buffer. Empty: the end.
struct as_buffer {
    result<buffer> operator()(completed const& end) const {
        buffer borrowed = buffer::of(end);
        if (end.result < 0) {
            return failure(-end.result);
        }
        return borrowed;
    }
};

}  // namespace magpie::io
