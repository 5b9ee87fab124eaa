// Owns: the parsing of a Redis URL into an endpoint. A value; any thread.

internal import Loop

/// An invalid Redis URL; the text says why and never holds the password.
package struct RedisURLError: Error, Sendable {
  package let text: String
}

/// The forms of a Redis URL, by how the right server is found.
private enum RedisURLForm: CaseIterable {
  case server
  case sentinel
  case cluster

  /// What follows `redis` or `rediss`.
  var suffix: String {
    switch self {
    case .server: "://"
    case .sentinel: "-sentinel://"
    case .cluster: "-cluster://"
    }
  }

  /// The port where a host has none.
  var port: UInt16 { self == .sentinel ? 26_379 : 6_379 }

  /// An example, for errors.
  var example: String {
    switch self {
    case .server: "redis://HOST:PORT/2"
    case .sentinel: "redis-sentinel://HOST:26379,HOST:26379/NAME"
    case .cluster: "redis-cluster://HOST:6379,HOST:6379"
    }
  }
}

extension RedisEndpoint {
  /// Reads a URL in one of these forms.
  ///
  /// - `redis://[user:pass@]host[:port][/db]`
  /// - `unix://[user:pass@]/path[?db=n]`
  /// - `redis-sentinel://[user:pass@]host[:port][,host[:port]]…/name[/db]`: sentinels, and the name
  ///   by which they know the master
  /// - `redis-cluster://[user:pass@]host[:port][,host[:port]]…`: some nodes of a cluster
  ///
  /// with `rediss` in place of `redis` for TLS. The login is that of the servers with the data.
  /// User and password may be percent-encoded; before a path, a slash in them has to be. Space and
  /// one pair of quotes around the URL, as env files and copying leave them, do not count.
  package init(url text: String) throws(RedisURLError) {
    let url = try RedisEndpoint.bare(text)
    if let rest = url.dropping("unix://") {
      try self.init(unix: rest)
      return
    }
    for form in RedisURLForm.allCases {
      for (scheme, usesTLS) in [("redis", false), ("rediss", true)] {
        guard let rest = url.dropping(scheme + form.suffix) else { continue }
        try self.init(form, rest)
        self.usesTLS = usesTLS
        return
      }
    }
    throw RedisURLError(
      text: "a Redis URL begins with redis://, unix://, redis-sentinel:// or redis-cluster://, "
        + "with rediss in place of redis for TLS, as in redis://127.0.0.1:6379")
  }

  /// How many hosts a URL may have.
  package static let hostsMax = 64

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

  private init(_ form: RedisURLForm, _ rest: Substring) throws(RedisURLError) {
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
    let hosts = try RedisEndpoint.hosts(parts[0], form)
    let path = parts.count == 2 ? parts[1] : ""
    let found: RedisTopology
    var database = 0
    switch form {
    case .server:
      found = .server(hosts[0])
      database = try RedisEndpoint.database(path, form)
    case .sentinel:
      let words = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
      found = .sentinel(hosts, master: try RedisEndpoint.masterName(words.first ?? ""))
      database = words.count == 2 ? try RedisEndpoint.database(words[1], form) : 0
    case .cluster:
      guard path.isEmpty || path == "0" else {
        throw RedisURLError(
          text: "a cluster has no databases but 0: nothing may follow its hosts, as in "
            + form.example)
      }
      found = .cluster(hosts)
    }
    self.init(topology: found, user: user, password: password, database: database)
  }

  private static func database(
    _ text: Substring, _ form: RedisURLForm
  ) throws(RedisURLError) -> Int {
    guard !text.isEmpty else { return 0 }
    guard let number = digits(text), number < 65_536 else {
      let example = form == .sentinel ? "\(form.example)/2" : form.example
      throw RedisURLError(
        text: "the database after / is not a number from 0 to 65535, as in \(example)")
    }
    return number
  }

  /// Sentinel takes these names and no others.
  private static func masterName(_ text: Substring) throws(RedisURLError) -> String {
    guard !text.isEmpty else {
      throw RedisURLError(
        text: "the name by which the sentinels know the master is missing: "
          + RedisURLForm.sentinel.example)
    }
    let isName = text.utf8.allSatisfy { isNameByte($0) }
    guard isName, text.utf8.count <= 255 else {
      throw RedisURLError(text: "the name of a master is made of A-Z a-z 0-9 . _ and -")
    }
    return String(text)
  }

  private static func hosts(
    _ text: Substring, _ form: RedisURLForm
  ) throws(RedisURLError) -> [Address] {
    let words = text.split(separator: ",", omittingEmptySubsequences: false)
    guard words.count == 1 || form != .server else {
      throw RedisURLError(
        text: "redis:// names one host; several are for redis-sentinel:// and redis-cluster://")
    }
    guard words.count <= hostsMax else {
      throw RedisURLError(text: "the URL names \(words.count) hosts; it may name \(hostsMax)")
    }
    var hosts: [Address] = []
    for word in words {
      let host = try address(word, form)
      guard !hosts.contains(host) else {
        throw RedisURLError(text: "the URL names the host \(host) twice")
      }
      hosts.append(host)
    }
    return hosts
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

  private static func address(
    _ text: Substring, _ form: RedisURLForm
  ) throws(RedisURLError) -> Address {
    var host = text
    var port = "\(form.port)"[...]
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
      throw RedisURLError(text: "the host is missing: \(form.example)")
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

/// Whether the name of a master can have this byte.
private func isNameByte(_ byte: UInt8) -> Bool {
  isHostByte(byte) && byte != UInt8(ascii: ":") && byte != UInt8(ascii: "%")
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
