#include "daemon/export/process_families.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

namespace muster::exposition {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

struct ProcessMetric {
  const char* name;
  const char* help;
  MetricType type;
  std::optional<double> ProcessStats::*value;
};

constexpr std::array<ProcessMetric, 7> kMetrics = {{
    {"process_start_time_seconds", "When the daemon started, since 1970.",
     MetricType::Gauge, &ProcessStats::start_time_seconds},
    {"process_cpu_seconds_total", "Processor time used, user and system.",
     MetricType::Counter, &ProcessStats::cpu_seconds},
    {"process_resident_memory_bytes", "Memory that is resident.",
     MetricType::Gauge, &ProcessStats::resident_memory_bytes},
    {"process_virtual_memory_bytes", "Memory that is mapped.",
     MetricType::Gauge, &ProcessStats::virtual_memory_bytes},
    {"process_threads", "Threads of the daemon.", MetricType::Gauge,
     &ProcessStats::threads},
    {"process_open_fds", "Open file descriptors.", MetricType::Gauge,
     &ProcessStats::open_fds},
    {"process_max_fds", "Most file descriptors that may be open.",
     MetricType::Gauge, &ProcessStats::max_fds},
}};

// Seconds since 1970 at which the machine was started.
std::optional<double> BootTime() {
  std::ifstream file("/proc/stat");
  for (std::string name; file >> name; std::getline(file, name)) {
    double seconds = 0;
    if (name == "btime" && file >> seconds) return seconds;
  }
  return std::nullopt;
}

void ReadStat(ProcessStats& stats) {
  std::ifstream file("/proc/self/stat");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  // The second field is the program's name in parentheses, which may hold any.
  const size_t end = text.rfind(')');
  if (end == std::string::npos) return;
  std::istringstream rest(text.substr(end + 1));
  std::string state;
  std::array<double, 22> field{};  // from the fourth on; see proc(5)
  if (!(rest >> state)) return;
  for (double& each : field) {
    if (!(rest >> each)) return;
  }
  const auto at = [&field](int number) { return field[number - 4]; };
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  stats.cpu_seconds = (at(14) + at(15)) / ticks;
  stats.threads = at(20);
  // Read once: the time of boot moves when the clock is set, and a start that
  // moves would look like a restart.
  static const std::optional<double> kBoot = BootTime();
  if (kBoot) stats.start_time_seconds = *kBoot + at(22) / ticks;
  stats.virtual_memory_bytes = at(23);
  stats.resident_memory_bytes =
      at(24) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  ReadStat(stats);
  std::error_code error;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
  if (!error) {
    // One of them is the listing's own.
    stats.open_fds = static_cast<double>(
                         std::distance(begin(descriptors), end(descriptors))) -
                     1;
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
      limit.rlim_cur != RLIM_INFINITY) {
    stats.max_fds = static_cast<double>(limit.rlim_cur);
  }
  return stats;
}

std::vector<MetricFamily> BuildProcessFamilies(const ProcessStats& stats) {
  std::vector<MetricFamily> families;
  for (const ProcessMetric& metric : kMetrics) {
    MetricFamily& family = families.emplace_back(
        MetricFamily{metric.name, metric.help, metric.type, {}});
    const std::optional<double> value = stats.*metric.value;
    if (!value) continue;
    if (metric.type == MetricType::Counter) {
      family.metric.emplace_back().counter.value = *value;
    } else {
      family.metric.emplace_back().gauge.value = *value;
    }
  }
  return families;
}

}  // namespace muster::exposition
