// Cuts a stream of bytes into lines. It owns the part of a line that earlier reads brought and
// knows nothing of sockets or of what a line means. One connection's thread uses it.

/// The framing state machine of one connection.
///
/// The caller reads into a buffer of its own and asks for frames until it gets `needMore`. Lines
/// that lie whole in the buffer are never copied. An overlong line is a state and not a failure, so
/// that a client which sends one stays in sync: the newline that ends it is the next start.
package struct LineFramer: Sendable {
  /// The event that the machine waits for.
  private enum State: Sendable {
    /// The first byte of a line; leads to each of the others.
    case lineStart
    /// The rest of the line that `held` begins; leads to each of the others.
    case lineRest
    /// The next call, which frees `held`; always leads to `lineStart`.
    case joinedLineRead
    /// The newline that ends an overlong line; leads to `lineStart`.
    case overlongLineEnd
    /// Nothing: the connection speaks another protocol, and all that comes is thrown away.
    case otherProtocol
  }

  /// The result of a call.
  package enum Frame: Equatable, Sendable {
    /// A whole line within the chunk, without its newline and one carriage return; never empty.
    case line(Range<Int>)
    /// A whole line that earlier chunks began: read it from `held` before the next call.
    case joinedLine
    /// A line passed the limit; said once per line, and what is left of the line is thrown away.
    case tooLong
    /// The first line is another protocol's; nothing is parsed from here on.
    case otherProtocol(OtherProtocol)
    /// The chunk is used up; a line that it began has been copied into `held`.
    case needMore
  }

  /// The longest line allowed, without its line end.
  ///
  /// It may change between calls (authentication raises it) and holds for the line now begun.
  package var lineBytesMax: Int {
    didSet { precondition(lineBytesMax > 0, "a line limit below 1 leaves no line") }
  }

  /// The longest line allowed of those that begin with the prefix, in any case; 0 sets none apart.
  package var longLineBytesMax: Int
  private let longLinePrefix: StaticString

  /// The part of a line that earlier chunks brought, or a joined line.
  ///
  /// It is without storage at other times, so that an idle connection costs nothing, and never
  /// longer than the limit and one byte, which may be the carriage return of a full line.
  package private(set) var held: [UInt8] = []

  private var state = State.lineStart
  /// Whether no line was given yet, so that the next one shows which protocol is spoken.
  ///
  /// An overlong one does not count: nothing of it was looked at.
  private var awaitsFirstLine: Bool

  /// Makes a framer at the start of a line.
  ///
  /// Lines that begin with `longLinePrefix` have a limit of their own. With `findsOtherProtocols`
  /// the first line is checked for another protocol.
  package init(
    lineBytesMax: Int, longLinePrefix: StaticString = "", longLineBytesMax: Int = 0,
    findsOtherProtocols: Bool = false
  ) {
    precondition(lineBytesMax > 0, "a line limit below 1 leaves no line")
    self.lineBytesMax = lineBytesMax
    self.longLinePrefix = longLinePrefix
    self.longLineBytesMax = longLineBytesMax
    awaitsFirstLine = findsOtherProtocols
  }

  /// Whether a line has begun whose end has not come, an overlong one included.
  package var holdsPartialLine: Bool {
    switch state {
    case .lineRest, .overlongLineEnd: true
    case .lineStart, .joinedLineRead, .otherProtocol: false
    }
  }

  /// Whether `held` is a line that was joined, and is to be taken.
  package var hasJoinedLine: Bool {
    if case .joinedLineRead = state { true } else { false }
  }

  /// The memory that the beginning of a line takes.
  package var heldBytes: Int { held.capacity }

  /// Drops the line that was begun or joined; the rest of it is discarded.
  package mutating func discardLine() {
    held = []
    switch state {
    case .lineStart, .overlongLineEnd, .otherProtocol: break
    case .lineRest: state = .overlongLineEnd
    case .joinedLineRead: state = .lineStart
    }
  }

  /// Gives away the joined line that `held` is, without a copy.
  package mutating func takeJoinedLine() -> [UInt8] {
    guard case .joinedLineRead = state else {
      preconditionFailure("LineFramer: there is no joined line to give away")
    }
    defer { startLine() }
    return held
  }

  /// Finds the next frame of `chunk` and moves `offset` past what it used.
  package mutating func next(in chunk: Span<UInt8>, at offset: inout Int) -> Frame {
    if case .joinedLineRead = state { startLine() }
    while offset < chunk.count {
      let start = offset
      let newline = ByteSearch.newline(in: chunk, from: start)
      if awaitsFirstLine, let other = otherProtocol(in: chunk, from: start, to: newline) {
        offset = chunk.count
        held = []
        awaitsFirstLine = false
        state = .otherProtocol
        return .otherProtocol(other)
      }
      guard let newline else {
        offset = chunk.count
        return lineContinues(in: chunk, from: start)
      }
      offset = newline + 1
      if let frame = lineEnded(in: chunk, from: start, at: newline) { return frame }
    }
    return .needMore
  }

  /// The protocol of the line that `held` begins and that goes on at `start`, once it is known.
  private func otherProtocol(
    in chunk: Span<UInt8>, from start: Int, to newline: Int?
  ) -> OtherProtocol? {
    switch state {
    case .overlongLineEnd, .joinedLineRead, .otherProtocol: return nil
    case .lineStart, .lineRest: break
    }
    let bytesMax = OtherProtocol.bytesMax
    if held.count >= bytesMax { return nil }
    var line = held
    let end = min(newline ?? chunk.count, start + bytesMax - held.count)
    line.append(span: chunk, range: start..<end)
    let isWhole = end == newline
    if isWhole, line.last == ASCII.carriageReturn { line.removeLast() }
    return OtherProtocol.recognise(line.span, isWhole: isWhole)
  }

  /// Takes the end of a line; nil if there is no frame to return, as for an empty line.
  private mutating func lineEnded(
    in chunk: Span<UInt8>, from start: Int, at newline: Int
  ) -> Frame? {
    switch state {
    case .lineStart:
      return wholeLine(in: chunk, from: start, at: newline)
    case .lineRest:
      return join(chunk, from: start, to: newline)
    case .overlongLineEnd:
      state = .lineStart
      return nil
    case .otherProtocol:
      return nil
    case .joinedLineRead:
      preconditionFailure("LineFramer: a line ended while a joined line was still held")
    }
  }

  private mutating func wholeLine(
    in chunk: Span<UInt8>, from start: Int, at newline: Int
  ) -> Frame? {
    var end = newline
    if end > start, chunk[end - 1] == ASCII.carriageReturn { end -= 1 }
    if end == start { return nil }
    if isTooLong(end - start, chunk, from: start) { return .tooLong }
    awaitsFirstLine = false
    return .line(start..<end)
  }

  /// Completes the held line with the bytes before its newline.
  private mutating func join(_ chunk: Span<UInt8>, from start: Int, to newline: Int) -> Frame? {
    let last = newline > start ? chunk[newline - 1] : held[held.count - 1]
    let lineEndBytes = last == ASCII.carriageReturn ? 1 : 0
    let length = held.count + (newline - start) - lineEndBytes
    if length == 0 || isTooLong(length, chunk, from: start) {
      startLine()
      return length == 0 ? nil : .tooLong
    }
    hold(chunk, from: start, to: newline)
    held.removeLast(lineEndBytes)
    state = .joinedLineRead
    awaitsFirstLine = false
    return .joinedLine
  }

  /// Takes the rest of a chunk that has no newline.
  private mutating func lineContinues(in chunk: Span<UInt8>, from start: Int) -> Frame {
    switch state {
    case .overlongLineEnd, .otherProtocol: return .needMore
    case .lineStart, .lineRest, .joinedLineRead: break
    }
    // A carriage return at the very end is not counted yet: a newline may follow it.
    let uncounted = chunk[chunk.count - 1] == ASCII.carriageReturn ? 1 : 0
    if isTooLong(held.count + (chunk.count - start) - uncounted, chunk, from: start) {
      held = []
      state = .overlongLineEnd
      return .tooLong
    }
    hold(chunk, from: start, to: chunk.count)
    state = .lineRest
    return .needMore
  }

  /// Whether a line of so many bytes, of which `held` is the beginning, is over its limit.
  private func isTooLong(_ length: Int, _ chunk: Span<UInt8>, from start: Int) -> Bool {
    guard length > lineBytesMax else { return false }
    guard longLineBytesMax > lineBytesMax else { return true }
    for at in 0..<longLinePrefix.utf8CodeUnitCount {
      guard at < length else { return true }
      let byte = at < held.count ? held[at] : chunk[start + at - held.count]
      guard ASCII.lowercased(byte) == ASCII.lowercased(longLinePrefix.utf8Start[at]) else {
        return true
      }
    }
    return length > longLineBytesMax
  }

  private mutating func startLine() {
    held = []
    state = .lineStart
  }

  /// Copies bytes into `held`, whose storage doubles as it grows but stops at the limit.
  private mutating func hold(_ chunk: Span<UInt8>, from start: Int, to end: Int) {
    let needed = held.count + (end - start)
    if needed > held.capacity {
      let most = max(lineBytesMax, longLineBytesMax) + 1
      held.reserveCapacity(max(needed, min(2 * held.capacity, most)))
    }
    chunk.extracting(start..<end).withUnsafeBufferPointer { held.append(contentsOf: $0) }
  }
}
