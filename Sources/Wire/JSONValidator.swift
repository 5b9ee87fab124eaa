// Checks text against the grammar of RFC 8259 and builds nothing. It neither recurses nor
// allocates, so a hostile payload costs time in proportion to its length and no memory.

/// The part that the grammar expects where the text breaks it; the raw value is for people.
package enum JSONExpectation: String, Sendable {
  case value = "a value"
  case valueOrEnd = "a value or ']'"
  case key = "a name in quotes"
  case keyOrEnd = "a name in quotes or '}'"
  case colon = "':'"
  case commaOrBracket = "',' or ']'"
  case commaOrBrace = "',' or '}'"
  case endOfText = "nothing more"
  case digit = "a digit"
  case stringEnd = "the end of the string"
  case noControl = "no control character in a string"
  case escape = "a known escape"
  case hexDigit = "a hexadecimal digit"
}

/// Where and how a text breaks the grammar; the offset counts from the start of the bytes.
package enum JSONFault: Error, Equatable, Sendable {
  /// The byte at the offset, or the end there, is not what the grammar wants.
  case syntax(at: Int, expected: JSONExpectation)
  /// The bracket at the offset would open one level more than is allowed.
  case tooDeep(at: Int)
  /// The text has more of something than its limits allow.
  case overLimit(RequestError)

  /// The caller's error for the fault in `part` of a line.
  ///
  /// `start` is where the bytes that were checked begin in the line: all texts count from there.
  package func requestError(
    in part: String, depthMax: Int, after start: Int = 0
  ) -> RequestError {
    switch self {
    case .syntax(let at, let expected):
      RequestError(
        .badRequest,
        "\(part) is not valid JSON: expected \(expected.rawValue) at byte \(start + at)")
    case .tooDeep(let at):
      RequestError(
        .badRequest, "\(part) is nested deeper than \(depthMax) levels at byte \(start + at)")
    case .overLimit(let error): error
    }
  }
}

