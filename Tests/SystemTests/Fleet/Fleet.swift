// Owns: the suite of a worker as one of a fleet: drained, limited, guarded, attacked.

import Testing

extension SystemSuites {
  @Suite struct Fleet {}
}
