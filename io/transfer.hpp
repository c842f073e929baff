#pragma once

#include <magpie/io/errors.hpp>
#include <magpie/io/result.hpp>
#include <magpie/io/tcp.hpp>
#include <magpie/runtime/awaitable.hpp>
#include <magpie/runtime/task.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

namespace magpie::io {

// Something bytes come from, a part at a time: read(buffer) gives how many came, at least one, or 0 at the end.
template <class S>
concept byte_source = requires(S& s, std::span<std::byte> to) {
    { s.read(to) } -> awaitable;
    requires std::same_as<await_result_t<decltype(s.read(to))>, result<std::size_t>>;
};

// Something bytes go to, a part at a time: write(bytes) gives how many were taken, at least one.
template <class S>
concept byte_sink = requires(S& s, const_buffer from) {
    { s.write(from) } -> awaitable;
    requires std::same_as<await_result_t<decltype(s.write(from))>, result<std::size_t>>;
};

// A sink that takes several parts with one system call.
template <class S>
concept gathering_sink = byte_sink<S> && requires(S& s, std::span<const_buffer const> parts) {
    { s.write(parts) } -> awaitable;
};

// All of these end with the first error, or when cancelled, and say in `done` on every exit, an exception included, how
// many bytes were moved. The stream and the buffers must stay valid until then.

// Fills the buffer. An end before it is full is errc::end_of_stream.
template <byte_source S>
task<result<>> read_exactly(S& from, std::span<std::byte> buffer, std::size_t& done) {
    done = 0;
    while (done < buffer.size()) {
        auto const got = co_await from.read(buffer.subspan(done));
        if (!got) {
            co_return failure(got.error());
        }
        if (*got == 0) {
            co_return failure(errc::end_of_stream);
        }
        done += *got;
    }
    co_return result<>();
}

template <byte_source S>
task<result<>> read_exactly(S& from, std::span<std::byte> buffer) {
    std::size_t done = 0;
    co_return co_await read_exactly(from, buffer, done);
}

// Reads until the delimiter has come, and gives the number of bytes up to and including it. What came behind it is in
// the buffer, too: `done` says how much there is in all (so this one is for exchanges in which nothing follows; others
// want a buffered_reader). errc::too_long: the buffer is full without it; errc::end_of_stream: it did not come.
template <byte_source S>
task<result<std::size_t>> read_until(S& from, std::span<std::byte> buffer, std::string_view delimiter,
                                     std::size_t& done) {
    done = 0;
    std::size_t searched = 0;
    for (;;) {
        std::string_view const text(reinterpret_cast<char const*>(buffer.data()), done);
        if (auto const at = text.find(delimiter, searched); at != text.npos) {
            co_return at + delimiter.size();
        }
        if (done == buffer.size()) {
            co_return failure(errc::too_long);
        }
        searched = done - std::min(done, delimiter.size() - 1);
        auto const got = co_await from.read(buffer.subspan(done));
        if (!got) {
            co_return failure(got.error());
        }
        if (*got == 0) {
            co_return failure(errc::end_of_stream);
        }
        done += *got;
    }
}

// Writes all of it.
template <byte_sink S>
task<result<>> write_all(S& to, const_buffer bytes, std::size_t& done) {
    done = 0;
    while (done < bytes.size()) {
        auto const put = co_await to.write(bytes.subspan(done));
        if (!put) {
            co_return failure(put.error());
        }
        done += *put;
    }
    co_return result<>();
}

template <byte_sink S>
task<result<>> write_all(S& to, const_buffer bytes) {
    std::size_t done = 0;
    co_return co_await write_all(to, bytes, done);
}

template <byte_sink S>
task<result<>> write_all(S& to, std::string_view text, std::size_t& done) {
    return write_all(to, as_bytes(text), done);
}

template <byte_sink S>
task<result<>> write_all(S& to, std::string_view text) {
    return write_all(to, as_bytes(text));
}

}  // namespace magpie::io

namespace magpie::detail {

// What is left of a list of parts, as a list that one operation takes.
class parts_window {
public:
    explicit parts_window(std::span<io::const_buffer const> parts) noexcept : parts_(parts) { skip_empty(); }

    bool empty() const noexcept { return parts_.empty(); }

    std::span<io::const_buffer const> next() noexcept {
        std::size_t count = 0;
        for (io::const_buffer const part : parts_) {
            if (count == window_.size()) {
                break;
            }
            window_[count] = count == 0 ? part.subspan(offset_) : part;
            ++count;
        }
        return std::span(window_).first(count);
    }

    void advance(std::size_t bytes) noexcept {
        offset_ += bytes;
        while (!parts_.empty() && offset_ >= parts_.front().size()) {
            offset_ -= parts_.front().size();
            parts_ = parts_.subspan(1);
        }
        skip_empty();
    }

private:
    void skip_empty() noexcept {
        while (!parts_.empty() && offset_ == parts_.front().size()) {
            offset_ = 0;
            parts_ = parts_.subspan(1);
        }
    }

    std::span<io::const_buffer const> parts_;
    std::size_t offset_ = 0;  // into the first
    std::array<io::const_buffer, 16> window_;
};

}  // namespace magpie::detail

namespace magpie::io {

// Writes all of several parts, in order, with as few system calls as the sink allows. The list, too, must stay valid.
template <byte_sink S>
task<result<>> write_all(S& to, std::span<const_buffer const> parts, std::size_t& done) {
    done = 0;
    detail::parts_window left(parts);
    while (!left.empty()) {
        auto const window = left.next();
        result<std::size_t> put = std::size_t{0};
        if constexpr (gathering_sink<S>) {
            put = co_await to.write(window);
        } else {
            put = co_await to.write(window.front());
        }
        if (!put) {
            co_return failure(put.error());
        }
        done += *put;
        left.advance(*put);
    }
    co_return result<>();
}

template <byte_sink S>
task<result<>> write_all(S& to, std::span<const_buffer const> parts) {
    std::size_t done = 0;
    co_return co_await write_all(to, parts, done);
}

}  // namespace magpie::io
