#pragma once

#include "../protocol.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace peers {

// A request that waits for its answer.
struct request {
    std::uint64_t number = 0;
    std::int64_t due = 0;  // when it was meant to be sent, in nanoseconds
    char kind = light;
    bool measured = false;
};

using message = std::array<char, message_size>;

inline message message_of(request const& of) {
    message m;
    m.fill('.');
    m[0] = of.kind;
    std::memcpy(m.data() + 1, &of.number, sizeof of.number);
    return m;
}

// A connection to the server, non-blocking: requests go out as far as the socket takes them, and are kept for the rest.
class connection {
public:
    explicit connection(int fd) : fd_(fd) {}
    connection(connection&& from) noexcept
        : fd_(std::exchange(from.fd_, -1)), waiting_(std::move(from.waiting_)), unsent_(std::move(from.unsent_)) {}
    connection& operator=(connection&&) = delete;
    ~connection() {
        if (fd_ >= 0) {
            linger const reset{.l_onoff = 1, .l_linger = 0};  // leaves no port behind that waits a minute
            ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            ::close(fd_);
        }
    }

    int fd() const { return fd_; }
    bool wants_to_send() const { return !unsent_.empty(); }
    std::deque<request> const& waiting() const { return waiting_; }

    // Never waits.
    void send(request const& r) {
        message const m = message_of(r);
        waiting_.push_back(r);
        unsent_.append(m.data(), m.size());
        flush();
    }

    void flush() {
        ssize_t const sent = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) {
            throw std::runtime_error("the server has closed a connection");
        }
        unsent_.erase(0, sent > 0 ? static_cast<std::size_t>(sent) : 0);
    }

    // Takes what has come, and calls answered(request) for each answer that is complete. False: there was less than
    // `space` holds, so nothing is left.
    template <class F>
    bool receive(std::span<char> space, F answered) {
        ssize_t const got = ::recv(fd_, space.data(), space.size(), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            throw std::runtime_error("the server has closed a connection");
        }
        std::span<char const> rest = space.first(got > 0 ? static_cast<std::size_t>(got) : 0);
        while (!rest.empty()) {
            if (waiting_.empty()) {
                throw std::runtime_error("the server answers what nobody asked");
            }
            request const& first = waiting_.front();
            std::size_t const size = first.kind == large ? large_size : message_size;
            auto const part = rest.first(std::min(rest.size(), size - received_));
            verify(first, part);
            received_ += part.size();
            rest = rest.subspan(part.size());
            if (received_ == size) {
                request const done = first;
                waiting_.pop_front();
                received_ = 0;
                answered(done);
            }
        }
        return got == static_cast<ssize_t>(space.size());
    }

private:
    void verify(request const& of, std::span<char const> part) const {
        bool const right = of.kind == large
                               ? part.front() == large && part.back() == large
                               : std::memcmp(message_of(of).data() + received_, part.data(), part.size()) == 0;
        if (!right) {
            throw std::runtime_error("the server answers something else");
        }
    }

    int fd_;
    std::deque<request> waiting_{};
    std::string unsent_{};
    std::size_t received_ = 0;  // of the first one's answer
};

}  // namespace peers
