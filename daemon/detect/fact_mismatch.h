// Ranks disagree on what must agree.
#ifndef MUSTER_DAEMON_DETECT_FACT_MISMATCH_H_
#define MUSTER_DAEMON_DETECT_FACT_MISMATCH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/detect/detector.h"
#include "daemon/detect/fact_vote.h"

namespace muster::detect {

// Compares, in each frame, the facts of the ranks present: what the user and
// the integrations state (unless it is only to be shown), and what the daemon
// knows anyway: "parameter_count", "client_version", "learning_rate" (a stated
// fact of such a name takes its place). Facts are taken as they were when the
// rank made that step's report, so that neither a slow start nor a restart nor
// a fact that changes with the step makes ranks differ. One finding for each
// fact, at once; its ranks are those outside the majority (fact_vote.h). It is
// cleared by a frame that has these ranks and in which they agree.
//
// Assumption: ranks of one step run the same program. Statistic: equality as
// text; learning rates to nine digits. Guarantee: exact.
//
// Thread-compatible.
class FactMismatch : public Detector {
 public:
  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  using Disagreements = std::map<std::string, Disagreement, std::less<>>;
  // Of a rank's current source; empty text: unknown.
  struct Source {
    std::string parameter_count;
    std::string client_version;
    bool departed = false;
  };
  struct Standing {
    std::vector<uint32_t> ranks;
    uint64_t first_step = 0;
  };
  using StandingMap = std::map<std::string, Standing, std::less<>>;

  // True if the frame has the ranks and the facts of the last one compared.
  bool SameAsBefore(const frames::Frame& frame) const;
  void CompareFacts(const frames::Frame& frame);
  void CompareLearningRates(const frames::Frame& frame);
  void Settle(const frames::Frame& frame, const std::string& subject,
              const Disagreement* now, std::vector<Finding>& out);
  void AppendRaise(const std::string& subject, const Standing& standing,
                   const Disagreement& now, std::vector<Finding>& out) const;
  void Clear(const std::string& subject, const Standing& standing, Phase phase,
             std::vector<Finding>& out) const;
  Source& SourceOf(uint32_t rank);

  std::vector<Source> sources_;  // by rank
  // What was compared last: ranks and their facts, held so that an address is
  // not taken for the set that was there before. Equal pointers mean that
  // nothing has to be compared again.
  std::vector<uint32_t> ranks_;
  std::vector<std::shared_ptr<const frames::FactSet>> facts_;
  bool sources_changed_ = true;
  bool learning_rate_stated_ = false;
  Disagreements disagreements_;
  StandingMap standing_;
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_FACT_MISMATCH_H_
