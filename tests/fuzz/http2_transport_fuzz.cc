// Whatever bytes a daemon writes, the client takes or gives the stream up, once
// and with one printable line. The input is what comes over the connection, in
// pieces: a byte, then so many bytes; a piece of 0 bytes ends the client's
// sending, one of 255 makes it ping.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "client/src/client_status.h"
#include "client/src/conversation.h"
#include "client/src/http2_session.h"
#include "client/src/report_ring.h"

namespace {

void Expect(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace muster;
  Options options;
  options.run_id = "run";
  ClientStatus status({});
  ReportRing ring(4, 256);
  Conversation conversation(options, 1, &ring, &status,
                            [](const std::string&) {});
  Http2Session session("http", "daemon:7600");
  bool opened = false;
  bool closed = false;
  bool sending = false;
  bool finishing = false;

  const auto flush = [&] {
    std::string output;
    do {
      output.clear();
      session.TakeOutput(&output);
    } while (!output.empty());
    session.Flushed();
  };
  const auto send = [&](const std::string& message) {
    sending = true;
    session.Send(message);
  };
  const auto handle = [&](const TransportEvent& event) {
    Expect(!closed);
    switch (event.kind) {
      case TransportEvent::Kind::kOpened:
        Expect(!opened);
        opened = true;
        send(conversation.Open());
        break;
      case TransportEvent::Kind::kMessage:
        Expect(event.text.size() <= kMaxMessageBytes);
        conversation.Receive(event.text);
        break;
      case TransportEvent::Kind::kSent:
        Expect(sending);
        sending = false;
        conversation.Sent();
        break;
      case TransportEvent::Kind::kClosed:
        Expect(event.text == OneLine(event.text));
        closed = true;
        break;
      default:
        std::abort();
    }
  };

  flush();
  while (size > 0) {
    size_t length = data[0];
    ++data;
    --size;
    if (length == 255 && session.open()) session.Ping();
    if (length == 0 && opened && !closed && !sending && !finishing) {
      finishing = true;
      session.FinishSending();
    }
    length = length < size ? length : size;
    session.Receive(data, length);
    data += length;
    size -= length;
    flush();
    while (auto event = session.NextEvent()) handle(*event);
    std::string message;
    if (opened && !closed && !sending && !finishing) {
      auto report = ring.Borrow();
      report->facts = status.facts();
      report->bytes = "report";
      ring.Push(std::move(report));
      if (conversation.Next(&message)) send(message);
    }
  }
  session.Fail("the daemon closed the connection");
  while (auto event = session.NextEvent()) handle(*event);
  Expect(closed);
  return 0;
}
