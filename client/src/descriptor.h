// The descriptor of a connection.
#ifndef MUSTER_CLIENT_SRC_DESCRIPTOR_H_
#define MUSTER_CLIENT_SRC_DESCRIPTOR_H_

namespace muster {

// A socket of this process alone: neither a forked child nor another program
// after exec has it. A copy in a child would keep the connection, and so the
// rank, alive in the daemon's eyes after its process has been killed.
// Thread-compatible; forks may happen on any thread at any time.
class Descriptor {
 public:
  Descriptor() = default;
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  // Makes a stream socket that never blocks. Requires: none is open. False with
  // errno set if there is none to be had.
  bool Open(int family);
  // Ends the connection, if there is one, also where a copy of it lives.
  void Close();

  // -1 if there is none.
  int value() const { return value_; }

 private:
  struct Forks;  // what fork() calls

  int value_ = -1;
  Descriptor* next_ = nullptr;   // in the list of open ones
  Descriptor** link_ = nullptr;  // what points to this one there
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_DESCRIPTOR_H_
