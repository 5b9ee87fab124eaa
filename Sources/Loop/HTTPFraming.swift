// Owns: which requests are refused because another reader of HTTP, such as a proxy, might see their
// end elsewhere: what stood behind it would be a request of its own. A value; any thread.

/// Looks at the header fields of one request, of which libevent takes more forms than proxies do.
struct HTTPFraming {
  /// Whether the request may have a body.
  let hasBody: Bool
  private var names: Set<String> = []

  init(hasBody: Bool) { self.hasBody = hasBody }

  /// What is wrong with the next field; nil if nothing is.
  mutating func fault(_ name: String, _ value: String) -> String? {
    let name = name.lowercased()
    if let last = name.utf8.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") {
      return "a header's name ends with a blank"
    }
    guard ["host", "content-length", "transfer-encoding"].contains(name) else { return nil }
    guard names.insert(name).inserted else { return "the header \(name) is repeated: send it once" }
    switch name {
    case "content-length":
      let isNumber = !value.isEmpty && value.utf8.allSatisfy { (0x30...0x39).contains($0) }
      guard isNumber else { return "Content-Length is not one number of bytes" }
      guard hasBody || value.utf8.allSatisfy({ $0 == 0x30 }) else { return HTTPFraming.bodyRefused }
    case "transfer-encoding":
      guard hasBody else { return HTTPFraming.bodyRefused }
      guard value.lowercased() == "chunked" else {
        return "of Transfer-Encoding this port knows chunked only"
      }
    default: return nil
    }
    guard names.isSuperset(of: ["content-length", "transfer-encoding"]) else { return nil }
    return "send one Content-Length, or Transfer-Encoding: chunked"
  }

  private static let bodyRefused = "a GET has no body"
}
