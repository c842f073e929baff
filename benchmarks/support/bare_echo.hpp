#pragma once

#include <liburing.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include <sys/mman.h>
#include <sys/socket.h>

namespace magpie::bench {

constexpr std::size_t message_size = 64;

enum class receive : std::uint8_t {
    own,        // one at a time, into a buffer that the connection has
    borrowed,   // one at a time, into a buffer that the kernel chooses when there is something
    multishot,  // begun once, buffers as above
};

// Echoes over one io_uring with nothing in between: no coroutine, no scheduler. What arrives is sent back, and received
// again only when it was sent. It is the yardstick for a server; and, as one that begins, the client of all of them.
class bare_echo {
public:
    explicit bare_echo(receive how, std::size_t own_size = message_size) : how_(how), own_size_(own_size) {
        io_uring_params params{};
        params.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE;  // as magpie's
        params.cq_entries = 16384;
        if (io_uring_queue_init_params(1024, &ring_, &params) != 0) {
            throw std::runtime_error("io_uring is refused");
        }
        if (how != receive::own) {
            provide_all();
        }
    }

    bare_echo(bare_echo const&) = delete;
    bare_echo& operator=(bare_echo const&) = delete;
    ~bare_echo() {
        io_uring_queue_exit(&ring_);
        if (provided_ != nullptr) {
            ::munmap(provided_, buffers * sizeof(io_uring_buf));
        }
    }

    // Takes no ownership.
    void add(int fd) {
        connections_.push_back({.fd = fd, .own = how_ == receive::own ? std::make_unique<char[]>(own_size_) : nullptr});
        receive_from(connections_.size() - 1);
    }

    [[noreturn]] void serve(int listener) {
        listener_ = listener;
        accept();
        for (;;) {
            look();
        }
    }

    // Sends so many messages, at most one at a time over each connection, and waits for as many answers.
    void ask(std::size_t count) {
        static constexpr std::array<char, message_size> message{};
        answers_wanted_ = count;
        answers_ = 0;
        to_send_ = count;
        for (std::size_t i = 0; i < connections_.size() && to_send_ != 0; ++i, --to_send_) {
            send_to(i, message.data(), message.size(), none);
        }
        while (answers_ != answers_wanted_) {
            look();
        }
    }

private:
    static constexpr unsigned buffers = 4096;
    static constexpr std::uint16_t none = 0xffff;  // no buffer
    enum class event : std::uint8_t { accepted, received, sent };

    struct connection {
        int fd = -1;
        std::unique_ptr<char[]> own{};
    };

    static std::uint64_t tag(event what, std::size_t which, std::uint16_t buffer) noexcept {
        return static_cast<std::uint64_t>(what) | static_cast<std::uint64_t>(which) << 8 |
               static_cast<std::uint64_t>(buffer) << 48;
    }

    io_uring_sqe& next_entry() {
        io_uring_sqe* entry = io_uring_get_sqe(&ring_);
        if (entry == nullptr) {
            (void)io_uring_submit(&ring_);
            entry = io_uring_get_sqe(&ring_);
        }
        return *entry;
    }

    void accept() {
        io_uring_sqe& entry = next_entry();
        io_uring_prep_accept(&entry, listener_, nullptr, nullptr, SOCK_CLOEXEC);
        entry.user_data = tag(event::accepted, 0, none);
    }

    void receive_from(std::size_t which) {
        connection const& c = connections_[which];
        io_uring_sqe& entry = next_entry();
        io_uring_prep_recv(&entry, c.fd, c.own.get(), how_ == receive::own ? own_size_ : 0, 0);
        if (how_ != receive::own) {
            entry.flags = IOSQE_BUFFER_SELECT;
            entry.buf_group = 0;
        }
        if (how_ == receive::multishot) {
            entry.ioprio = IORING_RECV_MULTISHOT;
        }
        entry.user_data = tag(event::received, which, none);
    }

    void send_to(std::size_t which, void const* bytes, std::size_t count, std::uint16_t buffer) {
        io_uring_sqe& entry = next_entry();
        io_uring_prep_send(&entry, connections_[which].fd, bytes, count, MSG_NOSIGNAL);
        entry.user_data = tag(event::sent, which, buffer);
    }

    void look() {
        (void)io_uring_submit_and_wait(&ring_, 1);
        std::array<io_uring_cqe*, 1024> there{};
        unsigned const count = io_uring_peek_batch_cqe(&ring_, there.data(), there.size());
        for (unsigned i = 0; i < count; ++i) {
            take_in(*there[i]);
        }
        io_uring_cq_advance(&ring_, count);
    }

    void take_in(io_uring_cqe const& c) {
        auto const what = static_cast<event>(c.user_data & 0xff);
        auto const which = static_cast<std::size_t>(c.user_data >> 8 & 0xffff'ffff);
        if (what == event::accepted) {
            add(c.res);
            accept();
        } else if (what == event::received) {
            received(which, c);
        } else {
            provide(static_cast<std::uint16_t>(c.user_data >> 48));
            if (how_ != receive::multishot) {
                receive_from(which);
            }
        }
    }

    void received(std::size_t which, io_uring_cqe const& c) {
        if (c.res <= 0) {
            if (c.res == -ENOBUFS) {
                throw std::runtime_error("too few buffers");
            }
            return;  // the end: whoever measures has gone
        }
        if (how_ == receive::multishot && (c.flags & IORING_CQE_F_MORE) == 0) {
            receive_from(which);
        }
        auto const buffer =
            how_ == receive::own ? none : static_cast<std::uint16_t>(c.flags >> IORING_CQE_BUFFER_SHIFT);
        ++answers_;
        if (answers_wanted_ != 0 && to_send_ == 0) {
            provide(buffer);
            if (how_ != receive::multishot) {
                receive_from(which);
            }
            return;
        }
        to_send_ -= to_send_ != 0 ? 1 : 0;
        char const* const bytes =
            how_ == receive::own ? connections_[which].own.get() : memory_.get() + place_of(buffer);
        send_to(which, bytes, static_cast<std::size_t>(c.res), buffer);
    }

    std::size_t place_of(std::uint16_t buffer) const noexcept { return buffer * own_size_; }

    void provide_all() {
        memory_ = std::make_unique<char[]>(buffers * own_size_);
        void* const memory =
            ::mmap(nullptr, buffers * sizeof(io_uring_buf), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
        io_uring_buf_reg registration{};
        registration.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
        registration.ring_entries = buffers;
        if (memory == MAP_FAILED ||
            io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_PBUF_RING, &registration, 1) != 0) {
            throw std::runtime_error("the kernel takes no buffer ring");
        }
        provided_ = static_cast<io_uring_buf_ring*>(memory);
        io_uring_buf_ring_init(provided_);
        for (std::uint16_t i = 0; i < buffers; ++i) {
            provide(i);
        }
    }

    void provide(std::uint16_t buffer) {
        if (buffer == none) {
            return;
        }
        io_uring_buf_ring_add(provided_, memory_.get() + place_of(buffer), static_cast<unsigned>(own_size_), buffer,
                              io_uring_buf_ring_mask(buffers), 0);
        io_uring_buf_ring_advance(provided_, 1);
    }

    io_uring ring_{};
    receive how_;
    std::size_t own_size_;
    std::vector<connection> connections_;
    int listener_ = -1;
    std::unique_ptr<char[]> memory_;
    io_uring_buf_ring* provided_ = nullptr;
    std::size_t answers_wanted_ = 0;  // 0: a server
    std::size_t answers_ = 0;
    std::size_t to_send_ = 0;
};

}  // namespace magpie::bench
