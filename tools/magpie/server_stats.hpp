#pragma once

// What a server has done, counted where it is done: each worker has counters of its own, so that the workers do not
// fight for them. (The spare worker counts with worker 0.) Anybody may read them meanwhile.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace magpie::tools {

// A sum, or one worker's part of it.
struct server_counts {
    std::uint64_t connections = 0;  // accepted
    std::uint64_t requests = 0;     // answered, with whatever status; for echo: messages
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t broken = 0;                 // connections that ended in the midst of something
    std::uint64_t timed_out = 0;              // connections that were closed because nothing moved
    std::map<int, std::uint64_t> statuses{};  // the requests by status, if they have one

    server_counts& operator+=(server_counts const& other);
};

class server_stats {
public:
    explicit server_stats(unsigned workers) : slots_(workers) {}

    // In a task on one of the workers.
    void add_connection();
    void add_request(int status);
    void add_messages(std::size_t count);
    void add_received(std::size_t bytes);
    void add_sent(std::size_t bytes);
    void add_broken();
    void add_timed_out();

    // Any thread.
    std::vector<server_counts> by_worker() const;
    server_counts total() const;
    // Prometheus text: magpie_server_requests_total and so on.
    std::string prometheus() const;

private:
    using counter = std::atomic<std::uint64_t>;
    static constexpr int first_status = 100;
    static constexpr std::size_t status_count = 500;

    struct alignas(64) slot {
        counter connections{0};
        counter messages{0};
        counter bytes_received{0};
        counter bytes_sent{0};
        counter broken{0};
        counter timed_out{0};
        std::array<counter, status_count> statuses{};
    };

    slot& mine();
    static void add(counter& to, std::uint64_t amount) noexcept { to.fetch_add(amount, std::memory_order_relaxed); }
    static server_counts read(slot const& from);

    std::vector<slot> slots_;
};

}  // namespace magpie::tools
