// The client: sends requests to one of the servers at a fixed rate, whatever the server does, and measures each
// latency from the moment at which the request was meant to be sent. Light and heavy requests have connections of their
// own, and are counted apart. With rate=0 each connection sends as soon as it has its answer.
//
// client NAME=VALUE...    the names are in read_plan(); prints one line of JSON

#include "load.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <string>
#include <string_view>

#include <linux/sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using namespace peers;

plan read_plan(std::map<std::string, std::string, std::less<>>& values) {
    plan p;
    auto const take = [&](char const* name, auto& value) {
        if (auto const found = values.extract(name)) {
            value = static_cast<std::remove_reference_t<decltype(value)>>(std::atof(found.mapped().c_str()));
        }
    };
    take("port", p.port);
    take("server", p.server);
    take("rate", p.rate);
    take("seconds", p.seconds);
    take("warm_up", p.warm_up);
    take("patience", p.patience);
    take("connections", p.connections);
    take("heavy_connections", p.heavy_connections);
    take("idle_connections", p.idle_connections);
    take("one_in", p.one_in);
    if (auto const found = values.extract("heavy"); found && !found.mapped().empty()) {
        p.heavy = found.mapped().front();
    }
    return p;
}

// The layout that the kernel has for it since Linux 3.14.
struct scheduling {
    std::uint32_t size = sizeof(scheduling);
    std::uint32_t policy = SCHED_NORMAL;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime = 0;  // of a normal thread: its slice; from Linux 6.12 on
    std::uint64_t deadline = 0;
    std::uint64_t period = 0;
};

// A client on a machine of its own would not wait for the server's threads. With a short slice the scheduler lets this
// one run soon when it wakes up, and no longer in all than others.
void shorten_slice(double microseconds) {
    scheduling s;
    s.nice = ::getpriority(PRIO_PROCESS, 0);
    s.runtime = static_cast<std::uint64_t>(microseconds * 1000);
    ::syscall(SYS_sched_setattr, 0, &s, 0);
}

void allow_many_files() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

void print(char const* name, histogram const& h) {
    auto const microseconds = [](std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; };
    std::printf(R"("%s":{"count":%llu,"p50":%.1f,"p90":%.1f,"p99":%.1f,"p999":%.1f,"max":%.1f,"buckets":[)", name,
                static_cast<unsigned long long>(h.count()), microseconds(h.percentile(0.5)),
                microseconds(h.percentile(0.9)), microseconds(h.percentile(0.99)), microseconds(h.percentile(0.999)),
                microseconds(h.greatest()));
    char const* comma = "";
    h.each([&](std::uint64_t value, std::uint64_t count) {
        std::printf("%s[%.1f,%llu]", comma, microseconds(value), static_cast<unsigned long long>(count));
        comma = ",";
    });
    std::printf("]},");
}

void print(outcome const& o) {
    double const billion = 1e9;
    auto const cores = [&](std::int64_t used) { return static_cast<double>(used) / billion / o.seconds; };
    std::printf("{");
    print("light", o.light);
    print("heavy", o.heavy);
    print("client_late", o.late);
    std::printf(R"("seconds":%.3f,"answers":%llu,"unanswered":%llu,"per_second":%.1f,)", o.seconds,
                static_cast<unsigned long long>(o.answers), static_cast<unsigned long long>(o.unanswered),
                static_cast<double>(o.answers) / o.seconds);
    std::printf(R"("server_cores":%.4f,"client_cores":%.4f,"foreign_cores":%.4f,"server_us_per_answer":%.3f})"
                "\n",
                cores(o.used.server), cores(o.used.client), cores(o.used.machine - o.used.server - o.used.client),
                static_cast<double>(o.used.server) / 1000 / static_cast<double>(o.answers > 0 ? o.answers : 1));
}

}  // namespace

int main(int argc, char** argv) {
    std::map<std::string, std::string, std::less<>> values;
    for (int i = 1; i < argc; ++i) {
        std::string_view const text = argv[i];
        std::size_t const equals = text.find('=');
        if (equals == std::string_view::npos) {
            std::fprintf(stderr, "client: '%s' is not NAME=VALUE\n", argv[i]);
            return 2;
        }
        values.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    plan const p = read_plan(values);
    if (auto const slice = values.extract("slice_us")) {
        shorten_slice(std::atof(slice.mapped().c_str()));
    }
    if (!values.empty() || p.port == 0 || p.server == 0) {
        std::fprintf(stderr, "client: port=N server=PID are needed, and '%s' is unknown\n",
                     values.empty() ? "" : values.begin()->first.c_str());
        return 2;
    }
    try {
        allow_many_files();
        load l(p);
        print(l.run());
    } catch (std::exception const& error) {
        std::fprintf(stderr, "client: %s\n", error.what());
        return 1;
    }
}
