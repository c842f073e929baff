#include <magpie/io/capabilities.hpp>
#include <magpie/io/fd.hpp>
#include <magpie/io/loop/refusal.hpp>
#include <magpie/io/loop/ring.hpp>
#include <magpie/runtime/config.hpp>

#include <memory>
#include <system_error>

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>

namespace magpie::io {

namespace {

void look_at_operations(detail::ring const& ring, capability_report& report) {
    constexpr unsigned most = 256;
    // The header is followed by an entry for each operation.
    auto const memory = std::make_unique<std::byte[]>(sizeof(io_uring_probe) + most * sizeof(io_uring_probe_op));
    auto* const probe = reinterpret_cast<io_uring_probe*>(memory.get());
    if (io_uring_register(static_cast<unsigned>(ring.descriptor()), IORING_REGISTER_PROBE, probe, most) < 0) {
        return;
    }
    for (unsigned i = 0; i < probe->ops_len; ++i) {
        if ((probe->ops[i].flags & IO_URING_OP_SUPPORTED) != 0) {
            report.operations.set(probe->ops[i].op);
        }
    }
}

bool takes_buffer_ring(detail::ring const& ring) noexcept {
    constexpr unsigned entries = 8;
    constexpr std::size_t page = 4096;
    void* const memory = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
    registration.ring_entries = entries;
    auto const ring_fd = static_cast<unsigned>(ring.descriptor());
    bool const taken = io_uring_register(ring_fd, IORING_REGISTER_PBUF_RING, &registration, 1) == 0;
    if (taken) {
        (void)io_uring_register(ring_fd, IORING_UNREGISTER_PBUF_RING, &registration, 1);
    }
    ::munmap(memory, page);
    return taken;
}

// With the sizes that a runtime uses, so that what limits those is seen here, too.
void look_at_io_uring(capability_report& report) {
    try {
        io_config const usual;
        detail::ring const ring(usual.ring_entries, usual.cq_entries, false);
        report.io_uring = true;
        report.cooperative = (ring.how().setup & IORING_SETUP_COOP_TASKRUN) != 0;
        report.buffer_rings = takes_buffer_ring(ring);
        look_at_operations(ring, report);
    } catch (std::system_error const& error) {
        detail::refusal const why = detail::explain_refusal(error.code().value());
        report.refused_because = why.cause;
        report.remedy = why.remedy;
    }
}

}  // namespace

capability_report capabilities() {
    capability_report report;
    utsname names{};
    report.kernel = ::uname(&names) == 0 ? names.release : "unknown";
    look_at_io_uring(report);
    report.poll = static_cast<bool>(fd(::epoll_create1(EPOLL_CLOEXEC)));
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        report.open_files = static_cast<std::int64_t>(files.rlim_cur);
    }
    report.listen_backlog = detail::kernel_setting("/proc/sys/net/core/somaxconn");
    return report;
}

std::string capability_report::to_string() const {
    auto const line = [](char const* what, std::string const& value) { return std::string(what) + value + '\n'; };
    std::string text = line("kernel          ", kernel);
    if (io_uring) {
        text += line("io_uring        ", "yes, " + std::to_string(operations.count()) + " operations");
        text += line("  cooperative   ", cooperative ? "yes" : "no: Linux 5.19 or newer is faster");
        text += line("  buffer rings  ", buffer_rings ? "yes" : "no: Linux 5.19 or newer saves memory");
    } else {
        text += line("io_uring        ", "no, because " + refused_because + "; " + remedy);
    }
    text += line("poll            ", poll ? "yes" : "no");
    text += line("open files      ", open_files < 0 ? "unknown" : std::to_string(open_files));
    text += line("listen backlog  ", listen_backlog < 0 ? "unknown" : std::to_string(listen_backlog));
    return text;
}

}  // namespace magpie::io
