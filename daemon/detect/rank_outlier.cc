#include "daemon/detect/rank_outlier.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>
#include <variant>

#include "absl/strings/str_format.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

constexpr int kSides = 2;
constexpr uint64_t kRecentSteps = 64;
// Deviations beyond this say nothing more, and a spread of 0 would give more.
constexpr double kMostDeviations = 1e6;

double DeviationOf(double difference, double scale) {
  if (difference == 0) return 0;
  return difference / std::max(scale, std::abs(difference) / kMostDeviations);
}

Finding MakeFinding(const std::vector<uint32_t>& ranks, Metric metric,
                    Phase phase) {
  Finding finding;
  finding.kind = Kind::kRankOutlier;
  finding.phase = phase;
  finding.subject = MetricSubject(metric);
  finding.ranks = ranks;
  return finding;
}

}  // namespace

RankOutlier::RankOutlier(const RankOutlierOptions& options)
    : options_(options) {
  for (double floor : {options.loss_floor, options.log_norm_floor,
                       options.cosine_floor, options.log_step_time_floor}) {
    metrics_.push_back({SpreadHistory(options.spread_frames),
                        SpreadHistory(options.spread_frames), floor});
  }
}

void RankOutlier::OnFrame(const JudgedFrame& judged,
                          std::vector<Finding>& out) {
  const frames::Frame& frame = judged.frame;
  if (frame.world_size != world_size_) Reset(frame.world_size, out);
  if (std::exchange(hosts_changed_, false)) {
    hosts_.Rebuild(world_size_);
    host_streams_.assign(hosts_.groups().size() * kMetrics.size() * kSides,
                         RankOrderStream());
  }
  if (frame.attempt != attempt_ && frame.step <= last_step_) {
    std::fill(streams_.begin(), streams_.end(), RankOrderStream());
    std::fill(host_streams_.begin(), host_streams_.end(), RankOrderStream());
  }
  attempt_ = frame.attempt;
  last_step_ = frame.step;
  ++frame_;
  crossings_.clear();
  for (Metric metric : kMetrics) {
    JudgeOrders(metric, judged.measures);
    JudgeGross(metric, judged.measures, out);
  }
  TakeCrossings(judged.measures, out);
  ResolveQuiet(out);
}

void RankOutlier::OnEvent(const frames::Event& event,
                          std::vector<Finding>& out) {
  if (const auto* up = std::get_if<frames::SourceUp>(&event)) {
    hosts_changed_ |= hosts_.Place(up->info.rank, up->info.host);
  } else if (const auto* began = std::get_if<frames::AttemptBegan>(&event)) {
    if (began->world_size_changed) Reset(began->world_size, out);
  }
}

void RankOutlier::JudgeOrders(Metric metric,
                              const consistency::Measures& measures) {
  MetricState& state = metrics_[static_cast<size_t>(metric)];
  ComparableValues(metric, measures, world_size_, values_);
  SortReference();
  state.scale = state.spread.Pooled();
  state.history = state.spread.pushed();
  state.margin = std::max(options_.margin * state.scale, state.floor);
  if (state.history >= static_cast<uint64_t>(options_.warmup_frames)) {
    bets_.Prepare(reference_.size());
    OrdersOfAll(reference_, state.margin, orders_);
    host_bets_.assign(hosts_.groups().size(), HostBets());
    for (const RankValue& value : values_) Bet(metric, value);
    BetOnHosts(metric);
  }
  if (reference_.size() >= 2) state.spread.Push(RobustSpread(reference_));
}

void RankOutlier::SortReference() {
  ascending_.clear();
  for (const RankValue& value : values_) {
    if (!excluded_[value.rank]) ascending_.push_back(value);
  }
  std::sort(
      ascending_.begin(), ascending_.end(),
      [](const RankValue& a, const RankValue& b) { return a.value < b.value; });
  reference_.resize(ascending_.size());
  for (size_t i = 0; i < ascending_.size(); ++i) {
    reference_[i] = ascending_[i].value;
    place_[ascending_[i].rank] = static_cast<uint32_t>(i);
  }
}

