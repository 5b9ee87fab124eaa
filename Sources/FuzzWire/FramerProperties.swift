// Properties of framing: however the bytes arrive, the frames are those of a plain split.

import Wire

/// The frames that a connection would get from its framer.
enum Framed: Equatable {
  case line([UInt8])
  case tooLong
  case otherProtocol(OtherProtocol)
}

/// Compares the framer with a split that sees all bytes at once.
enum FramerProperties {
  /// The first property that the input breaks; nil if all hold.
  static func broken(by input: [UInt8]) -> String? {
    var random = InputRandom(input)
    let limits = [1 + Int(random.next() % UInt64(input.count + 2)), input.count + 1]
    for limit in limits {
      let expected = split(input, lineBytesMax: limit)
      // Chunks of up to 1 MiB hold nearly every input whole.
      for chunkBytesMax in [1 << 20, 40, 1] {
        var framer = LineFramer(lineBytesMax: limit)
        var framed: [Framed] = []
        var start = 0
        while start < input.count {
          let end = min(start + 1 + Int(random.next() % UInt64(chunkBytesMax)), input.count)
          let chunk = input.span.extracting(start..<end)
          if let broken = feed(chunk, to: &framer, into: &framed) { return broken }
          start = end
        }
        // An overlong line without an end is reported by the framer alone.
        let partialIsTooLong = framed.count == expected.count + 1 && framed.last == .tooLong
        if partialIsTooLong, framer.holdsPartialLine { framed.removeLast() }
        if framed != expected { return "frames at limit \(limit) differ from a plain split" }
      }
      if let broken = brokenByFirstLine(input, expected, lineBytesMax: limit) { return broken }
    }
    return nil
  }

  /// With a look at the first line: the frames are the same, up to where another protocol's line is
  /// found; and that is found however the bytes arrive.
  private static func brokenByFirstLine(
    _ input: [UInt8], _ expected: [Framed], lineBytesMax: Int
  ) -> String? {
    var first: [Framed]?
    for chunkBytes in [input.count + 1, 7, 1] {
      var framer = LineFramer(lineBytesMax: lineBytesMax, findsOtherProtocols: true)
      var framed: [Framed] = []
      for start in stride(from: 0, to: input.count, by: chunkBytes) {
        let chunk = input.span.extracting(start..<min(start + chunkBytes, input.count))
        if let broken = feed(chunk, to: &framer, into: &framed) { return broken }
      }
      let isOther =
        if case .otherProtocol = framed.last { true } else { false }
      if isOther, framer.holdsPartialLine { return "a framer goes on with another protocol" }
      let lines = framed.dropLast(isOther ? 1 : 0)
      if isOther, lines.contains(where: { $0 != .tooLong }) {
        return "another protocol is found behind the first line"
      }
      let isPartialTooLong = framed.count == expected.count + 1 && framed.last == .tooLong
      if !isOther, !isPartialTooLong, framed != expected { return "looking changes the frames" }
      // An overlong line may be reported before or behind the line that shows the protocol.
      let outcome = isOther ? [framed[framed.count - 1]] : framed
      if let first, lineBytesMax > OtherProtocol.bytesMax, first != outcome {
        return "another protocol is found or not as the bytes arrive"
      }
      first = first ?? outcome
    }
    return nil
  }

  /// Gives one chunk to the framer and collects what it says.
  static func feed(
    _ chunk: Span<UInt8>, to framer: inout LineFramer, into framed: inout [Framed]
  ) -> String? {
    var offset = 0
    while true {
      let before = offset
      switch framer.next(in: chunk, at: &offset) {
      case .line(let range):
        var line: [UInt8] = []
        line.append(span: chunk, range: range)
        framed.append(.line(line))
      case .joinedLine:
        framed.append(.line(framer.held))
      case .tooLong:
        framed.append(.tooLong)
      case .otherProtocol(let other):
        framed.append(.otherProtocol(other))
      case .needMore:
        if framer.held.count > framer.lineBytesMax + 1 { return "the framer holds too much" }
        return offset == chunk.count ? nil : "the framer left a part of the chunk"
      }
      if offset <= before { return "the framer gave a frame without going on" }
    }
  }

  /// The frames of all lines that have an end, found in the plainest way.
  private static func split(_ input: [UInt8], lineBytesMax: Int) -> [Framed] {
    var lines = input.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    lines.removeLast()
    return lines.compactMap { line in
      let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      if line.isEmpty { return nil }
      return line.count > lineBytesMax ? .tooLong : .line(Array(line))
    }
  }
}

/// Random numbers that depend on the input alone, so that every find can be replayed.
struct InputRandom {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  init(_ input: [UInt8]) {
    for byte in input { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
    state |= 1
  }

  /// The next number of a xorshift generator.
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
