// Owns: how the words of a command line become one request: quoting, the payload, and the use of
// standard input. Values; main thread.

import Wire

/// A request as it goes to a worker, made of the arguments of a command.
struct RequestLine {
  /// A fault of the arguments, in words for people.
  struct Problem: Error {
    let text: String
  }

  /// The line without its end.
  let text: String
  /// For how long the request may wait by its own options, in ms.
  let waitMs: Int64

  /// Makes a line: JSON goes as it is, what has a space or a control character becomes a JSON
  /// string, also as the value of an option, and `-` at the end is a payload on standard input.
  ///
  /// One argument alone that has spaces is a whole request already.
  init(_ words: [String], standardInput: () -> String?) throws(Problem) {
    var parts: [String] = []
    if words.count == 1, words[0].contains(" ") {
      parts = [try RequestLine.onOneLine(words[0])]
    } else {
      for (index, word) in words.enumerated() {
        let isInput = word == "-" && index > 0 && index == words.count - 1
        parts.append(
          try isInput ? RequestLine.payload(standardInput()) : RequestLine.encoded(word))
      }
    }
    text = parts.joined(separator: " ")
    waitMs = words.reduce(0) { $0 + RequestLine.waitMs($1) }
  }

  /// The first word, in capitals.
  var verb: String { text.prefix { $0 != " " }.uppercased() }

  private static func payload(_ input: String?) throws(Problem) -> String {
    guard let input else {
      throw Problem(text: "standard input cannot be read, is over 64 MiB, or is not valid UTF-8")
    }
    let text = input.trimmingSpace()
    guard !text.hasPrefix("\u{FEFF}") else {
      throw Problem(text: "standard input begins with a byte order mark (U+FEFF): leave it out")
    }
    guard let first = text.first, "{[\"".contains(first) else {
      throw Problem(text: "standard input has no JSON object, array or string")
    }
    return try onOneLine(text)
  }

  private static func encoded(_ word: String) throws(Problem) -> String {
    let json = word.trimmingSpace()
    if let first = json.first, "{[".contains(first) { return try onOneLine(json) }
    if isQuoted(word[...]) { return try onOneLine(word) }
    let name = word.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) }
    let rest = word[name.endIndex...]
    guard !name.isEmpty, rest.hasPrefix("=") else {
      return isBare(word[...]) ? word : quoted(word[...])
    }
    let value = rest.dropFirst()
    if value.isEmpty || isBare(value) || isQuoted(value) { return try onOneLine(word) }
    return name + "=" + quoted(value)
  }

  /// Whether it can stand in a request without quotes.
  private static func isBare(_ text: Substring) -> Bool {
    guard let first = text.first, !"\"{[".contains(first) else { return false }
    return text.unicodeScalars.allSatisfy { $0.value > 0x20 && !(0x7F...0x9F ~= $0.value) }
  }

  /// Whether it is one JSON string already.
  private static func isQuoted(_ text: Substring) -> Bool {
    guard text.count > 1, text.hasPrefix("\""), text.hasSuffix("\"") else { return false }
    var isEscaped = false
    for sign in text.dropFirst().dropLast() {
      if sign == "\"", !isEscaped { return false }
      isEscaped = sign == "\\" && !isEscaped
    }
    return !isEscaped
  }

  /// The text as a JSON string.
  static func quoted(_ text: Substring) -> String {
    var out: [UInt8] = []
    JSONString.encode(Array(text.utf8).span, into: &out)
    return String(decoding: out, as: UTF8.self)
  }

  /// JSON may be on several lines where a request may not: between its tokens they are spaces.
  private static func onOneLine(_ json: String) throws(Problem) -> String {
    var out: [UInt8] = []
    var isInString = false
    var isEscaped = false
    for byte in json.utf8 {
      let isBreak = byte == 9 || byte == 10 || byte == 13
      if isBreak, isInString {
        throw Problem(text: "a JSON string has a line break or a tab: write \\n or \\t")
      }
      out.append(isBreak ? 0x20 : byte)
      if byte == UInt8(ascii: "\""), !isEscaped { isInString.toggle() }
      isEscaped = isInString && byte == UInt8(ascii: "\\") && !isEscaped
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// The time that `wait=` and `settle=` add until the reply; the worker judges their values.
  private static func waitMs(_ word: String) -> Int64 {
    let sides = word.split(separator: "=", maxSplits: 1)
    guard sides.count == 2, let ms = Duration.ms(sides[1]) else { return 0 }
    switch sides[0].lowercased() {
    case "wait": return ms
    case "settle": return 4 * ms
    default: return 0
    }
  }

  enum Duration {
    /// The milliseconds of a duration as requests have it; nil if it is none.
    static func ms(_ text: Substring) -> Int64? {
      let bytes = Array(text.utf8)
      let token = Token(start: 0, end: bytes.count, isQuoted: false)
      do throws(RequestError) { return try DurationText.parseMs(bytes.span, token) } catch {
        return nil
      }
    }
  }
}
