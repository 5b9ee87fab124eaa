// Walks over the first level of a JSON text that has been validated, without copying or
// allocating. On a text that has not been, a walk still ends and stays within its bounds, but
// what it yields means nothing.

/// The members of one object, in the order of the text.
package struct JSONMembers: Sendable {
  private var walk: JSONWalk

  /// Makes a walk over the object in `start..<end`, braces included.
  package init(_ start: Int, _ end: Int) {
    walk = JSONWalk(at: start, end: end)
  }

  /// The next member: its key inside the quotes and the bytes of its value; nil after the last.
  package mutating func next(in line: Span<UInt8>) -> (key: Token, value: Range<Int>)? {
    guard walk.enter(line), line[walk.at] == ASCII.quote else { return nil }
    let quoted = walk.value(line)
    walk.skipSpace(line)
    guard walk.at < walk.end, line[walk.at] == ASCII.colon else { return nil }
    walk.at += 1
    walk.skipSpace(line)
    let value = walk.value(line)
    let key = Token(
      start: quoted.lowerBound + 1, end: max(quoted.lowerBound + 1, quoted.upperBound - 1),
      isQuoted: true)
    return (key, value)
  }
}

/// The elements of one array, in the order of the text.
package struct JSONElements: Sendable {
  private var walk: JSONWalk

  /// Makes a walk over the array in `start..<end`, brackets included.
  package init(_ start: Int, _ end: Int) {
    walk = JSONWalk(at: start, end: end)
  }

  /// The bytes of the next element; nil after the last.
  package mutating func next(in line: Span<UInt8>) -> Range<Int>? {
    guard walk.enter(line), line[walk.at] != ASCII.closeBracket else { return nil }
    return walk.value(line)
  }
}

/// A place in a validated text; what both walks have in common.
private struct JSONWalk: Sendable {
  var at: Int
  let end: Int

  /// Passes the opening bracket or a comma, and white space; false at the end of the text.
  mutating func enter(_ line: Span<UInt8>) -> Bool {
    skipSpace(line)
    guard at < end else { return false }
    switch line[at] {
    case ASCII.openBrace, ASCII.openBracket, ASCII.comma: at += 1
    default: return false
    }
    skipSpace(line)
    return at < end
  }

  mutating func skipSpace(_ line: Span<UInt8>) {
    while at < end {
      switch line[at] {
      case ASCII.space, ASCII.tab, ASCII.newline, ASCII.carriageReturn: at += 1
      default: return
      }
    }
  }

  /// Passes one value and returns its bytes.
  mutating func value(_ line: Span<UInt8>) -> Range<Int> {
    let start = at
    guard at < end else { return at..<at }
    switch line[at] {
    case ASCII.quote: skipString(line)
    case ASCII.openBrace, ASCII.openBracket: skipNested(line)
    default: skipScalar(line)
    }
    return start..<at
  }

  private mutating func skipString(_ line: Span<UInt8>) {
    at += 1
    while at < end {
      at = ByteSearch.endOfPlainString(in: line, from: at, to: end)
      guard at < end else { return }
      if line[at] == ASCII.quote {
        at += 1
        return
      }
      at = min(at + (line[at] == ASCII.backslash ? 2 : 1), end)
    }
  }

  /// Passes an object or array by counting brackets: in valid text they match.
  private mutating func skipNested(_ line: Span<UInt8>) {
    var depth = 0
    repeat {
      switch line[at] {
      case ASCII.quote:
        skipString(line)
        continue
      case ASCII.openBrace, ASCII.openBracket: depth += 1
      case ASCII.closeBrace, ASCII.closeBracket: depth -= 1
      default: break
      }
      at += 1
    } while depth > 0 && at < end
  }

  private mutating func skipScalar(_ line: Span<UInt8>) {
    while at < end {
      switch line[at] {
      case ASCII.comma, ASCII.closeBrace, ASCII.closeBracket, ASCII.space, ASCII.tab,
        ASCII.newline, ASCII.carriageReturn:
        return
      default: at += 1
      }
    }
  }
}
