#include "client/src/event_descriptor.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace muster {
namespace {

int Make() {
  const int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (descriptor < 0) {
    throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  return descriptor;
}

}  // namespace

EventDescriptor::EventDescriptor() : value_(Make()) {}

EventDescriptor::~EventDescriptor() { close(value_); }

void EventDescriptor::Set() const {
  const uint64_t one = 1;
  (void)!write(value_, &one, sizeof(one));
}

void EventDescriptor::Clear() const {
  uint64_t count = 0;
  (void)!read(value_, &count, sizeof(count));
}

}  // namespace muster
