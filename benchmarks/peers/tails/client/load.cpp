#include "load.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

namespace peers {

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::size_t space_size = 256 * 1024;
constexpr std::size_t connected_at_a_time = 128;  // fewer than the shortest queue of a listening socket

std::int64_t now() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * second + t.tv_nsec;
}

std::int64_t nanoseconds(double seconds) {
    return static_cast<std::int64_t>(seconds * second);
}

int connect_to(std::uint16_t port) {
    int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(port);
    int const on = 1;
    if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr const*>(&to), sizeof to) != 0 ||
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        throw std::runtime_error("cannot connect: " + std::string(std::strerror(errno)));
    }
    return fd;
}

}  // namespace

load::load(plan const& p) : plan_(p), poll_(::epoll_create1(EPOLL_CLOEXEC)), space_(space_size) {
    ::prctl(PR_SET_TIMERSLACK, 1);
    connect_all(plan_.connections + plan_.heavy_connections + plan_.idle_connections);
}

load::~load() {
    ::close(poll_);
}

void load::connect_all(unsigned count) {
    connections_.reserve(count);
    for (std::size_t first = 0; first < count; first = connections_.size()) {
        while (connections_.size() < count && connections_.size() < first + connected_at_a_time) {
            connections_.emplace_back(connect_to(plan_.port));
            epoll_event event{.events = EPOLLIN, .data = {.u64 = connections_.size() - 1}};
            ::epoll_ctl(poll_, EPOLL_CTL_ADD, connections_.back().fd(), &event);
        }
        exchange_on(first);
    }
}

void load::exchange_on(std::size_t first) {
    for (std::size_t i = first; i < connections_.size(); ++i) {
        send(i, {.number = i, .due = 0});
    }
    std::int64_t const end = now() + nanoseconds(plan_.patience);
    auto const waits = [](connection const& c) { return !c.waiting().empty(); };
    while (std::any_of(connections_.begin() + static_cast<std::ptrdiff_t>(first), connections_.end(), waits)) {
        if (now() > end) {
            throw std::runtime_error("the server does not answer");
        }
        receive(end);
    }
}

std::int64_t load::due(std::uint64_t number) const {
    return begun_ + static_cast<std::int64_t>(static_cast<double>(number) * second / plan_.rate);
}

outcome load::run() {
    begun_ = now();
    measured_from_ = begun_ + nanoseconds(plan_.warm_up);
    measured_until_ = measured_from_ + nanoseconds(plan_.seconds);
    std::int64_t const end = measured_until_ + nanoseconds(plan_.patience);
    if (plan_.rate == 0) {
        for (std::size_t i = 0; i < plan_.connections; ++i) {
            send(i, {.number = next_++, .due = now()});
        }
    }
    for (;;) {
        std::int64_t const t = now();
        if (phase_ == phase::warming && t >= measured_from_) {
            begin_measuring();
        }
        if (phase_ != phase::draining && plan_.rate > 0) {
            send_due(t);
        }
        if (phase_ == phase::measuring && t >= measured_until_) {
            end_measuring();
        }
        if (phase_ == phase::draining && (open_ == 0 || t >= end)) {
            break;
        }
        std::int64_t const border = phase_ == phase::warming     ? measured_from_
                                    : phase_ == phase::measuring ? measured_until_
                                                                 : end;
        receive(phase_ != phase::draining && plan_.rate > 0 ? std::min(due(next_), border) : border);
    }
    give_up(now());
    return outcome_;
}

void load::begin_measuring() {
    phase_ = phase::measuring;
    before_ = cpu_usage::now(plan_.server);
}

void load::end_measuring() {
    phase_ = phase::draining;
    outcome_.used = cpu_usage::now(plan_.server) - before_;
    outcome_.seconds = static_cast<double>(outcome_.used.time) / second;
    if (outcome_.seconds < plan_.seconds / 2) {
        throw std::runtime_error("the machine did not let the client run");
    }
}

void load::send_due(std::int64_t now) {
    for (; due(next_) <= std::min(now, measured_until_ - 1); ++next_) {
        request r{.number = next_, .due = due(next_)};
        r.measured = r.due >= measured_from_;
        auto to = static_cast<std::size_t>(next_ % plan_.connections);
        if (plan_.heavy != 0 && r.measured && next_ % plan_.one_in == plan_.one_in / 2) {
            r.kind = plan_.heavy;
            to = plan_.connections + next_ / plan_.one_in % plan_.heavy_connections;
        }
        if (r.measured) {
            outcome_.late.record(now - r.due);
            ++open_;
        }
        send(to, r);
    }
}

void load::send(std::size_t to, request const& r) {
    connection& c = connections_[to];
    bool const waited = c.wants_to_send();
    c.send(r);
    if (c.wants_to_send() && !waited) {
        epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.u64 = to}};
        ::epoll_ctl(poll_, EPOLL_CTL_MOD, c.fd(), &event);
    }
}

void load::receive(std::int64_t until) {
    std::array<epoll_event, 256> events{};
    std::int64_t const left = std::max(std::int64_t{0}, until - now());
    timespec const limit{.tv_sec = left / second, .tv_nsec = left % second};
    int const ready = ::epoll_pwait2(poll_, events.data(), static_cast<int>(events.size()), &limit, nullptr);
    for (int i = 0; i < ready; ++i) {
        epoll_event const& event = events[static_cast<std::size_t>(i)];
        auto const on = static_cast<std::size_t>(event.data.u64);
        connection& c = connections_[on];
        if ((event.events & EPOLLOUT) != 0) {
            c.flush();
            if (!c.wants_to_send()) {
                epoll_event only_in{.events = EPOLLIN, .data = {.u64 = on}};
                ::epoll_ctl(poll_, EPOLL_CTL_MOD, c.fd(), &only_in);
            }
        }
        if ((event.events & ~std::uint32_t{EPOLLOUT}) != 0) {
            c.receive(space_, [&](request const& r) { answered(on, r); });
        }
    }
}

void load::answered(std::size_t on, request const& r) {
    std::int64_t const t = now();
    if (r.measured) {
        (r.kind == light ? outcome_.light : outcome_.heavy).record(t - r.due);
        --open_;
    }
    if (phase_ == phase::measuring) {
        ++outcome_.answers;
    }
    if (plan_.rate == 0 && begun_ != 0 && phase_ != phase::draining) {
        bool const measured = phase_ == phase::measuring;
        open_ += measured ? 1 : 0;
        send(on, {.number = next_++, .due = t, .measured = measured});
    }
}

void load::give_up(std::int64_t now) {
    for (connection const& c : connections_) {
        for (request const& r : c.waiting()) {
            if (r.measured) {
                (r.kind == light ? outcome_.light : outcome_.heavy).record(now - r.due);
                ++outcome_.unanswered;
            }
        }
    }
}

}  // namespace peers
