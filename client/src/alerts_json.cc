#include "client/src/alerts_json.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace muster {
namespace {

void AppendString(std::string_view text, std::string* json) {
  json->push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json->push_back('\\');
      json->push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x",
                    static_cast<unsigned>(c));
      *json += escape;
    } else {
      json->push_back(c);
    }
  }
  json->push_back('"');
}

void AppendNumber(double value, std::string* json) {
  if (!std::isfinite(value)) {
    *json += "null";
    return;
  }
  char digits[32];
  const auto result = std::to_chars(digits, digits + sizeof(digits), value);
  json->append(digits, result.ptr);
}

void AppendAlert(const Alert& alert, std::string* json) {
  *json += "{\"id\":" + std::to_string(alert.id) + ",\"kind\":";
  AppendString(alert.kind, json);
  *json += ",\"subject\":";
  AppendString(alert.subject, json);
  *json += ",\"ranks\":[";
  for (size_t i = 0; i < alert.ranks.size(); ++i) {
    if (i > 0) json->push_back(',');
    *json += std::to_string(alert.ranks[i]);
  }
  *json += "],\"first_step\":" + std::to_string(alert.first_step) +
           ",\"last_step\":" + std::to_string(alert.last_step) + ",\"value\":";
  AppendNumber(alert.value, json);
  *json += ",\"expected\":";
  AppendNumber(alert.expected, json);
  *json += ",\"evidence\":";
  AppendString(alert.evidence, json);
  *json += alert.silent ? ",\"silent\":true" : ",\"silent\":false";
  *json += ",\"severity\":";
  AppendString(alert.severity, json);
  *json += ",\"explained_by\":" + std::to_string(alert.explained_by) + "}";
}

}  // namespace

std::string AlertsToJson(const std::vector<Alert>& alerts) {
  std::string json = "[";
  for (size_t i = 0; i < alerts.size(); ++i) {
    if (i > 0) json.push_back(',');
    AppendAlert(alerts[i], &json);
  }
  json.push_back(']');
  return json;
}

}  // namespace muster
