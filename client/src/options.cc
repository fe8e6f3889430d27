#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

#include "client/src/address.h"
#include "client/src/facts.h"
#include "muster/client.h"

namespace muster {
namespace {

constexpr size_t kMaxRunIdBytes = 128;
constexpr size_t kMaxRingCapacity = 65536;

// The variable's value, or null if it is unset or empty.
const char* Get(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

void ReadNumber(const char* name, uint32_t* number, std::string* error) {
  const char* text = Get(name);
  if (text == nullptr) return;
  const char* end = text + std::strlen(text);
  uint32_t parsed = 0;
  const auto [stop, code] = std::from_chars(text, end, parsed);
  if (code == std::errc() && stop == end) {
    *number = parsed;
  } else if (error->empty()) {
    *error = std::string(name) + " = \"" + text +
             "\": must be a whole number of 0 to 4294967295";
  }
}

bool IsRunId(std::string_view text) {
  if (text.empty() || text.size() > kMaxRunIdBytes) return false;
  for (const char c : text) {
    const bool alphanumeric = (c >= 'A' && c <= 'Z') ||
                              (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!alphanumeric && std::strchr("._:-", c) == nullptr) return false;
  }
  return true;
}

}  // namespace

Options Options::FromEnvironment(std::string* error) {
  error->clear();
  Options options;
  if (const char* address = Get("MUSTER_ADDRESS")) options.address = address;
  const char* elastic = Get("TORCHELASTIC_RUN_ID");
  if (const char* run_id = Get("MUSTER_RUN_ID")) {
    options.run_id = run_id;
  } else if (elastic != nullptr && std::strcmp(elastic, "none") != 0) {
    options.run_id = elastic;
  } else if (const char* job = Get("SLURM_JOB_ID")) {
    options.run_id = job;
  }
  ReadNumber("RANK", &options.rank, error);
  ReadNumber("WORLD_SIZE", &options.world_size, error);
  return options;
}

std::string Options::Validate() const {
  Address parsed;
  std::string error;
  if (!address.empty() && !ParseAddress(address, &parsed, &error)) return error;
  if (!IsRunId(run_id)) {
    return "run_id = \"" + run_id.substr(0, kMaxRunIdBytes) +
           "\": must be 1 to 128 characters of A-Z a-z 0-9 . _ : -";
  }
  if (world_size == 0) return "world_size = 0: must be at least 1";
  if (rank >= world_size) {
    return "rank = " + std::to_string(rank) + ": must be 0 to " +
           std::to_string(world_size - 1) + ", as world_size is " +
           std::to_string(world_size);
  }
  if (!sketch.IsValid()) {
    return "sketch.width = " + std::to_string(sketch.width) +
           ": must be a power of two of 64 to 65536";
  }
  if (ring_capacity < 1 || ring_capacity > kMaxRingCapacity) {
    return "ring_capacity = " + std::to_string(ring_capacity) +
           ": must be 1 to 65536";
  }
  if (flush_timeout.count() < 0) {
    return "flush_timeout = " + std::to_string(flush_timeout.count()) +
           " ms: must be at least 0";
  }
  return ValidateFacts(facts);
}

}  // namespace muster
