// The part of a run that measures and judges: one ordered stream of events in,
// numbers and changes of alerts out. Deterministic in that stream.
#ifndef MUSTER_DAEMON_RUNS_JUDGE_H_
#define MUSTER_DAEMON_RUNS_JUDGE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/time/time.h"
#include "daemon/alert/alert.h"
#include "daemon/consistency/measure.h"
#include "daemon/detect/detector.h"
#include "daemon/detect/loss_band.h"
#include "daemon/frames/frame.h"
#include "daemon/history/record.h"

namespace muster::runs {

// Thread-compatible; owned by its run. `wall` only stamps alerts for display.
//
// A judge that goes on where another one was is first muted, fed with the
// newest part of the stream, and then resumed with the alerts that there were.
// Alerts that its detectors did not raise again while it was muted have
// kOrphanFrames frames for it; then they resolve, as nobody else would ever
// clear them.
class Judge {
 public:
  static constexpr uint64_t kOrphanFrames = 512;

  Judge(const detect::DetectOptions& detect, const alert::AlertOptions& alert);

  // Measures and judges a closed frame.
  std::shared_ptr<const consistency::Measures> TakeFrame(
      const frames::Frame& frame, absl::Time wall,
      std::vector<alert::Alert>& changes);
  // Judges a frame that has been measured before.
  void TakeMeasured(const frames::Frame& frame,
                    const consistency::Measures& measures, absl::Time wall,
                    std::vector<alert::Alert>& changes);
  // Any other event.
  void TakeEvent(const frames::Event& event, absl::Time wall,
                 std::vector<alert::Alert>& changes);
  // An element of a stored stream; Resumed is nothing to it.
  void TakeEntry(const history::Entry& entry,
                 std::vector<alert::Alert>& changes);

  // From now on findings are not heard, until Resume().
  void Mute() { muted_ = true; }
  // A frame with its sketches, from before: what is measured against the past
  // knows it.
  void Remember(const frames::Frame& frame) { baseline_.Measure(frame); }
  void Resume(alert::AlertBook::Saved alerts);

  const alert::AlertBook& alerts() const { return *alerts_; }

 private:
  // The event that findings belong to: kind, subject, ranks.
  using EventKey = std::tuple<detect::Kind, std::string, std::vector<uint32_t>>;

  static EventKey KeyOf(const detect::Finding& finding) {
    return {finding.kind, finding.subject, finding.ranks};
  }
  void TakeFindings(absl::Time wall, std::vector<alert::Alert>& changes);
  void ResolveOrphans(const frames::Frame& frame, absl::Time wall,
                      std::vector<alert::Alert>& changes);

  const alert::AlertOptions alert_options_;
  const detect::KindSettings kinds_;
  std::vector<std::unique_ptr<detect::Detector>> detectors_;
  consistency::Baseline baseline_;
  detect::LossBand loss_band_;
  std::optional<alert::AlertBook> alerts_;
  std::vector<detect::Finding> findings_;
  bool muted_ = false;
  std::set<EventKey> raised_;   // while muted
  std::set<EventKey> orphans_;  // since Resume()
  uint64_t frames_since_resume_ = 0;
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_JUDGE_H_