/// The validator: a machine that walks over one text.
package struct JSONValidator {
  /// The deepest nesting that any caller may ask for, as the open brackets are bits of a number.
  package static let depthLimit = UInt128.bitWidth

  /// The part that must come next, after white space.
  private enum Awaited {
    case value, firstElement, key, firstKey, separator
  }

  private var at: Int
  private let end: Int
  private let depthMax: Int
  private let limits: JSONLimits
  /// Where the text has to have ended.
  private var lastByte = Int.max
  /// How many members or elements the value at depth 1 may still have, and that at depth 2.
  private var outerLeft = Int.max
  private var innerLeft = Int.max
  /// Which of the limits of parts holds for the value at depth 2.
  private var innerLimit: Int?
  /// The name of the latest member at depth 1.
  private var name = 0..<0
  private var depth = 0
  private var deepest = 0
  /// One bit per open bracket, the innermost lowest; a set bit is an object.
  private var objects: UInt128 = 0

  /// Checks that `from..<to` is one JSON value with nothing but white space around it.
  ///
  /// The bytes must be valid UTF-8 already. Numbers may have any length, and a `\u` escape may
  /// be half of a surrogate pair, because the grammar allows both.
  /// - Returns: How deep the value nests: 0 for a scalar, 1 for `[]`.
  @discardableResult
  package static func validate(
    _ bytes: Span<UInt8>, from: Int, to: Int, depthMax: Int
  ) throws(JSONFault) -> Int {
    precondition(depthMax <= depthLimit, "JSONValidator: the depth limit is \(depthLimit)")
    var validator = JSONValidator(at: from, end: to, depthMax: depthMax, .usual)
    try validator.run(bytes)
    return validator.deepest
  }

  /// The same of a value that has limits: the first part that is one too many ends the check.
  package static func validate(
    _ bytes: Span<UInt8>, from: Int, to: Int, _ limits: JSONLimits
  ) throws(JSONFault) {
    var validator = JSONValidator(at: from, end: to, depthMax: limits.depthMax, limits)
    if let most = limits.bytes { validator.lastByte = from + most.most }
    try validator.run(bytes)
  }

  /// Checks the string whose opening quote is at `from` and returns the offset after it.
  package static func endOfString(
    _ bytes: Span<UInt8>, from: Int, to: Int
  ) throws(JSONFault) -> Int {
    var validator = JSONValidator(at: from, end: to, depthMax: 0, .usual)
    try validator.string(bytes)
    return validator.at
  }

  private init(at: Int, end: Int, depthMax: Int, _ limits: JSONLimits) {
    self.at = at
    self.end = end
    self.depthMax = depthMax
    self.limits = limits
  }

  private mutating func run(_ bytes: Span<UInt8>) throws(JSONFault) {
    var awaited = Awaited.value
    while true {
      skipSpace(bytes)
      if at > lastByte, let most = limits.bytes { throw .overLimit(most.error) }
      if at == end {
        if case .separator = awaited, depth == 0 { return }
        throw .syntax(at: at, expected: expectation(awaited))
      }
      let byte = bytes[at]
      switch awaited {
      case .firstElement where byte == ASCII.closeBracket, .firstKey where byte == ASCII.closeBrace:
        awaited = close()
      case .value, .firstElement:
        if 1...2 ~= depth, objects & 1 == 0 { try countPart() }
        awaited = try value(bytes, orElse: awaited)
      case .key, .firstKey:
        guard byte == ASCII.quote else {
          throw .syntax(at: at, expected: expectation(awaited))
        }
        if depth <= 2 { try countPart() }
        awaited = try key(bytes)
      case .separator:
        awaited = try separator(byte)
      }
    }
  }

  private func expectation(_ awaited: Awaited) -> JSONExpectation {
    switch awaited {
    case .value: .value
    case .firstElement: .valueOrEnd
    case .key: .key
    case .firstKey: .keyOrEnd
    case .separator:
      depth == 0 ? .endOfText : objects & 1 == 1 ? .commaOrBrace : .commaOrBracket
    }
  }

  private mutating func value(
    _ bytes: Span<UInt8>, orElse awaited: Awaited
  ) throws(JSONFault) -> Awaited {
    switch bytes[at] {
    case ASCII.openBrace: return try open(bytes, object: true)
    case ASCII.openBracket: return try open(bytes, object: false)
    case ASCII.quote: try string(bytes)
    case ASCII.minus, ASCII.zero...ASCII.nine: try number(bytes)
    case UInt8(ascii: "t"): try literal(bytes, "true")
    case UInt8(ascii: "f"): try literal(bytes, "false")
    case UInt8(ascii: "n"): try literal(bytes, "null")
    default: throw .syntax(at: at, expected: expectation(awaited))
    }
    return .separator
  }

  private mutating func open(
    _ bytes: Span<UInt8>, object: Bool
  ) throws(JSONFault) -> Awaited {
    if depth == depthMax { throw .tooDeep(at: at) }
    depth += 1
    if depth == 1 {
      outerLeft = (object ? limits.members : limits.elements)?.most ?? .max
    } else if depth == 2 {
      innerLimit = limitOfPart(bytes)
      innerLeft = innerLimit.map { limits.parts[$0].limit.most } ?? .max
    }
    deepest = max(deepest, depth)
    objects = objects << 1 | (object ? 1 : 0)
    at += 1
    return object ? .firstKey : .firstElement
  }

  /// Which of the limits of parts holds for the value that opens at depth 2 as a member's.
  private func limitOfPart(_ bytes: Span<UInt8>) -> Int? {
    guard !limits.parts.isEmpty, objects & 1 == 1 else { return nil }
    return limits.parts.indices.first { index in
      let word = limits.parts[index].name
      guard word.utf8CodeUnitCount == name.count else { return false }
      for at in 0..<name.count where bytes[name.lowerBound + at] != word.utf8Start[at] {
        return false
      }
      return true
    }
  }

  /// Counts a member or an element of the value at depth 1 or 2.
  private mutating func countPart() throws(JSONFault) {
    guard depth == 1 else {
      innerLeft -= 1
      guard innerLeft < 0, let innerLimit else { return }
      throw .overLimit(limits.parts[innerLimit].limit.error)
    }
    outerLeft -= 1
    guard outerLeft < 0 else { return }
    let limit = objects & 1 == 1 ? limits.members : limits.elements
    if let limit { throw .overLimit(limit.error) }
  }

  private mutating func close() -> Awaited {
    depth -= 1
    objects >>= 1
    at += 1
    return .separator
  }

  private mutating func key(_ bytes: Span<UInt8>) throws(JSONFault) -> Awaited {
    let start = at + 1
    try string(bytes)
    if depth == 1 { name = start..<at - 1 }
    skipSpace(bytes)
    guard at < end, bytes[at] == ASCII.colon else { throw .syntax(at: at, expected: .colon) }
    at += 1
    return .value
  }

  private mutating func separator(_ byte: UInt8) throws(JSONFault) -> Awaited {
    let inObject = objects & 1 == 1
    if depth > 0 {
      if byte == (inObject ? ASCII.closeBrace : ASCII.closeBracket) { return close() }
      if byte == ASCII.comma {
        at += 1
        return inObject ? .key : .value
      }
    }
    throw .syntax(at: at, expected: expectation(.separator))
  }
}

