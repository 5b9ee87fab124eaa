// Owns: how much each user of tokens may ask of a worker, and how the text of that is read. A
// value; any thread.

/// The limits of each user of tokens, by their names in the file of principals.
package struct TokenLimits: Sendable, Equatable {
  package private(set) var most: [String: Int] = [:]

  /// What may be limited, and how.
  ///
  /// Not locks and sessions: those that a user has are not counted.
  private static let names = ["rate", "connections", "waiters", "events", "written"]
  private static let range = 1...1_000_000_000

  /// The allowed texts, in words that can follow 'takes'.
  static let rangeText =
    "rate=, connections=, waiters=, events= and written=, each with a number from 1 to 1000000000, "
    + "with commas between them"

  package init() {}

  /// From a text such as `rate=100,waiters=10`; nil for any other.
  package init?(_ text: String) {
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let words = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard words.count == 2, TokenLimits.names.contains(String(words[0])),
        words[1].utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
        let number = Int(words[1]),
        TokenLimits.range.contains(number),
        most.updateValue(number, forKey: String(words[0])) == nil
      else { return nil }
    }
  }
}
