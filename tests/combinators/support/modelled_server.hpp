#pragma once

// A server for the simulated clock that can do so much and no more: `capacity` requests at a time, each of which takes
// `service`; others wait in its queue, and are refused when that is full. So with n requests in flight the latency is
// service x n / capacity from the capacity on, and throughput is capacity / service however many are in flight.

#include <magpie/combinators/semaphore.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/task.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <stdexcept>
#include <vector>

namespace magpie::tests {

class modelled_server {
public:
    modelled_server(std::ptrdiff_t capacity, duration service) : slots_(capacity), service_(service) {}

    void set_capacity(std::ptrdiff_t n) { slots_.resize(n); }
    void set_service(duration d) noexcept { service_ = d; }
    // The times are log-normal from now on: `spread` is the standard deviation of their logarithm.
    void set_noise(double spread) noexcept { noise_ = spread; }
    // The service of so many of 1000 takes so many times as long.
    void set_stragglers(unsigned per_mille, int times) noexcept {
        stragglers_ = per_mille;
        straggling_ = times;
    }
    // More than so many in the queue, and a request fails after a hundredth of the service.
    void set_queue(std::size_t longest) noexcept { longest_queue_ = longest; }
    // So many of 1000 fail, when they have been served.
    void set_failures(unsigned per_mille) noexcept { failures_ = per_mille; }

    std::size_t served() const noexcept { return served_; }
    std::size_t in_flight() const noexcept { return in_flight_; }
    std::size_t most_in_flight() const noexcept { return most_; }

    task<> request() {
        inside const here(*this);
        if (slots_.waiting() >= longest_queue_) {
            co_await sleep(service_ / 100);
            throw std::runtime_error("refused");
        }
        auto const slot = co_await slots_.acquire();
        co_await sleep(time_of_one());
        if (random_() % 1000 < failures_) {
            throw std::runtime_error("failed");
        }
        ++served_;
    }

private:
    class inside {
    public:
        explicit inside(modelled_server& s) noexcept : server_(s) {
            server_.most_ = std::max(server_.most_, ++server_.in_flight_);
        }
        inside(inside const&) = delete;
        inside& operator=(inside const&) = delete;
        ~inside() { --server_.in_flight_; }

    private:
        modelled_server& server_;
    };

    duration time_of_one() {
        double times = noise_ > 0 ? std::exp(std::normal_distribution<double>(0, noise_)(random_)) : 1.0;
        if (random_() % 1000 < stragglers_) {
            times *= straggling_;
        }
        return duration(static_cast<duration::rep>(static_cast<double>(service_.count()) * times));
    }

    semaphore slots_;
    duration service_;
    double noise_ = 0;
    unsigned stragglers_ = 0;
    int straggling_ = 1;
    unsigned failures_ = 0;
    std::size_t longest_queue_ = 1'000'000;
    std::size_t served_ = 0;
    std::size_t in_flight_ = 0;
    std::size_t most_ = 0;
    std::mt19937_64 random_{42};
};

}  // namespace magpie::tests
