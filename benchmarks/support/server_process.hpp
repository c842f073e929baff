#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace magpie::bench {

// A server in a process of its own, so that its CPU time and its memory are its own too. It is killed in the end.
class server_process {
public:
    // serve(tell) runs in the child, and is to call tell(port) once it listens. No runtime may be alive here.
    template <class Serve>
    explicit server_process(Serve serve) {
        std::array<int, 2> ends{};
        if (::pipe(ends.data()) != 0 || (child_ = ::fork()) < 0) {
            throw std::system_error(errno, std::generic_category(), "no process for the server");
        }
        if (child_ == 0) {
            serve([to = ends[1]](std::uint16_t port) { (void)!::write(to, &port, sizeof port); });
            ::_exit(0);
        }
        ::close(ends[1]);
        bool const told = ::read(ends[0], &port_, sizeof port_) == sizeof port_;
        ::close(ends[0]);
        if (!told) {
            end();
            throw std::runtime_error("the server did not begin");
        }
    }
    server_process(server_process const&) = delete;
    server_process& operator=(server_process const&) = delete;
    ~server_process() { end(); }

    std::uint16_t port() const noexcept { return port_; }

    // CPU time that all its threads have taken, in seconds.
    double cpu_seconds() const {
        clockid_t clock{};
        timespec t{};
        if (::clock_getcpuclockid(child_, &clock) != 0 || ::clock_gettime(clock, &t) != 0) {
            throw std::runtime_error("the server has ended");
        }
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
    }
    // Its memory that lies in RAM, in bytes; without what the kernel keeps for its sockets.
    double resident_bytes() const {
        std::ifstream status("/proc/" + std::to_string(child_) + "/status");
        for (std::string line; std::getline(status, line);) {
            if (line.starts_with("VmRSS:")) {
                return std::stod(line.substr(6)) * 1024;
            }
        }
        throw std::runtime_error("the server has ended");
    }

private:
    void end() noexcept {
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }

    pid_t child_ = -1;
    std::uint16_t port_ = 0;
};

// A connection to a port of this machine, without delays. Its end leaves nothing behind: it is a reset.
class client_socket {
public:
    explicit client_socket(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons(port);
        int const on = 1;
        linger const at_once{.l_onoff = 1, .l_linger = 0};
        if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr const*>(&to), sizeof to) != 0 ||
            ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
            ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0) {
            throw std::system_error(errno, std::generic_category(), "cannot connect to the server");
        }
    }
    client_socket(client_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    client_socket& operator=(client_socket&&) = delete;
    ~client_socket() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    int descriptor() const noexcept { return fd_; }

    void send(char const* bytes, std::size_t count) const {
        if (::send(fd_, bytes, count, MSG_NOSIGNAL) != static_cast<ssize_t>(count)) {
            throw std::runtime_error("the server has closed a connection");
        }
    }
    // Waits for so many bytes.
    void receive(std::size_t count) const {
        std::array<char, 256> answer{};
        if (count > answer.size() || ::recv(fd_, answer.data(), count, MSG_WAITALL) != static_cast<ssize_t>(count)) {
            throw std::runtime_error("the server has closed a connection");
        }
    }
    // Sends the bytes and waits for as many.
    void ask(char const* bytes, std::size_t count) const {
        send(bytes, count);
        receive(count);
    }

private:
    int fd_;
};

}  // namespace magpie::bench