void RankOutlier::Bet(Metric metric, const RankValue& value) {
  const MetricState& state = metrics_[static_cast<size_t>(metric)];
  const bool included = !excluded_[value.rank];
  const Orders orders =
      included ? orders_[place_[value.rank]]
               : OrdersAmong(reference_, value.value, state.margin, false);
  const size_t count = orders.upper.count;
  // Where all are tied, every bet is 1: no evidence, and no growth either.
  if (count < 2 || orders.upper.tied == count - 1) return;

  const double others =
      included ? SortedMedianWithout(reference_, place_[value.rank])
               : SortedMedian(reference_);
  const double difference = value.value - others;
  Recent& recent = RecentOf(value.rank, metric);
  recent.above = recent.above << 1 | (difference > 0 ? 1 : 0);
  recent.below = recent.below << 1 | (difference < 0 ? 1 : 0);

  const double deviation = DeviationOf(difference, state.scale);
  const size_t host = hosts_.GroupOf(value.rank);
  // A rank that is known to be off would drag its host with it.
  const bool for_host =
      host != HostGroups::kNone && (included || HostIsBlamed(host));
  if (for_host) {
    host_bets_[host].deviations += deviation;
    ++host_bets_[host].ranks;
  }
  for (Side side : {kUpper, kLower}) {
    RankOrderStream& stream = Stream(value.rank, metric, side);
    const Bets bets =
        bets_.BetsOn(side == kUpper ? orders.upper : orders.lower);
    stream.Add(bets, last_step_, deviation);
    if (stream.statistic() >= threshold_) {
      crossings_.push_back({value.rank, HostGroups::kNone, metric, side,
                            count == 2, stream.statistic()});
    }
    if (!for_host) continue;
    Bets& sums = host_bets_[host].sums[side];
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += bets[i];
  }
}

void RankOutlier::BetOnHosts(Metric metric) {
  for (size_t host = 0; host < host_bets_.size(); ++host) {
    HostBets& bets = host_bets_[host];
    if (bets.ranks < 2) continue;
    for (Side side : {kUpper, kLower}) {
      Bets& means = bets.sums[side];
      for (double& mean : means) mean /= bets.ranks;
      RankOrderStream& stream = HostStream(host, metric, side);
      stream.Add(means, last_step_, bets.deviations / bets.ranks);
      if (stream.statistic() >= threshold_) {
        crossings_.push_back({hosts_.groups()[host].ranks.front(), host, metric,
                              side, AgainstOneHost(host), stream.statistic()});
      }
    }
  }
}

void RankOutlier::TakeCrossings(const consistency::Measures& measures,
                                std::vector<Finding>& out) {
  const Crossing* leading = nullptr;
  for (const Crossing& crossing : crossings_) {
    RankOrderStream& stream = StreamOf(crossing);
    // The gross rule may have named a rank since, which restarts the others.
    if (stream.statistic() < threshold_) continue;
    const bool covered = IsCovered(crossing.rank);
    if (!crossing.of_host() && covered &&
        (excluded_[crossing.rank] || !crossing.against_one)) {
      stream.Restart();  // its host, or its pair of hosts, speaks for it
    } else if (excluded_[crossing.rank] && (!crossing.of_host() || covered)) {
      RaiseCrossing(crossing, measures, out);
      stream.Restart();
    } else if (leading == nullptr || crossing.statistic > leading->statistic) {
      leading = &crossing;
    }
  }
  if (leading == nullptr) return;
  const Crossing lead = *leading;
  for (const Crossing& crossing : crossings_) {
    RankOrderStream& stream = StreamOf(crossing);
    if (stream.statistic() < threshold_) continue;
    const bool named = &crossing == leading ||
                       (crossing.rank == lead.rank &&
                        crossing.host == lead.host && !lead.against_one);
    if (named) RaiseCrossing(crossing, measures, out);
    stream.Restart();
  }
}

