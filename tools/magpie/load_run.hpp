#pragma once

#include "client_pool.hpp"
#include "histogram.hpp"
#include "interruption.hpp"
#include "load_error.hpp"
#include "progress_bar.hpp"
#include "report.hpp"
#include "url.hpp"

#include <magpie/io/endpoint.hpp>
#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/metrics.hpp>
#include <magpie/runtime/task.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace magpie::tools {

struct load_plan {
    url target;
    std::vector<io::endpoint> addresses;  // of the target's host, in the order in which to try them
    std::optional<std::uint64_t> requests{};
    std::optional<std::chrono::nanoseconds> duration{};  // begins no request after it
    std::size_t limit = 64;                              // requests at a time
    std::string named_limit{};                           // instead: the one of this name in the configuration
    std::size_t connections = 64;
    std::chrono::nanoseconds timeout = std::chrono::seconds(10);  // of one request, connecting included
    int expected_status = 200;
    std::optional<std::uint64_t> expected_length{};  // of the body; without one: as long as the first good answer's
    bool any_length = false;
};

// Sends requests through the batching helper, so many at a time, over a pool of connections, and verifies each answer.
// Every request that was begun is counted, with how it ended.
class load_run {
public:
    load_run(load_plan plan, unsigned workers);

    // All of it. In a task.
    task<> run(progress_bar& bar);

    // Waits until somebody wants the run to end, and says so on stderr. From then on no request is begun: run() returns
    // when those that are on their way have ended.
    task<> stop_after(interruption& wish);

    // After run(). The snapshots were taken before it and after it.
    load_report report(metrics const& before, metrics const& after) const;

private:
    using outcome = std::expected<void, load_error>;

    // The requests as a range that nobody holds in memory: each is a number, and comes into being when its turn comes.
    class source {
    public:
        class iterator {
        public:
            using value_type = std::uint64_t;
            using difference_type = std::ptrdiff_t;

            explicit iterator(load_run const& run) noexcept : run_(&run) {}
            std::uint64_t operator*() const noexcept { return index_; }
            iterator& operator++() noexcept {
                ++index_;
                return *this;
            }
            void operator++(int) noexcept { ++*this; }
            bool operator==(std::default_sentinel_t) const noexcept { return run_->is_over(index_); }

        private:
            load_run const* run_;
            std::uint64_t index_ = 0;
        };

        explicit source(load_run const& run) noexcept : run_(&run) {}
        iterator begin() const noexcept { return iterator(*run_); }
        std::default_sentinel_t end() const noexcept { return {}; }

    private:
        load_run const* run_;
    };

    // What happened on one worker. Only that worker writes it, and nobody reads it before the run has ended.
    struct alignas(64) tally {
        histogram latencies;
        std::uint64_t requests = 0;
        std::array<std::uint64_t, static_cast<std::size_t>(load_error::other) + 1> errors{};
        std::uint64_t bytes = 0;
    };

    bool is_over(std::uint64_t index) const noexcept;
    task<outcome> request();
    task<outcome> attempt(http_client& client);
    outcome verify(http_response const& response);
    void record(outcome const& how, std::chrono::nanoseconds took, std::uint64_t bytes);

    load_plan const plan_;
    std::string const request_;  // the bytes that are sent each time
    client_pool pool_;
    std::vector<tally> tallies_;
    time_point begun_{};
    time_point ended_{};
    std::atomic<bool> stopped_{false};

    static constexpr std::uint64_t unknown_length = std::numeric_limits<std::uint64_t>::max();
    std::atomic<std::uint64_t> expected_length_;
};

}  // namespace magpie::tools
