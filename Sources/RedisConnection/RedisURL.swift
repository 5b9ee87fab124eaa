// Owns: the parsing of a Redis URL into an endpoint. A value; any thread.

package import Loop

/// The address of a Redis, and the login there.
package struct RedisEndpoint: Sendable, Hashable {
  package var address: Address
  /// Nil means Redis' default user.
  package var user: String?
  package var password: String?
  /// The number of the logical database.
  package var database: Int
  /// Whether bytes go through TLS.
  package var usesTLS: Bool

  package init(
    address: Address, user: String? = nil, password: String? = nil, database: Int = 0,
    usesTLS: Bool = false
  ) {
    self.address = address
    self.user = user
    self.password = password
    self.database = database
    self.usesTLS = usesTLS
  }

  /// The endpoint without its secret, as it may stand in logs and in the ready line.
  package var publicText: String {
    switch address {
    case .tcp: "\(usesTLS ? "rediss" : "redis")://\(address)\(database == 0 ? "" : "/\(database)")"
    case .unix(let path): "unix://\(path)\(database == 0 ? "" : "?db=\(database)")"
    }
  }
}

/// An invalid Redis URL; the text says why and never holds the password.
package struct RedisURLError: Error, Sendable {
  package let text: String
}

extension RedisEndpoint {
  /// Reads `redis://[user:pass@]host[:port][/db]`, the same with `rediss://` for TLS, or
  /// `unix://[user:pass@]/path[?db=n]`.
  ///
  /// User and password may be percent-encoded; before a path, a slash in them has to be. Space and
  /// one pair of quotes around the URL, as env files and copying leave them, do not count.
  package init(url text: String) throws(RedisURLError) {
    let url = try RedisEndpoint.bare(text)
    if let rest = url.dropping("unix://") {
      try self.init(unix: rest)
    } else if let rest = url.dropping("redis://") {
      try self.init(tcp: rest)
    } else if let rest = url.dropping("rediss://") {
      try self.init(tcp: rest)
      usesTLS = true
    } else {
      throw RedisURLError(
        text: "a Redis URL begins with redis://, rediss:// (TLS) or unix://, as in "
          + "redis://127.0.0.1:6379")
    }
  }

  /// The URL without what stands around it.
  private static func bare(_ text: String) throws(RedisURLError) -> String {
    var rest = trimmed(text[...])
    guard let quote = rest.first, quote == "'" || quote == "\"" else { return String(rest) }
    rest.removeFirst()
    guard rest.last == quote else {
      throw RedisURLError(text: "the Redis URL begins with a quote that does not end: remove it")
    }
    return String(trimmed(rest.dropLast()))
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var rest = text.drop(while: \.isWhitespace)
    while rest.last?.isWhitespace == true { rest.removeLast() }
    return rest
  }

  private init(unix rest: Substring) throws(RedisURLError) {
    let login = rest.prefix { $0 != "/" }
    let place = rest[login.endIndex...]
    guard place.hasPrefix("/"), login.isEmpty || login.hasSuffix("@") else {
      throw RedisURLError(text: "unix:// needs an absolute path: unix:///run/redis.sock")
    }
    let (user, password) = try RedisEndpoint.login(login.dropLast())
    let parts = place.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts[0] != "/" else {
      throw RedisURLError(text: "unix:// needs the path of a socket: unix:///run/redis.sock")
    }
    guard parts[0].utf8.count <= Address.unixPathBytesMax else {
      throw RedisURLError(
        text: "the path of the socket has \(parts[0].utf8.count) bytes, and a Unix socket's may "
          + "have \(Address.unixPathBytesMax): use a shorter one, such as a symbolic link to it")
    }
    var database = 0
    if parts.count == 2 {
      guard let number = parts[1].dropping("db=").flatMap({ digits($0) }), number < 65_536 else {
        throw RedisURLError(
          text: "after the path only ?db=NUMBER may follow, with a number from 0 to 65535")
      }
      database = number
    }
    self.init(
      address: .unix(path: String(parts[0])), user: user, password: password, database: database)
  }

