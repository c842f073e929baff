#include <magpie/runtime/scheduler/cpu_count.hpp>

#include <doctest/doctest.h>

#include <string>

#include <runtime/support/fake_root.hpp>

namespace {

class fake_root : public magpie::tests::fake_root {
public:
    fake_root& file(std::string const& path, std::string const& text) {
        magpie::tests::fake_root::file(path, text);
        return *this;
    }
    fake_root& group(std::string const& text) { return file("/proc/self/cgroup", text); }
    fake_root& mounts(std::string const& text) { return file("/proc/self/mountinfo", text); }

    magpie::worker_count count(unsigned affinity) const { return magpie::detail::count_cpus(affinity, path()); }
};

constexpr auto unified =
    "22 1 0:21 / /proc rw - proc proc rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
constexpr auto legacy = "31 23 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
                        "32 23 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

}  // namespace

TEST_CASE("without cgroups the affinity mask decides") {
    fake_root const root;
    CHECK(root.count(6).count == 6);
    CHECK(root.count(6).source == "6 CPUs in the affinity mask, no cgroup CPU quota");
    CHECK(root.count(1).source == "1 CPU in the affinity mask, no cgroup CPU quota");
    CHECK(root.count(0).count == 1);
    CHECK(root.count(5000).count == 1024);
}

TEST_CASE("a v2 quota is rounded up, and told with its file") {
    fake_root root;
    root.mounts(unified).group("0::/web\n").file("/sys/fs/cgroup/web/cpu.max", "150000 100000\n");
    CHECK(root.count(8).count == 2);
    CHECK(root.count(8).source == "cgroup CPU quota of 1.5 (/sys/fs/cgroup/web/cpu.max), rounded up");
    root.file("/sys/fs/cgroup/web/cpu.max", "200000 100000\n");
    CHECK(root.count(8).count == 2);
    root.file("/sys/fs/cgroup/web/cpu.max", "1000 100000\n");
    CHECK(root.count(8).count == 1);
}

TEST_CASE("a quota above the affinity mask changes nothing") {
    fake_root root;
    root.mounts(unified).group("0::/web\n").file("/sys/fs/cgroup/web/cpu.max", "400000 100000\n");
    CHECK(root.count(2).count == 2);
    CHECK(root.count(2).source == "2 CPUs in the affinity mask, within the cgroup CPU quota of 4");
    CHECK(root.count(4).count == 4);
}

TEST_CASE("\"max\" is no quota") {
    fake_root root;
    root.mounts(unified).group("0::/web\n").file("/sys/fs/cgroup/web/cpu.max", "max 100000\n");
    CHECK(root.count(8).count == 8);
    CHECK(root.count(8).source.ends_with("no cgroup CPU quota"));
}

TEST_CASE("the tightest quota on the way up binds") {
    fake_root root;
    root.mounts(unified)
        .group("0::/a/b/c\n")
        .file("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n")
        .file("/sys/fs/cgroup/a/b/cpu.max", "150000 50000\n")
        .file("/sys/fs/cgroup/a/cpu.max", "500000 100000\n");
    CHECK(root.count(8).count == 3);
    root.file("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    CHECK(root.count(8).count == 1);
}

TEST_CASE("a group of another process does not bind us") {
    fake_root root;
    root.mounts(unified).group("0::/web\n").file("/sys/fs/cgroup/webserver/cpu.max", "100000 100000\n");
    CHECK(root.count(8).count == 8);
}

TEST_CASE("a v1 quota") {
    fake_root root;
    root.mounts(legacy)
        .group("9:name=systemd:/x\n4:cpu,cpuacct:/web\n3:cpuset:/web\n")
        .file("/sys/fs/cgroup/cpu,cpuacct/web/cpu.cfs_quota_us", "250000\n")
        .file("/sys/fs/cgroup/cpu,cpuacct/web/cpu.cfs_period_us", "100000\n");
    CHECK(root.count(8).count == 3);
    CHECK(root.count(8).source ==
          "cgroup CPU quota of 2.5 (/sys/fs/cgroup/cpu,cpuacct/web/cpu.cfs_quota_us), rounded up");
    root.file("/sys/fs/cgroup/cpu,cpuacct/web/cpu.cfs_quota_us", "-1\n");
    CHECK(root.count(8).count == 8);
}

TEST_CASE("in a container the mount shows the container's own group as its root") {
    fake_root root;
    root.mounts("30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n")
        .group("0::/docker/abc\n")
        .file("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    CHECK(root.count(8).count == 1);
    root.group("0::/docker/abcd\n").file("/sys/fs/cgroupd/cpu.max", "300000 100000\n");
    CHECK(root.count(8).count == 1);
    root.group("0::/docker/abc/inner\n").file("/sys/fs/cgroup/inner/cpu.max", "50000 100000\n");
    CHECK(root.count(8).source.find("/sys/fs/cgroup/inner/cpu.max") != std::string::npos);
}

TEST_CASE("a group outside of the mount counts as the mount's root") {
    fake_root root;
    root.mounts(unified).group("0::/../../other\n").file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    CHECK(root.count(8).count == 2);
}

TEST_CASE("a mount point with a space in its name") {
    fake_root root;
    root.mounts("30 23 0:26 / /my\\040groups rw - cgroup2 cgroup rw\n")
        .group("0::/web\n")
        .file("/my groups/web/cpu.max", "200000 100000\n");
    CHECK(root.count(8).count == 2);
}

TEST_CASE("damaged files are no limit") {
    fake_root root;
    root.mounts("\n30 23\n30 23 0:26 / /sys/fs/cgroup rw -\n30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n")
        .group("garbage\n0\n0::/web\n");
    for (std::string const text :
         {"", "abc def\n", "100000\n", "100000 0\n", "0 100000\n", "-5 100000\n", "1e5 100000\n"}) {
        INFO(text);
        root.file("/sys/fs/cgroup/web/cpu.max", text);
        CHECK(root.count(8).count == 8);
    }
}

TEST_CASE("this machine has at least one CPU") {
    CHECK(magpie::detail::affinity_count() >= 1);
}
