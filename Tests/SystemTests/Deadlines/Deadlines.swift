// Owns: the suite that all tests of deadlines and events belong to.

import Testing

extension SystemSuites {
  /// No ending is lost, late or reported twice, through every fault.
  @Suite struct Deadlines {}
}
