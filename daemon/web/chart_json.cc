#include "daemon/web/chart_json.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace muster::web {
namespace {

// JSON of Protocol Buffers: 64-bit numbers and what is not finite are strings.
template <typename T>
void Append(T value, int digits, std::string& json) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) {
      json += std::isnan(value) ? "\"NaN\""
              : value > 0       ? "\"Infinity\""
                                : "\"-Infinity\"";
      return;
    }
  }
  std::array<char, 32> text;
  char* const last = text.data() + text.size();
  char* end = nullptr;
  if constexpr (std::is_floating_point_v<T>) {
    if (digits > 0) {
      end = std::to_chars(text.data(), last, value, std::chars_format::general,
                          digits)
                .ptr;
    }
  }
  if (end == nullptr) end = std::to_chars(text.data(), last, value).ptr;
  constexpr bool kQuoted = std::is_integral_v<T> && sizeof(T) == 8;
  if constexpr (kQuoted) json += '"';
  json.append(text.data(), end);
  if constexpr (kQuoted) json += '"';
}

void Append(const std::string& text, int /*digits*/, std::string& json) {
  // Run ids and names of measures need no escapes.
  json += '"';
  json += text;
  json += '"';
}

// Writes one object's fields, numbers with so many digits (0: all).
// Thread-compatible; borrows the text.
class ObjectWriter {
 public:
  ObjectWriter(int digits, std::string& json) : digits_(digits), json_(json) {
    json_ += '{';
  }
  void End() { json_ += '}'; }

  void Name(const char* name) {
    if (json_.back() != '{') json_ += ',';
    json_ += '"';
    json_ += name;
    json_ += "\":";
  }
  template <typename T>
  void Field(const char* name, const T& value) {
    Name(name);
    Append(value, digits_, json_);
  }
  template <typename Values>
  void List(const char* name, const Values& values) {
    Name(name);
    json_ += '[';
    for (const auto value : values) {
      Append(value, digits_, json_);
      json_ += ',';
    }
    if (json_.back() == ',') json_.pop_back();
    json_ += ']';
  }

 private:
  const int digits_;
  std::string& json_;
};

void Append(const v1::Column& column, int digits, std::string& json) {
  ObjectWriter object(digits, json);
  object.Field("name", column.name());
  if (column.has_rank()) object.Field("rank", column.rank());
  object.List("min", column.min());
  object.List("max", column.max());
  object.List("mean", column.mean());
  object.End();
}

}  // namespace

std::string ChartJson(const v1::Series& series, int digits) {
  std::string json;
  ObjectWriter object(digits, json);
  object.Field("run", series.run());
  object.Field("worldSize", series.world_size());
  object.Field("oldestStep", uint64_t{series.oldest_step()});
  object.Field("newestStep", uint64_t{series.newest_step()});
  object.Field("frames", uint64_t{series.frames()});
  object.List("firstStep", series.first_step());
  object.List("lastStep", series.last_step());
  object.Name("columns");
  json += '[';
  for (const v1::Column& column : series.columns()) {
    if (json.back() != '[') json += ',';
    Append(column, digits, json);
  }
  json += ']';
  object.Field("stride", series.stride());
  object.End();
  return json;
}

std::string ChartJson(const v1::Heatmap& heatmap, int digits) {
  std::string json;
  ObjectWriter object(digits, json);
  object.Field("run", heatmap.run());
  object.Field("metric", heatmap.metric());
  object.List("firstStep", heatmap.first_step());
  object.List("lastStep", heatmap.last_step());
  object.List("ranks", heatmap.ranks());
  object.List("values", heatmap.values());
  object.Field("stride", heatmap.stride());
  object.End();
  return json;
}

}  // namespace muster::web
