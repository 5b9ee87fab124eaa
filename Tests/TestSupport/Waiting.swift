// Owns: waiting for another process, which cannot call back.

import Glibc

/// A failure of a test, in a sentence.
package struct TestFailure: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

/// Asks again and again until the answer is yes; throws if that takes too long.
package func eventually(
  _ what: String, within limit: Duration = .seconds(10), _ condition: () throws -> Bool
) throws {
  let end = ContinuousClock.now + limit
  while try !condition() {
    guard ContinuousClock.now < end else { throw TestFailure("not within \(limit): \(what)") }
    // Waits on no descriptor for two milliseconds: between two looks only.
    poll(nil, 0, 2)
  }
}
