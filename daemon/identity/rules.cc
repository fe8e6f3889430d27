#include "daemon/identity/rules.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace muster::identity {
namespace {

constexpr char kAnyone[] = "anyone";
// Any caller with a good token or certificate.
constexpr char kKnown[] = "*";
constexpr Verb kAllVerbs[] = {Verb::kReport, Verb::kQuery, Verb::kMetrics};

std::vector<std::string> Items(const std::string& list) {
  std::vector<std::string> items;
  for (absl::string_view item : absl::StrSplit(list, ',')) {
    item = absl::StripAsciiWhitespace(item);
    if (!item.empty()) items.emplace_back(item);
  }
  return items;
}

bool IsRunPattern(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("._:-*").find(c) != std::string_view::npos;
  });
}

bool IsIdentity(std::string_view text) {
  if (text == kAnyone) return true;
  for (const std::string_view kind : {"token:", "certificate:"}) {
    if (text.starts_with(kind) && text.size() > kind.size()) return true;
  }
  return false;
}

}  // namespace

const char* VerbName(Verb verb) {
  switch (verb) {
    case Verb::kReport:
      return "report";
    case Verb::kQuery:
      return "query";
    case Verb::kMetrics:
      return "metrics";
  }
  return "";
}

bool Matches(std::string_view pattern, std::string_view text) {
  // Where the last * stood, and where the text that it takes ends so far.
  size_t star = std::string_view::npos;
  size_t taken = 0;
  size_t p = 0;
  size_t t = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string CheckRule(const Rule& rule) {
  if (!IsIdentity(rule.identity)) {
    return "'identity' must be token:NAME, certificate:NAME or anyone";
  }
  const auto runs = Items(rule.runs);
  if (runs.empty()) return "'runs' names no run; * stands for all";
  for (const std::string& run : runs) {
    if (!IsRunPattern(run)) {
      return absl::StrCat("'runs': ", run,
                          " can match no run id: A-Z a-z 0-9 . _ : - and *");
    }
  }
  const auto verbs = Items(rule.verbs);
  if (verbs.empty()) return "'verbs' names none of report, query, metrics";
  for (const std::string& verb : verbs) {
    const bool known =
        std::any_of(std::begin(kAllVerbs), std::end(kAllVerbs),
                    [&](Verb each) { return verb == VerbName(each); });
    if (!known) {
      return absl::StrCat("'verbs': ", verb,
                          " is none of report, query, metrics");
    }
  }
  return "";
}

absl::StatusOr<Rules> Rules::Create(const std::vector<Rule>& rules, bool open) {
  Rules made;
  for (const Rule& rule : rules) {
    const std::string error = CheckRule(rule);
    if (!error.empty()) return absl::InvalidArgumentError(error);
    Grant grant{
        .identity = rule.identity, .runs = Items(rule.runs), .verbs = {}};
    for (const std::string& name : Items(rule.verbs)) {
      for (const Verb verb : kAllVerbs) {
        if (name == VerbName(verb)) {
          grant.verbs[static_cast<size_t>(verb)] = true;
        }
      }
    }
    made.grants_.push_back(std::move(grant));
  }
  if (rules.empty()) {
    made.grants_.push_back({.identity = open ? kAnyone : kKnown,
                            .runs = {"*"},
                            .verbs = {true, true, true}});
  }
  return made;
}

bool Rules::IsFor(const Grant& grant, const Caller& caller) {
  if (grant.identity == kAnyone) return true;
  if (grant.identity == kKnown) return !caller.identities.empty();
  return std::any_of(caller.identities.begin(), caller.identities.end(),
                     [&](const std::string& identity) {
                       return Matches(grant.identity, identity);
                     });
}

bool Rules::Allows(const Caller& caller, Verb verb,
                   std::string_view run) const {
  return std::any_of(grants_.begin(), grants_.end(), [&](const Grant& grant) {
    return grant.verbs[static_cast<size_t>(verb)] && IsFor(grant, caller) &&
           std::any_of(grant.runs.begin(), grant.runs.end(),
                       [&](const std::string& pattern) {
                         return Matches(pattern, run);
                       });
  });
}

bool Rules::AllowsAny(const Caller& caller, Verb verb) const {
  return std::any_of(grants_.begin(), grants_.end(), [&](const Grant& grant) {
    return grant.verbs[static_cast<size_t>(verb)] && IsFor(grant, caller);
  });
}

}  // namespace muster::identity
