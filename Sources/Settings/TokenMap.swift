// Owns: which claims of a token say what it may do, and how the text of that is read. A value; any
// thread.

/// The names of the claims that the worker reads.
package struct TokenMap: Sendable, Equatable {
  /// The user, or users, to whose sessions the token is limited.
  package private(set) var user = "sub"
  /// Its rights; nil for read and write.
  package private(set) var rights: String?
  /// Its devices; nil for all.
  package private(set) var devices: String?

  /// The allowed texts, in words that can follow 'takes'.
  static let rangeText =
    "user=, rights= and devices=, each with the name of a claim, with commas between them"

  package init() {}
}

extension TokenMap {
  /// From a text such as `user=sub,rights=scope,devices=did`; nil for any other.
  package init?(_ text: String) {
    var seen: Set<Substring> = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let words = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard words.count == 2, !words[1].isEmpty, seen.insert(words[0]).inserted else { return nil }
      let claim = String(words[1])
      switch words[0] {
      case "user": user = claim
      case "rights": rights = claim
      case "devices": devices = claim
      default: return nil
      }
    }
  }
}
