#pragma once

#include "connection.hpp"
#include "cpu_usage.hpp"
#include "histogram.hpp"

#include <cstdint>
#include <vector>

#include <sys/types.h>

namespace peers {

// What the client does to the server.
struct plan {
    std::uint16_t port = 0;
    pid_t server = 0;
    double rate = 0;            // requests a second; 0: each connection sends when it has its answer
    double seconds = 4;         // that are measured
    double warm_up = 0.5;       // seconds before, without heavy requests
    double patience = 10;       // seconds for answers that are late
    unsigned connections = 60;  // of light requests
    unsigned heavy_connections = 4;
    unsigned idle_connections = 0;
    char heavy = 0;               // the kind of request; 0: none
    std::uint64_t one_in = 1000;  // requests is heavy
};

struct outcome {
    histogram light;
    histogram heavy;
    histogram late;                // how much later than meant the client sent
    std::uint64_t unanswered = 0;  // after all patience; counted in the histograms with the time until then
    std::uint64_t answers = 0;     // in the time measured
    double seconds = 0;            // the time measured
    cpu_usage used;                // in it
};

// One thread, one epoll; sending never waits for an answer, unless the plan's rate is 0.
class load {
public:
    // Connects, and has each connection answered once.
    explicit load(plan const& p);
    load(load const&) = delete;
    load& operator=(load const&) = delete;
    ~load();

    // Once. Throws std::runtime_error when the server does something wrong.
    outcome run();

private:
    enum class phase : std::uint8_t { warming, measuring, draining };

    void connect_all(unsigned count);
    void exchange_on(std::size_t first);
    void send_due(std::int64_t now);
    void send(std::size_t to, request const& r);
    void receive(std::int64_t until);
    void answered(std::size_t on, request const& r);
    void begin_measuring();
    void end_measuring();
    void give_up(std::int64_t now);
    std::int64_t due(std::uint64_t number) const;

    plan const plan_;
    int poll_;
    std::vector<connection> connections_;  // light ones, heavy ones, idle ones
    std::vector<char> space_;
    outcome outcome_{};
    phase phase_ = phase::warming;
    std::int64_t begun_ = 0;
    std::int64_t measured_from_ = 0;
    std::int64_t measured_until_ = 0;
    std::uint64_t next_ = 0;  // the number of the next request
    std::uint64_t open_ = 0;  // measured requests without an answer
    cpu_usage before_{};
};

}  // namespace peers
