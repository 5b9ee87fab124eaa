// Owns: Lua's text as it is sent, without comments and indents, and how a line of it is found in
// its file: an error names a line of what Redis has. Pure functions; any thread.

internal import Glibc

enum LuaText {
  private static let newline = UInt8(ascii: "\n")

  /// The line before a file's lines: the next one is the line of that number in the file.
  static func mark(_ file: String, line: Int = 1) -> [UInt8] { Array("--\(file):\(line)\n".utf8) }

  /// Whether a line without its indent is a comment; a mark is none, as no blank is behind its
  /// dashes.
  private static func isComment(_ line: UnsafeRawBufferPointer) -> Bool {
    guard line.count >= 2, line[0] == UInt8(ascii: "-"), line[1] == line[0] else { return false }
    return line.count == 2 || line[2] == UInt8(ascii: " ")
  }

  /// A text without comments and indents, in which each line has its number.
  ///
  /// By C's functions for memory: each worker packs all files when it starts, and a debug build
  /// goes through an array slowly.
  static func packed(_ text: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: text.count + 1) { out, count in
      var cursor = UnsafeMutableRawBufferPointer(out)
      forEachLine(of: text) { line in
        var code = line
        while code.first == UInt8(ascii: " ") { code = .init(rebasing: code.dropFirst()) }
        if !isComment(code), let start = code.baseAddress {
          cursor.copyMemory(from: .init(start: start, count: code.count))
          cursor = .init(rebasing: cursor.dropFirst(code.count))
        }
        cursor[0] = newline
        cursor = .init(rebasing: cursor.dropFirst())
      }
      count = out.count - cursor.count
    }
  }

  /// Lends each line of a text, without its end.
  private static func forEachLine(of text: [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) {
    text.withUnsafeBytes { bytes in
      var rest = bytes
      while let start = rest.baseAddress, !rest.isEmpty {
        let end = memchr(start, Int32(newline), rest.count)
        let length = end.map { UnsafeRawPointer($0) - start } ?? rest.count
        body(.init(rebasing: rest.prefix(length)))
        rest = .init(rebasing: rest.dropFirst(length + 1))
      }
    }
  }

  /// The words of a list that stand in a text.
  static func words(_ list: [String], in text: [UInt8]) -> [String] {
    (text + [0]).withUnsafeBufferPointer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { text in
        list.filter { has($0, text) }
      }
    }
  }

  private static func has(_ word: String, _ text: UnsafeBufferPointer<CChar>) -> Bool {
    guard let start = text.baseAddress else { return false }
    let length = word.utf8.count
    var at = start
    while let found = strstr(at, word).map({ UnsafePointer<CChar>($0) }) {
      let isWithin = found > start && LuaWords.isWordByte(UInt8(truncatingIfNeeded: found[-1]))
      if !isWithin, !LuaWords.isWordByte(UInt8(truncatingIfNeeded: found[length])) { return true }
      at = found + length
    }
    return false
  }

  /// A message of Redis in which each place in a script, a number behind `word`, is that in its
  /// file; `text` is what Redis has.
  static func located(_ message: String, after word: String, in text: [UInt8]) -> String {
    var out = ""
    var rest = message[...]
    while let found = rest.firstRange(of: word) {
      let digits = rest[found.upperBound...].drop { $0 == " " }.prefix { $0.isNumber }
      let source = Int(digits).flatMap { place(ofLine: $0, in: text) }
      out += rest[..<found.lowerBound]
      out += source ?? String(rest[found.lowerBound..<digits.endIndex])
      rest = rest[digits.endIndex...]
    }
    return out + rest
  }

  /// The file and line that a line of a text is from; nil for what is in no file.
  private static func place(ofLine number: Int, in text: [UInt8]) -> String? {
    var count = 0
    var found: (mark: String, line: Int)?
    var isThere = false
    forEachLine(of: text) { line in
      count += 1
      isThere = isThere || count == number
      guard count < number, line.starts(with: "--".utf8) else { return }
      found = (String(decoding: line.dropFirst(2), as: UTF8.self), count)
    }
    guard isThere, let found else { return nil }
    let words = found.mark.split(separator: ":")
    guard words.count == 2, let first = Int(words[1]) else { return nil }
    return "\(words[0]).lua:\(first + number - found.line - 1)"
  }
}