void RankOutlier::RaiseCrossing(const Crossing& crossing,
                                const consistency::Measures& measures,
                                std::vector<Finding>& out) {
  if (crossing.of_host()) {
    RaiseHost(crossing, measures, out);
    return;
  }
  const RankOrderStream& stream =
      Stream(crossing.rank, crossing.metric, crossing.side);
  const MetricState& state = metrics_[static_cast<size_t>(crossing.metric)];
  std::vector<double> others;
  std::optional<double> now;
  std::vector<uint32_t> ranks = {crossing.rank};
  for (const consistency::RankMeasures& rank : measures.ranks) {
    const std::optional<double> raw = RawValue(crossing.metric, rank);
    if (!raw || rank.rank >= world_size_) continue;
    if (rank.rank == crossing.rank) {
      now = raw;
    } else if (!excluded_[rank.rank]) {
      others.push_back(*raw);
      if (crossing.against_one && !excluded_[crossing.rank]) {
        ranks.push_back(rank.rank);
      }
    }
  }
  std::sort(ranks.begin(), ranks.end());
  std::sort(others.begin(), others.end());

  Finding finding = MakeFinding(ranks, crossing.metric, Phase::kRaise);
  finding.first_step = stream.onset_step();
  finding.value = std::abs(stream.mean_deviation());
  finding.expected =
      state.scale > 0 ? state.margin / state.scale : options_.margin;
  const Recent& recent = RecentOf(crossing.rank, crossing.metric);
  const uint64_t steps = std::min(stream.onset_bets(), kRecentSteps);
  const uint64_t side =
      (crossing.side == kUpper ? recent.above : recent.below) &
      (~uint64_t{0} >> (kRecentSteps - steps));
  const std::string which =
      others.size() == 1
          ? "that of the other rank"
          : absl::StrFormat("the median of the other %d ranks", others.size());
  finding.evidence = absl::StrFormat(
      "Rank %d's %s has been %s %s in %d of the last %s, on average by %.1f "
      "robust deviations (now %.4g against %.4g)%s.",
      crossing.rank, MetricName(crossing.metric),
      crossing.side == kUpper ? "above" : "below", which, std::popcount(side),
      Count(steps, "step"), finding.value, *now, SortedMedian(others),
      ranks.size() > 1
          ? "; healthy ranks take turns, but with only two to compare this "
            "cannot be attributed to one of them"
          : "; healthy ranks take turns");
  const bool blamed = finding.ranks.size() == 1;
  Raise(std::move(finding), crossing.metric, blamed, out);
}

void RankOutlier::JudgeGross(Metric metric,
                             const consistency::Measures& measures,
                             std::vector<Finding>& out) {
  if (metric == Metric::kDirection || metric == Metric::kStepTime) return;
  MetricState& state = metrics_[static_cast<size_t>(metric)];
  double scale = state.scale;
  uint64_t history = state.history;
  if (metric == Metric::kLoss) {
    LogLosses(measures, world_size_, values_);
    reference_.clear();
    for (const RankValue& value : values_) {
      if (!excluded_[value.rank]) reference_.push_back(value.value);
    }
    scale = state.log_spread.Pooled();
    history = state.log_spread.pushed();
    if (reference_.size() >= 2) {
      state.log_spread.Push(FindMedianAndSpread(reference_).spread);
    }
  }
  if (history < static_cast<uint64_t>(options_.gross_after_frames)) return;
  FindGross(values_, metric == Metric::kLoss ? 1 : 0.5, scale, gross_);
  if (gross_.empty()) return;

  std::vector<Finding> findings;
  for (const GrossOutlier& gross : gross_) {
    Finding finding = MakeFinding({gross.rank}, metric, Phase::kRaise);
    finding.first_step = last_step_;
    finding.value = gross.deviations;
    finding.expected = kGrossDeviations;
    const double ratio = std::exp(std::abs(gross.log_ratio));
    finding.evidence = absl::StrFormat(
        "Rank %d's %s is %.3g times %s than the median of the other %s, %.1f "
        "robust deviations of its logarithm away; healthy ranks stay within "
        "%.0f times.",
        gross.rank, MetricName(metric), ratio,
        gross.log_ratio > 0 ? "larger" : "smaller",
        Count(values_.size() - 1, "rank"), gross.deviations, kGrossFactor);
    findings.push_back(std::move(finding));
  }
  if (2 * gross_.size() < values_.size()) {
    for (Finding& finding : findings) {
      Raise(std::move(finding), metric, true, out);
    }
    return;
  }
  Finding split = std::move(findings.front());
  for (size_t i = 1; i < findings.size(); ++i) {
    split.ranks.push_back(findings[i].ranks.front());
  }
  split.evidence.pop_back();
  split.evidence += absl::StrFormat(
      "; %s are as far apart, so that it cannot be attributed to one of them.",
      RankList(split.ranks));
  Raise(std::move(split), metric, false, out);
}

