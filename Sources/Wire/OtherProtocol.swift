// How a connection that speaks another protocol is recognised by the bytes that it begins with. A
// web page can have a browser send lines of its choice, behind a request line of HTTP, to whatever
// listens on this machine: they must never be read as requests. Pure functions; any thread.

/// A protocol that is not this one.
package enum OtherProtocol: String, CaseIterable, Sendable {
  /// A request or status line of HTTP.
  case http = "HTTP"
  /// A first word that ends in a colon, such as a header's name; no verb does.
  case header
  /// The first record of a TLS handshake, which may have no newline at all.
  case tls = "TLS"
  /// A command of Redis as its clients write it.
  case resp = "RESP"
  /// The header of a proxy, version 1, where none is asked for.
  case proxyHeader = "PROXY"

  /// So much of a connection's first line is checked: the slash after an HTTP method shows it.
  package static let bytesMax = 512

  /// The caller's error before its connection is closed.
  package var error: RequestError {
    let what =
      switch self {
      case .http: "this is an HTTP request"
      case .header: "a verb that ends in a colon is another protocol's"
      case .tls: "this is a TLS handshake, and TLS is off on this port"
      case .resp: "this is a Redis command (RESP)"
      case .proxyHeader: "this is a PROXY header, and --proxy-protocol is off on this worker"
      }
    return RequestError(
      .badRequest, "\(what): this port takes the lines of Latchkey's protocol; closing")
  }

  /// Recognises the beginning of a connection's first line.
  ///
  /// - Parameters:
  /// - start: The line up to now, `bytesMax` bytes of it at most, without its end.
  ///   - isWhole: Whether that is the whole line.
  /// - Returns: Nil for none that is known, or not yet.
  package static func recognise(_ start: Span<UInt8>, isWhole: Bool) -> OtherProtocol? {
    guard start.count > 0 else { return nil }
    if start[0] == 0x16 { return start.count > 1 && start[1] == 0x03 ? .tls : nil }
    if start[0] == UInt8(ascii: "*") {
      let digits = start.extracting(1..<start.count)
      let isNumber = digits.indices.allSatisfy { ASCII.isDigit(digits[$0]) }
      return isWhole && isNumber && !digits.isEmpty ? .resp : nil
    }
    guard let space = start.indices.first(where: { start[$0] == ASCII.space }) else {
      return isWhole && isHeader(start) ? .header : nil
    }
    guard space > 0 else { return nil }
    if isHeader(start.extracting(0..<space)) { return .header }
    let rest = start.extracting(space + 1..<start.count)
    if begins(start, with: "HTTP/") || isTarget(rest) { return .http }
    if isMethod(start, space), isWhole, namesHTTP(rest) { return .http }
    let isProxy = begins(start, with: "PROXY ")
    return isProxy && (begins(rest, with: "TCP") || begins(rest, with: "UNKNOWN"))
      ? .proxyHeader : nil
  }

  /// Whether a first word ends in a colon; in JSON a name in quotes does.
  private static func isHeader(_ word: Span<UInt8>) -> Bool {
    guard word.count > 1, word[word.count - 1] == ASCII.colon else { return false }
    return word.indices.allSatisfy { word[$0] != ASCII.quote }
  }

  /// Whether the second word can only be a path or a URL of HTTP: no address, id or secret that
  /// a verb takes begins so.
  private static func isTarget(_ rest: Span<UInt8>) -> Bool {
    begins(rest, with: "/") || begins(rest, with: "http://") || begins(rest, with: "https://")
  }

  /// Whether the first word is a method of HTTP that may come with a target of another form.
  private static func isMethod(_ start: Span<UInt8>, _ space: Int) -> Bool {
    let methods: [StaticString] = ["CONNECT", "OPTIONS", "PRI"]
    return methods.contains { $0.utf8CodeUnitCount == space && begins(start, with: $0) }
  }

  /// Whether a request line ends with the version of HTTP.
  private static func namesHTTP(_ rest: Span<UInt8>) -> Bool {
    guard let space = rest.indices.last(where: { rest[$0] == ASCII.space }) else { return false }
    return begins(rest.extracting(space + 1..<rest.count), with: "HTTP/")
  }

  /// Whether bytes begin with a text, in any case.
  private static func begins(_ bytes: Span<UInt8>, with text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    return bytes.count >= count && CaseInsensitive.equal(bytes, 0..<count, text)
  }
}
