#include "daemon/web/export_steps.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "daemon/web/query_build.h"

namespace muster::web {
namespace {

constexpr int kMaxFrames = 512;
constexpr size_t kMaxRankValues = size_t{1} << 16;

// One answer as it fills.
class Page {
 public:
  explicit Page(const v1::ExportStepsRequest& request) : request_(request) {
    *response_.mutable_place() = request.place();
  }

  bool full() const {
    return read_ >= kMaxFrames || rank_values_ >= kMaxRankValues;
  }
  // What comes before has been given.
  bool Passed(const consistency::Measures& measures) const {
    const v1::ExportPlace& place = response_.place();
    return std::make_pair(measures.attempt, measures.step) <=
           std::make_pair(place.attempt(), place.step());
  }
  void Add(const runs::FrameStore::Entry& entry) {
    const consistency::Measures& measures = *entry.measures;
    v1::ExportPlace& place = *response_.mutable_place();
    place.set_attempt(measures.attempt);
    place.set_step(measures.step);
    ++read_;
    rank_values_ += measures.ranks.size();
    if (request_.has_from() && measures.step < request_.from()) return;
    if (request_.has_to() && measures.step > request_.to()) return;
    *response_.add_steps() = BuildStep(entry, request_.with_ranks());
  }
  void GoOnAt(uint64_t position) {
    response_.mutable_place()->set_position(position);
  }

  v1::ExportStepsResponse Finish() {
    response_.set_done(!full());
    return std::move(response_);
  }

 private:
  const v1::ExportStepsRequest& request_;
  v1::ExportStepsResponse response_;
  int read_ = 0;
  size_t rank_values_ = 0;
};

absl::Status AddStored(const Source& source, int64_t run, uint64_t position,
                       Page& page) {
  absl::Status status =
      source.stored_entries(run, position, [&](const history::Entry& entry) {
        const auto& judged = std::get<history::Judged>(entry.body);
        // It may have been given from memory before it was stored.
        if (!page.Passed(*judged.measures)) {
          page.Add({.measures = judged.measures,
                    .superseded = judged.frame->reason ==
                                  frames::CloseReason::kSuperseded,
                    .wall = entry.wall});
        }
        page.GoOnAt(entry.position + 1);
        return page.full() ? absl::CancelledError() : absl::OkStatus();
      });
  return absl::IsCancelled(status) ? absl::OkStatus() : status;
}

}  // namespace

absl::StatusOr<v1::ExportStepsResponse> ExportSteps(
    const Source& source, const v1::ExportStepsRequest& request) {
  const auto run = source.snapshot(request.run());
  if (run == nullptr) {
    return absl::NotFoundError(absl::StrCat("no run '", request.run(), "'"));
  }
  if (request.has_from() && request.has_to() && request.from() > request.to()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "from is ", request.from(), "; allowed: at most to, ", request.to()));
  }
  Page page(request);
  if (run->history_run != 0 && source.stored_entries) {
    absl::Status status =
        AddStored(source, run->history_run, request.place().position(), page);
    if (!status.ok()) return status;
  }
  for (const auto& entry :
       run->store->Range(std::nullopt, std::nullopt, SIZE_MAX)) {
    if (page.full()) break;
    if (!page.Passed(*entry.measures)) page.Add(entry);
  }
  return page.Finish();
}

}  // namespace muster::web
