// The check that a text which Redis gave may go to a caller as a reply line. It builds nothing.

/// The grammar of reply lines, as docs/protocol.md has it.
package enum ReplyGrammar {
  /// Whether the bytes are a reply line without its end; errors are not looked into.
  package static func allows(_ line: Span<UInt8>) -> Bool {
    guard LineJSON.isText(line) else { return false }
    var end = 0
    while end < line.count, line[end] != ASCII.space { end += 1 }
    let isBare = end == line.count
    if isWord(line, end, "OK") { return isBare || isObject(line, from: end + 1) }
    if isWord(line, end, "NONE") { return isBare }
    if isWord(line, end, "ERR") { return !isBare }
    guard isWord(line, end, "HELD") || isWord(line, end, "STALE") || isWord(line, end, "BUSY")
    else { return false }
    return !isBare && isObject(line, from: end + 1)
  }

  private static func isWord(_ line: Span<UInt8>, _ count: Int, _ word: StaticString) -> Bool {
    guard count == word.utf8CodeUnitCount else { return false }
    for at in 0..<count where line[at] != word.utf8Start[at] { return false }
    return true
  }

  private static func isObject(_ line: Span<UInt8>, from: Int) -> Bool {
    guard from < line.count, line[from] == ASCII.openBrace else { return false }
    do throws(JSONFault) {
      // A record holds payloads, which may be nested as deep as a payload may be.
      try JSONValidator.validate(
        line, from: from, to: line.count, depthMax: JSONValidator.depthLimit)
      return true
    } catch {
      return false
    }
  }
}
