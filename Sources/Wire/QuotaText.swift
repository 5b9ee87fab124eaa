// Owns: the one form of the texts of errors that name a quota. A value; any thread.

/// The text of a reached quota, such as `quota exceeded: 50 of 50 live sessions on this device`.
///
/// The scripts write the same form. The load harness reads the number off it, as people do: a reply
/// has no other part that says it.
package struct QuotaText: Equatable, Sendable {
  private static let start = "quota exceeded: "

  /// How many there are, or would be.
  package let count: Int
  /// How many there may be.
  package let most: Int
  /// What is counted, and of what: `live sessions on this device`.
  package let what: String

  package init(_ count: Int, of most: Int, _ what: String) {
    (self.count, self.most, self.what) = (count, most, what)
  }

  /// Reads a text; nil if it has another form.
  package init?(_ text: String) {
    guard text.hasPrefix(QuotaText.start) else { return nil }
    let words = text.dropFirst(QuotaText.start.count).split(separator: " ", maxSplits: 3)
    guard words.count == 4, words[1] == "of", let count = Int(words[0]), let most = Int(words[2])
    else { return nil }
    self.init(count, of: most, String(words[3]))
  }

  package var text: String { "\(QuotaText.start)\(count) of \(most) \(what)" }
}

extension RequestError {
  /// The error of a reached quota.
  package static func quota(_ count: Int, of most: Int, _ what: String) -> RequestError {
    RequestError(.quota, QuotaText(count, of: most, what).text)
  }
}
