// Owns: how the shares of a session are shown. On a loop's thread.

internal import RedisConnection
internal import Wire

/// The shares of a record: lines of role, user, and the time at which they end or 0.
enum StoredShares {
  private static let roles = ["read", "write", "own"]

  /// Puts them as a further member of an object, a list in the order in which they came; nothing
  /// without any, and null if a line is none.
  static func put(_ text: LentBytes?, into line: inout RecordLine) {
    guard let text, !text.isEmpty else { return }
    line.put(",\"shares\":")
    guard let shares = shares(text) else { return line.putCorrupt(.of("shares")) }
    for (place, share) in shares.enumerated() {
      line.put(place == 0 ? "[{\"user\":\"" : ",{\"user\":\"")
      line.put(share.user)
      line.put("\",\"role\":\"")
      line.put(share.role)
      line.put("\",\"until\":")
      if share.endsAtMs > 0 { line.put(share.endsAtMs) } else { line.put("null") }
      line.put("}")
    }
    line.put("]")
  }

  private static func shares(
    _ text: LentBytes
  ) -> [(role: Slice<LentBytes>, user: Slice<LentBytes>, endsAtMs: Int64)]? {
    guard text.last == UInt8(ascii: "\n") else { return nil }
    var shares: [(role: Slice<LentBytes>, user: Slice<LentBytes>, endsAtMs: Int64)] = []
    for row in text.dropLast().split(
      separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    {
      let words = row.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      guard words.count == 3, roles.contains(where: { words[0].elementsEqual($0.utf8) }),
        !words[1].isEmpty, words[1].allSatisfy(IDText.isIDByte),
        let endsAtMs = StoredNumber.parse(words[2])
      else { return nil }
      shares.append((words[0], words[1], endsAtMs))
    }
    return shares
  }
}
