// Owns: the URLs of webhooks: what is taken, what a URL is shown as, and what is sent of it. Pure
// values; any thread.
//
// Stricter than libcurl: a URL that two readers could read as two hosts is refused.

internal import Wire

/// A URL to which events may be sent.
package struct WebhookAddress: Sendable, Equatable {
  /// As it was given, with all its secrets.
  package let text: String
  /// What may be shown and logged: without a password, and without values in its query.
  package let shown: String
  /// What is requested: without user and password.
  let requested: String
  /// Sent by HTTP's Basic scheme; percent-decoded.
  let user: (name: String, password: String)?

  /// The most bytes of a URL.
  package static let bytesMax = 2_048

  package static func == (left: WebhookAddress, right: WebhookAddress) -> Bool {
    left.text == right.text
  }

  /// Reads a URL; the error is a part of a sentence that begins with `url=`, and does not show it.
  ///
  /// A host that is written as an address, and `localhost`, is held against the policy; other names
  /// are when they are connected to.
  package init(_ text: String, _ policy: AddressPolicy) throws(WebhookError) {
    let bytes = Array(text.utf8)
    guard 1...WebhookAddress.bytesMax ~= bytes.count else {
      throw WebhookError(
        "has \(bytes.count) bytes, and 1 to \(WebhookAddress.bytesMax) are allowed")
    }
    guard bytes.allSatisfy({ 0x21...0x7E ~= $0 && !WebhookAddress.unsafe.contains($0) }) else {
      throw WebhookError("has a character that a URL has to have percent-encoded")
    }
    guard !text.contains("#") else { throw WebhookError("has a fragment (#), which is never sent") }
    guard let end = text.firstRange(of: "://")?.lowerBound,
      case let scheme = text[..<end].lowercased(), scheme == "http" || scheme == "https"
    else { throw WebhookError("does not begin with https:// or http://") }
    let rest = text[text.index(end, offsetBy: 3)...]
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    var path = String(rest[authority.endIndex...])
    if !path.hasPrefix("/") { path = "/" + path }
    let at = authority.lastIndex(of: "@")
    user = try at.map { at throws(WebhookError) in
      try WebhookAddress.user(authority[..<at])
    }
    let place = at.map { authority[authority.index(after: $0)...] } ?? authority
    let host = try WebhookAddress.host(place, policy)
    self.text = text
    requested = "\(scheme)://\(host)\(path)"
    shown = "\(scheme)://\(host)\(WebhookAddress.withoutValues(path))"
  }

  /// What readers of URLs disagree on, or shells and logs take for something else.
  private static let unsafe = Set("\"<>\\^`{|}".utf8)

  // MARK: The parts

  private static func user(
    _ part: Substring
  ) throws(WebhookError) -> (name: String, password: String) {
    let pieces = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard let name = decoded(pieces[0]), let password = decoded(pieces.count > 1 ? pieces[1] : "")
    else { throw WebhookError("has a user or a password that is not percent-encoded UTF-8") }
    guard !name.isEmpty, !name.contains(":") else { throw WebhookError("has no user before its @") }
    return (name, password)
  }

  private static func decoded(_ part: Substring) -> String? {
    guard !part.contains("@") else { return nil }
    var bytes: [UInt8] = []
    guard PercentText.decode(Array(part.utf8).span, into: &bytes),
      bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }

  /// The host, in small letters, and its port if there is one.
  private static func host(
    _ part: Substring, _ policy: AddressPolicy
  ) throws(WebhookError) -> String {
    let isBracketed = part.hasPrefix("[")
    let name = isBracketed ? part.dropFirst().prefix { $0 != "]" } : part.prefix { $0 != ":" }
    var behind = part[name.endIndex...]
    if isBracketed {
      guard behind.hasPrefix("]") else { throw WebhookError("has no ] behind its address") }
      behind = behind.dropFirst()
    }
    var port = ""
    if !behind.isEmpty {
      let digits = behind.dropFirst()
      guard behind.hasPrefix(":"), !digits.isEmpty, digits.count <= 5,
        digits.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
        let number = Int(digits), 1...65_535 ~= number
      else { throw WebhookError("has a port that is not from 1 to 65535") }
      port = ":\(number)"
    }
    let host = name.lowercased()
    try check(host, isBracketed: isBracketed, policy)
    return (isBracketed ? "[\(host)]" : host) + port
  }

  private static func check(
    _ host: String, isBracketed: Bool, _ policy: AddressPolicy
  ) throws(WebhookError) {
    if let bytes = AddressPolicy.bytes(ofLiteral: host), isBracketed == (bytes.count == 16) {
      if let problem = policy.refusal(bytes) { throw WebhookError("is refused: \(problem)") }
      return
    }
    guard !isBracketed, isName(host) else {
      throw WebhookError("has no host that is a name or an address in its usual form")
    }
    let name = host.hasSuffix(".") ? String(host.dropLast()) : host
    guard name != "localhost", !name.hasSuffix(".localhost") else {
      guard policy.allowsLoopback else {
        throw WebhookError(
          "is refused: localhost is a loopback address: hooks reach it where --listen is loopback")
      }
      return
    }
  }

  /// Whether it is a host's name; one whose last label begins with a digit is a form of a number.
  private static func isName(_ host: String) -> Bool {
    let name = host.hasSuffix(".") ? host.dropLast() : host[...]
    guard 1...253 ~= name.utf8.count else { return false }
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    guard let last = labels.last?.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9") ~= last)
    else { return false }
    return labels.allSatisfy { label in
      1...63 ~= label.utf8.count
        && label.utf8.allSatisfy {
          UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0
            || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
        }
    }
  }

  /// The path and the names in its query: `/x?key=…`.
  private static func withoutValues(_ path: String) -> String {
    guard let mark = path.firstIndex(of: "?") else { return path }
    let parts = path[path.index(after: mark)...].split(
      separator: "&", omittingEmptySubsequences: false
    ).map { part in
      // A part without a name is a value.
      part.firstIndex(of: "=").map { part[...$0] + "…" } ?? (part.isEmpty ? "" : "…")
    }
    return path[...mark] + parts.joined(separator: "&")
  }
}
