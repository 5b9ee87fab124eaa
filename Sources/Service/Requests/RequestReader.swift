// Owns: what can be done with a request line without its loop: it is parsed and checked, and what
// its payload becomes for Redis is made. A reader is one thread's.

package import Seal
package import Settings
package import Wire

/// Reads large lines, one after another.
package struct RequestReader: ~Copyable {
  private let settings: Settings
  private let seal: Seal?
  private let verbs = VerbTable()
  private var parser: RequestParser

  package init(_ settings: Settings, _ seal: Seal?) {
    self.settings = settings
    self.seal = seal
    parser = VerbTable().makeParser()
  }

  /// The number of the latest line's verb; nil if that is not known.
  package private(set) var verb: Int?

  /// Reads a line, or throws the error of the first part that is wrong.
  package mutating func read(_ line: [UInt8]) throws(RequestError) -> ReadRequest {
    self.verb = nil
    try parser.parse(line.span)
    let index = try verbs.find(line.span, parser.verb)
    self.verb = index
    let (verb, settings, seal) = (VerbTable.all[index], settings, seal)
    var bound = Arguments(deviceIDs: settings.deviceIDs)
    try bound.bind(verb, parser, line.span)
    let arguments = bound
    let text = arguments.decoded.isEmpty ? line : arguments.decoded
    return try text.withUnsafeBufferPointer { (text) throws(RequestError) -> ReadRequest in
      var record: ExportedRecord?
      if verb.payload == .record, let payload = arguments.payload {
        let bytes = UnsafeBufferPointer(rebasing: text[payload])
        let isNew = arguments[.asNew].map { text[$0.token.start] == UInt8(ascii: "y") } ?? false
        record = try ExportedRecord(bytes, at: payload.lowerBound, settings, seal, isCopy: isNew)
      }
      let fingerprint =
        arguments[.req].map { _ in RequestFingerprint.text(of: verb, arguments, text) }
      return ReadRequest(arguments, record, fingerprint)
    }
  }
}
