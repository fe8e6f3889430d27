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

// `member`: a further member of the JSON object, such as `,"alert":{…}`.
void Write(LogLevel level, const std::string& message,
           const std::string& member) {
  if (g_format.load() == LogFormat::kText) {
    spdlog::log(ToSpdlog(level), spdlog::string_view_t(message));
    return;
  }
  const auto name = spdlog::level::to_string_view(ToSpdlog(level));
  spdlog::log(ToSpdlog(level),
              spdlog::string_view_t(absl::StrCat(
                  R"({"time":")",
                  absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(),
                                   absl::UTCTimeZone()),
                  R"(","level":")", absl::string_view(name.data(), name.size()),
                  R"(","message":)", JsonString(message), member, "}")));
}

}  // namespace

void ConfigureLog(std::string_view level, LogFormat format) {
  auto logger = std::make_shared<spdlog::logger>(
      "musterd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(
      format == LogFormat::kJson ? "%v" : "[%Y-%m-%d %H:%M:%S.%e] [%l] %v");
  logger->set_level(spdlog::level::from_str(std::string(level)));
  logger->flush_on(spdlog::level::info);
  g_format = format;
  spdlog::set_default_logger(std::move(logger));
}

void Log(LogLevel level, const std::string& message) {
  Write(level, message, "");
}

void LogAlert(const std::string& run, const alert::Alert& alert) {
  const LogLevel level = alert.state == alert::State::kResolved
                             ? LogLevel::kInfo
                             : LogLevel::kWarning;
  const std::string json = alert::LogLine(run, alert);
  if (g_format.load() == LogFormat::kText) {
    Write(level, absl::StrCat("alert ", json), "");
  } else {
    Write(level, "alert", absl::StrCat(",\"alert\":", json));
  }
}

void FlushLog() { spdlog::shutdown(); }

}  // namespace muster