void RankOutlier::Raise(Finding finding, Metric metric, bool blamed,
                        std::vector<Finding>& out) {
  const auto it =
      std::find_if(standing_.begin(), standing_.end(), [&](const auto& each) {
        return each.metric == metric && each.ranks == finding.ranks;
      });
  if (it != standing_.end()) {
    if (it->evidence_frame == frame_) return;
    it->evidence_frame = frame_;
    finding.first_step = it->first_step;
  } else {
    standing_.push_back(
        {finding.ranks, metric, finding.first_step, frame_, blamed});
    if (blamed && !excluded_[finding.ranks[0]]) {
      Exclude();
      RestartStreamsOfOthers();
    }
  }
  finding.attempt = attempt_;
  finding.last_step = last_step_;
  out.push_back(std::move(finding));
}

void RankOutlier::ResolveQuiet(std::vector<Finding>& out) {
  bool readmitted = false;
  for (size_t i = 0; i < standing_.size();) {
    if (frame_ - standing_[i].evidence_frame <
        static_cast<uint64_t>(options_.resolve_after_frames)) {
      ++i;
      continue;
    }
    const Standing quiet = std::move(standing_[i]);
    standing_.erase(standing_.begin() + static_cast<ptrdiff_t>(i));
    Clear(quiet, Phase::kClear, out);
    Exclude();
    readmitted |= quiet.blamed && !excluded_[quiet.ranks[0]];
  }
  if (readmitted) RestartStreamsOfOthers();
}

void RankOutlier::Exclude() {
  std::fill(excluded_.begin(), excluded_.end(), 0);
  for (const Standing& standing : standing_) {
    if (!standing.blamed) continue;
    for (uint32_t rank : standing.ranks) excluded_[rank] = 1;
  }
}

void RankOutlier::Clear(const Standing& standing, Phase phase,
                        std::vector<Finding>& out) const {
  Finding finding = MakeFinding(standing.ranks, standing.metric, phase);
  finding.attempt = attempt_;
  finding.first_step = standing.first_step;
  finding.last_step = last_step_;
  out.push_back(std::move(finding));
}

RankOrderStream& RankOutlier::Stream(uint32_t rank, Metric metric, Side side) {
  return streams_[(static_cast<size_t>(metric) * world_size_ + rank) * kSides +
                  side];
}

RankOutlier::Recent& RankOutlier::RecentOf(uint32_t rank, Metric metric) {
  return recent_[static_cast<size_t>(metric) * world_size_ + rank];
}

RankOrderStream& RankOutlier::HostStream(size_t host, Metric metric,
                                         Side side) {
  return host_streams_[(host * kMetrics.size() + static_cast<size_t>(metric)) *
                           kSides +
                       side];
}

RankOrderStream& RankOutlier::StreamOf(const Crossing& crossing) {
  return crossing.of_host()
             ? HostStream(crossing.host, crossing.metric, crossing.side)
             : Stream(crossing.rank, crossing.metric, crossing.side);
}

void RankOutlier::RestartStreamsOfOthers() {
  for (size_t host = 0; host < hosts_.groups().size(); ++host) {
    if (HostIsBlamed(host)) continue;
    for (Metric metric : kMetrics) {
      HostStream(host, metric, kUpper).Restart();
      HostStream(host, metric, kLower).Restart();
    }
  }
  for (uint32_t rank = 0; rank < world_size_; ++rank) {
    if (excluded_[rank]) continue;
    for (Metric metric : kMetrics) {
      Stream(rank, metric, kUpper).Restart();
      Stream(rank, metric, kLower).Restart();
    }
  }
}

void RankOutlier::Reset(uint32_t world_size, std::vector<Finding>& out) {
  for (const Standing& standing : standing_) {
    Clear(standing, Phase::kReplaced, out);
  }
  standing_.clear();
  world_size_ = world_size;
  hosts_changed_ = true;
  // Ranks, and hosts of two ranks or more.
  const double streams = kSides * 1.5 * static_cast<double>(world_size) *
                         static_cast<double>(kMetrics.size());
  threshold_ = options_.target_frames * streams;
  streams_.assign(world_size * kMetrics.size() * kSides, RankOrderStream());
  recent_.assign(world_size * kMetrics.size(), Recent());
  excluded_.assign(world_size, 0);
  place_.assign(world_size, 0);
  for (MetricState& state : metrics_) {
    state.spread.Clear();
    state.log_spread.Clear();
  }
}

}  // namespace muster::detect
