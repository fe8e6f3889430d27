#include "daemon/log.h"

#include <atomic>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace muster {
namespace {

std::atomic<LogFormat> g_format{LogFormat::kText};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&json, "\\u", absl::Hex(c, absl::kZeroPad4));
    } else {
      json += c;
    }
  }
  return json + "\"";
}

// One logger for the life of the process: other threads may be writing while
// the configuration changes, so only its level does. Never destroyed.
spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* created = new spdlog::logger(
        "musterd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    created->set_pattern("%v");
    created->flush_on(spdlog::level::info);
    return created;
  }();
  return *logger;
}

// `member`: a further member of the JSON object, such as `,"alert":{…}`.
void Write(LogLevel level, const std::string& message,
           const std::string& member) {
  const auto spdlog_level = ToSpdlog(level);
  if (!Logger().should_log(spdlog_level)) return;
  const auto name = spdlog::level::to_string_view(spdlog_level);
  const absl::string_view level_name(name.data(), name.size());
  const absl::Time now = absl::Now();
  std::string line;
  if (g_format.load() == LogFormat::kText) {
    line = absl::StrCat(
        "[",
        absl::FormatTime("%Y-%m-%d %H:%M:%E3S", now, absl::LocalTimeZone()),
        "] [", level_name, "] ", message);
  } else {
    line = absl::StrCat(
        R"({"time":")",
        absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", now, absl::UTCTimeZone()),
        R"(","level":")", level_name, R"(","message":)", JsonString(message),
        member, "}");
  }
  Logger().log(spdlog_level, spdlog::string_view_t(line));
}

}  // namespace

void ConfigureLog(std::string_view level, LogFormat format) {
  Logger().set_level(spdlog::level::from_str(std::string(level)));
  g_format = format;
}

void Log(LogLevel level, const std::string& message) {
  Write(level, message, "");
}

void LogAlert(const std::string& run, const alert::Alert& alert) {
  const bool quiet = alert.state == alert::State::kResolved ||
                     alert.state == alert::State::kObserved;
  const LogLevel level = quiet ? LogLevel::kInfo : LogLevel::kWarning;
  const std::string json = alert::LogLine(run, alert);
  if (g_format.load() == LogFormat::kText) {
    Write(level, absl::StrCat("alert ", json), "");
  } else {
    Write(level, "alert", absl::StrCat(",\"alert\":", json));
  }
}

void FlushLog() { Logger().flush(); }

}  // namespace muster
