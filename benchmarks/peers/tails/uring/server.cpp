// The physical limit: nothing but liburing. A ring, a listening socket and a thread each; a connection stays where it
// was accepted. One operation of a connection is on its way at a time.
//
// server THREADS    prints `listening on 127.0.0.1:PORT`

#include "../protocol.hpp"

#include <liburing.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using peers::next_answer;
using peers::read_size;

constexpr unsigned ring_entries = 4096;

int check(int result, char const* what) {
    if (result < 0) {
        throw std::system_error(errno, std::generic_category(), what);
    }
    return result;
}

void set(int fd, int level, int name) {
    int const on = 1;
    check(::setsockopt(fd, level, name, &on, sizeof on), "setsockopt");
}

// Bound to `port`, or to any if it is 0, which is set then.
int listen_on(std::uint16_t& port) {
    int const fd = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    set(fd, SOL_SOCKET, SO_REUSEPORT);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    auto* const where = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    check(::bind(fd, where, size), "bind");
    check(::listen(fd, 4096), "listen");
    check(::getsockname(fd, where, &size), "getsockname");
    port = ntohs(address.sin_port);
    return fd;
}

struct connection {
    int fd;
    std::size_t filled = 0;
    std::string_view rest{};    // received, not yet looked at
    std::string_view answer{};  // not yet sent; empty: a recv is on its way
    std::array<char, read_size> buffer;
};

class loop {
public:
    explicit loop(int listener) : listener_(listener) {
        io_uring_params params{};
        params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CLAMP;
        int const result = ::io_uring_queue_init_params(ring_entries, &ring_, &params);
        if (result < 0) {
            throw std::system_error(-result, std::generic_category(), "io_uring_setup");
        }
        ::io_uring_register_ring_fd(&ring_);
    }
    loop(loop const&) = delete;
    loop& operator=(loop const&) = delete;

    [[noreturn]] void run() {
        accept_all();
        for (;;) {
            ::io_uring_submit_and_wait(&ring_, 1);
            unsigned head = 0;
            unsigned count = 0;
            io_uring_cqe* cqe = nullptr;
            io_uring_for_each_cqe(&ring_, head, cqe) {
                ++count;
                complete(*cqe);
            }
            ::io_uring_cq_advance(&ring_, count);
        }
    }

private:
    io_uring_sqe& next_sqe() {
        io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
        while (sqe == nullptr) {
            ::io_uring_submit(&ring_);
            sqe = ::io_uring_get_sqe(&ring_);
        }
        return *sqe;
    }

    void accept_all() {
        io_uring_sqe& sqe = next_sqe();
        ::io_uring_prep_multishot_accept(&sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
        ::io_uring_sqe_set_data(&sqe, nullptr);
    }

    void complete(io_uring_cqe const& cqe) {
        auto* const of = static_cast<connection*>(::io_uring_cqe_get_data(&cqe));
        if (of == nullptr) {
            if (cqe.res >= 0) {
                set(cqe.res, IPPROTO_TCP, TCP_NODELAY);
                receive(*new connection{.fd = cqe.res, .buffer = {}});
            }
            if ((cqe.flags & IORING_CQE_F_MORE) == 0) {
                accept_all();
            }
            return;
        }
        if (cqe.res <= 0) {
            ::close(of->fd);
            delete of;
            return;
        }
        auto const bytes = static_cast<std::size_t>(cqe.res);
        if (of->answer.empty()) {
            of->filled += bytes;
            of->rest = std::string_view(of->buffer.data(), of->filled);
        } else {
            of->answer.remove_prefix(bytes);
        }
        go_on(*of);
    }

    void go_on(connection& of) {
        if (of.answer.empty()) {
            of.answer = next_answer(of.rest);
        }
        if (of.answer.empty()) {
            receive(of);
        } else {
            io_uring_sqe& sqe = next_sqe();
            ::io_uring_prep_send(&sqe, of.fd, of.answer.data(), of.answer.size(), MSG_NOSIGNAL);
            ::io_uring_sqe_set_data(&sqe, &of);
        }
    }

    void receive(connection& of) {
        std::ranges::copy(of.rest, of.buffer.begin());
        of.filled = of.rest.size();
        io_uring_sqe& sqe = next_sqe();
        ::io_uring_prep_recv(&sqe, of.fd, of.buffer.data() + of.filled, of.buffer.size() - of.filled, 0);
        ::io_uring_sqe_set_data(&sqe, &of);
    }

    io_uring ring_{};
    int listener_;
};

}  // namespace

int main(int argc, char** argv) {
    unsigned const count = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 2;
    std::uint16_t port = 0;
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < count; ++i) {
        // A ring that has a single issuer is that of the thread which made it.
        threads.emplace_back([listener = listen_on(port)] { loop(listener).run(); });
    }
    std::printf("listening on 127.0.0.1:%u\n", port);
    std::fflush(stdout);
}
