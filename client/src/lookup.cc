#include "client/src/lookup.h"

#include <pthread.h>
#include <unistd.h>

#include <exception>
#include <thread>
#include <utility>

#include "client/src/event_descriptor.h"
#include "client/src/mutex.h"

namespace muster {

struct Lookup::State {
  const EventDescriptor answered;
  Mutex mutex;
  std::optional<Answer> answer ABSL_GUARDED_BY(mutex);
};

Lookup::Lookup(ResolveFunction resolve, Address address)
    : state_(std::make_shared<State>()) {
  std::thread([state = state_, resolve = std::move(resolve),
               address = std::move(address)] {
    pthread_setname_np(pthread_self(), "muster-lookup");
    try {
      Answer answer;
      answer.addresses = resolve(address, &answer.error);
      MutexLock lock(state->mutex);
      state->answer = std::move(answer);
    } catch (...) {
      // Out of memory: as if there were no answer.
    }
    state->answered.Set();
  }).detach();
}

int Lookup::descriptor() const { return state_->answered.value(); }

std::optional<Lookup::Answer> Lookup::Take() {
  MutexLock lock(state_->mutex);
  return std::exchange(state_->answer, std::nullopt);
}

}  // namespace muster
