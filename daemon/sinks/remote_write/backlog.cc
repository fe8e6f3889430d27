#include "daemon/sinks/remote_write/backlog.h"

#include <set>
#include <utility>
#include <variant>

namespace muster::sinks::remote_write {
namespace {

using history::StoredRun;

// A run's first steps are older than its row in the history; a number that is
// given again, in a history that began anew, is not that of the mark.
constexpr int64_t kBeganLateMs = 10'000;

// The position after the newest entry; a run that is over has no checkpoint.
absl::StatusOr<uint64_t> EndOf(const history::Reader& reader, int64_t run) {
  const auto checkpoint = reader.LastCheckpoint(run);
  if (!checkpoint.ok()) return checkpoint.status();
  return *checkpoint == nullptr ? history::Reader::kEnd
                                : (*checkpoint)->next_position;
}

// The first position to be read; 0: none.
uint64_t FirstOf(const StoredRun& run, const Marks& marks) {
  const int64_t began_ms = absl::ToUnixMillis(run.began);
  const auto found = marks.runs.find(run.name);
  if (found == marks.runs.end()) return began_ms >= marks.since_ms ? 1 : 0;
  const Mark& mark = found->second;
  if (began_ms > mark.time_ms + kBeganLateMs) return 1;
  if (run.run == mark.place.history_run) {
    return std::max<uint64_t>(mark.place.position, 1);
  }
  return run.run > mark.place.history_run ? 1 : 0;
}

}  // namespace

absl::StatusOr<std::map<std::string, std::deque<Range>>> FindUndelivered(
    const history::Reader& reader, const Marks& marks) {
  const auto runs = reader.Runs();
  if (!runs.ok()) return runs.status();
  std::map<std::string, std::deque<Range>> undelivered;
  for (const StoredRun& run : *runs) {
    const uint64_t first = FirstOf(run, marks);
    if (first == 0) continue;
    const auto end = EndOf(reader, run.run);
    if (!end.ok()) return end.status();
    undelivered[run.name].push_back({run.run, first, *end});
  }
  return undelivered;
}

absl::StatusOr<Marks> MarkAll(const history::Reader& reader, absl::Time now) {
  const auto runs = reader.Runs();
  if (!runs.ok()) return runs.status();
  Marks marks{.since_ms = absl::ToUnixMillis(now), .runs = {}};
  for (const StoredRun& run : *runs) {
    if (!run.open) continue;
    const auto end = EndOf(reader, run.run);
    if (!end.ok()) return end.status();
    marks.runs[run.name] = {{run.run, *end - 1}, marks.since_ms};
  }
  return marks;
}

absl::Status DropForgotten(const history::Reader& reader, Marks& marks) {
  const auto runs = reader.Runs();
  if (!runs.ok()) return runs.status();
  std::set<std::string> known;
  for (const StoredRun& run : *runs) known.insert(run.name);
  std::erase_if(marks.runs,
                [&](const auto& mark) { return !known.contains(mark.first); });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Step>> ReadSteps(const std::string& history_path,
                                            Range& range, int64_t max_samples,
                                            uint32_t max_ranks) {
  const auto reader = history::Reader::Open(history_path);
  if (!reader.ok()) return reader.status();
  std::vector<Step> steps;
  int64_t samples = 0;
  absl::Status enough = absl::CancelledError("enough");
  const absl::Status status = (*reader)->ReadEntries(
      range.history_run, range.from, range.to, history::What::kAll,
      [&](const history::Entry& entry) {
        if (samples >= max_samples) return enough;
        const Place place{range.history_run, entry.position};
        if (const auto* judged = std::get_if<history::Judged>(&entry.body)) {
          steps.push_back(
              MakeStep(place, entry.wall, judged->measures.get(), max_ranks));
          samples += steps.back().samples();
        } else if (std::holds_alternative<frames::RunEnded>(entry.body)) {
          steps.push_back(MakeStep(place, entry.wall, nullptr, max_ranks));
        }
        range.from = entry.position + 1;
        return absl::OkStatus();
      });
  if (status == enough) return steps;
  if (!status.ok()) return status;
  range.from = range.to;
  return steps;
}

bool MayPass(const absl::Status& error) {
  return absl::IsUnavailable(error) || absl::IsNotFound(error) ||
         absl::IsAborted(error) || absl::IsResourceExhausted(error);
}

}  // namespace muster::sinks::remote_write
