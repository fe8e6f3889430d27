#include "daemon/detect/kinds.h"

namespace muster::detect {
namespace {

constexpr KindInfo kKinds[] = {
    {Kind::kNonFinite,
     "NonFinite",
     "non_finite",
     {Mode::kAlert, Severity::kCritical},
     "Look at the rank and step that were first. One rank first: its data of "
     "that step, then its hardware. All ranks at once: learning rate, "
     "precision, the model itself. Go back to a checkpoint from before that "
     "step; the optimizer's state is spoilt too."},
    {Kind::kFactMismatch,
     "FactMismatch",
     "fact_mismatch",
     {Mode::kAlert, Severity::kCritical},
     "Compare how the named ranks were launched with the others: image, "
     "environment, command line, code version. For incarnation, find the "
     "older process and end it. For world_size, wait for a restart to "
     "finish, then look for a stray process of an earlier job."},
    {Kind::kDuplicateShard,
     "DuplicateShard",
     "duplicate_shard",
     {Mode::kAlert, Severity::kWarning},
     "Look at how the named ranks get their part of the data: a "
     "DistributedSampler with the right rank and size, set_epoch at each "
     "epoch, a loader or a shuffle seed that ignores the rank. The effective "
     "batch is smaller than you think, and some data are never seen."},
    {Kind::kRankOutlier,
     "RankOutlier",
     "rank_outlier",
     {Mode::kAlert, Severity::kWarning},
     "Loss: the rank's data, labels, augmentation, dropout or module mode. "
     "Gradient norm: a scale (division of the loss, accumulation count, batch "
     "size), clipping before the reduction, precision. Direction: data, or "
     "parameters that drifted from the other replicas. Step time: the host's "
     "load, clocks, disk and network. Then move the rank to another host: "
     "what stays with the rank is data, what stays with the host is "
     "hardware."},
    {Kind::kDispersionShift,
     "DispersionShift",
     "dispersion_shift",
     {Mode::kObserve, Severity::kInfo},
     "Look for what changed for all ranks at the first step: data (a new "
     "epoch, source or curriculum stage), sequence length, dropout or module "
     "mode, precision, a code path that starts at some step. If nothing was "
     "meant to change, compare with a run that was healthy at this step."},
    {Kind::kDirectionShift,
     "DirectionShift",
     "direction_shift",
     {Mode::kObserve, Severity::kInfo},
     "Look for what changed for all ranks at the first step: data, batch "
     "size, learning rate, dropout. Directions that agree less mean that the "
     "batch is smaller against the noise than before; directions that agree "
     "more, without a larger batch, that ranks share data or that the loss "
     "is dominated by one term."},
    {Kind::kRankMissing,
     "RankMissing",
     "rank_missing",
     {Mode::kAlert, Severity::kWarning},
     "The others go on, so the training itself may be well: look at that "
     "rank's log for the monitor's own messages, and at the network between "
     "it and the daemon. If the job uses elastic or local-update training, "
     "look whether the process still lives."},
    {Kind::kRankLagging,
     "RankLagging",
     "rank_lagging",
     {Mode::kAlert, Severity::kWarning},
     "Where ranks reduce at each step, a report that is late was made in time "
     "and sent late: look at the network, and at the load of that rank's "
     "host. Where ranks go on by themselves between synchronisations, look at "
     "the rank's data loading, its clocks and its neighbours on the host."},
    {Kind::kRunStalled,
     "RunStalled",
     "run_stalled",
     {Mode::kAlert, Severity::kCritical},
     "Look whether the processes live. If they do, they wait: for a "
     "collective that one rank never entered, for data, for a checkpoint or "
     "an evaluation. A dump of the Python stacks of two ranks (py-spy dump) "
     "tells which."},
    {Kind::kShardOverlap,
     "ShardOverlap",
     "shard_overlap",
     {Mode::kAlert, Severity::kWarning},
     "Overlap: a DistributedSampler with the rank and size of the process "
     "group; where each rank has files of its own, watch_loader with "
     "local_ids=True, as the same index is another sample there. Repeats: the "
     "loader restarts or caches. Order: call sampler.set_epoch(epoch)."},
    {Kind::kReplicaDrift,
     "ReplicaDrift",
     "replica_drift",
     {Mode::kAlert, Severity::kCritical},
     "The replicas do not come back by themselves. Restore a checkpoint from "
     "before the first step, or broadcast the parameters of a good rank. Then "
     "find the cause: a parameter that is not in DDP, an update that depends "
     "on the rank, an all-reduce that was skipped, faulty memory. The group "
     "that differs first, and whether the rank's host is the same again, "
     "narrow it down."},
};
static_assert(std::size(kKinds) == kKindCount);

}  // namespace

const char* SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kCritical:
      return "critical";
  }
  return "unknown";
}

const KindInfo& InfoOf(Kind kind) { return kKinds[static_cast<size_t>(kind)]; }

const char* KindName(Kind kind) { return InfoOf(kind).name; }

KindSettings DefaultKindSettings() {
  KindSettings settings;
  for (const KindInfo& info : kKinds) {
    settings[static_cast<size_t>(info.kind)] = info.defaults;
  }
  return settings;
}

}  // namespace muster::detect
