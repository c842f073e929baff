#include "command_line.hpp"

#include "bench_command.hpp"
#include "command_failure.hpp"
#include "config_command.hpp"
#include "demo_command.hpp"
#include "doctor_command.hpp"
#include "load_command.hpp"
#include "option_values.hpp"
#include "output.hpp"
#include "serve_command.hpp"

#include <magpie/runtime/errors.hpp>
#include <magpie/version.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace magpie::tools {

namespace {

constexpr std::uint64_t most_requests = 1'000'000'000'000;
constexpr std::uint64_t most_at_once = 1'000'000;
constexpr std::uint64_t usual_requests = 10'000;  // of load

// The commands with their options, as the command line fills them in.
struct commands {
    demo_command demo;
    serve_command serve;
    load_command load;
    bench_command bench;
    config_command config;
    doctor_command doctor;
    std::function<int()> chosen;
};

// A number from 1 to `most`.
template <class Number>
CLI::Option* add_count(CLI::App& command, char const* name, Number& value, std::uint64_t most, char const* help) {
    // Without a description the help says "N" and not "N:UINT in [1 - 1000000]"; the message about a wrong value tells.
    return command.add_option(name, value, help)
        ->check(CLI::Range(std::uint64_t{1}, most).description(""))
        ->type_name("N");
}

void add_runtime_options(CLI::App& command, runtime_options& options) {
    command
        .add_option("--config", options.config_file,
                    "configuration to use (TOML); without it the file that MAGPIE_CONFIG names, if any")
        ->type_name("FILE");
    command.add_option("--workers", options.workers, "event loops, a thread each; 0: as many as there are CPUs to use")
        ->check(CLI::Range(0U, 1024U).description(""))
        ->type_name("N");
    add_backend(command, "--backend", options.backend,
                "auto (the default: io_uring, or epoll where the kernel refuses it), io_uring, or poll");
    command.add_flag("--json", options.json, "print for programs: JSON on stdout, a line each");
}

void add_quiet(CLI::App& command, runtime_options& options) {
    command.add_flag("-q,--quiet", options.quiet, "show no progress");
}

void add_demo(CLI::App& program, commands& all) {
    demo_command& demo = all.demo;
    CLI::App& command = *program.add_subcommand("demo", "The main job: a server and a bounded client in one process");
    add_count(command, "--requests", demo.requests, most_requests, "how many requests")->capture_default_str();
    add_count(command, "--limit", demo.limit, most_at_once, "most requests at a time")->capture_default_str();
    add_count(command, "--connections", demo.connections, most_at_once,
              "keep-alive connections they share; as many as --limit");
    add_runtime_options(command, demo.runtime);
    add_quiet(command, demo.runtime);
    command.footer(R"(
Starts an HTTP server on a free port of 127.0.0.1 and sends requests to it through
the batching helper: never more than --limit at a time, whatever their number. Each
answer is verified. Exit status 0: all answers were right; 1: some were not.

  magpie demo
  magpie demo --requests 1000000 --limit 256
  magpie demo --workers 1 --backend poll)");
    command.callback([&all] { all.chosen = [&all] { return all.demo.run(); }; });
}

void add_echo_rules(CLI::App& command, echo_rules& rules) {
    add_time_rule(command, "--burn-on", rules.burn_on,
                  "echo: a message that begins with BYTE (x, or 0x78) burns that much CPU, to measure tails");
    add_time_rule(command, "--block-on", rules.block_on, "echo: such a message sleeps that long in a blocking call");
    add_size_rule(command, "--reply-on", rules.reply_on, "echo: such a message is answered with that many bytes");
    add_message_size(command, "--message-size", rules.message_size,
                     "echo: what one message is; without it what one read brings");
}

void add_serve(CLI::App& program, commands& all) {
    serve_command& serve = all.serve;
    static std::map<std::string, server_protocol> const protocols{{"http", server_protocol::http},
                                                                  {"echo", server_protocol::echo}};
    CLI::App& command = *program.add_subcommand("serve", "An HTTP/1.1 or echo server, until Ctrl-C or SIGTERM");
    command.add_option("--protocol", serve.plan.protocol, "http (the default) or echo")
        ->transform(CLI::CheckedTransformer(protocols))
        ->type_name("NAME");
    add_listen_address(command, "--listen", serve.listen,
                       "where; 127.0.0.1:8080 if not given. :PORT is every address, port 0 any free one");
    add_echo_rules(command, serve.plan.echo);
    add_count(command, "--max-connections", serve.max_connections, most_at_once,
              "more wait to be accepted; as many as the limit on open files allows");
    add_duration(command, "--idle-timeout", serve.plan.idle_timeout,
                 "ends connections on which nothing moves (60s; 0s: never)");
    add_duration(command, "--drain", serve.plan.drain, "how long requests may go on after the end was asked for (10s)");
    add_runtime_options(command, serve.runtime);
    command.footer(R"(
Prints `listening on ADDR:PORT` when it is ready. The first Ctrl-C or SIGTERM lets
requests in progress end and prints a report; the second one kills. SIGHUP reads the
configuration file again.

http answers GET and HEAD of
  /             a fixed body
  /sleep?ms=N   after N milliseconds
  /cpu?ms=N     after burning N milliseconds of CPU
  /metrics      counters, as Prometheus text

  magpie serve --listen 127.0.0.1:8080 &
  curl -i 'http://127.0.0.1:8080/sleep?ms=100'
  magpie serve --protocol echo --listen :7000 --burn-on x:5ms)");
    command.callback([&all] {
        if (all.serve.plan.echo.any() && all.serve.plan.protocol != server_protocol::echo) {
            throw CLI::ValidationError("--burn-on, --block-on, --reply-on and --message-size",
                                       "are for --protocol echo; http has /cpu?ms=N");
        }
        all.chosen = [&all] { return all.serve.run(); };
    });
}

void add_load_checks(CLI::App& command, load_command& load) {
    command.add_option("--expect-status", load.plan.expected_status, "the status that is right")
        ->capture_default_str()
        ->check(CLI::Range(200, 599).description(""))
        ->type_name("CODE");
    auto* const length = command.add_option("--expect-length", load.plan.expected_length,
                                            "the length of body that is right; if not given, that of the first answer");
    length->type_name("BYTES");
    command.add_flag("--any-length", load.plan.any_length, "bodies of every length are right")->excludes(length);
}

void add_load(CLI::App& program, commands& all) {
    load_command& load = all.load;
    CLI::App& command =
        *program.add_subcommand("load", "Sends requests to a server, bounded, and verifies each answer");
    add_url(command, "url", load.plan.target, "http://HOST[:PORT][/PATH][?QUERY]")->required();
    add_count(command, "--requests", load.plan.requests, most_requests, "how many; 10000 if there is no --duration");
    add_duration(command, "--duration", load.plan.duration, "begin no request after this time");
    auto* const limit =
        add_count(command, "--limit", load.plan.limit, most_at_once, "most requests at a time")->capture_default_str();
    command.add_option("--named-limit", load.plan.named_limit,
                       "take the limit of that name in the configuration, which may adapt")
        ->type_name("NAME")
        ->excludes(limit);
    add_count(command, "--connections", load.connections, most_at_once,
              "keep-alive connections they share; as many as --limit");
    add_duration(command, "--timeout", load.plan.timeout, "of one request, connecting included (10s)");
    add_load_checks(command, load);
    add_runtime_options(command, load.runtime);
    add_quiet(command, load.runtime);
    command.footer(R"(
A wrong, cut or missing answer, a refused connection or a time-out is a failure; the
report counts them by kind. The first Ctrl-C ends the requests on their way and still
prints the report. SIGHUP reads the configuration file again: limits change at once.
Exit status 0: no request failed; 1: some did; 2: wrong usage.

  magpie load http://127.0.0.1:8080/ --requests 100000 --limit 64
  magpie load 'http://127.0.0.1:8080/sleep?ms=20' --duration 10s --limit 1000
  magpie load http://127.0.0.1:8080/metrics --any-length --json
  magpie load http://127.0.0.1:8080/ --config magpie.toml --named-limit upstream)");
    command.callback([&all] {
        load_plan& plan = all.load.plan;
        if (!plan.requests && !plan.duration) {
            plan.requests = usual_requests;
        }
        if (plan.timeout <= std::chrono::nanoseconds::zero()) {
            throw CLI::ValidationError("--timeout", "must be longer than 0");
        }
        all.chosen = [&all] { return all.load.run(); };
    });
}

void add_bench(CLI::App& program, commands& all) {
    bench_command& bench = all.bench;
    CLI::App& command = *program.add_subcommand("bench", "Small benchmarks of the runtime on this machine");
    command.add_option("what", bench.group, "nop, timer, spawn, echo, or all")
        ->capture_default_str()
        ->check(CLI::IsMember({"nop", "timer", "spawn", "echo", "all"}));
    add_count(command, "--rounds", bench.rounds, 1000, "how often each is measured (5)");
    add_runtime_options(command, bench.runtime);
    command.footer(R"(
Each figure is the median of several rounds; where there is something to compare with,
its rounds alternate with those of the comparison, and the ratio is the figure to keep.

  magpie bench
  magpie bench echo --workers 1 --json)");
    command.callback([&all] { all.chosen = [&all] { return all.bench.run(); }; });
}

void add_config(CLI::App& program, commands& all) {
    config_command& config = all.config;
    CLI::App& command = *program.add_subcommand("config", "Checks and explains configurations");
    auto const check = [&config](std::string const& file) {
        config.what = config_command::action::check;
        config.file = file;
    };
    auto* const checks = command.add_option_function<std::string>("--check", check, "is FILE sound? 0: yes; 2: no");
    checks->type_name("FILE");
    auto const explain = [&config](std::int64_t) { config.what = config_command::action::explain; };
    auto* const explains =
        command.add_flag_function("--explain", explain, "each value and where it came from (the default)");
    auto const example = [&config](std::int64_t) { config.what = config_command::action::example; };
    auto* const shows =
        command.add_flag_function("--example", example, "a file with every key, its default and meaning");
    auto* const file = command.add_option("--config", config.file, "the file to explain")->type_name("FILE");
    command.add_flag("--json", config.json, "print for programs: JSON on stdout");
    checks->excludes(explains)->excludes(shows)->excludes(file);
    explains->excludes(shows);
    command.footer(R"(
  magpie config --example > magpie.toml
  magpie config --check magpie.toml
  MAGPIE_RUNTIME_WORKERS=4 magpie config --explain --config magpie.toml)");
    command.callback([&all] { all.chosen = [&all] { return all.config.run(); }; });
}

void add_doctor(CLI::App& program, commands& all) {
    CLI::App& command =
        *program.add_subcommand("doctor", "What magpie finds on this machine, and what could be better");
    command.add_option("--config", all.doctor.config_file, "configuration to look at, too")->type_name("FILE");
    command.add_flag("--json", all.doctor.json, "print for programs: JSON on stdout");
    command.callback([&all] { all.chosen = [&all] { return all.doctor.run(); }; });
}

void declare(CLI::App& program, commands& all) {
    program.name("magpie");
    program.set_version_flag("--version", "magpie " MAGPIE_VERSION);
    program.require_subcommand(1);
    program.footer(R"(
  magpie demo              the main job: 100,000 requests through the batching helper
  magpie COMMAND --help    the options of a command, with examples
  magpie doctor            if something does not work as it should

Exit status: 0 all went well, 1 something failed, 2 wrong usage or configuration.)");
    add_demo(program, all);
    add_serve(program, all);
    add_load(program, all);
    add_bench(program, all);
    add_config(program, all);
    add_doctor(program, all);
}

bool wants_json(int argc, char const* const* argv) {
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--json") {
            return true;
        }
    }
    return false;
}

int tell(exit_status status, std::string_view sentence, bool json) {
    fmt::print(stderr, "magpie: {}\n", sentence);
    if (json) {
        auto object = nlohmann::ordered_json::object();
        object["error"] = sentence;
        fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    return status;
}

}  // namespace

int run_program(int argc, char const* const* argv) {
    bool const json = wants_json(argc, argv);
    commands all;
    CLI::App program("An event loop per core, work stealing between them, and what to do with it.");
    declare(program, all);
    try {
        program.parse(argc, argv);
        return all.chosen();
    } catch (CLI::ParseError const& error) {
        if (error.get_exit_code() == 0) {
            return program.exit(error);  // --help, --version
        }
        auto const chosen = program.get_subcommands();
        std::string const command = chosen.empty() ? "" : " " + chosen.front()->get_name();
        return tell(exit_usage, fmt::format("{} (see `magpie{} --help`)", error.what(), command), json);
    } catch (config_error const& error) {
        return tell(exit_usage, error.what(), json);
    } catch (command_failure const& error) {
        return tell(error.status(), error.what(), json);
    } catch (std::exception const& error) {
        return tell(exit_failed, error.what(), json);
    }
}

}  // namespace magpie::tools
