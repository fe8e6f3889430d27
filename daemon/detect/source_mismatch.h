// Sources disagree on what the run is, before any report is compared.
#ifndef MUSTER_DAEMON_DETECT_SOURCE_MISMATCH_H_
#define MUSTER_DAEMON_DETECT_SOURCE_MISMATCH_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daemon/detect/detector.h"

namespace muster::detect {

// FactMismatch findings of three subjects that events tell:
//   "world_size"   connected sources have stated different world sizes for
//                  `world_size_after`; names the minority. A restart with
//                  another size passes through such a time. Cleared at the
//                  first tick at which they agree.
//   "sketch"       a source's sketch specification is not the run's, and it was
//                  refused. Cleared when the rank is accepted.
//   "incarnation"  two live processes claim one rank. Cleared when a third one
//                  takes the rank, when the rank leaves, or after 10 minutes,
//                  for it is told once only.
// The end of the run clears all. What stands is said again with each frame.
//
// Guarantee: exact, but for the 10 minutes.
//
// Thread-compatible.
class SourceMismatch : public Detector {
 public:
  explicit SourceMismatch(const DetectOptions& options);

  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  struct Source {
    bool connected = false;
    uint64_t incarnation = 0;
    std::string world_size;
  };
  struct Standing {
    Finding finding;
    frames::Instant since;
    // Of "incarnation" only: the one that counts, and the one that it replaced.
    uint64_t incarnation = 0;
    uint64_t superseded_incarnation = 0;
  };
  // Subject, and the rank (0 for "world_size", which stands once).
  using Key = std::pair<std::string, uint32_t>;

  void OnTick(frames::Instant now, std::vector<Finding>& out);
  void CompareWorldSizes(frames::Instant now, std::vector<Finding>& out);
  void Raise(const Key& key, Standing standing, std::vector<Finding>& out);
  void Clear(const Key& key, std::vector<Finding>& out);
  Source& SourceOf(uint32_t rank);

  const absl::Duration world_size_after_;
  std::vector<Source> sources_;  // by rank
  // Connected sources by the world size that they stated.
  std::map<std::string, uint64_t> world_sizes_;
  bool disagreeing_ = false;
  bool sources_changed_ = false;  // since world sizes were compared last
  frames::Instant disagreeing_since_;
  std::map<Key, Standing> standing_;
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_SOURCE_MISMATCH_H_
