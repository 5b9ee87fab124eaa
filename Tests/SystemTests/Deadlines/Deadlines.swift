// Owns: the suite that all tests of deadlines and events belong to.

import Testing

extension SystemSuites {
  /// Nothing that expires is lost, late or told twice, whatever happens to whom.
  @Suite struct Deadlines {}
}
