#include "daemon/runs/replay.h"

#include <algorithm>
#include <memory>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace muster::runs {
namespace {

absl::StatusOr<std::unique_ptr<Judge>> MakeJudge(
    const OptionsOf& options, const std::string& configuration) {
  const auto judge = options(configuration);
  if (!judge.ok()) return judge.status();
  return std::make_unique<Judge>(judge->detect, judge->alert);
}

}  // namespace

absl::Status FeedMuted(
    const history::Reader& reader, int64_t run, const history::Resumed& resumed,
    uint64_t sketches_from, uint64_t end, Judge& judge,
    const std::function<void(const history::Judged&, absl::Time wall)>& seen) {
  judge.Mute();
  std::vector<alert::Alert> none;
  const auto take = [&](const history::Entry& entry) {
    const auto* judged = std::get_if<history::Judged>(&entry.body);
    if (judged != nullptr) seen(*judged, entry.wall);
    judge.TakeEntry(entry, none);
    return absl::OkStatus();
  };
  const uint64_t bare_end = std::clamp(sketches_from, resumed.first_frame, end);
  absl::Status status =
      reader.ReadEntries(run, resumed.first_event, resumed.first_frame,
                         history::What::kEvents, take);
  status.Update(reader.ReadEntries(run, resumed.first_frame, bare_end,
                                   history::What::kAll, take));
  status.Update(reader.ReadEntries(run, bare_end, end,
                                   history::What::kWithSketches, take));
  return status;
}

absl::Status Replay(
    const history::Reader& reader, const history::StoredRun& run,
    const OptionsOf& options,
    const std::function<absl::Status(const alert::Alert&)>& change) {
  auto made = MakeJudge(options, run.configuration);
  if (!made.ok()) return made.status();
  std::unique_ptr<Judge> judge = *std::move(made);
  std::vector<alert::Alert> changes;
  return reader.ReadEntries(
      run.run, 0, history::Reader::kEnd, history::What::kAll,
      [&](const history::Entry& entry) -> absl::Status {
        if (const auto* resumed = std::get_if<history::Resumed>(&entry.body)) {
          auto next = MakeJudge(options, resumed->configuration);
          if (!next.ok()) return next.status();
          absl::Status status = FeedMuted(
              reader, run.run, *resumed, entry.position, entry.position, **next,
              [](const history::Judged&, absl::Time) {});
          if (!status.ok()) return status;
          (*next)->Resume(judge->alerts().Save(/*with_resolved=*/true));
          judge = *std::move(next);
          return absl::OkStatus();
        }
        judge->TakeEntry(entry, changes);
        for (const alert::Alert& alert : changes) {
          absl::Status status = change(alert);
          if (!status.ok()) return status;
        }
        changes.clear();
        return absl::OkStatus();
      });
}

std::string ReplayLine(const std::string& run, const alert::Alert& alert) {
  return absl::StrCat("{\"time\":\"",
                      absl::FormatTime("%Y-%m-%dT%H:%M:%E9SZ", alert.changed,
                                       absl::UTCTimeZone()),
                      "\",\"alert\":", alert::LogLine(run, alert), "}");
}

}  // namespace muster::runs
