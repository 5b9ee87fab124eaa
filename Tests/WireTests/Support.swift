// The functions that the tests of this target share: they call the module with text instead of
// spans.

import Wire

extension String {
  /// The UTF-8 of the text.
  var bytes: [UInt8] { Array(utf8) }
}

extension Array where Element == UInt8 {
  /// The bytes as text; only for bytes that are known to be UTF-8.
  var text: String { String(decoding: self, as: UTF8.self) }
}

/// The parts of a parsed line as text, which is what tests compare.
struct RequestParts: Equatable {
  var verb: String
  var words: [String] = []
  var options: [String] = []
  var payload: String?
}

/// Parses a line and returns its parts as text; quoted words keep their quotes.
func parse(_ line: [UInt8]) throws(RequestError) -> RequestParts {
  var parser = RequestParser()
  try parser.parse(line.span)
  return parts(parser, of: line)
}

/// The parts that a parser has found in a line.
func parts(_ parser: borrowing RequestParser, of line: [UInt8]) -> RequestParts {
  func text(_ token: Token) -> String {
    token.isQuoted ? "\"" + Array(line[token.range]).text + "\"" : Array(line[token.range]).text
  }
  return RequestParts(
    verb: Array(line[parser.verb]).text,
    words: parser.words.map(text),
    options: parser.options.map { Array(line[$0.key]).text + "=" + text($0.value) },
    payload: parser.payload.map { Array(line[$0]).text })
}

/// The text of the refusal of a line; nil if it is accepted.
func refusal(_ line: [UInt8]) -> String? {
  do {
    _ = try parse(line)
    return nil
  } catch {
    return error.code == .badRequest ? error.text : "not bad_request: \(error)"
  }
}

/// A token that covers all of some bytes.
func whole(_ bytes: [UInt8], isQuoted: Bool = false) -> Token {
  Token(start: 0, end: bytes.count, isQuoted: isQuoted)
}
