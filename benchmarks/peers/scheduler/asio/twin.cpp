// Asio: C++20 coroutines over one io_context that all workers run. It has no fork and join, and no mutex or semaphore
// for coroutines, so those rows are missing.

#include "../work.hpp"

#include <future>

#include <asio.hpp>
#include <asio/experimental/concurrent_channel.hpp>

namespace {

using asio::ip::tcp;
using peers::measurement;

// An io_context and the threads that run it, also while there is nothing to do.
class workers {
public:
    explicit workers(measurement const& m)
        : context_(static_cast<int>(m.workers())), work_(asio::make_work_guard(context_)) {
        for (unsigned i = 0; i < m.workers(); ++i) {
            threads_.emplace_back([this] { context_.run(); });
        }
    }
    workers(workers const&) = delete;
    workers& operator=(workers const&) = delete;
    ~workers() {
        work_.reset();
        for (std::thread& each : threads_) {
            each.join();
        }
    }

    asio::io_context& context() { return context_; }

    // Starts it and blocks until it has ended.
    template <class T>
    T block_on(asio::awaitable<T> what) {
        return asio::co_spawn(context_, std::move(what), asio::use_future).get();
    }

private:
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::vector<std::thread> threads_;
};

// --- many at once ---

asio::awaitable<void> nothing() {
    co_return;
}

// Functions that are posted by one that runs in the context.
long flat(asio::io_context& context, long count) {
    std::atomic<long> left = count;
    peers::signal over;
    asio::post(context, [&] {
        for (long i = 0; i < count; ++i) {
            asio::post(context, [&] {
                if (left.fetch_sub(1) == 1) {
                    over.set();
                }
            });
        }
    });
    over.wait();
    return count;
}

asio::awaitable<std::vector<std::future<void>>> spawn_all(long count) {
    std::vector<std::future<void>> handles;
    handles.reserve(static_cast<std::size_t>(count));
    auto const executor = co_await asio::this_coro::executor;
    for (long i = 0; i < count; ++i) {
        handles.push_back(asio::co_spawn(executor, nothing(), asio::use_future));
    }
    co_return handles;
}

void run_flat(measurement& m) {
    workers pool(m);
    m.run(peers::million, [&] { return flat(pool.context(), peers::million); }, peers::million);
}

// A handle is a future, for which nothing but a thread outside can wait.
void run_spawn(measurement& m) {
    workers pool(m);
    auto const run = [&] {
        long joined = 0;
        for (auto& each : pool.block_on(spawn_all(peers::million))) {
            each.get();
            ++joined;
        }
        return joined;
    };
    m.run(peers::million, run, peers::million);
}

// --- taking turns ---

asio::awaitable<void> yield_often(long count) {
    for (long i = 0; i < count; ++i) {
        co_await asio::post(asio::use_awaitable);
    }
}

void run_yield(measurement& m) {
    workers pool(m);
    auto const run = [&] {
        std::vector<std::future<void>> handles;
        for (long i = 0; i < peers::yielding_tasks; ++i) {
            handles.push_back(
                asio::co_spawn(pool.context(), yield_often(peers::million / peers::yielding_tasks), asio::use_future));
        }
        for (auto& each : handles) {
            each.get();
        }
        return true;
    };
    m.run(peers::million, run, true);
}

// --- channel ---

using channel = asio::experimental::concurrent_channel<void(asio::error_code, long)>;

// A tenth of the others' items: each takes so long.
constexpr long channel_items = peers::channel_items / 10;

asio::awaitable<void> produce(channel& to, long count) {
    for (long i = 0; i < count; ++i) {
        co_await to.async_send(asio::error_code(), 1L, asio::use_awaitable);
    }
}

asio::awaitable<long> consume(channel& from, long count) {
    long sum = 0;
    for (long i = 0; i < count; ++i) {
        sum += co_await from.async_receive(asio::use_awaitable);
    }
    co_return sum;
}

void run_channel(measurement& m) {
    workers pool(m);
    auto const run = [&] {
        channel between(pool.context(), peers::channel_capacity);
        auto producer = asio::co_spawn(pool.context(), produce(between, channel_items), asio::use_future);
        long const sum = pool.block_on(consume(between, channel_items));
        producer.get();
        return sum;
    };
    m.run(channel_items, run, channel_items);
}

// --- TCP ---

using message = std::array<char, peers::message_size>;

asio::awaitable<void> answer(tcp::socket client) {
    message buffer;
    try {
        client.set_option(tcp::no_delay(true));
        for (;;) {
            std::size_t const got = co_await client.async_read_some(asio::buffer(buffer), asio::use_awaitable);
            co_await asio::async_write(client, asio::buffer(buffer.data(), got), asio::use_awaitable);
        }
    } catch (std::system_error const&) {
        // The client has left.
    }
}

asio::awaitable<void> answer_all(tcp::acceptor& listener, long clients) {
    for (long i = 0; i < clients; ++i) {
        tcp::socket client = co_await listener.async_accept(asio::use_awaitable);
        asio::co_spawn(listener.get_executor(), answer(std::move(client)), asio::detached);
    }
}

asio::awaitable<long> ask(tcp::endpoint server, long count) {
    tcp::socket stream(co_await asio::this_coro::executor);
    co_await stream.async_connect(server, asio::use_awaitable);
    stream.set_option(tcp::no_delay(true));
    message buffer{};
    long answers = 0;
    for (; answers < count; ++answers) {
        co_await asio::async_write(stream, asio::buffer(buffer), asio::use_awaitable);
        co_await asio::async_read(stream, asio::buffer(buffer), asio::use_awaitable);
    }
    co_return answers;
}

void run_tcp(measurement& m) {
    workers pool(m);
    auto const run = [&] {
        tcp::acceptor listener(pool.context(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
        auto server = asio::co_spawn(pool.context(), answer_all(listener, peers::connections), asio::use_future);
        std::vector<std::future<long>> clients;
        for (long i = 0; i < peers::connections; ++i) {
            clients.push_back(asio::co_spawn(pool.context(),
                                             ask(listener.local_endpoint(), peers::round_trips / peers::connections),
                                             asio::use_future));
        }
        long answers = 0;
        for (auto& each : clients) {
            answers += each.get();
        }
        server.get();
        return answers;
    };
    m.run(peers::round_trips, run, peers::round_trips);
}

// --- from outside ---

void run_wakeup(measurement& m) {
    workers pool(m);
    peers::measure_wake_ups(m, [&] { asio::post(pool.context(), asio::use_future).get(); });
}

void run_idle(measurement& m) {
    workers pool(m);
    pool.block_on(nothing());
    peers::measure_idle(m);
}

void run_busy(measurement& m) {
    workers pool(m);
    pool.block_on(nothing());
    m.timed(1, [&] { asio::post(pool.context(), asio::use_future(peers::compute_two_seconds)).get(); });
}

constexpr peers::row rows[] = {
    {"flat1m", run_flat}, {"spawn1m", run_spawn}, {"yield1m", run_yield}, {"channel10m", run_channel},
    {"tcp100k", run_tcp}, {"wakeup", run_wakeup}, {"idle", run_idle},     {"busy", run_busy},
};

}  // namespace

int main(int argc, char** argv) {
    return peers::main_of_twin(argc, argv, rows);
}
