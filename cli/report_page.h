// The page of a report: the page of musterd, with answers inside.
#ifndef MUSTER_CLI_REPORT_PAGE_H_
#define MUSTER_CLI_REPORT_PAGE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace muster::cli {

// What the page asks for, such as "/api/v1/runs", and the JSON that it gets.
using ReportAnswers = std::vector<std::pair<std::string, std::string>>;

// What the report says of itself: one object of JSON.
std::string ReportAbout(const std::string& run, absl::Time made);

// As the HTTP API says no: {"error": …}.
std::string ErrorJson(const std::string& message);

// One object of JSON, in which no character can end an element of HTML.
std::string ReportData(const ReportAnswers& answers);

// The policy that musterd sends with the page, as a file states it about
// itself: no request to anybody, and without what only a header may say.
std::string ReportPolicy(const std::string& policy);

// `html` with the policy and the answers in it. INTERNAL if `html` has no place
// for them.
absl::StatusOr<std::string> ReportPage(std::string html,
                                       const std::string& policy,
                                       const ReportAnswers& answers);

}  // namespace muster::cli

#endif  // MUSTER_CLI_REPORT_PAGE_H_
