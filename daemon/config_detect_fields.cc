#include "daemon/config_detect_fields.h"

#include <string>
#include <utility>
#include <vector>

#include "daemon/config_field_types.h"
#include "daemon/detect/kinds.h"

namespace muster {
namespace {

using detect::Kind;

// "detect.rank_outlier." and the like.
std::string SectionOf(Kind kind) {
  return absl::StrCat("detect.", detect::InfoOf(kind).key, ".");
}

// Opens a kind's section with what all kinds have.
void AppendKind(Kind kind, std::vector<ConfigField>& fields) {
  const auto index = static_cast<size_t>(kind);
  fields.push_back(Choice(
      SectionOf(kind) + "mode",
      absl::StrCat("Whether ", detect::InfoOf(kind).name,
                   " is judged, and whether it fires."),
      [index](auto& config) -> auto& {
        return config.detect.kinds[index].mode;
      },
      std::vector<std::pair<std::string, detect::Mode>>{
          {"off", detect::Mode::kOff},
          {"observe", detect::Mode::kObserve},
          {"alert", detect::Mode::kAlert}}));
  fields.push_back(Choice(
      SectionOf(kind) + "severity", "How soon somebody should look.",
      [index](auto& config) -> auto& {
        return config.detect.kinds[index].severity;
      },
      std::vector<std::pair<std::string, detect::Severity>>{
          {"info", detect::Severity::kInfo},
          {"warning", detect::Severity::kWarning},
          {"critical", detect::Severity::kCritical}}));
}

template <typename Member>
void AppendBudget(Kind kind, Member member, std::vector<ConfigField>& fields) {
  fields.push_back(Number(SectionOf(kind) + "budget",
                          "Share of the false alarms that this kind may make.",
                          member, 0.001, 1));
}

template <typename Member>
void AppendDeadline(const std::string& key, std::string help, Member member,
                    std::vector<ConfigField>& fields) {
  fields.push_back(Duration(key, std::move(help), member,
                            absl::Milliseconds(10), absl::Hours(24)));
}

void AppendExact(std::vector<ConfigField>& fields) {
  AppendKind(Kind::kNonFinite, fields);
  fields.push_back(
      Integer("detect.non_finite.scaler_overflow_steps",
              "Consecutive non-finite steps that are news under a loss scaler.",
              MUSTER_MEMBER(detect.scaler_overflow_steps), 1, 1000000));
  AppendKind(Kind::kFactMismatch, fields);
  AppendDeadline("detect.fact_mismatch.world_size_after",
                 "Live sources may disagree on the world size for so long.",
                 MUSTER_MEMBER(detect.world_size_after), fields);
}

void AppendDuplicateShard(std::vector<ConfigField>& fields) {
  AppendKind(Kind::kDuplicateShard, fields);
  fields.push_back(Integer("detect.duplicate_shard.frames",
                           "Consecutive frames in which ranks look identical.",
                           MUSTER_MEMBER(detect.duplicate_frames), 1, 1000));
  AppendBudget(Kind::kDuplicateShard, MUSTER_MEMBER(detect.correlation_budget),
               fields);
  fields.push_back(
      Number("detect.duplicate_shard.correlation",
             "Least correlation of losses that tells of the same data.",
             MUSTER_MEMBER(detect.correlation), 0.3, 1));
  fields.push_back(Integer("detect.duplicate_shard.correlation_frames",
                           "Frames over which losses are correlated.",
                           MUSTER_MEMBER(detect.correlation_frames), 16, 64));
}

void AppendRankOutlier(std::vector<ConfigField>& fields) {
  AppendKind(Kind::kRankOutlier, fields);
  AppendBudget(Kind::kRankOutlier, MUSTER_MEMBER(detect.rank_outlier.budget),
               fields);
  fields.push_back(Number(
      "detect.rank_outlier.margin",
      "Shift that counts as healthy, in pooled robust standard deviations.",
      MUSTER_MEMBER(detect.rank_outlier.margin), 0, 10));
  fields.push_back(Number(
      "detect.rank_outlier.loss_floor", "Least shift of the loss that counts.",
      MUSTER_MEMBER(detect.rank_outlier.loss_floor), 0, 1e12));
  fields.push_back(
      Number("detect.rank_outlier.log_norm_floor",
             "Least shift of the log of the squared gradient norm that counts.",
             MUSTER_MEMBER(detect.rank_outlier.log_norm_floor), 0, 100));
  fields.push_back(Number("detect.rank_outlier.cosine_floor",
                          "Least shift of the gradient cosine that counts.",
                          MUSTER_MEMBER(detect.rank_outlier.cosine_floor), 0,
                          2));
  fields.push_back(
      Number("detect.rank_outlier.log_step_time_floor",
             "Least shift of the log of the step time that counts.",
             MUSTER_MEMBER(detect.rank_outlier.log_step_time_floor), 0, 100));
  fields.push_back(Integer("detect.rank_outlier.spread_frames",
                           "Frames whose spread is pooled for the margin.",
                           MUSTER_MEMBER(detect.rank_outlier.spread_frames), 8,
                           65536));
  fields.push_back(Integer("detect.rank_outlier.warmup_frames",
                           "Frames of history before ranks are compared.",
                           MUSTER_MEMBER(detect.rank_outlier.warmup_frames), 1,
                           65536));
  fields.push_back(
      Integer("detect.rank_outlier.gross_after_frames",
              "Frames of history before one gross value is enough.",
              MUSTER_MEMBER(detect.rank_outlier.gross_after_frames), 1, 65536));
  fields.push_back(Integer(
      "detect.rank_outlier.resolve_after_frames",
      "Resolved after so many frames without new evidence.",
      MUSTER_MEMBER(detect.rank_outlier.resolve_after_frames), 1, 1048576));
}

template <typename Member>
void AppendGroupShift(Kind kind, const char* effect, Member options,
                      std::vector<ConfigField>& fields) {
  const std::string section = SectionOf(kind);
  AppendKind(kind, fields);
  AppendBudget(
      kind, [options](auto& config) -> auto& { return options(config).budget; },
      fields);
  fields.push_back(Number(
      section + "effect", effect,
      [options](auto& config) -> auto& { return options(config).effect; }, 0.01,
      10));
  const auto add = [&](const char* name, const char* help, auto member, int min,
                       int max) {
    fields.push_back(Integer(
        section + name, help, [ options, member ](auto& config) -> auto& {
          return options(config).*member;
        },
        min, max));
  };
  using Options = detect::GroupShiftOptions;
  add("warmup_frames", "First frames of a run that do not count.",
      &Options::warmup_frames, 0, 1048576);
  add("window_frames", "Frames from which the next one is expected.",
      &Options::window_frames, 128, 65536);
  add("resolve_after_frames",
      "Resolved after so many frames without new evidence.",
      &Options::resolve_after_frames, 1, 1048576);
  add("absorb_frames", "After so many frames a lasting shift is normal.",
      &Options::absorb_frames, 1, 1048576);
}

void AppendDeadlines(std::vector<ConfigField>& fields) {
  AppendKind(Kind::kRankMissing, fields);
  AppendDeadline("detect.rank_missing.after",
                 "A rank is missing when others went on for so long without "
                 "it.",
                 MUSTER_MEMBER(detect.rank_missing_after), fields);
  AppendKind(Kind::kRankLagging, fields);
  AppendDeadline("detect.rank_lagging.after",
                 "A rank lags when its reports come so much later than the "
                 "median rank's; shorter than frames.timeout.",
                 MUSTER_MEMBER(detect.rank_lagging_after), fields);
  AppendKind(Kind::kRunStalled, fields);
  AppendDeadline("detect.run_stalled.after",
                 "A run is stalled when no report came for so long; no shorter "
                 "than frames.timeout.",
                 MUSTER_MEMBER(detect.run_stalled_after), fields);
}

}  // namespace

void AppendDetectFields(std::vector<ConfigField>& fields) {
  fields.push_back(
      Number("detect.target_frames",
             "Mean frames between false alarms of all kinds together.",
             MUSTER_MEMBER(detect.target_frames), 10, 1e12));
  fields.push_back(Text(
      "detect.reference",
      "File of muster reference save: the run to hold runs against; empty: "
      "none.",
      MUSTER_MEMBER(reference_file), "a path",
      [](std::string_view) { return true; }));
  AppendExact(fields);
  AppendDuplicateShard(fields);
  AppendRankOutlier(fields);
  AppendGroupShift(Kind::kDispersionShift,
                   "Least shift of the log of a spread that counts.",
                   MUSTER_MEMBER(detect.dispersion_shift), fields);
  AppendGroupShift(Kind::kDirectionShift,
                   "Least shift of the log of the noise scale that counts.",
                   MUSTER_MEMBER(detect.direction_shift), fields);
  AppendDeadlines(fields);
  AppendKind(Kind::kShardOverlap, fields);
  AppendKind(Kind::kReplicaDrift, fields);
}

}  // namespace muster
