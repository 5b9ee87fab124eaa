// Owns: whether what has come from a server is a whole reply, and a good one. A value.

/// How far a reply has come.
enum ReplyState {
  case unfinished, good, bad

  /// Of Latchkey by HTTP: its body is the JSON of a lock, which is the last line and has one brace.
  static func ofLatchkey(_ bytes: UnsafeRawBufferPointer) -> ReplyState {
    let wanted: StaticString = "HTTP/1.1 200"
    let start = UnsafeRawBufferPointer(start: wanted.utf8Start, count: wanted.utf8CodeUnitCount)
    guard bytes.prefix(wanted.utf8CodeUnitCount).elementsEqual(start.prefix(bytes.count)) else {
      return .bad
    }
    return bytes[bytes.count - 1] == UInt8(ascii: "}") ? .good : .unfinished
  }

  /// Of Webdis that was asked for Redis' own words: after its headers stands one line.
  static func ofHTTP(_ bytes: UnsafeRawBufferPointer) -> ReplyState {
    let wanted: StaticString = "HTTP/1.1 200"
    let start = UnsafeRawBufferPointer(start: wanted.utf8Start, count: wanted.utf8CodeUnitCount)
    guard bytes.prefix(wanted.utf8CodeUnitCount).elementsEqual(start.prefix(bytes.count)) else {
      return .bad
    }
    let newline = UInt8(ascii: "\n")
    guard bytes.count > 4, bytes[bytes.count - 1] == newline else { return .unfinished }
    // The last line is the body if the line before it is the empty one that ends the headers.
    var first = bytes.count - 1
    while first > 0, bytes[first - 1] != newline { first -= 1 }
    guard first >= 4, bytes[first - 3] == newline, bytes.count - first > 2 else {
      return .unfinished
    }
    return bytes[first] == UInt8(ascii: ":") ? .good : .bad
  }
}
