// What is known of each kind of alert before anything is seen: its names, how
// much it matters, whether it is told, and what to look at first.
#ifndef MUSTER_DAEMON_DETECT_KINDS_H_
#define MUSTER_DAEMON_DETECT_KINDS_H_

#include <array>

#include "daemon/detect/finding.h"

namespace muster::detect {

// What becomes of a kind's findings.
enum class Mode {
  kOff,      // nobody looks: the detector does not exist
  kObserve,  // shown and logged as observed; never fires, nobody is told
  kAlert,    // fires
};

// How soon somebody should look.
enum class Severity {
  kInfo,      // when there is time
  kWarning,   // today: the run goes on, but perhaps for nothing
  kCritical,  // now: what is computed from here on is lost
};
const char* SeverityName(Severity severity);  // "info", …

struct KindSetting {
  Mode mode = Mode::kAlert;
  Severity severity = Severity::kWarning;
};
// In the order of Kind.
using KindSettings = std::array<KindSetting, kKindCount>;

struct KindInfo {
  Kind kind;
  const char* name;  // "RankOutlier": alerts, metrics, logs
  const char* key;   // "rank_outlier": the configuration's section
  KindSetting defaults;
  // What to look at first: a paragraph of plain text. docs/alerts.md has the
  // same words, and a test holds the two together.
  const char* first_check;
};

const KindInfo& InfoOf(Kind kind);
KindSettings DefaultKindSettings();

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_KINDS_H_
