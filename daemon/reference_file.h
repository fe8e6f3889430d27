// The file of a reference run: what `muster reference save` writes and
// `detect.reference` names. Text, a line for each step, ascending:
//   STEP LOSS GRADIENT_NORM DIRECTION LOG_WEIGHT
// with the fields of detect::GroupValues, "-" for what is absent. The first
// line is kReferenceHeader; other lines that begin with # are comments.
#ifndef MUSTER_DAEMON_REFERENCE_FILE_H_
#define MUSTER_DAEMON_REFERENCE_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/config.h"
#include "daemon/detect/group_values.h"

namespace muster {

inline constexpr char kReferenceHeader[] =
    "# muster reference 1: step loss gradient_norm direction log_weight";

// Reads back bit for bit.
std::string ReferenceText(const std::map<uint64_t, detect::GroupValues>& steps);

// An error is one line, `NAME:LINE: …`.
absl::StatusOr<std::shared_ptr<const detect::ReferenceCurve>> ParseReference(
    const std::string& text, const std::string& name);

// Reads the file that `detect.reference` names into `config.detect`; none, no
// reference. An error is one line that names the file.
absl::Status LoadReference(Config& config);

}  // namespace muster

#endif  // MUSTER_DAEMON_REFERENCE_FILE_H_
