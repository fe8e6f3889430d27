// Stands in for the generated source where the page is not built in.
#include "daemon/page/page.h"

namespace muster::page {

const Page* Embedded() { return nullptr; }

}  // namespace muster::page
