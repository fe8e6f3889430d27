#include "daemon/frames/assembler.h"

#include <utility>

namespace muster::frames {

struct FrameAssembler::State {
  std::vector<AttemptState> attempts;
  std::vector<Event> events;
};

FrameAssembler::FrameAssembler(AssemblerOptions options)
    : state_(std::make_unique<State>()) {}
FrameAssembler::~FrameAssembler() = default;
Registration FrameAssembler::Register(const SourceInfo& info,
                                      std::shared_ptr<const FactSet> facts,
                                      Instant now) {
  return Registration::kNew;
}
void FrameAssembler::SetFacts(uint32_t rank, uint64_t incarnation,
                              std::shared_ptr<const FactSet> facts) {}
Admission FrameAssembler::Add(uint64_t incarnation, Report report,
                              Instant now) {
  return Admission::kUnknown;
}
void FrameAssembler::Disconnect(uint32_t rank, uint64_t incarnation,
                                Instant now) {}
void FrameAssembler::Depart(uint32_t rank, uint64_t incarnation, Instant now) {}
void FrameAssembler::Advance(Instant now) {
  state_->events.push_back(Tick{now});
}
uint64_t FrameAssembler::LastSequence(uint32_t rank,
                                      uint64_t incarnation) const {
  return 0;
}
std::vector<Event> FrameAssembler::TakeEvents() {
  return std::exchange(state_->events, {});
}
std::vector<FrameAssembler::SourceState> FrameAssembler::Sources() const {
  return {};
}
const std::vector<FrameAssembler::AttemptState>& FrameAssembler::attempts()
    const {
  return state_->attempts;
}
uint64_t FrameAssembler::late_count() const { return 0; }
uint64_t FrameAssembler::duplicate_count() const { return 0; }

}  // namespace muster::frames