  private init(tcp rest: Substring) throws(RedisURLError) {
    var place = rest
    var user: String?
    var password: String?
    if let at = rest.lastIndex(of: "@") {
      let login = rest[..<at]
      guard !login.contains("?"), !login.contains("#") else {
        throw RedisURLError(
          text:
            "in a user and a password ? is written %3F and # is written %23; a Redis URL has no "
            + "options after ?")
      }
      (user, password) = try RedisEndpoint.login(login)
      place = rest[rest.index(after: at)...]
    }
    guard !place.contains("?"), !place.contains("#") else {
      throw RedisURLError(
        text:
          "redis:// takes no options: remove ? or # and what follows; a database stands after a "
          + "slash, as in redis://HOST:PORT/2")
    }
    let parts = place.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    var database = 0
    if parts.count == 2, !parts[1].isEmpty {
      guard let number = digits(parts[1]), number < 65_536 else {
        throw RedisURLError(
          text: "the database after / is not a number from 0 to 65535, as in redis://HOST:PORT/2")
      }
      database = number
    }
    self.init(
      address: try RedisEndpoint.address(parts[0]), user: user, password: password,
      database: database)
  }

  /// Reads `user:password`, of which each may be missing.
  private static func login(
    _ text: Substring
  ) throws(RedisURLError) -> (user: String?, password: String?) {
    let secret = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard let name = percentDecoded(secret[0]) else {
      throw RedisURLError(
        text: "the user name is not valid percent-encoding: % itself is written %25")
    }
    guard secret.count == 2 else {
      // Redis does not take a user without a password, and would treat the worker as its default
      // user.
      guard name.isEmpty || name == "default" else {
        throw RedisURLError(
          text: "the URL names a user and no password: write redis://USER:PASSWORD@HOST:PORT, or "
            + "redis://USER:@HOST:PORT for a user without one")
      }
      return (name.isEmpty ? nil : name, nil)
    }
    guard let word = percentDecoded(secret[1]) else {
      throw RedisURLError(
        text: "the password is not valid percent-encoding: % itself is written %25")
    }
    return (name.isEmpty ? nil : name, word)
  }

  private static func address(_ text: Substring) throws(RedisURLError) -> Address {
    var host = text
    var port = "6379"[...]
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else {
        throw RedisURLError(text: "the host begins with [ and has no ]")
      }
      host = text[text.index(after: text.startIndex)..<end]
      let after = text[text.index(after: end)...]
      guard after.isEmpty || after.hasPrefix(":") else {
        throw RedisURLError(text: "after ] only :PORT may follow")
      }
      if after.hasPrefix(":") { port = after.dropFirst() }
    } else if let colon = text.lastIndex(of: ":") {
      host = text[..<colon]
      port = text[text.index(after: colon)...]
      guard !host.contains(":") else {
        throw RedisURLError(text: "an IPv6 host stands in brackets: redis://[::1]:6379")
      }
    }
    guard let value = digits(port), let number = UInt16(exactly: value), number > 0 else {
      throw RedisURLError(text: "the port is not a number from 1 to 65535")
    }
    guard !host.isEmpty else {
      throw RedisURLError(text: "the host is missing: redis://HOST:PORT")
    }
    guard host.utf8.allSatisfy(isHostByte) else {
      throw RedisURLError(text: "the host has a character that no host name has")
    }
    return .tcp(host: String(host), port: number)
  }
}

extension StringProtocol {
  fileprivate func dropping(_ prefix: String) -> SubSequence? {
    hasPrefix(prefix) ? dropFirst(prefix.count) : nil
  }
}

/// Whether a host name, an IPv4 or an IPv6 number, or its zone can have this byte.
private func isHostByte(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "a")...UInt8(ascii: "z"):
    true
  default: ".-_:%".utf8.contains(byte)
  }
}

/// A number of digits only: no sign, no space.
private func digits(_ text: some StringProtocol) -> Int? {
  let isDigits = text.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
  return isDigits ? Int(text) : nil
}

private func percentDecoded(_ text: Substring) -> String? {
  var out: [UInt8] = []
  var rest = text.utf8[...]
  while let byte = rest.popFirst() {
    guard byte == UInt8(ascii: "%") else {
      out.append(byte)
      continue
    }
    let pair = String(decoding: rest.prefix(2), as: UTF8.self)
    guard pair.utf8.count == 2, pair.allSatisfy(\.isHexDigit), let value = UInt8(pair, radix: 16)
    else { return nil }
    out.append(value)
    rest.removeFirst(2)
  }
  return String(validating: out, as: UTF8.self)
}
