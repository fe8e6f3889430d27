// What one thread sets and another polls for.
#ifndef MUSTER_CLIENT_SRC_EVENT_DESCRIPTOR_H_
#define MUSTER_CLIENT_SRC_EVENT_DESCRIPTOR_H_

namespace muster {

// An eventfd: readable from Set() to Clear(). Thread-safe.
class EventDescriptor {
 public:
  // Throws std::system_error if there is no descriptor to be had.
  EventDescriptor();
  ~EventDescriptor();
  EventDescriptor(const EventDescriptor&) = delete;
  EventDescriptor& operator=(const EventDescriptor&) = delete;

  void Set() const;
  void Clear() const;

  int value() const { return value_; }

 private:
  const int value_;
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_EVENT_DESCRIPTOR_H_
