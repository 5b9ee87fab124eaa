// Owns: the suite of what a worker is as one of a fleet: drained, limited, guarded, attacked.

import Testing

extension SystemSuites {
  @Suite struct Fleet {}
}
