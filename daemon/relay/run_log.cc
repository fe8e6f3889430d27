#include "daemon/relay/run_log.h"

#include <algorithm>
#include <utility>

namespace muster::relay {
namespace {

constexpr size_t kSpillBytes = size_t{4} << 20;
constexpr size_t kReadBytes = size_t{1} << 20;
constexpr absl::Duration kRetry = absl::Seconds(1);

}  // namespace

RunLog::RunLog(std::string run, Spool* spool, Hooks hooks)
    : run_(std::move(run)), spool_(spool), hooks_(std::move(hooks)) {}

RunLog::~RunLog() { *alive_ = false; }

void RunLog::Continue(const SpooledRun& found) {
  settled_id_ = sent_id_ = spool_settled_ = found.first_id - 1;
  spool_last_ = newest_id_ = found.last_id;
  spool_oldest_ = found.oldest;
}

void RunLog::Append(Entry entry) {
  memory_bytes_ += entry.size();
  newest_id_ = entry.id;
  memory_.push_back(std::move(entry));
}

bool RunLog::IsSettled(const Entry& entry) const {
  return hooks_.settled({.id = entry.id,
                         .kind = entry.kind,
                         .source = entry.origin->number,
                         .sequence = entry.sequence});
}

const Entry* RunLog::Next(absl::Duration now) {
  if (!ahead_.empty()) return &ahead_.front();
  if (spool_last_ > sent_id_) {
    ReadAhead(now);
    return nullptr;
  }
  const auto next = std::upper_bound(
      memory_.begin(), memory_.end(), sent_id_,
      [](int64_t id, const Entry& entry) { return id < entry.id; });
  return next == memory_.end() ? nullptr : &*next;
}

void RunLog::Advance(absl::Duration now) {
  const bool spooled = !ahead_.empty();
  const Entry* next = Next(now);
  in_flight_.push_back({.id = next->id,
                        .kind = next->kind,
                        .source = next->origin->number,
                        .sequence = next->sequence,
                        .size = next->size(),
                        .facts = next->facts,
                        .at = now});
  in_flight_bytes_ += next->size();
  sent_id_ = next->id;
  if (!spooled) return;
  ahead_.pop_front();
  if (ahead_.size() < 64) ReadAhead(now);
}

void RunLog::ReadAhead(absl::Duration now) {
  const int64_t after = ahead_.empty() ? sent_id_ : ahead_.back().id;
  if (reading_ || spool_last_ <= after || now < read_again_) return;
  reading_ = true;
  const int64_t last = spool_last_;
  spool_->Read(run_, after, kReadBytes,
               [this, now, last, alive = alive_, post = hooks_.post,
                stream = stream_](absl::StatusOr<std::vector<Entry>> read) {
                 post([this, now, last, alive, stream, read = std::move(read)] {
                   if (!*alive) return;
                   reading_ = false;
                   if (stream != stream_) return;
                   if (!read.ok()) {
                     read_again_ = now + kRetry;
                     return;
                   }
                   // What has been dropped meanwhile is not there; what has
                   // been added comes next time.
                   if (read->empty() && ahead_.empty()) {
                     sent_id_ = std::max(sent_id_, last);
                   }
                   ahead_.insert(ahead_.end(), read->begin(), read->end());
                 });
               });
}

void RunLog::Settle() {
  while (!in_flight_.empty() && hooks_.settled(in_flight_.front())) {
    const Sent front = std::move(in_flight_.front());
    in_flight_.pop_front();
    in_flight_bytes_ -= front.size;
    settled_id_ = front.id;
    hooks_.forget(front, std::nullopt);
  }
  // With nothing on its way, what was dropped ahead of the cursor is behind it.
  if (in_flight_.empty()) {
    if (memory_.empty() && all_sent())
      sent_id_ = std::max(sent_id_, newest_id_);
    settled_id_ = std::max(settled_id_, sent_id_);
  }
  while (!memory_.empty() && memory_.front().id <= settled_id_ &&
         memory_.front().id > spilling_) {
    PopMemory();
  }
  SettleSpool();
}

void RunLog::PopMemory() {
  memory_bytes_ -= memory_.front().size();
  memory_.pop_front();
}

void RunLog::SettleSpool() {
  const int64_t through = std::min(settled_id_, spool_last_);
  if (spool_ == nullptr || through <= spool_settled_) return;
  // Many at once, but the last ones at once.
  if (through < spool_last_ && in_flight_.size() > 1 &&
      through - spool_settled_ < 256) {
    return;
  }
  spool_settled_ = through;
  spool_->Settle(run_, through);
  if (through == spool_last_) spool_oldest_ = absl::InfiniteFuture();
}

void RunLog::Rewind() {
  ++stream_;
  ahead_.clear();
  for (const Sent& sent : in_flight_) {
    if (sent.gone) hooks_.forget(sent, sent.gone);
  }
  in_flight_.clear();
  in_flight_bytes_ = 0;
  sent_id_ = settled_id_;
}

void RunLog::Spill(absl::Time before, absl::Duration now) {
  if (spool_ == nullptr || spilling_ != 0 || memory_.empty()) return;
  if (now < spill_again_ || memory_.front().taken >= before) return;
  std::vector<Entry> entries;
  size_t bytes = 0;
  int64_t through = 0;
  for (const Entry& entry : memory_) {
    if (entry.taken >= before || bytes >= kSpillBytes) break;
    through = entry.id;
    if (IsSettled(entry)) continue;
    bytes += entry.size();
    entries.push_back(entry);
  }
  spilling_ = through;
  spill_again_ = now + kRetry;  // until it is known better
  auto shared = std::make_shared<const std::vector<Entry>>(entries);
  spool_->Append(std::move(entries), [this, through, shared, alive = alive_,
                                      post = hooks_.post](bool ok) {
    post([this, through, shared, alive, ok] {
      if (*alive) Spilled(through, ok, *shared);
    });
  });
}

void RunLog::Spilled(int64_t through, bool ok,
                     const std::vector<Entry>& entries) {
  spilling_ = 0;
  if (ok) {
    spill_again_ = -absl::InfiniteDuration();
    if (!entries.empty()) {
      spool_last_ = entries.back().id;
      spool_oldest_ = std::min(spool_oldest_, entries.front().taken);
    }
    while (!memory_.empty() && memory_.front().id <= through) PopMemory();
    for (const Entry& entry : entries) hooks_.committed(entry);
  }
  Settle();
}

bool RunLog::DropOldest() {
  const auto oldest = std::upper_bound(
      memory_.begin(), memory_.end(), spilling_,
      [](int64_t id, const Entry& entry) { return id < entry.id; });
  if (oldest == memory_.end()) return false;
  const Sent dropped{.id = oldest->id,
                     .kind = oldest->kind,
                     .source = oldest->origin->number,
                     .sequence = oldest->sequence};
  const auto sent = std::lower_bound(
      in_flight_.begin(), in_flight_.end(), dropped.id,
      [](const Sent& each, int64_t id) { return each.id < id; });
  memory_bytes_ -= oldest->size();
  memory_.erase(oldest);
  if (sent != in_flight_.end() && sent->id == dropped.id) {
    // Upstream may have it: that shows when it answers, or the stream is lost.
    sent->gone = Where::kMemory;
  } else {
    hooks_.forget(dropped, Where::kMemory);
  }
  return true;
}

uint64_t RunLog::MarkGone(int64_t through, Where where) {
  uint64_t reports = 0;
  for (Sent& sent : in_flight_) {
    if (sent.id > through) break;
    if (sent.gone || sent.kind != Entry::Kind::kReport) continue;
    sent.gone = where;
    ++reports;
  }
  return reports;
}

uint64_t RunLog::SpoolDropped(int64_t through, Where where) {
  const uint64_t on_their_way = MarkGone(through, where);
  while (!ahead_.empty() && ahead_.front().id <= through) ahead_.pop_front();
  if (in_flight_.empty()) {
    settled_id_ = std::max(settled_id_, std::min(through, spool_last_));
    sent_id_ = std::max(sent_id_, settled_id_);
  }
  return on_their_way;
}

uint64_t RunLog::SpoolLost() {
  const uint64_t on_their_way = MarkGone(spool_last_, Where::kCorrupt);
  ++stream_;
  ahead_.clear();
  sent_id_ = std::max(sent_id_, spool_last_);
  if (in_flight_.empty()) settled_id_ = std::max(settled_id_, spool_last_);
  spool_last_ = spool_settled_ = 0;
  spool_oldest_ = absl::InfiniteFuture();
  return on_their_way;
}

bool RunLog::all_sent() const {
  return spool_last_ <= sent_id_ && ahead_.empty() &&
         (memory_.empty() || memory_.back().id <= sent_id_);
}

absl::Time RunLog::oldest() const {
  if (spooled()) return spool_oldest_;
  return memory_.empty() ? absl::InfiniteFuture() : memory_.front().taken;
}

}  // namespace muster::relay
