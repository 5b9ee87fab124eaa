// Owns: from where requests to the page's resources may come: no other site's page may reach them
// through a person's browser. A value; any thread.

/// Checks a request by its header fields.
struct PageGuard {
  /// The fields of a request that are looked at.
  struct Fields {
    var host: String?
    var origin: String?
    /// `Sec-Fetch-Site`, which each current browser sends.
    var site: String?
    /// `Latchkey-Page`, which no page of another site can send without leave.
    var marker: String?
  }

  /// The names of this port beside `localhost` and addresses, in lower case.
  let hosts: [String]

  init(hosts: [String]) { self.hosts = hosts.map { $0.lowercased() } }

  /// Why a request for the page itself is refused; nil if it may be answered.
  ///
  /// A name may have been rebound to this address by the site whose page asks; an address has not.
  func hostRefusal(_ fields: Fields) -> String? {
    guard let host = fields.host, !host.isEmpty else { return "the header Host is missing" }
    let name = PageGuard.name(of: host.lowercased())
    if name == "localhost" || PageGuard.isAddress(name) || hosts.contains(name) { return nil }
    return "this port is not known by this name: reach it by its address or as localhost, or set "
      + "--admin-hosts"
  }

  /// Why a request for one of the page's resources is refused; nil if it may be answered.
  func refusal(_ fields: Fields) -> String? {
    if let refusal = hostRefusal(fields) { return refusal }
    guard fields.marker == "1" else { return "the header Latchkey-Page: 1 is missing" }
    if let site = fields.site, site != "same-origin" {
      return "only the page of this port may ask: the request comes from another site"
    }
    guard let origin = fields.origin, let host = fields.host else { return nil }
    guard origin == "http://\(host)" || origin == "https://\(host)" else {
      return "only the page of this port may ask: the request comes from another origin"
    }
    return nil
  }

  /// Without its port.
  private static func name(of host: String) -> String {
    if host.hasPrefix("["), let end = host.firstIndex(of: "]") { return String(host[...end]) }
    return String(host.prefix { $0 != ":" })
  }

  private static func isAddress(_ name: String) -> Bool {
    if name.hasPrefix("["), name.hasSuffix("]") {
      let inner = name.dropFirst().dropLast()
      return inner.contains(":") && inner.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
    }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        1...3 ~= part.count && part.allSatisfy { ("0"..."9").contains($0) }
          && Int(part) ?? 256 < 256
      }
  }
}
