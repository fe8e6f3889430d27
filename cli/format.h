// Answers of the daemon as text for people: a verdict first, then a table.
#ifndef MUSTER_CLI_FORMAT_H_
#define MUSTER_CLI_FORMAT_H_

#include <string>

#include "absl/time/time.h"
#include "muster/v1/query.pb.h"

namespace muster::cli {

struct Style {
  bool colour = false;
  // Ages are relative to it.
  absl::Time now;
};

// Not healthy: an alert fires, the run fell silent, or its newest frame lacks
// ranks.
bool IsHealthy(const v1::Run& run);

// One line: "run-7: 8 of 8 ranks agree at step 412", or what is wrong.
std::string RunVerdict(const v1::Run& run, const Style& style);

// One line: run, kind, ranks and evidence.
std::string AlertVerdict(const v1::Alert& alert, const Style& style);

// Each with a trailing newline. Status shows the alerts that fire, and how many
// did before.
std::string FormatStatus(const v1::ListRunsResponse& runs,
                         const v1::ListAlertsResponse& alerts,
                         const Style& style);
std::string FormatRuns(const v1::ListRunsResponse& runs, const Style& style);
std::string FormatRanks(const v1::Run& run, const v1::ListRanksResponse& ranks,
                        const Style& style);
std::string FormatSteps(const v1::Run& run, const v1::ListStepsResponse& steps,
                        const Style& style);
std::string FormatAlerts(const v1::ListAlertsResponse& alerts,
                         const Style& style);

// Protobuf's JSON, indented; compact: as the HTTP API answers. FormatStatusJson
// adds "healthy" to the fields of both.
std::string FormatJson(const google::protobuf::Message& message);
std::string FormatCompactJson(const google::protobuf::Message& message);
std::string FormatStatusJson(const v1::ListRunsResponse& runs,
                             const v1::ListAlertsResponse& alerts);

}  // namespace muster::cli

#endif  // MUSTER_CLI_FORMAT_H_
