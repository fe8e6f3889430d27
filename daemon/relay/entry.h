// What ranks say, as a relay keeps it.
#ifndef MUSTER_DAEMON_RELAY_ENTRY_H_
#define MUSTER_DAEMON_RELAY_ENTRY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"

namespace muster::relay {

// One source: one incarnation of one rank.
struct Origin {
  // Unique in the relay and its spool; upstream's streams use it too.
  uint32_t number = 0;
  std::string run;
  uint32_t rank = 0;
  uint64_t incarnation = 0;
  // Bytes of a v1::Hello with that number and without facts.
  std::string hello;
};

// Facts that hold for reports.
struct StatedFacts {
  int64_t id = 0;  // unique in the relay and its spool
  // Bytes of a v1::Facts without source number.
  std::string bytes;
};

// Something that a source has said. Cheap to copy.
struct Entry {
  enum class Kind { kReport = 0, kGoodbye = 1, kLost = 2 };

  int64_t id = 0;  // ascending over all of the relay
  Kind kind = Kind::kReport;
  std::shared_ptr<const Origin> origin;
  uint64_t sequence = 0;                     // of reports
  std::shared_ptr<const StatedFacts> facts;  // of reports; never null there
  // Bytes of a v1::StepReport or v1::Goodbye without source number.
  std::shared_ptr<const std::string> bytes;
  absl::Time taken;

  // What it takes, about, in memory or on disk.
  size_t size() const { return bytes->size() + 64; }
};

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_ENTRY_H_
