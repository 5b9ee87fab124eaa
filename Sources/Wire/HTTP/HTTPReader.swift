// Owns: the framing of HTTP/1.1: where a request's head and body end in a stream of bytes. It is
// strict, since what a proxy before the worker reads otherwise could be taken for a
// request of another caller. A value without clock or socket; its connection's loop.

/// Finds the requests of a connection; after a refusal it finds nothing more.
package struct HTTPReader: Sendable {
  package enum Event: Equatable, Sendable {
    case needMore
    /// A head has ended; its offsets are into `head`.
    case head(HTTPHead)
    /// So much of the chunk belongs to the body.
    case body(Range<Int>)
    /// The request has ended.
    case end
    case refused(HTTPRefusal)
  }

  /// The byte that is awaited.
  private enum State: Equatable {
    case head
    case body(left: Int)
    case chunkSize(digits: Int, size: Int)
    case chunkExtension(size: Int)
    case chunkSizeEnd(size: Int)
    case chunkData(left: Int)
    case chunkEnd
    case chunkEndNewline
    case trailer(isEmpty: Bool)
    case trailerEnd(isEmpty: Bool)
    case bodyEnd
    case refused
  }

  /// The most bytes of a head; and of what chunks have beside the body, in all.
  package static let headBytesMax = 16 << 10

  /// A head has room for so many bytes between two requests.
  private static let keptBytesMax = 2_048

  private var state = State.head
  /// The head of the latest request, as far as it has come.
  package private(set) var head: [UInt8] = []
  /// Where its latest line begins.
  private var lineStart = 0
  private var isHeadWhole = false
  /// What the chunks of the body have had beside it.
  private var extraBytes = 0

  package init() {}

  /// The bytes that are kept.
  package var heldBytes: Int { head.capacity }
  /// Whether a request has begun and not ended.
  package var holdsPart: Bool {
    switch state {
    case .head: !isHeadWhole && !head.isEmpty
    case .refused: false
    default: true
    }
  }

  /// Gives up the bytes of a large head whose request is over.
  package mutating func forgetLargeHead() {
    guard state == .head, isHeadWhole, head.capacity > HTTPReader.keptBytesMax else { return }
    head = []
  }

  /// Gives up what is kept; nothing more is read.
  package mutating func stop() {
    state = .refused
    head = []
  }

  /// Finds the next event of `chunk` and moves `offset` past what it used.
  package mutating func next(in chunk: Span<UInt8>, at offset: inout Int) -> Event {
    do throws(HTTPRefusal) {
      while true {
        if case .bodyEnd = state {
          state = .head
          return .end
        }
        guard offset < chunk.count else { return .needMore }
        if let event = try step(chunk, &offset) { return event }
      }
    } catch {
      state = .refused
      return .refused(error)
    }
  }

  private mutating func step(
    _ chunk: Span<UInt8>, _ offset: inout Int
  ) throws(HTTPRefusal) -> Event? {
    switch state {
    case .head: return try takeHead(chunk, &offset)
    case .body(let left):
      return takeBody(chunk, &offset, left) { $0 > 0 ? .body(left: $0) : .bodyEnd }
    case .chunkData(let left):
      return takeBody(chunk, &offset, left) { $0 > 0 ? .chunkData(left: $0) : .chunkEnd }
    case .chunkSize, .chunkExtension, .chunkSizeEnd, .chunkEnd, .chunkEndNewline, .trailer,
      .trailerEnd:
      let byte = chunk[offset]
      offset += 1
      try takeFraming(byte)
    case .refused: offset = chunk.count
    case .bodyEnd: break
    }
    return nil
  }

  private mutating func takeBody(
    _ chunk: Span<UInt8>, _ offset: inout Int, _ left: Int, _ next: (Int) -> State
  ) -> Event {
    let count = min(left, chunk.count - offset)
    defer { offset += count }
    state = next(left - count)
    return .body(offset..<offset + count)
  }

  // MARK: - Heads

  private mutating func takeHead(
    _ chunk: Span<UInt8>, _ offset: inout Int
  ) throws(HTTPRefusal) -> Event? {
    if isHeadWhole {
      head.removeAll(keepingCapacity: true)
      (isHeadWhole, lineStart) = (false, 0)
    }
    if head.isEmpty, !ASCII.isLetter(chunk[offset]), chunk[offset] != ASCII.carriageReturn {
      throw HTTPHead.noRequest(chunk.extracting(offset..<offset + 1))
    }
    let newline = ByteSearch.newline(in: chunk, from: offset)
    let end = newline.map { $0 + 1 } ?? chunk.count
    guard head.count + end - offset <= HTTPReader.headBytesMax else {
      throw HTTPRefusal(
        RequestError(
          .tooLarge, "a request's head may have \(HTTPReader.headBytesMax) bytes at most"))
    }
    head.append(span: chunk, range: offset..<end)
    offset = end
    return newline == nil ? nil : try endLine()
  }

  /// A line of the head has ended.
  private mutating func endLine() throws(HTTPRefusal) -> Event? {
    let length = head.count - lineStart
    guard length >= 2, head[head.count - 2] == ASCII.carriageReturn else {
      // A line of another protocol is named as such.
      let first = head.span.extracting(lineStart..<head.count - 1)
      if lineStart == 0 { throw HTTPHead.noRequest(first) }
      throw HTTPRefusal(.badRequest, "a line of the head does not end with CR LF")
    }
    let isFold = head[lineStart] == ASCII.space || head[lineStart] == ASCII.tab
    if lineStart > 0, isFold {
      throw HTTPRefusal(.badRequest, "a header field goes on in a second line: send it in one")
    }
    for at in lineStart..<head.count - 2 where head[at] == ASCII.carriageReturn {
      throw HTTPRefusal(.badRequest, "a line of the head has a CR within it")
    }
    guard length == 2 else {
      lineStart = head.count
      return nil
    }
    // An empty line before a request is none of it.
    guard lineStart > 0 else {
      head.removeAll(keepingCapacity: true)
      return nil
    }
    isHeadWhole = true
    let parsed = try HTTPHead(head.span)
    extraBytes = 0
    state =
      switch parsed.framing {
      case .none: .bodyEnd
      case .length(let count): .body(left: count)
      case .chunked: .chunkSize(digits: 0, size: 0)
      }
    return .head(parsed)
  }

  // MARK: - Chunks

  private mutating func takeFraming(_ byte: UInt8) throws(HTTPRefusal) {
    switch state {
    case .chunkSize(let digits, let size):
      if let digit = ASCII.hexValue(byte), digits < 8 {
        state = .chunkSize(digits: digits + 1, size: size << 4 | Int(digit))
      } else if digits > 0, byte == UInt8(ascii: ";") {
        state = .chunkExtension(size: size)
      } else {
        guard digits > 0, byte == ASCII.carriageReturn else { throw HTTPReader.badChunk }
        state = .chunkSizeEnd(size: size)
      }
    case .chunkExtension(let size):
      if byte == ASCII.carriageReturn { return state = .chunkSizeEnd(size: size) }
      try countExtra(byte)
    case .chunkSizeEnd(let size):
      guard byte == ASCII.newline else { throw HTTPReader.badChunk }
      state = size > 0 ? .chunkData(left: size) : .trailer(isEmpty: true)
    case .chunkEnd:
      guard byte == ASCII.carriageReturn else { throw HTTPReader.badChunk }
      state = .chunkEndNewline
    case .chunkEndNewline:
      guard byte == ASCII.newline else { throw HTTPReader.badChunk }
      state = .chunkSize(digits: 0, size: 0)
    case .trailer(let isEmpty):
      if byte == ASCII.carriageReturn { return state = .trailerEnd(isEmpty: isEmpty) }
      try countExtra(byte)
      state = .trailer(isEmpty: false)
    case .trailerEnd(let isEmpty):
      guard byte == ASCII.newline else { throw HTTPReader.badChunk }
      state = isEmpty ? .bodyEnd : .trailer(isEmpty: true)
    case .head, .body, .chunkData, .bodyEnd, .refused:
      preconditionFailure("a byte of a chunk's framing in the state \(state)")
    }
  }

  /// Extensions of chunks and trailers have no meaning here, and so no room.
  private mutating func countExtra(_ byte: UInt8) throws(HTTPRefusal) {
    extraBytes += 1
    guard byte >= ASCII.space && byte != ASCII.delete || byte == ASCII.tab else {
      throw HTTPReader.badChunk
    }
    guard extraBytes <= HTTPReader.headBytesMax else {
      throw HTTPRefusal(
        RequestError(
          .tooLarge,
          "the chunks of a body may have \(HTTPReader.headBytesMax) bytes beside it at most"))
    }
  }

  private static let badChunk = HTTPRefusal(
    .badRequest,
    "the body's chunks are malformed: a size in hexadecimal digits, CR LF, so many "
      + "bytes, CR LF; a size of 0 ends them")
}
