// Properties of the framing of HTTP: however the bytes arrive, the requests are the same, and what
// is kept is bounded.

import Wire

/// Compares what a reader of HTTP finds in bytes that come at once and in pieces.
enum HTTPProperties {
  /// What a reader finds; parts of one body are one.
  private enum Found: Equatable {
    case head(HTTPHead, [UInt8])
    case body([UInt8])
    case end
    case refused(HTTPRefusal)
  }

  /// The first property that the input breaks; nil if all hold.
  static func broken(by input: [UInt8]) -> String? {
    var random = InputRandom(input)
    var first: [Found]?
    for chunkBytesMax in [input.count + 1, 40, 1] {
      var reader = HTTPReader()
      var found: [Found] = []
      var start = 0
      while start < input.count {
        let bytes = chunkBytesMax > input.count ? input.count : Int(random.next() % 40) + 1
        let end = min(start + min(bytes, chunkBytesMax), input.count)
        feed(input.span.extracting(start..<end), to: &reader, into: &found)
        guard reader.heldBytes <= 4 * HTTPReader.headBytesMax else { return "a head without bound" }
        start = end
      }
      guard let known = first else {
        first = found
        continue
      }
      if known != found { return "requests of HTTP depend on how their bytes arrive" }
    }
    return nil
  }

  private static func feed(
    _ chunk: Span<UInt8>, to reader: inout HTTPReader, into found: inout [Found]
  ) {
    var at = 0
    while true {
      switch reader.next(in: chunk, at: &at) {
      case .needMore: return
      case .head(let head): found.append(.head(head, reader.head))
      case .body(let range):
        let part = range.map { chunk[$0] }
        if case .body(let before) = found.last {
          found[found.count - 1] = .body(before + part)
        } else {
          found.append(.body(part))
        }
      case .end: found.append(.end)
      case .refused(let refusal): found.append(.refused(refusal))
      }
    }
  }
}
