#include "daemon/sinks/remote_write/pending.h"

#include <algorithm>
#include <utility>

namespace muster::sinks::remote_write {

void Pending::AddBacklog(std::deque<Range> backlog) {
  backlog_ = std::move(backlog);
}

bool Pending::Push(Step step) {
  if (step.place <= taken_) return false;
  if (!backlog_.empty() &&
      step.place < Place{backlog_.back().history_run, backlog_.back().to}) {
    return true;  // it will be read there
  }
  auto at = queue_.end();
  while (at != queue_.begin() && step.place < std::prev(at)->place) --at;
  bytes_ += step.bytes();
  queue_.insert(at, std::move(step));
  return true;
}

int64_t Pending::Shrink() {
  int64_t lost = 0;
  const size_t half = (queue_.size() + 1) / 2;
  for (size_t i = 0; !queue_.empty(); ++i) {
    const Step& step = queue_.front();
    if (step.place.history_run != 0) {
      LeaveToHistory(step.place);
    } else if (i < half) {
      lost += step.samples();
    } else {
      break;
    }
    bytes_ -= step.bytes();
    queue_.pop_front();
  }
  return lost;
}

void Pending::LeaveToHistory(const Place& place) {
  if (!backlog_.empty() && backlog_.back().history_run == place.history_run) {
    backlog_.back().to = std::max(backlog_.back().to, place.position + 1);
  } else {
    backlog_.push_back({place.history_run, place.position, place.position + 1});
  }
}

std::optional<Range> Pending::backlog() const {
  if (backlog_.empty()) return std::nullopt;
  return backlog_.front();
}

void Pending::SetBacklog(const Range& rest) {
  // It may have grown at its end meanwhile.
  Range& front = backlog_.front();
  front.from = rest.from;
  taken_ = std::max(taken_, Place{front.history_run, front.from - 1});
  if (front.from >= front.to) backlog_.pop_front();
}

std::vector<Step> Pending::Take(int64_t max_samples) {
  std::vector<Step> steps;
  int64_t samples = 0;
  while (!queue_.empty()) {
    samples += queue_.front().samples();
    if (!steps.empty() && samples > max_samples) break;
    taken_ = queue_.front().place;
    bytes_ -= queue_.front().bytes();
    steps.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return steps;
}

}  // namespace muster::sinks::remote_write
