// Owns: which requests the page may send. A value; any thread.

/// The line of a request from the page.
enum PageVerbs {
  static let reading: Set<String> = [
    "HOLDER", "GET", "CHATS", "HISTORY", "EVENTS", "LIST", "LOCKS", "STATS", "INFO", "KEYS",
    "HOOKS",
  ]
  static let acting: Set<String> = ["CLEAR", "CLOSE", "UNSHARE", "EXPORT"]
  /// The most bytes of a line.
  static let lineBytesMax = 8 << 10

  /// Why a body is not sent as a line; nil if it is.
  static func refusal(_ line: [UInt8]) -> String? {
    guard !line.isEmpty else { return "the body is empty: send one request line" }
    guard line.count <= lineBytesMax else {
      return "a request of the page has \(lineBytesMax) bytes at most"
    }
    guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
      return "the body is one request line, without its end"
    }
    let verb = verb(of: line)
    guard reading.contains(verb) || acting.contains(verb) else {
      let all = (reading.union(acting)).sorted().joined(separator: ", ")
      return "the page sends no such verb; it has \(all)"
    }
    // A request that waits would outlast its connection's time, and get no answer.
    let waits = line.split(separator: 0x20).contains { word in
      let name = String(decoding: word.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
      return word.contains(UInt8(ascii: "=")) && ["wait", "settle"].contains(name.lowercased())
    }
    return waits ? "the page's requests do not wait: leave wait= and settle= out" : nil
  }

  static func verb(of line: [UInt8]) -> String {
    String(decoding: line.prefix { $0 > 0x20 }, as: UTF8.self).uppercased()
  }
}