// MARK: - The scalars

extension JSONValidator {
  private mutating func skipSpace(_ bytes: Span<UInt8>) {
    while at < end {
      switch bytes[at] {
      case ASCII.space, ASCII.tab, ASCII.newline, ASCII.carriageReturn: at += 1
      default: return
      }
    }
  }

  /// Checks a string from its opening quote on; the caller has seen the quote.
  private mutating func string(_ bytes: Span<UInt8>) throws(JSONFault) {
    at += 1
    while true {
      at = ByteSearch.endOfPlainString(in: bytes, from: at, to: end)
      guard at < end else { throw .syntax(at: at, expected: .stringEnd) }
      switch bytes[at] {
      case ASCII.quote:
        at += 1
        return
      case ASCII.backslash: try escape(bytes)
      default: throw .syntax(at: at, expected: .noControl)
      }
    }
  }

  private mutating func escape(_ bytes: Span<UInt8>) throws(JSONFault) {
    at += 1
    guard at < end else { throw .syntax(at: at, expected: .escape) }
    switch bytes[at] {
    case ASCII.quote, ASCII.backslash, ASCII.slash, UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      at += 1
    case UInt8(ascii: "u"):
      at += 1
      for _ in 0..<4 {
        guard at < end, ASCII.hexValue(bytes[at]) != nil else {
          throw .syntax(at: at, expected: .hexDigit)
        }
        at += 1
      }
    default: throw .syntax(at: at, expected: .escape)
    }
  }

  private mutating func number(_ bytes: Span<UInt8>) throws(JSONFault) {
    if bytes[at] == ASCII.minus { at += 1 }
    if at < end, bytes[at] == ASCII.zero { at += 1 } else { try digits(bytes) }
    if at < end, bytes[at] == ASCII.dot {
      at += 1
      try digits(bytes)
    }
    if at < end, bytes[at] | 0x20 == UInt8(ascii: "e") {
      at += 1
      if at < end, bytes[at] == ASCII.plus || bytes[at] == ASCII.minus { at += 1 }
      try digits(bytes)
    }
  }

  /// Passes over one digit or more.
  private mutating func digits(_ bytes: Span<UInt8>) throws(JSONFault) {
    guard at < end, ASCII.isDigit(bytes[at]) else { throw .syntax(at: at, expected: .digit) }
    while at < end, ASCII.isDigit(bytes[at]) { at += 1 }
  }

  private mutating func literal(
    _ bytes: Span<UInt8>, _ word: StaticString
  ) throws(JSONFault) {
    let count = word.utf8CodeUnitCount
    guard end - at >= count else { throw .syntax(at: at, expected: .value) }
    let start = at
    let matches = word.withUTF8Buffer { expected in
      (0..<count).allSatisfy { bytes[start + $0] == expected[$0] }
    }
    guard matches else { throw .syntax(at: at, expected: .value) }
    at += count
  }
}
